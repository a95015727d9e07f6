"""The services that only a library knows, by its own URLs (`mailtos://`, `tgram://`, …): what they take, and sending to them.

The library runs in a process of its own; see `apprise_process`.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from ticket_events_pipeline.alerts.plain_text import HTML, MARKDOWN, TEXT, letter
from ticket_events_pipeline.alerts.rich_text import Message
from ticket_events_pipeline.alerts.webhook import Answer

LIBRARY = "apprise"
LONGEST_BODY = 3500
"""Characters, as for a chat, though a mail has room for more."""

_OURS = ("ZENDESK_", "TICKET_EVENTS_")
_LOOK_SECONDS = 20.0
# Apprise tells no reason but in its log, which quotes the URL.
_REFUSED = "not accepted; Apprise's own command says why: apprise -vv -b test, followed by the URL"
_MARKUPS = {"text": TEXT, "markdown": MARKDOWN, "html": HTML}


@dataclass(frozen=True)
class Service:
    """What a service takes.

    Attributes:
        format: one of text, markdown, html.
        body_characters: room for the body.
        title_characters: room for a title apart from the body; 0 for none.
        is_clear_text: it would be spoken to without TLS.
    """

    format: str
    body_characters: int
    title_characters: int
    is_clear_text: bool


def is_installed() -> bool:
    """Whether the library is."""
    return importlib.util.find_spec(LIBRARY) is not None


@functools.lru_cache(maxsize=64)
def service_of(url: str) -> Service | None:
    """What the service of that URL takes; None if the library knows none.

    Raises:
        OSError, ValueError, subprocess.SubprocessError: the library did not answer.
    """
    answer = _ask({"url": url}, seconds=_LOOK_SECONDS)
    return None if answer is None else Service(**answer)


def send(url: str, message: Message, *, total_seconds: float) -> Answer:
    """Send the message once.

    Raises:
        OSError, ValueError, subprocess.SubprocessError: the library did not answer. Their texts hold nothing of the URL.
    """
    service = service_of(url)
    if service is None:
        return Answer(is_accepted=False, is_final=True, reason="its URL is not understood")
    if service.is_clear_text:
        return Answer(is_accepted=False, is_final=True, reason="it would be sent in clear text")
    has_title = service.title_characters > 0
    limit = min(service.body_characters, LONGEST_BODY)
    made = letter(message, _MARKUPS[service.format], limit=limit, has_title=has_title)
    title = made.title[: service.title_characters]
    request = {"url": url, "title": title, "body": made.body, "format": service.format}
    try:
        is_accepted = _ask(request, seconds=total_seconds)
    except subprocess.TimeoutExpired:
        return Answer(is_accepted=False, reason=f"no answer within {total_seconds:g} s")
    return Answer(is_accepted=True) if is_accepted else Answer(is_accepted=False, reason=_REFUSED)


def _ask(request: dict[str, Any], *, seconds: float) -> Any:
    """The answer of a new process, which gets the request on its stdin: arguments can be seen by every user."""
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "ticket_events_pipeline.alerts.apprise_process"],
        input=json.dumps(request),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(request["url"]),
        timeout=seconds,
        text=True,
        check=False,
    )
    return json.loads(ended.stdout)


def _environment(url: str) -> dict[str, str]:
    """The environment without our variables and the URL, which a component may read from a variable of any name.

    No other credentials are looked for, and no proxy is asked for this machine.
    """
    inherited = {name: value for name, value in os.environ.items() if not (name.startswith(_OURS) or url in value)}
    direct = inherited.get("no_proxy") or inherited.get("NO_PROXY")
    hosts = ",".join(filter(None, [direct, "localhost,127.0.0.1,::1"]))
    path = os.pathsep.join(filter(None, sys.path))
    return {**inherited, "no_proxy": hosts, "NO_PROXY": hosts, "NETRC": os.devnull, "PYTHONPATH": path}
