"""Where a store's files are: in its own folder, or behind a tracking server that was named."""

from pathlib import Path
from typing import Protocol
from urllib.parse import urlparse
from urllib.request import url2pathname

from autograder.base.text import one_line, plain
from autograder.evidence.files import local_folder


class Place(Protocol):
    """Finds the folder behind an artifact location; what it would not follow is in ``findings``."""

    findings: list[str]

    def folder(self, location: str, run_id: str | None = None, model_id: str | None = None) -> Path | None:
        """The folder on this machine with the files of that run or logged model, if there is one."""
        ...


class LocalPlace:
    """The folder of a SQLite store. Nothing outside of it is read, whatever the store says."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.findings: list[str] = []

    def folder(self, location: str, run_id: str | None = None, model_id: str | None = None) -> Path | None:
        """See :class:`Place`."""
        found = local_folder(location, self.home)
        if found is None and _leads_elsewhere(location):
            what = f"The model {plain(model_id)}" if model_id else f"The run {plain(run_id or '')}"
            self.findings.append(
                f"{what} names {plain(location)[:200]} as the place of its files, which is outside of the "
                "store's folder: not followed."
            )
        return found


def _leads_elsewhere(location: str) -> bool:
    """Whether there is something at a location, or it is an address; a missing folder is neither."""
    try:
        parsed = urlparse(location)
        if parsed.scheme not in ("", "file") and len(parsed.scheme) > 1:
            return True
        return Path(location if not parsed.scheme else url2pathname(parsed.path)).exists()
    except (ValueError, OSError):  # no address and no path
        return True


class RemotePlace:
    """A tracking server, from which files are downloaded when there is a folder for them."""

    def __init__(self, tracking_uri: str, downloads: Path | None) -> None:
        self.tracking_uri = tracking_uri
        self.downloads = downloads
        self.findings: list[str] = []

    def folder(self, location: str, run_id: str | None = None, model_id: str | None = None) -> Path | None:
        """See :class:`Place`."""
        import mlflow.artifacts
        from mlflow.exceptions import MlflowException

        what = f"the model {plain(model_id)}" if model_id else f"the run {plain(run_id or '')}"
        if self.downloads is None:
            return None
        if urlparse(location).scheme != "mlflow-artifacts":
            self.findings.append(
                f"The files of {what} are at {plain(location)[:200]}, which the tracking server does not "
                "hand out: not read."
            )
            return None
        target = self.downloads / (model_id or run_id or "files")
        try:
            if not mlflow.artifacts.list_artifacts(location, tracking_uri=self.tracking_uri):
                return None
            target.mkdir(parents=True, exist_ok=True)
            found = mlflow.artifacts.download_artifacts(
                location, dst_path=str(target), tracking_uri=self.tracking_uri
            )
        except (MlflowException, OSError) as error:
            self.findings.append(f"The files of {what} could not be read: {one_line(error)}.")
            return None
        return Path(found)
