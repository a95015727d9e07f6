"""The SLA policies of the simulated account: the target of a clock, and the hours in which it is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ticket_events_pipeline.sandbox.schedule import WEEKDAY_HOURS, Hours

PRIORITIES = ("low", "normal", "high", "urgent")

FIRST_REPLY = "first_reply"
NEXT_REPLY = "next_reply"
"""Targets go by their metric's name, but for the two of `reply_time`."""


@dataclass(frozen=True, eq=False, slots=True)
class Policy:
    """An SLA policy, or a group SLA policy (whose id is a string); two are equal only if they are the same object.

    Attributes:
        minutes: by target, the target in minutes for each of `PRIORITIES`.
        in_seconds: whether its `apply_sla` rows carry `target_in_seconds` too.
    """

    id: int | str
    title: str
    description: str | None
    business_hours: bool
    minutes: Mapping[str, tuple[int, int, int, int]]
    in_seconds: bool = False

    def target(self, name: str, priority: str) -> Target | None:
        """The target of that name for a ticket of that priority, if the policy has one."""
        minutes = self.minutes.get(name)
        return None if minutes is None else Target(minutes[PRIORITIES.index(priority)] * 60, self)

    def elapsed(self, start: int, end: int, hours: Hours = WEEKDAY_HOURS) -> int:
        """Seconds in [start, end), both epoch seconds; of business hours only `hours`."""
        return hours.seconds(start, end) if self.business_hours else end - start

    def later(self, start: int, seconds: int, hours: Hours = WEEKDAY_HOURS) -> int:
        """The epoch second at which `seconds` (at least 1) have passed since `start`; of business hours only `hours`."""
        return hours.later(start, seconds) if self.business_hours else start + seconds


@dataclass(frozen=True, slots=True)
class Target:
    """How long a clock may run, in seconds of its policy's hours."""

    seconds: int
    policy: Policy


STANDARD = Policy(
    id=360001420431,
    title="Standard",
    description="Every ticket of the web form, the chat and the API",
    business_hours=False,
    minutes={
        FIRST_REPLY: (960, 480, 120, 30),
        NEXT_REPLY: (1440, 720, 240, 60),
        "periodic_update_time": (1680, 960, 540, 420),
        "requester_wait_time": (2880, 1440, 600, 300),
        "resolution_time": (2880, 1680, 960, 720),
    },
)

OFFICE_HOURS = Policy(
    id=360001420452,
    title="Bürozeiten",  # something beyond ASCII in a title
    description="Tickets that came by e-mail, counted in business hours",
    business_hours=True,
    minutes={
        FIRST_REPLY: (600, 480, 240, 60),
        NEXT_REPLY: (900, 600, 300, 90),
        "pausable_update_time": (960, 660, 390, 240),
        "requester_wait_time": (1680, 1320, 660, 270),
    },
)

VIP = Policy(
    id=360001987733,
    title="VIP",
    description=None,
    business_hours=False,
    minutes={
        FIRST_REPLY: (240, 120, 45, 15),
        NEXT_REPLY: (360, 180, 60, 20),
        "pausable_update_time": (600, 300, 180, 120),
        "requester_wait_time": (780, 420, 240, 150),
        "agent_work_time": (720, 390, 210, 120),
        "resolution_time": (1080, 720, 660, 480),
    },
    in_seconds=True,
)

GROUP_OWNERSHIP = Policy(
    id="01HV6T3N9QZB4KX2M7YC8WDE5R",
    title="Second level",
    description="How long second level may keep a ticket",
    business_hours=False,
    minutes={"group_ownership_time": (2880, 2160, 1440, 960)},
    in_seconds=True,
)
