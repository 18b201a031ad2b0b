"""Run a submission's notebook, and read and score what it left, in processes of their own."""

from autograder.execution.collect import collect
from autograder.execution.environment import kernel_environment
from autograder.execution.run import Execution, run_notebook
from autograder.execution.untrusted import score_untrusted
from autograder.execution.warm import WarmReader

__all__ = ["Execution", "WarmReader", "collect", "kernel_environment", "run_notebook", "score_untrusted"]
