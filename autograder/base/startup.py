"""Set up a process of the kit: no proxy for calls to this machine, and output in any code page.

Urllib, requests, httpx and Databricks' SDK send calls to 127.0.0.1 to the proxy that the environment names,
tokens included, unless NO_PROXY and no_proxy name it.
"""

import codecs
import os
import sys
from collections.abc import Mapping
from urllib.request import getproxies, getproxies_environment

#: Hosts that are always called without a proxy.
THIS_MACHINE = ("127.0.0.1", "localhost")
#: In both spellings: urllib and curl read the small one first, other programs the large one.
NO_PROXY = ("NO_PROXY", "no_proxy")
#: How characters are written that a terminal's code page does not have; all others become a question mark.
SPELLED = {
    "✔": "+", "✘": "x", "–": "-", "—": "-", "…": "...", "→": "->", "“": '"', "”": '"', "‘": "'", "’": "'",
    "█": "#", "░": ".", "·": "-",
}  # fmt: skip
#: NO_PROXY and no_proxy as they were when this process began; empty where they were not set.
found_no_proxy: dict[str, str] = {}
SPELL_OUT = "mlflow-kit-spell-out"
#: What Python does by itself with a character that a stream's encoding does not have.
REPLACED = ("strict", "surrogateescape", "backslashreplace")


def begin() -> None:
    """Prepare this process, and with its environment those that it starts."""
    if not found_no_proxy:
        found_no_proxy.update({name: os.environ.get(name, "") for name in NO_PROXY})
    os.environ.update(without_proxy(os.environ))
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    print_anything()


def without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """NO_PROXY and no_proxy for an environment: what they say there, and this machine.

    Nothing where the proxies are the system's own settings (Windows, macOS): those would not be used any
    more once the environment says something.
    """
    if getproxies() and not getproxies_environment():
        return {}
    said = {name: environment.get(name, "").strip() for name in NO_PROXY}
    return {
        name: _with_this_machine(said[name] or said[other])
        for name, other in zip(NO_PROXY, NO_PROXY[::-1], strict=True)
    }


def names_this_machine(said: str) -> bool:
    """Whether every client that reads this NO_PROXY calls 127.0.0.1 without the proxy."""
    return said.strip() == "*" or THIS_MACHINE[0] in _names(said)


def _with_this_machine(said: str) -> str:
    if said == "*":  # no proxy for anything; beside another name it would mean nothing
        return said
    named = _names(said)
    return ",".join([*named, *(name for name in THIS_MACHINE if name not in named)])


def _names(said: str) -> list[str]:
    return [name.strip() for name in said.split(",") if name.strip()]


def print_anything() -> None:
    """Have standard output and error spell out what their encoding does not have, and never raise for it."""
    codecs.register_error(SPELL_OUT, _spelled_out)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a notebook's streams print everything
        if reconfigure and getattr(stream, "errors", "") in REPLACED:
            reconfigure(errors=SPELL_OUT)


def _spelled_out(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(SPELLED.get(character, "?") for character in wrong), error.end
