"""Refusals, in the shape of Databricks' REST API: a status, and a body of ``error_code`` and ``message``.

https://docs.databricks.com/api/account/errors describes both, and says that some older services have the
status as a number where the code is. Those that check tokens were seen to do so, with the texts that
begin the messages here: 401, "Credential was not sent or was of an unsupported type for this API."
(https://github.com/PipedreamHQ/pipedream/issues/20701) and 403, "Invalid access token."
(https://github.com/databricks/databricks-sdk-go/issues/873). This workspace always has a name as the code.
Which name goes with which status is not verified here against a real workspace.
"""

import traceback
from dataclasses import dataclass, field

from autograder.base.errors import KitError


@dataclass
class Refused(KitError):
    """A request that is answered with an error. The message says what was found and what to do."""

    status: int
    error_code: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def unauthenticated(cls, message: str) -> "Refused":
        """No credential, or none of the kind that is expected. ``WWW-Authenticate`` is RFC 9110's demand."""
        return cls(401, "UNAUTHENTICATED", message, {"WWW-Authenticate": "Bearer"})

    @classmethod
    def forbidden(cls, message: str) -> "Refused":
        """A credential that does not open this, or that opens nothing (any more)."""
        return cls(403, "PERMISSION_DENIED", message)

    @classmethod
    def invalid(cls, message: str) -> "Refused":
        """A request whose content cannot be used."""
        return cls(400, "INVALID_PARAMETER_VALUE", message)

    @classmethod
    def missing(cls, message: str) -> "Refused":
        """Something that does not exist."""
        return cls(404, "RESOURCE_DOES_NOT_EXIST", message)

    @classmethod
    def unavailable(cls, message: str, seconds: int = 1) -> "Refused":
        """Not possible now; worth trying again after so many seconds."""
        return cls(503, "TEMPORARILY_UNAVAILABLE", message, {"Retry-After": str(seconds)})

    def body(self) -> dict[str, str]:
        """The body of the answer; halves of characters, which it could not carry, become question marks."""
        message = self.message.encode("utf-8", "replace").decode()
        return {"error_code": self.error_code, "message": message}


def unforeseen(error: BaseException, log: str) -> Refused:
    """What is said of a failure of the server itself; the whole of it goes to the server's ``log``."""
    traceback.print_exception(error)
    told = f"The workspace's server failed: {type(error).__name__}. What is written in {log} says where."
    return Refused(500, "INTERNAL_ERROR", told)
