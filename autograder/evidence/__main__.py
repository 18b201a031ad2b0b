"""The facts of a store as JSON: ``python -m autograder.evidence STORE [DOWNLOADS [WORKSPACE]]``.

STORE is a tracking URI, or the folder of a store that a notebook made.

Says in one line on standard error, with exit status 1, why a store cannot be read. Files of a
tracking server are downloaded into the folder DOWNLOADS, and not read without it. WORKSPACE is the
folder of the endpoints and tables that belong to it, if that is not the store's own.
"""

import gc

gc.disable()  # this process ends before its garbage matters; imports take a fifth less time

import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from autograder.databricks.database import StoreError, sqlite_uri  # noqa: E402
from autograder.evidence.exchange import dump  # noqa: E402
from autograder.evidence.store_reader import read_store  # noqa: E402

store, *folders = sys.argv[1:]
uri = store if ":/" in store or store == "databricks" else sqlite_uri(Path(store))
downloads, workspace, *_ = [*map(Path, folders), None, None]
try:
    facts = dump(read_store(uri, downloads=downloads, workspace=workspace))
except StoreError as error:
    sys.exit(str(error))
sys.stdout.write(facts)
sys.stdout.flush()
os._exit(0)  # MLflow takes its time to end otherwise
