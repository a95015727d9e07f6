"""`ticket_states` by its definition, from all changes that a ticket ever had: slow, and without layers or files.

A change is a dict with the columns of `ticket_states`; its `changed_at` is epoch seconds.
"""

from __future__ import annotations

from typing import Any

from ticket_events_pipeline.day import Day

REMEMBERED_DAYS = 31
"""A ticket that an audit or an open target last named this many days ago is still known, one day later no more."""

HISTORY = ("group_id", "assignee_id")

Change = dict[str, Any]


def in_force_order(change: Change) -> tuple[bool, int, int, int]:
    """A Create counts from the beginning."""
    return (not change["is_create"], change["changed_at"], change["audit_id"], change["position"])


def key_order(change: Change) -> tuple[int, str, int, int, int]:
    return (change["ticket_id"], change["field"], change["changed_at"], change["audit_id"], change["position"])


class StatesOracle:
    """The states day by day.

    Attributes:
        changes: of each ticket that is remembered, all since its first one.
        named_on: the last day that named it.
        history_from: from when on the history of its group and agent is complete, epoch seconds.
    """

    def __init__(self) -> None:
        self.changes: dict[int, list[Change]] = {}
        self.named_on: dict[int, Day] = {}
        self.history_from: dict[int, float] = {}

    def forget(self, day: Day) -> None:
        for ticket, last in list(self.named_on.items()):
            if last < day.plus(-REMEMBERED_DAYS):
                self.changes.pop(ticket, None)
                self.history_from.pop(ticket, None)
                del self.named_on[ticket]

    def followed_by(
        self, day: Day, changes: list[Change], audited: set[int], opened: dict[int, int] | None, *, is_compacted: bool = False
    ) -> list[Change]:
        """The rows of a day's layer, sorted by the table's key.

        Args:
            day: the next one.
            changes: of the tracked fields on it.
            audited: the tickets with an audit on it.
            opened: of those with an open target, the first activation; None where that isn't known.
            is_compacted: whether the layer names all tickets that are remembered.
        """
        self.forget(day)
        named = audited | set(opened or {})
        if is_compacted:
            named |= {ticket for ticket, last in self.named_on.items() if last >= day.plus(1 - REMEMBERED_DAYS)}
        for change in changes:
            self.changes.setdefault(change["ticket_id"], []).append(change)
        for ticket in named:
            self.named_on[ticket] = day
            if opened is not None:
                asked_from = min(opened.get(ticket, day.start), day.start)
                self.history_from[ticket] = max(self.history_from.get(ticket, 0), asked_from)
        return sorted((row for ticket in named for row in self._rows(ticket, day)), key=key_order)

    def _rows(self, ticket: int, day: Day) -> list[Change]:
        changes = self.changes.get(ticket, [])
        rows = []
        for field in {change["field"] for change in changes}:
            start = self.history_from.get(ticket, 0) if field in HISTORY else day.start
            of_field = sorted((change for change in changes if change["field"] == field), key=in_force_order)
            before = [change for change in of_field if change["changed_at"] < start]
            rows += [change for change in of_field if change["changed_at"] >= start] + in_force(before)
        return rows


def in_force(before: list[Change]) -> list[Change]:
    """The newest change, with those before it that a change of tags without a list needs."""
    needed: list[Change] = []
    for change in reversed(before):
        needed.append(change)
        says_difference = change["tags_added"] is not None or change["tags_removed"] is not None
        if change["is_create"] or not (change["field"] == "tags" and change["value"] is None and says_difference):
            break
    return needed
