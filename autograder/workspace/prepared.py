"""A store that is ready to use: made once a machine, copied in milliseconds, and with a memory.

MLflow takes seconds to make a new SQLite store and overwrites a version's stage and an alias's
target without a trace. The prepared store is MLflow's own, made by the installed release, with
triggers that write each such change into one more table, ``kit_history``.

    python -m autograder.workspace.prepared PATH      makes one

Without it (MLFLOW_KIT_PREPARED_STORE=0, or a machine that cannot keep it) MLflow makes the store
itself; then only what asks for the order of changes cannot be told.
"""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import platformdirs

from autograder.base.names import DATABASE
from autograder.base.paths import uri_of_database
from autograder.databricks.database import artifact_root

#: Set to 0 to have MLflow make every store itself.
SWITCH_VARIABLE = "MLFLOW_KIT_PREPARED_STORE"
HISTORY_TABLE = "kit_history"
#: Seconds that making the store may take.
PATIENCE = 120

_NOW = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
#: What records changes. ``kind`` is "stage" or "alias"; ``subject`` is the version whose stage it
#: is, or the alias; ``time`` is in milliseconds since 1970-01-01 UTC.
SCHEMA = f"""
CREATE TABLE {HISTORY_TABLE} (
  id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, kind TEXT NOT NULL,
  name TEXT NOT NULL, subject TEXT NOT NULL, before TEXT, after TEXT
);
CREATE TRIGGER kit_stage_set AFTER INSERT ON model_versions BEGIN
  INSERT INTO {HISTORY_TABLE} (time, kind, name, subject, before, after)
  VALUES ({_NOW}, 'stage', NEW.name, NEW.version, NULL, NEW.current_stage);
END;
CREATE TRIGGER kit_stage_changed AFTER UPDATE OF current_stage ON model_versions
WHEN OLD.current_stage IS NOT NEW.current_stage BEGIN
  INSERT INTO {HISTORY_TABLE} (time, kind, name, subject, before, after)
  VALUES ({_NOW}, 'stage', NEW.name, NEW.version, OLD.current_stage, NEW.current_stage);
END;
CREATE TRIGGER kit_alias_set AFTER INSERT ON registered_model_aliases BEGIN
  INSERT INTO {HISTORY_TABLE} (time, kind, name, subject, before, after)
  VALUES ({_NOW}, 'alias', NEW.name, NEW.alias, NULL, NEW.version);
END;
CREATE TRIGGER kit_alias_moved AFTER UPDATE OF version ON registered_model_aliases
WHEN OLD.version IS NOT NEW.version BEGIN
  INSERT INTO {HISTORY_TABLE} (time, kind, name, subject, before, after)
  VALUES ({_NOW}, 'alias', NEW.name, NEW.alias, OLD.version, NEW.version);
END;
CREATE TRIGGER kit_alias_removed AFTER DELETE ON registered_model_aliases BEGIN
  INSERT INTO {HISTORY_TABLE} (time, kind, name, subject, before, after)
  VALUES ({_NOW}, 'alias', OLD.name, OLD.alias, OLD.version, NULL);
END;
"""


def put_store(folder: Path, seen_as: str | None = None) -> bool:
    """Put a prepared store into ``folder``, which has none; whether that was possible.

    ``seen_as`` is the folder's path for those who will use the store, where it is another.
    It is not when it was switched off, when there is a store already, or when the machine has no
    place to keep one. Never raises: MLflow then makes the store itself.
    """
    database = folder / DATABASE
    if os.environ.get(SWITCH_VARIABLE, "1") == "0" or database.exists():
        return False
    try:
        shutil.copyfile(kept_store(), database)
        connection = sqlite3.connect(database)
        with connection:
            connection.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0",
                (f"{artifact_root(Path(seen_as or folder))}/0",),
            )
        connection.close()
    except (OSError, sqlite3.Error, subprocess.SubprocessError):
        database.unlink(missing_ok=True)
        return False
    return True


def kept_store() -> Path:
    """The prepared store of the installed MLflow that this machine keeps; made when there is none.

    Raises OSError or subprocess.SubprocessError when it can be neither found nor made.
    """
    schema = hashlib.sha256(SCHEMA.encode()).hexdigest()[:8]
    path = platformdirs.user_cache_path("mlflow-teaching-kit") / f"store-{version('mlflow')}-{schema}.db"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as making:
            new = Path(making) / "store.db"
            command = [sys.executable, "-m", "autograder.workspace.prepared", str(new)]
            subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
            new.replace(path)
    return path


def make_store(path: Path) -> None:
    """Make a store at ``path`` with the installed MLflow, and give it a memory."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(uri_of_database(path), str(path.parent / "mlruns")).engine.dispose()
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.close()


if __name__ == "__main__":
    make_store(Path(sys.argv[1]).resolve())
