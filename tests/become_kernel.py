"""What a forked process does: become a kernel. Imports nothing itself; tests.preloaded has what it needs."""

import os


def be_a_kernel(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Become a kernel in ``folder``, with nothing of this process's environment."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    os.setpgrp()
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(argv=arguments)
