"""What 05-promotion asks: evaluate a version, promote it by stages and aliases, roll a bad one back."""

from dataclasses import replace

from autograder.base.remember import remembered
from autograder.base.text import quoted
from autograder.data import load_flowers
from autograder.evidence import Change, Evidence, ModelVersion, RegisteredModel, find_registered
from autograder.rubrics import crosschecks, registered_models
from autograder.rubrics.claims import species as truth
from autograder.rubrics.evaluations import ended, is_evaluated, is_marked, shown_by, still_running
from autograder.rubrics.language import Outcome, Rubric, Status, failed, not_attempted, passed

NAME = "IrisRandomForest"


def limit(evidence: Evidence) -> float:
    """The log-loss that a version must not exceed to be used."""
    return evidence.settings.threshold("05-promotion", "log_loss")


@remembered
def the_model(evidence: Evidence) -> RegisteredModel:
    """The registered model that the exercise itself makes; one without versions before it has."""
    return find_registered(evidence, NAME) or RegisteredModel(name=NAME, created=0, description="")


@remembered
def the_version(evidence: Evidence, role: str) -> ModelVersion | None:
    """The latest version that the exercise itself registered as “current”, “newer” or “release”."""
    of_role = [version for version in the_model(evidence).versions if version.tags.get("role") == role]
    return of_role[-1] if of_role else None


@remembered
def the_release(evidence: Evidence) -> ModelVersion | None:
    """The version that was released after the newer one; None while it was not.

    One that was deleted is in the stage registered_models.DELETED, and has what the history and its run tell.
    """
    newer, release = the_version(evidence, "newer"), the_version(evidence, "release")
    if newer and release and release.version > newer.version:
        return release
    runs = [run for run in evidence.runs if run.tags.get("role") == "release" and run.model_ids]
    return registered_models.deleted_version(evidence, NAME, newer.version, runs) if newer and runs else None


rubric = Rubric(
    assignment="05-promotion",
    title="Promote a version, and take one back",
    chapter="chapters/promotion",
    features=lambda seed, settings: load_flowers(seed, settings).X_test,
)
evaluate = rubric.task("evaluate", "Evaluate in Staging", section="evaluate-in-staging")
promote = rubric.task("promote", "Promote with a note", section="promote-with-a-note")
aliases = rubric.task("aliases", "The same with aliases", section="the-same-with-aliases")
roll_back = rubric.task("roll-back", "Find a bad version and roll back", section="roll-back")


@evaluate.criterion("The newer version was in Staging", 2, ("S4", "P4", "C2"))
def in_staging(evidence: Evidence) -> Outcome:
    version = the_version(evidence, "newer")
    if version is None:
        return _no_versions()
    steps = [("stage", str(version.version), stage) for stage in ("Staging", "Production")]
    return _went_through(evidence, steps, f"version {version.version} in Staging")


@evaluate.criterion(
    "A run evaluates the newer version, and its log-loss is what that version reaches", 3, ("S4",)
)
def newer_evaluated(evidence: Evidence) -> Outcome:
    version = the_version(evidence, "newer")
    return is_evaluated(evidence, version, truth(evidence)) if version else _no_versions()


@evaluate.criterion("The newer version's tag `validation_status` says what the evaluation found", 2, ("S4",))
def newer_marked(evidence: Evidence) -> Outcome:
    version = the_version(evidence, "newer")
    return is_marked(evidence, version, truth(evidence), limit(evidence)) if version else _no_versions()


@promote.criterion("The newer version was promoted to Production", 2, ("S4", "P4"))
def promoted(evidence: Evidence) -> Outcome:
    version = the_version(evidence, "newer")
    if version is None:
        return _no_versions()
    steps = [("stage", str(version.version), "Production")]
    return _went_through(evidence, steps, f"version {version.version} in Production")


