"""What stays where it was in a nested box whose folders are hidden: the Python that runs in it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

#: A process that goes into a nested box, hides a folder, and tells what is left there and what it may do.
LOOK = """
import json, os, sys
from pathlib import Path
from autograder.sandbox import nest

folder = Path(sys.argv[1])
reader, writer = os.pipe()
child = os.fork()
if not child:
    try:
        nest.enter({}, {str(folder): 1 << 20}, [folder / name for name in sys.argv[2:]], {})
        (folder / "new").write_text("mine")
        names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
        texts = {name: (folder / name).read_text() for name in names if (folder / name).is_file()}
        linked = (folder / "x/venv/lib64/python/module.py").read_text()
        os.write(writer, json.dumps([names, texts, linked]).encode())
    except OSError as error:
        os.write(writer, json.dumps(str(error)).encode())
    os._exit(0)
os.close(writer)
print(os.read(reader, 65536).decode())
os.waitpid(child, 0)
"""


def test_a_python_in_a_hidden_folder_stays_and_nothing_else_of_it(tmp_path: Path) -> None:
    """Environments are made in temporary folders and in home folders, too."""
    environment = tmp_path / "x" / "venv"
    (environment / "lib" / "python").mkdir(parents=True)
    (environment / "lib" / "python" / "module.py").write_text("lazy")
    (environment / "lib64").symlink_to("lib")
    (environment / "pyvenv.cfg").write_text("home")
    (environment / "notes.txt").write_text("not Python's")
    (tmp_path / "x" / "secret").write_text("no")
    parts = [f"x/venv/{name}" for name in ("lib", "lib64", "pyvenv.cfg")]

    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(tmp_path), *parts],
        capture_output=True, text=True, check=True, timeout=60,
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    names, texts, through_the_link = json.loads(done.stdout)

    assert set(names) >= {"new", "x", "x/venv", "x/venv/lib", "x/venv/lib64", "x/venv/lib/python/module.py"}
    assert texts["x/venv/pyvenv.cfg"] == "home"
    assert texts["x/venv/lib/python/module.py"] == through_the_link == "lazy"
    assert not [name for name in names if "secret" in name or "notes" in name]
    assert not (tmp_path / "new").exists()
