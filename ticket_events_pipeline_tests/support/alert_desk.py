"""Ticks of the alert sensor without Dagster: a cursor, destinations whose answers a test chooses, and what was posted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ticket_events_pipeline.alerts.cursor import AlertState
from ticket_events_pipeline.alerts.destinations import Destination, Kind
from ticket_events_pipeline.alerts.message import Context, alert_message
from ticket_events_pipeline.alerts.observe import DayState, FailedRun, MetricState, Observed
from ticket_events_pipeline.alerts.settings import AlertSettings
from ticket_events_pipeline.alerts.slack import slack_payload
from ticket_events_pipeline.alerts.tick import tick
from ticket_events_pipeline.alerts.webhook import Answer
from ticket_events_pipeline.day import Day

DAY = Day.parse("2026-03-02")
NOON = DAY.start + 12 * 3600
HOUR = 3600
WEBHOOK = Destination(Kind.WEBHOOK, "https://hooks.example/hush")
SETTINGS = AlertSettings((WEBHOOK,), breaches=10, achievement_percent=80, min_targets=20, stale_hours=3)

ACCEPTED = Answer(is_accepted=True)
DOWN = Answer(is_accepted=False, reason="503")
REVOKED = Answer(is_accepted=False, is_final=True, reason="404 no_service")


@dataclass
class Desk:
    """Ticks as Dagster makes them, with the cursor as text.

    Attributes:
        answer: of every destination.
        answers: by mark, of those that answer otherwise.
        posted: the texts of all messages.
        accepted: the texts of those that were accepted.
        got: by mark, the texts that the destination accepted.
        summary: of the last tick.
        about: what else is known of the account; see `Context`.
    """

    settings: AlertSettings = SETTINGS
    answer: Answer = ACCEPTED
    answers: dict[str, Answer] = field(default_factory=dict)
    cursor: str | None = None
    posted: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    got: dict[str, list[str]] = field(default_factory=dict)
    summary: str = ""
    about: dict[str, object] = field(default_factory=dict)

    @property
    def marks(self):
        return [destination.mark for destination in self.settings.destinations]

    def post(self, news):
        return {destination.mark: self.post_one(destination.mark, of_it) for destination, of_it in news.items()}

    def post_one(self, mark, news):
        context = Context("acme", "UTC", self.settings.dagster_url, "daily_sla_breach_summary", **self.about)
        text = slack_payload(alert_message(news, context), has_blocks=False)["text"]
        answer = self.answers.get(mark, self.answer)
        self.posted.append(text)
        if answer.is_accepted:
            self.accepted.append(text)
            self.got.setdefault(mark, []).append(text)
        return answer

    def state(self):
        return AlertState.parse(self.cursor, self.marks)

    def tick(self, now=NOON, *days, read_at=None, failed=(), keep=True):
        """The lines that were posted by one tick."""
        before = len(self.posted)
        observed = Observed(now, "UTC", days, read_at or {}, tuple(failed))
        ticked = tick(self.state(), observed, self.settings, post=self.post)
        self.summary = ticked.summary
        if keep:
            self.cursor = ticked.state.to_cursor()
        assert len(self.posted) - before <= len(self.settings.destinations)
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
