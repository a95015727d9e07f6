"""`sla_warning_sensor` of a deployment, ticked as the daemon ticks it, with a clock of the test and real runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.scope import account_scope
from ticket_events_pipeline.defs.sensors.warnings import sla_warning_sensor
from ticket_events_pipeline.text import utc_text
from ticket_events_pipeline_tests.support.alert_receiver import OK, SECRET, AlertReceiver
from ticket_events_pipeline_tests.support.deployment import REPOSITORY, Deployment, sensor_context

LOCATION = "ticket_events_pipeline"
INTERVAL = 1800


def created(ticket: int, time: int, **fields: Any) -> dict[str, Any]:
    """The audit that makes a ticket."""
    child = {"id": 10 * ticket + 9_000_001, "event_type": "Create", "status": "open", **fields}
    at = {"timestamp": time, "created_at": utc_text(time)}
    more = {"event_type": "Audit", "via": "Web form", "system": {}, "metadata": {}, "child_events": [child]}
    return {"id": 9_000_000 + ticket, "ticket_id": ticket, "updater_id": 5, **at, **more}


@dataclass
class Warned:
    """The sensor, and what the account does.

    Attributes:
        told: of every message the beginnings of its lines, without those of ticks that posted none or weren't accepted.
        summary: of the last tick.
        assets: that a fetch makes.
    """

    deployment: Deployment
    webhook: AlertReceiver
    cursor: str | None = None
    summary: str = ""
    told: list[list[str]] = field(default_factory=list)
    sensor: dg.SensorDefinition | None = None
    events: int = 0
    assets: tuple[str, ...] = ("ticket_events", "ticket_metric_events", "sla_clocks", "sla_targets")

    def start(self, ticket: int, time: int, *, minutes: int) -> None:
        """A target of so many minutes is applied, and its clock starts."""
        policy = {"id": 1, "title": "Premium"}
        self.event(ticket, time, "apply_sla", sla={"target": minutes, "business_hours": False, "policy": policy})
        self.event(ticket, time, "activate")

    def event(self, ticket: int, time: float, kind: str, **more: Any) -> None:
        """Something happens to the ticket's clock."""
        self.events += 1
        about = {"id": self.events, "ticket_id": ticket, "metric": "reply_time", "instance_id": 1}
        event = {**about, "type": kind, "time": utc_text(time), **more}
        self.deployment.account.deliver("ticket_metric_events", [event])

    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.deployment.clock.now += seconds

    def fetch(self) -> None:
        """A run of the job that `frequent_fetch` requests, over today; only of what warnings are made from."""
        today = str(Day.containing(self.deployment.clock.now))
        assets = [dg.AssetKey(asset) for asset in self.assets]
        assert self.deployment.run("refresh_open_day", today, assets=assets).success

    def work(self, seconds: int) -> None:
        """Everything runs for so long: a fetch every half hour, a tick every minute."""
        until = self.deployment.clock.now + seconds
        while self.deployment.clock.now < until:
            if self.deployment.clock.now % INTERVAL == 0:
                self.fetch()
            self.tick()
            self.wait(60)

    def restart(self) -> None:
        """A new code server, which knows nothing but the cursor."""
        self.sensor = None

    def tick(self) -> list[str]:
        """What the first destination is told at this tick, if it accepts it."""
        self.sensor = self.sensor or sla_warning_sensor(account_scope(), clock=self.deployment.clock)
        before = len(self.webhook.server.requests)
        context = sensor_context(self.deployment.instance, LOCATION, cursor=self.cursor, repository=REPOSITORY)
        result = self.sensor(context)
        assert isinstance(result, dg.SkipReason | dg.SensorResult)
        self.summary = (result if isinstance(result, dg.SkipReason) else result.skip_reason).skip_message
        self.cursor = self.cursor if isinstance(result, dg.SkipReason) else result.cursor
        assert SECRET not in f"{result}{self.cursor}"
        texts = self.webhook.texts[before:]
        assert len(texts) <= 1
        if not texts or self.webhook.answer != OK:
            return []
        self.told.append(list(_beginnings(texts[0])))
        return self.told[-1]


def _beginnings(text: str) -> Iterator[str]:
    """Of each line in a list, what stands before its details, without marks."""
    for line in text.split("\n"):
        if line.startswith("• "):
            unlinked = re.sub(r"<[^|>]*\|([^>]*)>", r"\1", line.removeprefix("• ")).replace("*", "")
            yield re.split(" – |: ", unlinked)[0]
