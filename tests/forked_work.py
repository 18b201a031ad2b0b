"""What a forked process does. Imports nothing itself; tests.preloaded has what it needs."""

import os


def _begin(folder: str, environment: dict[str, str]) -> None:
    """Work in ``folder``, with nothing of this process's environment."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    os.setpgrp()


def be_a_kernel(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Become a kernel."""
    _begin(folder, environment)
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(argv=arguments)


def score(folder: str, environment: dict[str, str]) -> None:
    """Ask the model in ``folder``, which may run code of its own."""
    _begin(folder, environment)
    from autograder.evidence.score_process import main

    main()
