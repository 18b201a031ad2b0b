"""Endpoints: what they serve, to whom calls go, and how they change without a gap."""

import contextlib
import json
import threading
import uuid
from collections.abc import Callable

from autograder.databricks.loaded_models import Models
from autograder.databricks.refusals import Refused
from autograder.databricks.shapes import ChangeTags, CreateEndpoint, EndpointConfig
from autograder.databricks.state import State, now
from autograder.databricks.traffic import Document, default_name, found_of, routes_of

#: What tells an endpoint's update from every other: the endpoint's id, and when the update was asked.
Update = tuple[str, int]


def _update(document: Document) -> Update:
    return document["id"], document["last_updated_timestamp"]


class Endpoints:
    """The endpoints of a workspace, as documents in the shape of Databricks' REST API."""

    def __init__(self, state: State, models: Models) -> None:
        self.state = state
        self.models = models
        self._applying: set[Update] = set()
        self._seen: set[Update] = set()

    def take_up(self) -> None:
        """Go on with updates that were under way at the last look already and are not this process's:
        the one that began them may be gone. Should it not be, the faster one decides.
        """
        pending = {_update(d): d for d in self.all() if d["state"]["config_update"] == "IN_PROGRESS"}
        for update in pending.keys() & self._seen - self._applying:
            self._begin(pending[update])
        self._seen = set(pending)

    def resume(self) -> None:
        """Load what is served, and go on with changes that another process had begun."""
        for document in self.all():
            if document["state"]["config_update"] == "IN_PROGRESS":
                self._begin(document)
            else:
                threading.Thread(target=self._warm, args=(document,), daemon=True).start()

    def all(self) -> list[Document]:
        """All endpoints, by name."""
        connection = self.state.connect()
        rows = connection.execute("SELECT body FROM endpoints ORDER BY name").fetchall()
        connection.close()
        return [json.loads(body) for (body,) in rows]

    def get(self, name: str) -> Document:
        """An endpoint. Raises Refused, naming those there are."""
        connection = self.state.connect()
        row = connection.execute("SELECT body FROM endpoints WHERE name = ?", (name,)).fetchone()
        connection.close()
        if row is None:
            raise self.unknown(name)
        document: Document = json.loads(row[0])
        return document

    def unknown(self, name: str) -> Refused:
        """What is said of an endpoint that does not exist."""
        names = ", ".join(document["name"] for document in self.all()) or "none yet"
        return Refused.missing(
            f"The given endpoint does not exist: “{name}”. The endpoints are: {names}. "
            "Make it with create_endpoint, or check the name in the URL."
        )

    def create(self, asked: CreateEndpoint, by: str) -> Document:
        """Make an endpoint; it is ready once its models are loaded."""
        made = now()
        document: Document = {
            "name": asked.name,
            "id": uuid.uuid4().hex,
            "creator": by,
            "creation_timestamp": made,
            "last_updated_timestamp": made,
            "state": {"ready": "NOT_READY", "config_update": "IN_PROGRESS"},
            "pending_config": self._resolved(asked.config, made, by, version=1),
            "tags": [tag.model_dump() for tag in asked.tags],
            "permission_level": "CAN_MANAGE",
            "route_optimized": asked.route_optimized,
        }

        def insert(found: Document | None) -> Document:
            if found is not None:
                raise Refused(
                    400,
                    "RESOURCE_ALREADY_EXISTS",
                    f"Endpoint with name '{asked.name}' already exists. Change it with "
                    "update_endpoint_config, "
                    "or delete it first.",
                )
            return document

        self._change(asked.name, "created", by, insert)
        self._begin(document)
        return document

    def update(self, name: str, asked: EndpointConfig, by: str) -> Document:
        """Take another configuration into service; until its models are loaded the present one answers."""
        current = self.get(name)
        version = current.get("config", {}).get("config_version", 0) + 1
        pending = self._resolved(asked, now(), by, version)

        def change(found: Document | None) -> Document:
            if found is None:
                raise self.unknown(name)
            if found["state"]["config_update"] == "IN_PROGRESS":
                raise Refused(
                    409,
                    "RESOURCE_CONFLICT",
                    f"The endpoint “{name}” is being updated. Wait until its state.config_update is "
                    "NOT_UPDATING, "
                    "then ask again.",
                )
            found["pending_config"] = pending
            found["state"]["config_update"] = "IN_PROGRESS"
            found["last_updated_timestamp"] = now()
            return found

        document = self._change(name, "update asked", by, change)
        self._begin(document)
        return document

    def change_tags(self, name: str, asked: ChangeTags, by: str) -> Document:
        """Set and take away tags; the tags there are then."""

        def change(found: Document | None) -> Document:
            if found is None:
                raise self.unknown(name)
            tags = {tag["key"]: tag for tag in found["tags"]}
            tags |= {tag.key: tag.model_dump() for tag in asked.add_tags}
            found["tags"] = [tag for key, tag in tags.items() if key not in asked.delete_tags]
            return found

        return {"tags": self._change(name, "tagged", by, change)["tags"]}

    def delete(self, name: str, by: str) -> None:
        """Delete an endpoint. Its calls stay in the request log."""

        def change(found: Document | None) -> None:
            if found is None:
                raise self.unknown(name)

        self._change(name, "deleted", by, change)

    def _resolved(self, asked: EndpointConfig, at: int, by: str, version: int) -> Document:
        """A configuration whose models exist and whose traffic is told. Raises Refused."""
        given = asked.served_entities or asked.served_models
        if not given:
            raise Refused.invalid(
                "The configuration has no served_entities; expected at least one, with entity_name and "
                "entity_version."
            )
        entities: list[Document] = []
        for entity in given:
            if not entity.entity_version.isdecimal():
                raise Refused.invalid(
                    f"entity_version is “{entity.entity_version}”; an endpoint serves a version by "
                    "its number, such "
                    "as '1'. MlflowClient().get_model_version_by_alias(name, alias).version tells an alias's."
                )
            found = self.models.find(entity.entity_name, entity.entity_version)
            name = entity.name or default_name(found)
            entities.append(
                {
                    **entity.model_dump(),
                    "name": name,
                    "source": found.source,
                    "location": found.location,
                    "creator": by,
                    "creation_timestamp": at,
                    "state": {"deployment": "DEPLOYMENT_CREATING", "deployment_state_message": ""},
                }
            )
        names = [entity["name"] for entity in entities]
        if len(set(names)) < len(names):
            raise Refused.invalid(
                f"Served entities share a name: {', '.join(sorted(names))}. Give each its own."
            )
        return {
            "served_entities": entities,
            "traffic_config": {"routes": routes_of(asked, names)},
            "config_version": version,
        }

    def _begin(self, document: Document) -> None:
        self._applying.add(_update(document))
        threading.Thread(target=self._go_through, args=(document,), daemon=True).start()

    def _go_through(self, document: Document) -> None:
        try:
            self._apply(document)
        finally:  # when the file could not be written, it is taken up again
            self._applying.discard(_update(document))

    def _apply(self, document: Document) -> None:
        """Load what is pending and take it into service, or say why that failed."""
        pending = document["pending_config"]
        problem = ""
        for entity in pending["served_entities"]:
            try:
                doubt = self.models.get(found_of(entity)).warning or ""
                entity["state"] = {"deployment": "DEPLOYMENT_READY", "deployment_state_message": doubt}
            except Exception as error:  # whatever it is: the update must end, or there is never another
                problem = error.message if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
                entity["state"] = {"deployment": "DEPLOYMENT_FAILED", "deployment_state_message": problem}

        def change(found: Document | None) -> Document | None:
            if (
                found is None
                or _update(found) != _update(document)
                or found["state"]["config_update"] != "IN_PROGRESS"
            ):
                return found  # deleted meanwhile, or another process was faster
            if problem:
                found["state"]["config_update"] = "UPDATE_FAILED"
                found["pending_config"] = pending  # says why, until the next update
                found.setdefault("config", pending)
            else:
                del found["pending_config"]
                found["config"] = pending
                found["state"] = {"ready": "READY", "config_update": "NOT_UPDATING"}
            return found

        self._change(document["name"], "update failed" if problem else "updated", "", change)

    def _warm(self, document: Document) -> None:
        for entity in document.get("config", {}).get("served_entities", []):
            with contextlib.suppress(Refused):  # who calls it is told
                self.models.get(found_of(entity))

    def _change(
        self, name: str, what: str, by: str, change: Callable[[Document | None], Document | None]
    ) -> Document:
        """Change an endpoint in one transaction, and write that down; the endpoint as it is then."""
        connection = self.state.connect()
        try:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute("SELECT body FROM endpoints WHERE name = ?", (name,)).fetchone()
            after = change(json.loads(row[0]) if row else None)
            old, new = row and row[0], after and json.dumps(after)
            if new is None:
                connection.execute("DELETE FROM endpoints WHERE name = ?", (name,))
            elif new != old:
                connection.execute("REPLACE INTO endpoints VALUES (?, ?)", (name, new))
            if new != old:
                connection.execute(
                    "INSERT INTO events (time, name, what, by, body) VALUES (?, ?, ?, ?, ?)",
                    (now(), name, what, by, new or old),
                )
            connection.execute("COMMIT")
        finally:
            connection.close()  # rolls back what was not committed
        return after or {}
