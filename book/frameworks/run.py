"""Run the scripts beside this file and keep what they print: `make frameworks`.

    python book/frameworks/run.py [NAME …]      all of them, or these

Each has a process, an empty folder and a store of its own. What it prints goes to ``outputs/``, which the
book shows; the versions that it was printed with, to ``outputs/versions.txt``.
"""

import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OUTPUTS = HERE / "outputs"
SCRIPTS = (
    "with_sklearn",
    "with_xgboost",
    "with_lightgbm",
    "with_pytorch",
    "with_keras",
    "what_fails",
)
PACKAGES = (
    "mlflow",
    "scikit-learn",
    "skops",
    "pandas",
    "xgboost",
    "lightgbm",
    "torch",
    "tensorflow-cpu",
    "keras",
)
WIDTH = 74


def environment(folder: str) -> dict[str, str]:
    """This environment with the kit's data, a store in ``folder``, and no GPU."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1",  # sums in one order
    }


def printed_by(name: str) -> str:
    """What a script prints. Exits with what it said when it fails or prints what a page cannot show."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, str(HERE / f"{name}.py")],
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if done.returncode:
            sys.exit(
                f"{name}.py failed with status {done.returncode}:\n{done.stdout}{done.stderr[-5000:]}"
            )
        if (
            folder in done.stdout
            or max(map(len, done.stdout.splitlines())) > WIDTH
        ):
            sys.exit(
                f"{name}.py prints its folder or lines wider than {WIDTH}:\n{done.stdout}"
            )
    return done.stdout


def main(names: list[str]) -> None:
    """Run scripts and write their outputs."""
    OUTPUTS.mkdir(exist_ok=True)
    for name in names or SCRIPTS:
        print(f"{name}.py …", flush=True)
        (OUTPUTS / f"{name}.txt").write_text(
            printed_by(name), encoding="utf-8"
        )
    lines = [f"python {sys.version_info.major}.{sys.version_info.minor}"]
    lines += [f"{name} {version(name)}" for name in PACKAGES]
    (OUTPUTS / "versions.txt").write_text(
        "\n".join(lines) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
