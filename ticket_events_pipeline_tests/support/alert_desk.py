"""Ticks of the alert sensor without Dagster: a cursor, a webhook whose answer a test chooses, and what was posted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ticket_events_pipeline.alerts.chats import chat_of
from ticket_events_pipeline.alerts.message import Context, payload
from ticket_events_pipeline.alerts.observe import DayState, FailedRun, MetricState, Observed
from ticket_events_pipeline.alerts.settings import AlertSettings
from ticket_events_pipeline.alerts.state import AlertState, tick
from ticket_events_pipeline.alerts.webhook import Answer
from ticket_events_pipeline.day import Day

DAY = Day.parse("2026-03-02")
NOON = DAY.start + 12 * 3600
HOUR = 3600
SETTINGS = AlertSettings("https://hooks.example/hush", breaches=10, achievement_percent=80, min_targets=20, stale_hours=3)

ACCEPTED = Answer(is_accepted=True)
DOWN = Answer(is_accepted=False, reason="503")
REVOKED = Answer(is_accepted=False, is_final=True, reason="404 no_service")


@dataclass
class Desk:
    """Ticks as Dagster makes them, with the cursor as text.

    Attributes:
        posted: the texts of all messages.
        accepted: the texts of those that the webhook accepted.
        summary: of the last tick.
        about: what else is known of the account; see `Context`.
    """

    settings: AlertSettings = SETTINGS
    answer: Answer = ACCEPTED
    cursor: str | None = None
    posted: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    summary: str = ""
    about: dict[str, object] = field(default_factory=dict)

    def post(self, news):
        chat = chat_of(self.settings.webhook)
        context = Context("acme", "UTC", self.settings.dagster_url, "daily_sla_breach_summary", chat, **self.about)
        text = payload(news, context)["text"]
        self.posted.append(text)
        if self.answer.is_accepted:
            self.accepted.append(text)
        return self.answer

    def tick(self, now=NOON, *days, read_at=None, failed=(), keep=True):
        """The lines that were posted by one tick."""
        before = len(self.posted)
        observed = Observed(now, "UTC", days, read_at or {}, tuple(failed))
        ticked = tick(AlertState.parse(self.cursor), observed, self.settings, post=self.post)
        self.summary = ticked.summary
        if keep:
            self.cursor = ticked.state.to_cursor()
        assert len(self.posted) - before <= 1
        return [line for text in self.posted[before:] for line in text.split("\n")[1:]]


def started_desk():
    """One that has ticked before, and posted nothing."""
    made = Desk()
    assert made.tick(NOON - HOUR) == []
    return made


def day(breaches, achieved=0, *, of=DAY, metric="first_reply_time", complete=False):
    return DayState(of, of.end if complete else NOON, complete, (MetricState(metric, breaches, achieved),))


def run(number, ended_at=NOON, **more):
    return FailedRun(f"{number:08x}-0000", "fetch_ticket_events", ended_at, **more)


def bold(lines):
    """What is new by each line of a message: its bold part, after the day that it stands under."""
    news, under = [], ""
    for line in lines:
        heading = re.match(r"(\d{4}-\d\d-\d\d), ", line)
        under = f"{heading[1]} " if heading else under
        if line.startswith("•"):
            news.append(under + re.findall(r"\*(.*?)\*", line)[0])
    return news