@promote.criterion("It was evaluated before that", 2, ("S4", "P4"), needs=("promoted",))
def evaluated_first(evidence: Evidence) -> Outcome:
    version = the_version(evidence, "newer")
    assert version is not None
    return still_running(evidence, version, truth(evidence)) or crosschecks.follow_each_other(
        [
            (f"the evaluation of version {version.version}", ended(evidence, version, truth(evidence))),
            (f"version {version.version} in Production", _when(evidence, version, "Production")),
        ]
    )


@promote.criterion("The version that it replaced was archived", 1, ("C2", "S4"), needs=("promoted",))
def replaced_archived(evidence: Evidence) -> Outcome:
    current, release = the_version(evidence, "current"), the_release(evidence)
    if current is None:
        return _no_versions()
    archived = _when(evidence, current, "Archived")
    if archived is not None and (release is None or archived <= release.created):
        return passed(f"Version {current.version} was archived.")
    return failed(
        f"Version {current.version} was {'archived only later' if archived else 'never archived'}.",
        "one version in Production at a time",
        "Pass archive_existing_versions=True when you move a version to Production, or archive the old one "
        "in a call of its own.",
    )


@promote.criterion("The newer version's description links the run that evaluated it", 3, ("S4", "P5"))
def note_links(evidence: Evidence) -> Outcome:
    version = the_version(evidence, "newer")
    if version is None:
        return _no_versions()
    written, where = version.description, f"version {version.version}"
    if any(run.run_id in written for run in shown_by(evidence, version, truth(evidence))):
        return passed(f"The description of {where} names the run that evaluated it.")
    told = registered_models.is_a_sentence(written, where, "client.update_model_version")
    if told.status is not Status.PASSED:
        return told
    others = [run for run in evidence.runs if run.run_id in written]
    named = f"the run {quoted(others[0].name)}, which does not evaluate it" if others else "no run by its id"
    return failed(
        f"The description of {where} says {quoted(written, 120)} and names {named}.",
        "the id of the run that evaluated this version, so that a reader finds it",
        "Put run.info.run_id into the text with an f-string.",
    )


@aliases.criterion("The alias `challenger` was on the newer version before `champion` was", 2, ("C2", "P4"))
def challenger_first(evidence: Evidence) -> Outcome:
    version = the_version(evidence, "newer")
    if version is None:
        return _no_versions()
    steps = [("alias", alias, str(version.version)) for alias in ("challenger", "champion")]
    return _went_through(evidence, steps, f"`challenger` on version {version.version}")


@aliases.criterion("The alias `champion` was moved to the newer version", 2, ("C2", "P4"))
def champion_moved(evidence: Evidence) -> Outcome:
    version = the_version(evidence, "newer")
    if version is None:
        return _no_versions()
    steps = [("alias", "champion", str(version.version))]
    return _went_through(evidence, steps, f"`champion` on version {version.version}")


@aliases.criterion("Then `challenger` was taken away", 1, ("C2",), needs=("challenger-first",))
def challenger_gone(evidence: Evidence) -> Outcome:
    version = the_version(evidence, "newer")
    assert version is not None
    if the_model(evidence).aliases.get("challenger") != version.version:
        return passed("No version that is the champion is its own challenger.")
    return failed(
        f"`challenger` is still on version {version.version}, which became the champion.",
        "no challenger until there is another candidate",
        "Delete the alias with client.delete_registered_model_alias.",
    )


@roll_back.criterion("A run evaluates the released version, and its log-loss is true", 3, ("S4", "C2"))
def release_evaluated(evidence: Evidence) -> Outcome:
    release = the_release(evidence)
    return is_evaluated(evidence, release, truth(evidence)) if release else _no_release()


@roll_back.criterion("The released version's tag `validation_status` says so", 2, ("C2",))
def release_marked(evidence: Evidence) -> Outcome:
    release = the_release(evidence)
    if release is None or release.stage == registered_models.DELETED:
        return _was_deleted(release) if release else _no_release()
    return is_marked(evidence, release, truth(evidence), limit(evidence))


