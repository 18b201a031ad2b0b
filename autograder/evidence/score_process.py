"""Load one MLflow model, ask it, write the answer down: run where the model can do no harm.

See :mod:`autograder.pipeline.untrusted`, which does.
"""

import json
import warnings
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter

from autograder.evidence import Scoring
from autograder.evidence.models import load_any, score_model, why_unusable


def main() -> None:
    """Read ``request.json`` (features) here, ask the model in ``model``, write ``answer.json`` (Scoring)."""
    warnings.simplefilter("ignore")
    features = pd.DataFrame(**json.loads(Path("request.json").read_bytes()))
    try:
        scoring = score_model(load_any(Path("model")), features)
    except Exception as error:
        scoring = Scoring(error=why_unusable(error))
    Path("answer.json").write_bytes(TypeAdapter(Scoring).dump_json(scoring))


if __name__ == "__main__":
    main()
