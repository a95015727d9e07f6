"""The alert variables of the environment: thresholds, the webhook, and the address of Dagster's UI.

A problem names the variable and never quotes it: the webhook's URL is a secret, and it may be pasted into any of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ticket_events_pipeline.credentials import is_loopback, split_url
from ticket_events_pipeline.variables import VariableReader, parse_link_base

WEBHOOK = "TICKET_EVENTS_ALERT_WEBHOOK"

_WHOLE_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)


@dataclass(frozen=True)
class AlertSettings:
    """When alerts are sent, and where to.

    Attributes:
        webhook: the URL that they are posted to; a secret, since it is all that is needed to post.
        breaches: of one metric on one day, from which on they are posted.
        achievement_percent: a day's rate of one metric below it is posted, once `min_targets` targets are decided.
        min_targets: decided targets (met or breached) that a rate needs.
        stale_hours: a stream that was not read for so long is posted as stalled.
        dagster_url: the address of Dagster's UI, without a trailing slash; None if it is not set.
    """

    webhook: str = field(repr=False)
    breaches: int
    achievement_percent: int
    min_targets: int
    stale_hours: int
    dagster_url: str | None = None

    @property
    def webhook_mark(self) -> str:
        """Identifies the webhook in 32 bits, from which no URL can be derived."""
        return hashlib.blake2s(self.webhook.encode(), digest_size=4).hexdigest()


def alert_settings(env: Mapping[str, str]) -> AlertSettings:
    """The alert variables of `env`; no other variable is read.

    Raises:
        SettingsError: no webhook is set, or a variable is malformed; every problem at once, no value quoted.
    """
    reader = VariableReader(env)
    if not reader.text(WEBHOOK):
        reader.problems.append(
            f"{WEBHOOK} is not set: give the URL of an incoming webhook of Slack, or of a chat that accepts the same messages"
        )
    settings = AlertSettings(
        webhook=reader.parsed(WEBHOOK, "", parse=_webhook),
        breaches=reader.parsed("TICKET_EVENTS_ALERT_BREACHES", "10", parse=_number_up_to(999_999)),
        achievement_percent=reader.parsed("TICKET_EVENTS_ALERT_ACHIEVEMENT_PERCENT", "80", parse=_number_up_to(100)),
        min_targets=reader.parsed("TICKET_EVENTS_ALERT_MIN_TARGETS", "20", parse=_number_up_to(999_999)),
        stale_hours=reader.parsed("TICKET_EVENTS_ALERT_STALE_HOURS", "3", parse=_number_up_to(999_999)),
        dagster_url=reader.parsed("TICKET_EVENTS_DAGSTER_URL", "", parse=parse_link_base) or None,
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
        raise ValueError(
            "must begin with https:// (plain http only to a loopback address), or its secret would be sent in clear text"
        )
    return text
