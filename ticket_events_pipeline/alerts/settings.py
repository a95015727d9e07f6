"""When alerts are sent and where to, read from the environment by whoever sends them: everything else works without.

Here a problem is told by the variable's name alone: the webhook's URL is a secret, and it may be pasted into any of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ticket_events_pipeline.credentials import is_loopback, split_url
from ticket_events_pipeline.settings import VariableReader

WEBHOOK = "TICKET_EVENTS_ALERT_WEBHOOK"

_WHOLE_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)
_LINKABLE = re.compile(r"[A-Za-z0-9:/.\-_~%\[\]]+")  # it stands between the brackets of a message's link


@dataclass(frozen=True)
class AlertSettings:
    """When alerts are sent, and where to.

    Attributes:
        webhook: the URL that they are posted to. Whoever knows it can post, so it is a secret.
        breaches: of one metric on one day, from which on they are told.
        achievement_percent: below which a day's rate of one metric is told, once `min_targets` targets are decided.
        min_targets: decided targets (met or breached) that make a rate worth telling.
        stale_hours: for which a stream was not read, after which that is told.
        dagster_url: where people open Dagster's UI, without a trailing slash; None where nobody said.
    """

    webhook: str = field(repr=False)
    breaches: int
    achievement_percent: int
    min_targets: int
    stale_hours: int
    dagster_url: str | None = None

    @property
    def webhook_mark(self) -> str:
        """Tells one webhook from another; 32 bits, from which no URL can be told."""
        return hashlib.blake2s(self.webhook.encode(), digest_size=4).hexdigest()


def alert_settings(env: Mapping[str, str]) -> AlertSettings:
    """The alert variables that `env` holds, whatever else is set or not.

    Raises:
        SettingsError: no webhook is set, or a variable is malformed; every problem at once, no value quoted.
    """
    reader = VariableReader(env)
    if not reader.text(WEBHOOK):
        reader.problems.append(f"{WEBHOOK} is not set: give the URL of an incoming webhook, of Slack or of what takes the same")
    settings = AlertSettings(
        webhook=reader.parsed(WEBHOOK, "", parse=_webhook),
        breaches=reader.parsed("TICKET_EVENTS_ALERT_BREACHES", "10", parse=_number_up_to(999_999)),
        achievement_percent=reader.parsed("TICKET_EVENTS_ALERT_ACHIEVEMENT_PERCENT", "80", parse=_number_up_to(100)),
        min_targets=reader.parsed("TICKET_EVENTS_ALERT_MIN_TARGETS", "20", parse=_number_up_to(999_999)),
        stale_hours=reader.parsed("TICKET_EVENTS_ALERT_STALE_HOURS", "3", parse=_number_up_to(999_999)),
        dagster_url=reader.parsed("TICKET_EVENTS_DAGSTER_URL", "", parse=_link_base) or None,
    )
    reader.raise_problems()
    return settings


def _number_up_to(greatest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not _WHOLE_NUMBER.fullmatch(text) or not 1 <= int(text) <= greatest:
            raise ValueError(f"is no whole number from 1 to {greatest}")
        return int(text)

    return parse


def _webhook(text: str) -> str:
    if not text:
        return ""
    url = split_url(text)
    if url.username is not None or url.password is not None or url.fragment:
        raise ValueError("give scheme, host, path and query only, no user or fragment")
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
        raise ValueError("must begin with https:// (plain http only to a loopback address), or it would travel in the open")
    return text


def _link_base(text: str) -> str:
    if not text:
        return ""
    if split_url(text).scheme not in ("http", "https") or not _LINKABLE.fullmatch(text):
        raise ValueError("give http or https, host and path only, as in http://127.0.0.1:3000")
    return text.rstrip("/")
