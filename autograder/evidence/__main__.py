"""Read a store for another process: ``python -m autograder.evidence`` answers one question.

The question names the store by its tracking URI or by its folder. Files of a tracking server are
downloaded into the folder ``downloads``. ``workspace`` is the folder of the endpoints and tables that belong
to the store, if that is not the store's own. The answer is the facts, or the problem in one line.
"""

import gc

gc.disable()  # this process ends before its garbage matters; imports take a fifth less time

import json  # noqa: E402
import os  # noqa: E402
from pathlib import Path  # noqa: E402

from autograder.base.child import Message, answer_questions  # noqa: E402
from autograder.databricks.database import StoreError, sqlite_uri  # noqa: E402
from autograder.evidence.exchange import dump  # noqa: E402
from autograder.evidence.store_reader import read_store  # noqa: E402


def _answer(question: Message) -> bytes:
    store, workspace = question["store"], question["workspace"]
    uri = store if ":/" in store or store == "databricks" else sqlite_uri(Path(store))
    try:
        facts = read_store(
            uri, downloads=Path(question["downloads"]), workspace=workspace and Path(workspace)
        )
    except StoreError as error:
        return json.dumps({"problem": str(error)}).encode()
    return json.dumps({"facts": dump(facts)}).encode()


answer_questions(_answer)
os._exit(0)  # MLflow takes its time to end otherwise
