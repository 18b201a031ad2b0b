"""Which tests ``make quick`` runs: those that start no process and listen at no address.

They need no kernel, server, browser, nbgrader command or box. Every test counts as quick unless ``SLOW``
names its module or itself, or it uses a fixture of ``SLOW_FIXTURES``. A quick test that starts something
fails and says so.
"""

import sys
from collections.abc import Generator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
SLOW = {
    "authoring/test_authoring",
    "book/test_book",
    "book/test_claims_of_models",
    "book/test_claims_of_the_book",
    "book/test_languages",
    "cli/test_commands",
    "cli/test_terminals",
    "cli/test_workspace_commands",
    "course/test_by_hand",
    "course/test_doctor",
    "course/test_one_batch",
    "course/test_resume",
    "data/test_candidates",
    "data/test_data::test_deeper_forests_are_better_by_the_stated_margin",  # computes for half a minute
    "databricks/test_serving_access",
    "databricks/test_serving_bad_input",
    "databricks/test_serving_clients",
    "databricks/test_serving_endpoints",
    "databricks/test_serving_features",
    "databricks/test_serving_fuzz",
    "databricks/test_serving_log",
    "databricks/test_serving_log_moved",
    "databricks/test_serving_state",
    "databricks/test_serving_what_fails_behind",
    "databricks/test_serving_wrong_data",
    "databricks/test_tables_of_two_writers",
    "evidence/test_evidence_workspace",
    "evidence/test_hostile_workspace",
    "evidence/test_models",
    "evidence/test_pictures",
    "evidence/test_read_from_databricks",
    "evidence/test_store::test_a_child_process_reads_the_same_facts",
    "evidence/test_store::test_a_locked_store_is_said",
    "grading/test_large_facts",
    "nbgrader/test_damaged",
    "nbgrader/test_exercises",
    "nbgrader/test_formgrader",
    "nbgrader/test_hostile_class",
    "nbgrader/test_intake",
    "nbgrader/test_large_submissions",
    "nbgrader/test_nbgrader",
    "nbgrader/test_nbgraders_own",
    "nbgrader/test_nothing_foreign_is_opened",
    "nbgrader/test_safe_to_open",
    "nbgrader/test_stock_commands",
    "notebook/test_in_the_notebook",
    "notebook/test_run_by_nbgrader_alone",
    "notebook/test_serving_exercise",
    "pipeline/test_assignments",
    "pipeline/test_callers",
    "pipeline/test_reader",
    "rubrics/test_endpoints",
    "rubrics/test_hostile_facts",
    "rubrics/test_properties",
    "rubrics/test_settings",
    "sandbox/test_box",
    "sandbox/test_nest",
    "sandbox/test_umask",
    "sandbox/test_warm_kernels",
    "test_architecture",
    "workspace/test_importing",
    "workspace/test_last_calls",
    "workspace/test_odd_places",
    "workspace/test_open_workspace",
    "workspace/test_prepared_store",
    "workspace/test_proxies",
    "workspace/test_remote_workspaces",
}
SLOW_FIXTURES = {"class_of", "course", "quick", "reader"}
#: What Python's audit events call the start of a process, and the begin of a server.
STARTS = {"subprocess.Popen", "os.exec", "os.fork", "os.posix_spawn", "os.system", "socket.bind"}
_guarded: list[str] = []


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``-m quick`` slow modules are not even imported: that takes most of the time."""
    return True if config.option.markexpr == "quick" and _module(collection_path) in SLOW else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the quick tests."""
    for item in items:
        module = _module(item.path)
        names = {module, f"{module}::{getattr(item, 'originalname', item.name)}"}
        if not names & SLOW and not SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("quick")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Refuse processes and servers to a quick test and to the fixtures that it is the first to use."""
    if item.get_closest_marker("quick"):
        _guarded.append(item.nodeid)
    try:
        return (yield)
    finally:
        _guarded.clear()


def _module(path: Path) -> str:
    return path.relative_to(TESTS).with_suffix("").as_posix()


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if _guarded and event in STARTS:
        test = _guarded[-1]
        raise AssertionError(
            f"{test} counts as quick and caused {event} {arguments[:1]}. Quick tests start no process and no "
            "server: do without, or name its module in SLOW of tests/support/quick.py."
        )


sys.addaudithook(_refuse)
