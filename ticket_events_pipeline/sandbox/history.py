"""What a simulated ticket was at every moment: who held it, and how it was classified, after each of its updates.

The truth behind the account's audits, metric events and current tickets. An update that changes only such values changes no
clock.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ticket_events_pipeline.sandbox.catalog import (
    AI_AGENT_ID,
    AREAS,
    BRAND_WEIGHTS,
    BRANDS,
    FORM_WEIGHTS,
    FORMS,
    SCHEDULE_HOURS,
    VIENNA_BRAND,
    VIENNA_SCHEDULE,
    WEEKDAY_SCHEDULE,
)
from ticket_events_pipeline.sandbox.schedule import WEEKDAY_HOURS, Hours, SwitchedHours
from ticket_events_pipeline.sandbox.texts import (
    BILLING,
    BILLING_SUBJECTS,
    FIRST_LEVEL,
    LOGISTICS,
    LOGISTICS_SUBJECTS,
    SECOND_LEVEL,
    VIA_CHANNEL,
    Cast,
    agent_ids,
    draw_agent,
)
from ticket_events_pipeline.sandbox.ticket_life import Update

TYPES = ("question", "incident", "problem")

SYSTEM_USER_ID = -1
"""Who a rule's audits are by, as Zendesk writes it."""

_ROOM_SECONDS = 120
"""Between two updates that have less than that between them, none is added."""


@dataclass(frozen=True, slots=True)
class Values:
    """A ticket's fields at one moment; None is empty (nobody, none). `channel` never changes: the word of the tickets API."""

    status: str
    priority: str
    type: str | None
    group_id: int | None
    assignee_id: int | None
    organization_id: int | None
    brand_id: int
    ticket_form_id: int
    channel: str
    schedule_id: int | None
    area: str | None
    escalation: str | None
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """An update, who made it, and the ticket's values from then on; `is_ai`: while an AI agent holds the ticket alone."""

    update: Update
    values: Values
    updater_id: int
    is_ai: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """A ticket's steps in order of time, and the business hours that its clocks are measured in."""

    steps: tuple[Step, ...]
    hours: Hours

    @property
    def has_ai(self) -> bool:
        """Whether an AI agent held the ticket at some time."""
        return self.steps[0].is_ai

    def values_at(self, time: float, *, inclusive: bool = True) -> Values | None:
        """The values after all that happened before `time`, or at it; None before the ticket was made."""
        reached = [step for step in self.steps if step.update.time < time or (inclusive and step.update.time == time)]
        return reached[-1].values if reached else None


Changes = dict[str, Any]
"""What an added update sets: fields of `Values`, and for `assignee_id` perhaps one of the words below."""

_CLAIMED, _HANDED_OVER = "claimed", "handed over"


def history_of(rng: random.Random, cast: Cast, life: Sequence[Update]) -> History:
    """The history of a ticket with that life; its clocks see the same life, with a group of its own subject's."""
    brand = rng.choices(BRANDS, BRAND_WEIGHTS)[0]
    schedule_id = None if rng.random() < 0.03 else VIENNA_SCHEDULE if brand == VIENNA_BRAND else WEEKDAY_SCHEDULE
    teller = _Teller(rng, cast, _routed(rng, cast, life), brand_id=brand, schedule_id=schedule_id)
    return teller.tell()


def ai_history(rng: random.Random, cast: Cast, life: Sequence[Update]) -> History:
    """The history of a ticket that an AI agent solved alone: no group, no assignee."""
    values = Values(
        status="new",
        priority=life[0].priority,
        type=None,
        group_id=None,
        assignee_id=None,
        organization_id=cast.organization_id,
        brand_id=rng.choices(BRANDS, BRAND_WEIGHTS)[0],
        ticket_form_id=FORMS[0],
        channel=VIA_CHANNEL[cast.channel],
        schedule_id=None,
        area=None,
        escalation=None,
        tags=("ai_agent", "sandbox"),
    )
    updaters = {"requester": cast.requester_id, "rule": SYSTEM_USER_ID}
    steps = [
        Step(update, replace(values, status=update.status), updaters.get(update.actor, AI_AGENT_ID), is_ai=True)
        for update in life
    ]
    return History(tuple(steps), WEEKDAY_HOURS)


