"""A process of its own for Apprise: `python -m ticket_events_pipeline.alerts.apprise_process`, one request on its stdin.

The library's logs, warnings and errors quote URLs, its services may use threads, and nothing bounds their time. Here all
of that ends with the process: what it writes is thrown away, but for one answer on stdout.
https://appriseit.com
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import apprise
from apprise.plugins import NotifyBase

from ticket_events_pipeline.credentials import is_loopback


def main() -> None:
    """Read a request and write its answer, both as JSON.

    `{"url": …}` is answered by what the service takes, null if there is none of that URL; with `title`, `body` and `format`,
    by whether it accepted the message.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    answer = _answer(json.load(sys.stdin))
    json.dump(answer, answers)
    answers.flush()
    os._exit(0)  # threads of a service must not keep it


def _answer(request: dict[str, Any]) -> object:
    service = _service(request["url"])
    if service is None or "body" not in request:
        return None if service is None else _described(service)
    try:
        return bool(service.notify(request["body"], title=request["title"], body_format=request["format"]))
    except Exception:  # a service may raise anything, and its text quotes the URL
        return False


def _service(url: str) -> NotifyBase | None:
    # Without paths, no configuration and no further services are read from disk; nothing is kept there either.
    asset = apprise.AppriseAsset(storage_mode=apprise.PersistentStoreMode.MEMORY, http_redirects=False)
    return apprise.Apprise.instantiate(url, asset=asset)


def _described(service: NotifyBase) -> dict[str, Any]:
    return {
        "format": service.resolve_format().value,
        "body_characters": service.body_maxlen,
        "title_characters": service.title_maxlen,
        "is_clear_text": _is_clear_text(service),
    }


def _is_clear_text(service: NotifyBase) -> bool:
    """Whether it would speak without TLS to another machine, though the service also speaks TLS."""
    host = getattr(service, "smtp_host", None) or getattr(service, "host", None) or ""
    has_both = all(getattr(service, name) for name in ("protocol", "secure_protocol"))
    return has_both and not service.secure and not is_loopback(host)


if __name__ == "__main__":
    main()
