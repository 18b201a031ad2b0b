"""Bearer tokens: made, listed, expired, revoked. What a token opens is kept, the token itself is not.

On Databricks a token stands for a user (https://docs.databricks.com/aws/en/dev-tools/auth/pat), whose
permissions, of which ``CAN_QUERY`` and ``CAN_MANAGE`` are two, are kept beside each endpoint
(``ServingEndpointPermissionLevel`` of its SDK); here a token carries its permission itself.
"""

import getpass
import hashlib
import hmac
import secrets
import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from autograder.databricks.refusals import Refused
from autograder.databricks.state import State, WorkspaceError, now

#: A token is this prefix, its id of eight hexadecimal digits, and 32 more that are secret.
PREFIX = "dapi"
ID_DIGITS = 8
#: How long a notebook's own token lasts, in seconds.
A_DAY = 24 * 60 * 60
#: The longest that a token can be made for, in seconds.
MOST_SECONDS = 10 * 366 * A_DAY

#: How to come by a token that opens something.
_ANOTHER = (
    "In a notebook, run its first cell again: it opens the workspace, which puts a new token into "
    "DATABRICKS_TOKEN. Elsewhere, `mlflow-kit token create` makes one."
)


class Permission(StrEnum):
    """What a token lets its bearer do: call endpoints, or change them and make tokens, too."""

    CAN_QUERY = "CAN_QUERY"
    CAN_MANAGE = "CAN_MANAGE"


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token. Times are in milliseconds since 1970-01-01 UTC."""

    id: str
    user: str
    permission: Permission
    comment: str
    created: int
    expires: int | None
    revoked: int | None


def create_token(
    state: State,
    comment: str = "",
    lifetime_seconds: float | None = None,
    permission: Permission = Permission.CAN_MANAGE,
    user: str | None = None,
) -> tuple[str, Token]:
    """Make a token for ``user`` (by default the one who is logged in): its text, and what is kept of it.

    The text cannot be had again. Without ``lifetime_seconds`` it never expires. Raises WorkspaceError
    for a lifetime that is not positive.
    """
    if lifetime_seconds is not None and not 0 < lifetime_seconds <= MOST_SECONDS:
        raise WorkspaceError(
            f"The token's lifetime is {lifetime_seconds:g} seconds; expected more than 0 and at most "
            f"{MOST_SECONDS}, ten years."
        )
    made = now()
    token = Token(
        id=secrets.token_hex(ID_DIGITS // 2),
        user=user or whoami(),
        permission=permission,
        comment=comment,
        created=made,
        expires=None if lifetime_seconds is None else made + int(lifetime_seconds * 1000),
        revoked=None,
    )
    text = PREFIX + token.id + secrets.token_hex(16)
    connection = state.connect()
    connection.execute(
        "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
        (token.id, _digest(text), token.user, token.permission, token.comment, token.created, token.expires),
    )
    connection.close()
    return text, token


def list_tokens(state: State) -> list[Token]:
    """All tokens ever made, the newest last."""
    connection = state.connect()
    rows = connection.execute(f"SELECT {_COLUMNS} FROM tokens ORDER BY created, id").fetchall()
    connection.close()
    return [_token(row) for row in rows]


def revoke_token(state: State, token_id: str) -> Token:
    """End a token's validity now. Raises WorkspaceError, naming those there are, for an unknown id."""
    connection = state.connect()
    connection.execute("UPDATE tokens SET revoked = ? WHERE id = ? AND revoked IS NULL", (now(), token_id))
    row = connection.execute(f"SELECT {_COLUMNS} FROM tokens WHERE id = ?", (token_id,)).fetchone()
    connection.close()
    if row is None:
        known = ", ".join(token.id for token in list_tokens(state)) or "none yet"
        raise WorkspaceError(f"There is no token with the id “{token_id}”; the tokens are: {known}.")
    return _token(row)


def bearer(connection: sqlite3.Connection, authorization: str | None) -> Token:
    """Whose token an Authorization header carries. Raises Refused, with the status and what to do.

    Looked up by the part of the token that is no secret; the rest is compared in constant time. None is
    401; one that is wrong is 403, as seen on Databricks (see :mod:`.errors`). That one which was revoked
    or has expired is 403, too, is not verified here: no page of Databricks was found that says so.
    """
    if not authorization:
        raise Refused.unauthenticated(
            "Credential was not sent: the request has no Authorization header. Send "
            "'Authorization: Bearer <token>'; a notebook that opened its workspace has one in "
            "DATABRICKS_TOKEN, and `mlflow-kit token create` makes one."
        )
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise Refused.unauthenticated(
            "Credential was of an unsupported type for this API: the Authorization header does not read "
            "'Bearer <token>'. Put the word Bearer and a space before the token."
        )
    text = text.strip()
    token_id = text.removeprefix(PREFIX)[:ID_DIGITS]
    row = connection.execute(f"SELECT {_COLUMNS}, digest FROM tokens WHERE id = ?", (token_id,)).fetchone()
    if row is None or not hmac.compare_digest(row[-1], _digest(text)):
        raise Refused.forbidden(
            "Invalid access token: no token of this workspace reads like this. Is it another workspace's, or "
            f"was it cut off? {_ANOTHER}"
        )
    token = _token(row[:-1])
    if token.revoked is not None:
        raise Refused.forbidden(f"Invalid access token: the token {token.id} was revoked. {_ANOTHER}")
    if token.expires is not None and token.expires <= now():
        raise Refused.forbidden(
            f"Access token expired: the token {token.id} ended {(now() - token.expires) / 1000:.0f} "
            f"seconds ago. {_ANOTHER}"
        )
    return token


def permission_of(name: str) -> Permission:
    """The permission of that name. Raises WorkspaceError for one that is none."""
    try:
        return Permission(name)
    except ValueError:
        known = " and ".join(Permission)
        raise WorkspaceError(f"There is no permission “{name}”; the permissions are {known}.") from None


def whoami() -> str:
    """The name of the user who is logged in."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name, as in some containers
        return "unknown"


_COLUMNS = "id, user, permission, comment, created, expires, revoked"


def _token(row: tuple[str, str, str, str, int, int | None, int | None]) -> Token:
    token_id, user, permission, *rest = row
    return Token(token_id, user, Permission(permission), *rest)  # type: ignore[arg-type]


def _digest(text: str) -> bytes:
    # a token is 128 random bits: there is nothing that a slow or salted hash would protect
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