def _home_group(cast: Cast) -> int:
    return BILLING if cast.subject in BILLING_SUBJECTS else LOGISTICS if cast.subject in LOGISTICS_SUBJECTS else FIRST_LEVEL


def _routed(rng: random.Random, cast: Cast, life: Sequence[Update]) -> list[tuple[Update, Changes]]:
    """The life with updates that clocks don't see, and what they set; and with the group that the subject belongs to."""
    home, chance = _home_group(cast), rng.random()
    is_usual = {update.group_id for update in life} <= {FIRST_LEVEL, SECOND_LEVEL}
    told: list[tuple[Update, Changes]] = [(update, {}) for update in life]
    if is_usual and home != FIRST_LEVEL and chance < 0.35:
        told = [(_at_home(update, home), changes) for update, changes in told]
    if rng.random() < 0.3 and _has_room(life, 0):
        triage = replace(told[0][0], time=_between(rng, life, 0), actor=rng.choice(("agent", "rule")), comment=None)
        moves = is_usual and home != FIRST_LEVEL and chance < 0.7
        later = [(_at_home(update, home) if moves else update, changes) for update, changes in told[1:]]
        told = [told[0], (_at_home(triage, home) if moves else triage, _triage(rng)), *later]
    return _with_one_more(rng, told)


def _at_home(update: Update, home: int) -> Update:
    return replace(update, group_id=home) if update.group_id == FIRST_LEVEL else update


def _triage(rng: random.Random) -> Changes:
    changes: Changes = {"type": rng.choice(TYPES), "area": rng.choice(AREAS)}
    if rng.random() < 0.5:
        changes["assignee_id"] = _CLAIMED
    if rng.random() < 0.25:
        changes["ticket_form_id"] = rng.choice(FORMS)
    if rng.random() < 0.1:
        changes["brand_id"] = rng.choice(BRANDS)
    return changes


def _with_one_more(rng: random.Random, told: list[tuple[Update, Changes]]) -> list[tuple[Update, Changes]]:
    """Now and then somebody else takes over, nobody has it any more, or the schedule changes."""
    chance = rng.random()
    life = [update for update, _ in told]
    place = rng.randrange(len(life))
    if chance >= 0.14 or place == 0 or not _has_room(life, place):
        return told
    changes: Changes = {"assignee_id": _HANDED_OVER if chance < 0.08 else None}
    if chance >= 0.11:
        changes = {"schedule_id": rng.choice((WEEKDAY_SCHEDULE, VIENNA_SCHEDULE))}
    more = replace(life[place], time=_between(rng, life, place), actor="agent", comment=None)
    return [*told[: place + 1], (more, changes), *told[place + 1 :]]


def _has_room(life: Sequence[Update], place: int) -> bool:
    """Whether an update can be added after that one: not to a deleted or closed ticket."""
    if place + 1 >= len(life) or "deleted" in (life[place].status, life[place + 1].status):
        return False
    return life[place + 1].time - life[place].time > _ROOM_SECONDS


def _between(rng: random.Random, life: Sequence[Update], place: int) -> int:
    start, end = life[place].time, life[place + 1].time
    return start + int((end - start) * rng.uniform(0.05, 0.9))