@roll_back.criterion("The alias `champion` is on the newer version again", 2, ("S4", "C2"))
def champion_back(evidence: Evidence) -> Outcome:
    version, release = the_version(evidence, "newer"), the_release(evidence)
    if version is None or release is None:
        return _no_release()
    on = the_model(evidence).aliases.get("champion")
    if on == version.version:
        return passed(f"`champion` is on version {on}, which was evaluated and promoted.")
    step = "Set the alias on the version that it was on before the release."
    if on == release.version:
        return not_attempted(f"`champion` is on version {on}, the release.", step)
    return failed(
        f"`champion` is on {'no version' if on is None else f'version {on}'}.",
        f"version {version.version}, the last one that passed its evaluation",
        step,
    )


@roll_back.criterion("The newer version is in Production again", 2, ("S4", "C2"))
def production_back(evidence: Evidence) -> Outcome:
    version, release = the_version(evidence, "newer"), the_release(evidence)
    if version is None or release is None:
        return _no_release()
    if version.stage == "Production":
        return passed(f"Version {version.version} is in Production.")
    return not_attempted(
        f"Version {version.version} is in the stage {version.stage}.",
        "Move it to Production again: it is the last one that passed its evaluation.",
    )


@roll_back.criterion("The released version is archived", 1, ("C2",))
def release_archived(evidence: Evidence) -> Outcome:
    release = the_release(evidence)
    if release is None or release.stage == registered_models.DELETED:
        return _was_deleted(release) if release else _no_release()
    if release.stage == "Archived":
        return passed(f"Version {release.version} is archived.")
    return not_attempted(
        f"Version {release.version} is in the stage {release.stage}.",
        "Archive it, so that nobody takes it for the one in use. Deleting it would delete what happened.",
    )


@roll_back.criterion("The released version's description says why", 1, ("P5",))
def release_described(evidence: Evidence) -> Outcome:
    release = the_release(evidence)
    if release is None or release.stage == registered_models.DELETED:
        return _was_deleted(release) if release else _no_release()
    where = f"version {release.version}"
    return registered_models.is_a_sentence(release.description, where, "client.update_model_version")


def _changes(evidence: Evidence) -> list[Change]:
    return [change for change in evidence.changes or () if change.name == NAME]


def _when(evidence: Evidence, version: ModelVersion, stage: str) -> int | None:
    """When a version first came into a stage, in milliseconds; None when it never did."""
    wanted = ("stage", str(version.version), stage)
    times = [c.time for c in _changes(evidence) if (c.kind, c.subject, c.after) == wanted]
    return min(times, default=None)


def _went_through(evidence: Evidence, steps: list[tuple[str, str, str]], done: str) -> Outcome:
    """Whether the first of these steps was done before the release, and before the others if they were.

    A step is (kind, subject, after), see :func:`autograder.rubrics.crosschecks.went_in_order`.
    """
    if evidence.changes is None:
        return crosschecks.went_in_order(evidence, NAME, steps, done)
    release = the_release(evidence)
    in_time = [c for c in _changes(evidence) if release is None or c.time <= release.created]
    made = {(change.kind, change.subject, change.after) for change in in_time}
    if steps[0] not in made:
        later = any((change.kind, change.subject, change.after) == steps[0] for change in _changes(evidence))
        return not_attempted(
            f"The history of “{NAME}” has {done} {'only after the release' if later else 'never'}.",
            "This step belongs before the release. Begin again with two new versions: call "
            "register_candidates(again=True) once, then run the cells from the top."
            if release
            else "Do this step with the client.",
        )
    wanted = [step for step in steps if step in made]
    return crosschecks.went_in_order(
        replace(evidence, changes=tuple(in_time)), NAME, wanted, f"{done}, first"
    )


def _no_versions() -> Outcome:
    return not_attempted("The versions are not registered yet.", "Run the cell that makes them.")


def _no_release() -> Outcome:
    return not_attempted("The release has not happened yet.", "Run the cell that plays it, before Task 4.")


def _was_deleted(release: ModelVersion) -> Outcome:
    return failed(
        f"Version {release.version}, the release, was deleted.",
        "every version that was ever in use, so that a reader can tell what answered",
        "Archive a bad version and say why. To try again, run the cell that plays the release once more.",
    )
