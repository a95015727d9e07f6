"""Where messages go: the URLs of the environment, and what kind of receiver each is.

A URL is a secret: it is all that is needed to post. No problem quotes it, and no mark tells anything of it.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from ticket_events_pipeline.credentials import is_loopback, split_url

WEBHOOK = "TICKET_EVENTS_ALERT_WEBHOOK"
NOTIFY_URLS = "TICKET_EVENTS_NOTIFY_URLS"

MOST_DESTINATIONS = 10
"""The state of each stands in a sensor's cursor."""

SLACK_HOST = "hooks.slack.com"
TEAMS_HOSTS = (
    ".logic.azure.com",
    ".logic.azure.us",
    ".powerplatform.com",
    ".powerplatform.us",
    ".powerautomate.com",
    ".powerautomate.us",
    ".flow.microsoft.com",
    ".webhook.office.com",  # Microsoft has retired these
)
"""What the hosts of webhooks of Teams end in; those of Workflows have changed more than once."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://.+", re.IGNORECASE)
_VISIBLE = re.compile(r"[!-~]+")


class Kind(StrEnum):
    """What a receiver understands; the value is its name for people."""

    SLACK = "Slack"
    TEAMS = "Microsoft Teams"
    WEBHOOK = "webhook"
    OTHER = "other service"


@dataclass(frozen=True)
class Destination:
    """A receiver of messages.

    Attributes:
        kind: what it understands.
        url: where it is; a secret.
        number: 1 for the first of all.
        variable: the environment variable that holds its URL.
        scheme: of its URL.
        problem: why nothing can be sent to it, without its URL; empty if it can.
    """

    kind: Kind
    url: str = field(repr=False)
    number: int = 1
    variable: str = WEBHOOK
    scheme: str = field(default="https", repr=False)  # a secret without a scheme would be taken for one
    problem: str = ""

    @property
    def mark(self) -> str:
        """Identifies the URL in 32 bits, from which no URL can be derived."""
        return hashlib.blake2s(self.url.encode(), digest_size=4).hexdigest()

    @property
    def name(self) -> str:
        """What it is called where people read of it: `destination 2 (Slack)`."""
        kind = self.scheme if self.kind == Kind.OTHER else str(self.kind)
        return f"destination {self.number} ({'unusable' if self.problem else kind})"


def parse_webhook(text: str) -> str:
    """The URL of a webhook; empty text stays empty.

    Raises:
        ValueError: it is none, or its secret would be sent in clear text. The text is not quoted.
    """
    if not text:
        return ""
    url = split_url(text)
    if url.username is not None or url.password is not None or url.fragment:
        raise ValueError("give scheme, host, path and query only, no user or fragment")
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
        raise ValueError(
            "must begin with https:// (plain http only to a loopback address), or its secret would be sent in clear text"
        )
    return text


def destinations_of(webhook: str, notify_urls: str) -> Iterator[Destination]:
    """The destinations of both variables, each once, the webhook first; also those that can't be used, with the problem."""
    listed = dict.fromkeys(part for part in (part.strip() for part in notify_urls.split(",")) if part)
    problems = {url: _problem(url, number) for number, url in enumerate(list(listed)[:MOST_DESTINATIONS], 1) if url != webhook}
    made = [(webhook, WEBHOOK, _problem_of_webhook(webhook))] if webhook else []
    made += [(url, NOTIFY_URLS, problem) for url, problem in problems.items()]
    for number, (url, variable, problem) in enumerate(made, 1):
        yield Destination(_kind(url), url, number, variable, url.partition(":")[0].lower(), problem)


def _problem_of_webhook(url: str) -> str:
    try:
        parse_webhook(url)
    except ValueError as error:
        return str(error)
    return ""


def _problem(url: str, number: int) -> str:
    """What is wrong with the URL of that number in a list; empty if nothing is. It is not quoted."""
    most = MOST_DESTINATIONS - 1
    if number > most:
        return f"has more than {most} URLs: from URL {number} on, they get nothing"
    try:
        _check(url)
    except ValueError as error:
        return f"URL {number} {error}"
    return ""


def _kind(url: str) -> Kind:
    scheme = _SCHEME.fullmatch(url)
    if scheme is None or scheme[1].lower() not in ("http", "https"):
        return Kind.OTHER
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # brackets that hold no address; its text would quote them
        return Kind.WEBHOOK
    if host == SLACK_HOST:
        return Kind.SLACK
    return Kind.TEAMS if host.endswith(TEAMS_HOSTS) else Kind.WEBHOOK


def _check(url: str) -> None:
    """Whether messages can be sent to it.

    Raises:
        ValueError: with a text that follows the URL's number.
    """
    scheme = _SCHEME.fullmatch(url)
    if scheme is None or not _VISIBLE.fullmatch(url):
        raise ValueError("is no URL: it begins with a scheme, as https:// or mailtos://, a comma inside it is written %2C")
    if _kind(url) != Kind.OTHER:
        try:
            parse_webhook(url)
        except ValueError as error:
            raise ValueError(f"can't be used: {error}") from None
        return
    from ticket_events_pipeline.alerts.other_services import is_installed, service_of  # an HTTP client, which few URLs need

    if not is_installed():
        raise ValueError("needs a library: install ticket_events_pipeline[notify]")
    try:
        service = service_of(url)
    except (OSError, ValueError, subprocess.SubprocessError):
        raise ValueError("could not be checked: the library that knows it did not answer") from None
    if service is None:
        raise ValueError("is not understood: no service that Apprise knows has such URLs, or a part of it is missing")
    if service.is_clear_text:
        raise ValueError("would be sent in clear text: use the scheme with TLS, mostly the same with an s at its end")