class _Teller:
    """Follows the updates of one ticket, and what they make of its values."""

    def __init__(
        self,
        rng: random.Random,
        cast: Cast,
        told: Sequence[tuple[Update, Changes]],
        *,
        brand_id: int,
        schedule_id: int | None,
    ) -> None:
        self._rng = rng
        self._cast = cast
        self._told = told
        first = told[0][0]
        self._values = Values(
            status=first.status,
            priority=first.priority,
            type=rng.choice(TYPES) if rng.random() < 0.7 else None,
            group_id=first.group_id,
            assignee_id=draw_agent(rng, first.group_id) if rng.random() < 0.25 else None,
            organization_id=cast.organization_id,
            brand_id=brand_id,
            ticket_form_id=rng.choices(FORMS, FORM_WEIGHTS)[0],
            channel=VIA_CHANNEL[cast.channel],
            schedule_id=schedule_id,
            area=rng.choice(AREAS) if rng.random() < 0.4 else None,
            escalation=None,
            tags=("sandbox", "vip") if first.policy and first.policy.title == "VIP" else ("sandbox",),
        )
        self._hours = SCHEDULE_HOURS[schedule_id]

    def tell(self) -> History:
        """The history."""
        first = self._told[0][0]
        self._values = self._after(first, {})
        steps = [Step(first, self._values, self._cast.requester_id)]
        for update, changes in self._told[1:]:
            steps.append(self._step(update, changes))
        return History(self._escalated_by_ai(steps), self._hours)

    def _step(self, update: Update, changes: Changes) -> Step:
        before = self._values
        assignee_id, updater_id = self._people(update, changes)
        changes = {**changes, "assignee_id": assignee_id}
        if changes.get("schedule_id", before.schedule_id) != before.schedule_id:
            self._hours = SwitchedHours(self._hours, SCHEDULE_HOURS[changes["schedule_id"]], update.time)
        if update.group_id != before.group_id and SECOND_LEVEL in (update.group_id, before.group_id):
            changes["escalation"] = "escalated" if update.group_id == SECOND_LEVEL else "returned"
        self._values = self._after(update, changes)
        return Step(update, self._values, updater_id)

    def _people(self, update: Update, changes: Changes) -> tuple[int | None, int]:
        """Who has the ticket after the update, and who made it."""
        before = self._values
        asked = changes.get("assignee_id", before.assignee_id)
        if asked in (_CLAIMED, _HANDED_OVER):
            asked = self._rng.choice([agent for agent in agent_ids(update.group_id) if agent != before.assignee_id])
        if update.actor != "agent":
            asked = None if update.group_id != before.group_id and "assignee_id" not in changes else asked
            return asked, self._cast.requester_id if update.actor == "requester" else SYSTEM_USER_ID
        if "assignee_id" in changes:
            return asked, before.assignee_id or draw_agent(self._rng, update.group_id)
        if update.group_id != before.group_id and self._rng.random() < 0.4:
            return None, before.assignee_id or draw_agent(self._rng, before.group_id or FIRST_LEVEL)
        agent = before.assignee_id if update.group_id == before.group_id else None
        agent = agent or draw_agent(self._rng, update.group_id)
        is_work = update.comment is not None or update.group_id != before.group_id
        return agent if is_work and update.status != "deleted" else before.assignee_id, agent

    def _after(self, update: Update, changes: Changes) -> Values:
        """The values with the changes, what the life says, and the tags that follow."""
        before = self._values
        is_taken = update.status == "new" and changes.get("assignee_id", before.assignee_id) is not None
        area, escalation = changes.get("area", before.area), changes.get("escalation", before.escalation)
        tags = [tag for tag in before.tags if tag in ("sandbox", "vip")]
        tags += ["sla"] if update.policy else []
        tags += [f"area_{area}"] if area else []
        tags += ["escalated"] if escalation else []
        told: Changes = {
            "status": "open" if is_taken else update.status,
            "priority": update.priority,
            "group_id": update.group_id,
        }
        return replace(before, **changes, **told, tags=tuple(sorted(tags)))

    def _escalated_by_ai(self, steps: list[Step]) -> tuple[Step, ...]:
        """One chat in four was answered by an AI agent first, which handed it over after a minute or so."""
        first = steps[0]
        time = first.update.time + self._rng.randrange(20, 90)
        is_chosen = self._cast.channel == "Chat" and self._rng.random() < 0.25
        if not is_chosen or len(steps) < 2 or steps[1].update.time <= time + 1 or steps[1].update.status == "deleted":
            return tuple(steps)
        alone = replace(first.values, group_id=None, assignee_id=None, status="new", schedule_id=None)
        handed_over = replace(first.update, time=time, actor="rule", comment=None)
        return (replace(first, values=alone, is_ai=True), Step(handed_over, first.values, AI_AGENT_ID), *steps[1:])
