"""Stumbling blocks that no single criterion sees: recognised in the evidence, explained in a sentence.

Those that belong to a criterion (a run left RUNNING, a metric in a second run, untrusted types) are
explained in its own message.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice

from autograder.base.text import quoted, short
from autograder.evidence import Evidence, model_of_version
from autograder.rubrics.language import LONGEST_MESSAGE

#: Of one kind no more than this many are told.
MOST_OF_A_KIND = 3

_NO_SUCH_RUN = re.compile(r"Run with id=(\S+) not found")


def hints(evidence: Evidence) -> tuple[str, ...]:
    """One sentence for each stumbling block that is recognised, with the fix; a few of a kind at most."""
    sentences = (sentence for recognise in _ALL for sentence in islice(recognise(evidence), MOST_OF_A_KIND))
    return tuple(short(sentence, LONGEST_MESSAGE) for sentence in sentences)


def _typed_run_id(evidence: Evidence) -> Iterator[str]:
    known = {run.run_id for run in evidence.runs}
    for error in _errors(evidence):
        found = _NO_SUCH_RUN.search(error)
        if found and found[1] not in known:
            yield (
                f"A cell asks for the run {quoted(found[1])}, which is not in this store: run ids are new "
                "each time, so take the id from the run itself (run.info.run_id) instead of typing it."
            )
            return


def _metric_imported_before_autologging(evidence: Evidence) -> Iterator[str]:
    for run in evidence.runs:
        # the tag that MLflow's autologging of scikit-learn gives a run
        if (
            "estimator_class" in run.tags
            and run.metrics
            and all(name.startswith("training_") for name in run.metrics)
        ):
            yield (
                f"The run {quoted(run.name)} has metrics of the training part only. Autologging records a "
                "metric on the test part when its function (accuracy_score, log_loss …) is imported "
                "after mlflow.sklearn.autolog() was called; or log the metric yourself."
            )
            return


def _version_without_model(evidence: Evidence) -> Iterator[str]:
    for model in evidence.registered:
        if not model.versions:
            yield (
                f"The registered model {quoted(model.name)} has no version: register_model made the name and "
                "then found no model. Pass it the model_uri that log_model returns."
            )
        for version in model.versions:
            if model_of_version(evidence, version) is None:
                yield (
                    f"Version {version.version} of {quoted(model.name)} names {quoted(version.source)}, "
                    "where no logged model is. Register it by the model_uri that log_model returns."
                )


def _work_in_the_default_experiment(evidence: Evidence) -> Iterator[str]:
    defaults = {found.experiment_id for found in evidence.experiments if found.name == "Default"}
    count = sum(run.experiment_id in defaults for run in evidence.runs)
    if count:
        runs = "1 run is" if count == 1 else f"{count} runs are"
        yield (
            f"{runs} in MLflow's own experiment “Default”: call mlflow.set_experiment before start_run, "
            "in every notebook and script."
        )


def _errors(evidence: Evidence) -> list[str]:
    return [cell.error for cell in evidence.notebook.errors if cell.error] if evidence.notebook else []


_ALL: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    _typed_run_id,
    _metric_imported_before_autologging,
    _version_without_model,
    _work_in_the_default_experiment,
)
