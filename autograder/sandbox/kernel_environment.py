"""The environment that a submission's code gets: what it needs to run, and nothing else."""

import os
from pathlib import Path

from autograder.base.names import SEED_VARIABLE
from autograder.data.settings import GRADED_RUN_VARIABLE, SETTINGS_VARIABLE, Conditions

#: What is handed down from the instructor's environment. Everything else stays behind: tracking
#: servers, tokens, cloud credentials, proxies, course secrets.
HANDED_DOWN = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "TEMP",
    "TMP",
    "SYSTEMROOT",
    "COMSPEC",
    "PATHEXT",
    "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "PYTHONHASHSEED",
)


def kernel_environment(home: Path, conditions: Conditions | None = None) -> dict[str, str]:
    """Environment variables for a process that runs foreign code; ``home`` is its home folder.

    With ``conditions`` the seeded data are drawn under them.
    """
    environment = {name: os.environ[name] for name in HANDED_DOWN if name in os.environ}
    environment |= {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "MPLCONFIGDIR": str(home / "matplotlib"),
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "USER": "student",
        "LOGNAME": "student",
    }
    if conditions is not None:
        environment[GRADED_RUN_VARIABLE] = "1"
        environment[SEED_VARIABLE] = str(conditions.seed)
        environment[SETTINGS_VARIABLE] = conditions.settings.model_dump_json()
    return environment
