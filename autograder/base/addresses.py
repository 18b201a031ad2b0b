"""Tracking URIs: whether one means Databricks or a server, and how one is shown without its password."""

import re


def is_databricks(tracking_uri: str) -> bool:
    """Whether a tracking URI means a Databricks workspace."""
    return tracking_uri.partition(":")[0] in ("databricks", "databricks-uc")


def is_server(tracking_uri: str) -> bool:
    """Whether a tracking URI is a tracking server's address, at which its UI is, too."""
    return tracking_uri.startswith(("http://", "https://"))


def without_password(address: str) -> str:
    """An address, or another tracking URI, without the user and password that stand in it."""
    scheme, mark, rest = address.partition("://")
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    return scheme + mark + rest[authority.rfind("@") + 1 :]


def refuse_password(address: str) -> None:
    """Raise ValueError for an address with a user or a password in it: addresses are shown and printed."""
    shown = without_password(address)
    if shown != address:
        raise ValueError(
            f"The address of {shown} has a user name or a password in it, which others could read in what "
            "is printed and in the list of processes; expected the address alone. Set the environment "
            "variables MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead."
        )
