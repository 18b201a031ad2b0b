"""nbgrader's and the kit's commands as forked processes: the same code, its libraries imported already.

For tests of what the kit's plug-ins decide. The commands as an instructor starts them are
:func:`tests.conftest.run`.
"""

import tempfile
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired

from tests.conftest import environment
from tests.support.forked_kernel import context
from tests.support.forked_work import be_a_command


def run(*command: str, folder: Path, timeout: float = 600, **changes: str) -> CompletedProcess[str]:
    """Run a command to its end; standard output and error are both in ``stdout``."""
    with tempfile.TemporaryDirectory(prefix="kit-") as name:
        log = Path(name) / "log"
        arguments = (list(command), str(folder), environment(**changes), log)
        process = context.Process(target=be_a_command, args=arguments)
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise TimeoutExpired(command, timeout)
        return CompletedProcess(command, process.exitcode or 0, log.read_text("utf-8", "replace"))
