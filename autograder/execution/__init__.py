"""Run a submission's notebook, and read and score what it left, in processes of their own."""

from autograder.execution.box import BoxFailed
from autograder.execution.collect import collect
from autograder.execution.environment import kernel_environment
from autograder.execution.find_bwrap import NoSandbox
from autograder.execution.limits import Limits
from autograder.execution.run import Execution, run_notebook
from autograder.execution.sandbox import check_sandbox
from autograder.execution.untrusted import score_untrusted
from autograder.execution.warm import WarmReader

__all__ = [
    "BoxFailed",
    "Execution",
    "Limits",
    "NoSandbox",
    "WarmReader",
    "check_sandbox",
    "collect",
    "kernel_environment",
    "run_notebook",
    "score_untrusted",
]
