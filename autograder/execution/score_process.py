"""The process behind ``score_untrusted``: load one MLflow model, ask it, write the answer down."""

import json
import sys
import warnings
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter

from autograder.evidence import Scoring
from autograder.evidence.models import load_any, score_model, why_unusable


def main(answer: Path) -> None:
    """Read the request (JSON: folder, features) from standard input; write a Scoring to ``answer``."""
    warnings.simplefilter("ignore")
    request = json.load(sys.stdin)
    features = pd.DataFrame(**request["features"])
    try:
        scoring = score_model(load_any(Path(request["folder"])), features)
    except Exception as error:
        scoring = Scoring(error=why_unusable(error))
    answer.write_bytes(TypeAdapter(Scoring).dump_json(scoring))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
