"""The webhook's client: one POST in bounded time, and its answer.

The whole URL is a secret, its host too (some services put the secret there). So no text of the library is repeated: its errors
and logs quote the URL, and servers echo it in their error pages.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from ticket_events_pipeline.credentials import is_loopback
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.zendesk.answers import Overtaxed
from ticket_events_pipeline.zendesk.connection import NETWORK_ERRORS, OneHostSession, innermost, read_body
from ticket_events_pipeline.zendesk.headers import retry_after_seconds

TOTAL_SECONDS = 12.0
"""The longest wait of a tick. Dagster stops a tick after a minute, and its cursor is lost with it."""

_CONNECT_SECONDS = 5.0
_LONGEST_REASON = 40
# Slack's answers are one of these words: no_service, invalid_token, channel_is_archived, …
_REASON = re.compile(rb"[a-z]+(?:_[a-z]+)+")
_LOGGERS = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")


@dataclass(frozen=True)
class Answer:
    """The answer to a message.

    Attributes:
        is_accepted: the webhook accepted it (2xx).
        is_final: a retry of the same message to the same URL cannot succeed.
        reason: the answer in our words, without anything of the URL.
        wait_seconds: the wait that the server asks for; None if it doesn't.
    """

    is_accepted: bool
    is_final: bool = False
    reason: str = ""
    wait_seconds: float | None = None


def post(url: str, payload: Mapping[str, Any], *, total_seconds: float = TOTAL_SECONDS) -> Answer:
    """Send the message once; never raises, follows no redirect.

    After a timeout, the message may still have arrived.
    """
    answers: list[Answer] = []
    # A thread, as looking up a name can't be interrupted.
    sender = threading.Thread(target=lambda: answers.append(_attempt(url, payload, total_seconds)), daemon=True)
    sender.start()
    sender.join(total_seconds)
    return answers[0] if answers else _late(total_seconds)


def _attempt(url: str, payload: Mapping[str, Any], seconds: float) -> Answer:
    try:
        with _unlogged():
            return _send(url, payload, seconds)
    except Overtaxed:
        return _late(seconds)
    except NETWORK_ERRORS as error:
        return _failure(error)
    except Exception as error:  # a thread's traceback would be printed, and quotes the URL
        return Answer(is_accepted=False, reason=f"can't be sent ({type(error).__name__})")


def _send(url: str, payload: Mapping[str, Any], seconds: float) -> Answer:
    # A receiver that is slow to answer has accepted the message: given up, it would get it again.
    connect_seconds = min(seconds, _CONNECT_SECONDS)
    with OneHostSession(connect_seconds=connect_seconds, read_seconds=seconds, exchange_seconds=seconds) as session:
        session.trust_env = not is_loopback(urlsplit(url).hostname or "")  # a proxy has no business with the loopback
        session.headers["User-Agent"] = "ticket_events_pipeline"
        with session.exchange("POST", url, json=payload) as response:
            return _answer(response, url)


def _answer(response: requests.Response, url: str) -> Answer:
    status = response.status_code
    if 200 <= status < 300:
        return Answer(is_accepted=True)
    reason = f"{status}{_quotable_reason(response, url)}"
    is_final = status < 500 and status not in (408, 425, 429)
    return Answer(is_accepted=False, is_final=is_final, reason=reason, wait_seconds=retry_after_seconds(response.headers))


def _quotable_reason(response: requests.Response, url: str) -> str:
    if 300 <= response.status_code < 400:
        return " (a redirect, which is not followed)"
    try:
        body = read_body(response, limit_bytes=1).strip()
    except (*NETWORK_ERRORS, TicketEventsError):
        return ""
    is_word = len(body) <= _LONGEST_REASON and _REASON.fullmatch(body) and body.decode() not in url
    return f" {body.decode()}" if is_word else ""


def _failure(error: BaseException) -> Answer:
    if isinstance(error, requests.exceptions.SSLError):
        reason = (
            "no trusted connection: its certificate is not trusted, or it speaks no TLS (a proxy that opens TLS needs its "
            "certificates in REQUESTS_CA_BUNDLE)"
        )
        return Answer(is_accepted=False, is_final=True, reason=reason)
    if isinstance(error, requests.Timeout):
        return Answer(is_accepted=False, reason="no answer in time")
    return Answer(is_accepted=False, reason=f"no answer ({type(innermost(error)).__name__})")


def _late(seconds: float) -> Answer:
    return Answer(is_accepted=False, reason=f"no answer within {seconds:g} s")


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the library from logging in this thread: it writes addresses into its lines."""
    mine = threading.get_ident()

    def is_not_mine(_: logging.LogRecord) -> bool:
        return threading.get_ident() != mine

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(is_not_mine)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_not_mine)
