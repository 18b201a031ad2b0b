"""The facts of a store as JSON: ``python -m autograder.evidence STORE [DOWNLOADS]``.

STORE is a tracking URI, or the folder of a store that a notebook made.

Says in one line on standard error, with exit status 1, why a store cannot be read. Files of a
tracking server are downloaded into the folder DOWNLOADS, and not read without it.
"""

import gc

gc.disable()  # this process ends before its garbage matters; imports take a fifth less time

import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from autograder.evidence.facts import dump  # noqa: E402
from autograder.evidence.store import read_store  # noqa: E402
from autograder.workspace.database import StoreError  # noqa: E402
from autograder.workspace.store import sqlite_uri  # noqa: E402

store, *downloads = sys.argv[1:]
uri = store if ":/" in store else sqlite_uri(Path(store))
try:
    facts = dump(read_store(uri, downloads=Path(downloads[0]) if downloads else None))
except StoreError as error:
    sys.exit(str(error))
sys.stdout.write(facts)
sys.stdout.flush()
os._exit(0)  # MLflow takes its time to end otherwise
