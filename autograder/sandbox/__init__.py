"""Run a submission's notebook in a box that holds nothing of this machine but Python."""

from autograder.sandbox.box import BoxFailed
from autograder.sandbox.find_bwrap import NoSandbox
from autograder.sandbox.kernel_environment import kernel_environment
from autograder.sandbox.limits import Limits
from autograder.sandbox.probe import check_sandbox
from autograder.sandbox.running import Execution, run_notebook

__all__ = [
    "BoxFailed",
    "Execution",
    "Limits",
    "NoSandbox",
    "check_sandbox",
    "kernel_environment",
    "run_notebook",
]
