"""One rubric, several callers: a SQLite store, a copy of it, a tracking server, saved facts, forgeries."""

import contextlib
import json
import shutil
import sqlite3
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
from xml.etree import ElementTree

import mlflow
import nbformat
import pytest

from autograder import evidence
from autograder.data.settings import Conditions
from autograder.evidence import Evidence, NoStore
from autograder.evidence.store_reader import read_store
from autograder.grading import Report, grade
from autograder.pipeline.jobs import FilesTooLarge, execute, files_beside, job_of
from autograder.pipeline.own_work import report_of, report_on
from autograder.pipeline.reader import Reader
from autograder.pipeline.rehearsal import rehearse
from autograder.reports import report_json
from autograder.rubrics import Status, load_rubric
from tests.conftest import ASSIGNMENT, ROOT, run
from tests.support.tracking_server import SEED, serving, work_on

pytestmark = pytest.mark.xdist_group("callers")
RUBRIC = load_rubric(ASSIGNMENT)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evidence]:
    """The solution, run under a seed that is not the public one: its folder and its evidence."""
    folder = tmp_path_factory.mktemp("work")
    notebook = nbformat.read(ROOT / "solutions" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb", as_version=4)
    with Reader() as reader:
        kept = execute(job_of(RUBRIC, notebook, Conditions(SEED)), folder, reader)
    assert kept.evidence
    return folder, kept.evidence


@pytest.fixture
def store(work: tuple[Path, Evidence], tmp_path: Path) -> Path:
    """A copy of the work, to be forged."""
    shutil.copytree(work[0], tmp_path / "copy")
    return tmp_path / "copy" / "mlflow.db"


def outcomes(report: Report) -> dict[str, Status]:
    return {result.id: result.outcome.status for result in report.results}


def lost(report: Report) -> set[str]:
    return {id for id, status in outcomes(report).items() if status is not Status.PASSED}


def uri(store: Path) -> str:
    return f"sqlite:///{store}"


def test_the_grader_and_the_student_s_check_agree(work: tuple[Path, Evidence]) -> None:
    folder, facts = work
    graded, checked = grade(RUBRIC, facts), report_on(ASSIGNMENT, uri(folder / "mlflow.db"))
    assert graded == checked
    assert graded.earned == 25
    assert graded.seed == SEED, "the seed is recorded in the store"


def test_a_copy_in_another_folder_gets_the_same_report(work: tuple[Path, Evidence], store: Path) -> None:
    assert report_on(ASSIGNMENT, uri(store)) == grade(RUBRIC, work[1])


def test_saved_facts_alone_are_enough_to_grade_again(work: tuple[Path, Evidence]) -> None:
    saved = evidence.dump(work[1])
    assert grade(RUBRIC, evidence.load(saved)) == grade(RUBRIC, work[1])
    blind = replace(evidence.load(saved), models=())
    assert lost(grade(RUBRIC, blind)) >= {"model-logged", "two-variants"}


def test_the_same_work_on_a_tracking_server_gets_the_same_report(
    work: tuple[Path, Evidence], tmp_path: Path
) -> None:
    with serving(tmp_path / "server") as server:
        work_on(server, tmp_path / "there")
        (tmp_path / "here").mkdir()
        with contextlib.chdir(tmp_path / "here"):
            assert report_on(ASSIGNMENT, server) == grade(RUBRIC, work[1])
    assert not list((tmp_path / "here").iterdir()), "reading a server left something behind"


def test_a_tracking_server_with_passwords_is_read_with_the_right_one_only(
    work: tuple[Path, Evidence], tmp_path: Path
) -> None:
    right = {"MLFLOW_TRACKING_USERNAME": "teacher", "MLFLOW_TRACKING_PASSWORD": "correct horse battery"}
    (tmp_path / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = READ\nauth_cache_ttl_seconds = 60\n"
        f"database_uri = {uri(tmp_path / 'users.db')}\n"
        f"admin_username = {right['MLFLOW_TRACKING_USERNAME']}\n"
        f"admin_password = {right['MLFLOW_TRACKING_PASSWORD']}\n"
    )
    settings = {
        "MLFLOW_AUTH_CONFIG_PATH": str(tmp_path / "auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of no use here",
    }
    command = ["mlflow-kit", "check", ASSIGNMENT, "--format", "json", "--tracking-uri"]
    with serving(tmp_path / "server", "--app-name", "basic-auth", **settings) as server:
        work_on(server, tmp_path / "there", right)
        with pytest.raises(HTTPError, match="401"):
            urllib.request.urlopen(f"{server}/api/2.0/mlflow-artifacts/artifacts")  # nor the models' files
        let_in = run(*command, server, folder=tmp_path, **right)
        wrong = {**right, "MLFLOW_TRACKING_PASSWORD": "swordfish"}
        for credentials in (wrong, {}):
            refused = run(*command, server, folder=tmp_path, **credentials)
            assert refused.returncode == 1
            (line,) = refused.stdout.splitlines()
            assert f"The tracking server at {server} does not let you in" in line
            assert "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in line
            assert "swordfish" not in line
    assert let_in.returncode == 0, let_in.stdout
    assert let_in.stdout.strip() == report_json(grade(RUBRIC, work[1]))


def test_a_server_that_does_not_answer_is_one_clear_line(tmp_path: Path) -> None:
    done = run(
        "mlflow-kit",
        "check",
        ASSIGNMENT,
        "--tracking-uri",
        "http://127.0.0.1:9",
        folder=tmp_path,
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
    )
    assert done.returncode == 1
    assert "could not be read" in done.stdout
    assert "Traceback" not in done.stdout


IRIS_2 = {"name": "main.default.iris", "version": "2"}


def change(store: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(store)
    with connection:
        assert connection.execute(statement, values).rowcount > 0, "the forgery changed nothing"
    connection.close()


def first(store: Path) -> tuple[mlflow.MlflowClient, str]:
    client = mlflow.MlflowClient(uri(store))
    runs = client.search_runs(["1"], "params.max_depth = '2'")
    return client, runs[0].info.run_id


def metric_by_the_api(store: Path) -> None:
    client, run_id = first(store)
    client.log_metric(run_id, "accuracy", 0.999)


def metric_by_sql(store: Path) -> None:
    _, run_id = first(store)
    change(store, "UPDATE metrics SET value = 0.999 WHERE run_uuid = ? AND key = 'accuracy'", run_id)
    change(store, "UPDATE latest_metrics SET value = 0.999 WHERE run_uuid = ? AND key = 'accuracy'", run_id)


def param_by_sql(store: Path) -> None:
    _, run_id = first(store)
    change(store, "UPDATE params SET value = '7' WHERE run_uuid = ? AND key = 'random_state'", run_id)


def latest_metric_only(store: Path) -> None:
    _, run_id = first(store)
    change(store, "UPDATE latest_metrics SET value = 0.999 WHERE run_uuid = ? AND key = 'accuracy'", run_id)


def another_model_s_files(store: Path) -> None:
    client, run_id = first(store)
    models = client.search_logged_models(["1"])
    (mine,) = [model for model in models if model.source_run_id == run_id]
    other = next(model for model in models if model.source_run_id != run_id)
    folders = [store.parent / "mlruns" / "1" / "models" / model.model_id for model in (other, mine)]
    shutil.rmtree(folders[1])
    shutil.copytree(*folders)


def logged_model_s_params(store: Path) -> None:
    change(store, "UPDATE logged_model_params SET param_value = '99'")


@pytest.mark.parametrize(
    ("forge", "loses"),
    [
        (metric_by_the_api, {"accuracy-true"}),
        (metric_by_sql, {"accuracy-true"}),
        (latest_metric_only, {"accuracy-logged", "accuracy-true"}),
        (param_by_sql, {"params-match"}),
        (
            another_model_s_files,
            {"model-logged", "model-loads", "params-match", "accuracy-true", "log-loss-true"},
        ),
        (logged_model_s_params, set()),
    ],
)
def test_a_forgery_loses_exactly_what_it_forges(
    store: Path, forge: Callable[[Path], None], loses: set[str]
) -> None:
    forge(store)
    assert lost(report_on(ASSIGNMENT, uri(store))) == loses


def test_only_the_named_experiment_counts(work: tuple[Path, Evidence]) -> None:
    store = uri(work[0] / "mlflow.db")
    assert report_of(ASSIGNMENT, lambda: read_store(store), "flower-species").earned == 25
    assert report_of(ASSIGNMENT, lambda: read_store(store), "Default").earned == 0


def test_a_folder_without_a_store_stays_without(tmp_path: Path) -> None:
    with pytest.raises(NoStore):
        report_on(ASSIGNMENT, uri(tmp_path / "mlflow.db"))
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").touch()
    with pytest.raises(NoStore, match="file store of an older MLflow"):
        report_on(ASSIGNMENT, uri(tmp_path / "mlflow.db"))
    assert not (tmp_path / "mlflow.db").exists()


def test_the_machine_readable_reports_say_the_same(work: tuple[Path, Evidence], tmp_path: Path) -> None:
    shutil.copytree(work[0], tmp_path / "here")
    change(tmp_path / "here" / "mlflow.db", "DELETE FROM tags WHERE key = 'best'")
    arguments = ["mlflow-kit", "check", ASSIGNMENT, "--folder", str(tmp_path / "here")]
    told = json.loads(run(*arguments, "--format", "json", folder=tmp_path).stdout)
    assert told["earned"] == 22
    status = {criterion["id"]: criterion["status"] for criterion in told["criteria"]}
    assert status["best-marked"] == "not attempted"

    root = ElementTree.fromstring(run(*arguments, "--format", "junit", folder=tmp_path).stdout)
    cases = root.findall("testsuite/testcase")
    assert len(cases) == len(status)
    assert {case.get("name") for case in cases if len(case)} == {"best-marked", "best-is-best"}
    assert root.find("testsuite[@name='compare']").get("skipped") == "2"  # type: ignore[union-attr]


def test_a_rehearsal_uses_another_seed_and_leaves_nothing_behind(tmp_path: Path) -> None:
    shutil.copy(ROOT / "solutions" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb", tmp_path)
    done = run("mlflow-kit", "rehearse", ASSIGNMENT, "--format", "json", folder=tmp_path)
    told = json.loads(done.stdout[done.stdout.index("{") :])
    assert told["earned"] == 25
    assert told["seed"] != 2026
    assert [path.name for path in tmp_path.iterdir()] == [f"{ASSIGNMENT}.ipynb"]


def test_a_rehearsal_runs_with_the_files_beside_the_notebook_but_links(tmp_path: Path, quick: None) -> None:
    notebook = nbformat.read(ROOT / "solutions" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb", as_version=4)
    (cell,) = [cell for cell in notebook.cells if cell.metadata.nbgrader.grade_id == "solve-experiment"]
    cell.source = "import helper\nmlflow.set_experiment(helper.name)\nassert not os.path.exists('link.txt')"
    cell.source = f"import os\n{cell.source}"
    folder = tmp_path / "mine"
    (folder / "data").mkdir(parents=True)
    nbformat.write(notebook, folder / f"{ASSIGNMENT}.ipynb")
    (folder / "helper.py").write_text("name = open('data/name.txt').read()\n")
    (folder / "data" / "name.txt").write_text("flower-species")
    (folder / "mlflow.db").write_text("not a store")
    (tmp_path / "elsewhere.txt").write_text("elsewhere")
    (folder / "link.txt").symlink_to(tmp_path / "elsewhere.txt")
    assert rehearse(ASSIGNMENT, folder / f"{ASSIGNMENT}.ipynb").earned == 25
    assert (folder / "mlflow.db").read_text() == "not a store"


def test_more_beside_a_notebook_than_a_run_may_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(b"x" * 1000)
    assert files_beside(tmp_path, most=1000) == {"large.bin": b"x" * 1000}
    with pytest.raises(FilesTooLarge, match="take more than 999 bytes"):
        files_beside(tmp_path, most=999)


def test_a_rehearsal_of_nothing_is_a_clear_line(tmp_path: Path) -> None:
    done = run("mlflow-kit", "rehearse", ASSIGNMENT, folder=tmp_path)
    assert done.returncode == 2
    assert "there is no 01-tracking.ipynb" in done.stdout
    (tmp_path / "x.ipynb").write_text("nothing")
    done = run("mlflow-kit", "rehearse", ASSIGNMENT, "x.ipynb", folder=tmp_path)
    assert done.returncode == 1
    assert "cannot be read as a notebook" in done.stdout
