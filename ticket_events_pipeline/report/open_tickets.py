"""Tickets with open targets as the report shows them: what is late, and what breaches next."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.report.holders import Holder
from ticket_events_pipeline.tickets.ticket_facts import TicketFacts

LONG_LATE_DAYS = 30
"""A target that is late for longer is folded away: Zendesk closes a solved ticket for good within 28 days."""

FORECAST_HOURS = 24


@dataclass(frozen=True)
class OpenTarget:
    """An open target in the work list, or in what breaches next. Times are epoch seconds.

    Attributes:
        target_seconds: what the policy allows; None where Zendesk never sent it.
        breached_at, overdue_seconds: of a late one; None otherwise. Overdue is the time late while open, up to as_of.
        due_at: when an open, unpaused target will breach if nothing happens: an estimate; None without one.
        due_by: the hours of that estimate, `calendar` or `business_hours`; None without one.
        breached_with: who held the ticket at the breach of a late one; None where no ticket table tells.
    """

    ticket_id: int
    sla_metric: str
    instance_id: int
    policy_id: str | None
    policy_title: str | None
    business_hours: bool | None
    target_seconds: int | None
    is_paused: bool
    breached_at: int | None
    overdue_seconds: int | None
    due_at: int | None
    due_by: str | None
    breached_with: Holder | None = None


@dataclass(frozen=True)
class OpenTicket:
    """A line of the work list, or of what breaches next: a ticket with its targets.

    Attributes:
        targets: late ones, the newest breach first; or those to breach next, soonest first.
        now_with: who holds it at as_of; None where no ticket table tells.
    """

    ticket_id: int
    facts: TicketFacts
    targets: tuple[OpenTarget, ...]
    now_with: Holder | None = None

    @property
    def overdue_seconds(self) -> int:
        """Of the target that is late for longest."""
        return max((target.overdue_seconds or 0 for target in self.targets), default=0)


@dataclass(frozen=True)
class LateTickets:
    """A part of the work list.

    Attributes:
        tickets: the most urgent first (priority, then overdue); cut to its longest length.
        ticket_count, target_count: of all.
    """

    tickets: tuple[OpenTicket, ...]
    ticket_count: int
    target_count: int


@dataclass(frozen=True)
class WorkList:
    """Tickets with late and open targets. A ticket is in the first part that one of its targets belongs to.

    Attributes:
        new: a target breached on the day.
        older: on an earlier one, at most `LONG_LATE_DAYS` ago.
        long_late: all longer ago. Often nobody will close them any more.
    """

    new: LateTickets
    older: LateTickets
    long_late: LateTickets

    @property
    def target_count(self) -> int:
        """Late and open targets in all."""
        return self.new.target_count + self.older.target_count + self.long_late.target_count


@dataclass(frozen=True)
class Unforecast:
    """Open targets in time without an estimate, by the first of these reasons that holds.

    All but the paused ones may breach at any time.

    Attributes:
        paused: its clock is paused: it has no due time until it goes on.
        unknown_length: Zendesk never sent how long it is.
        business_hours: in business hours, and its schedule or beginning isn't known, or the ticket tables aren't made.
        begun_before: its clock began before the stored history.
    """

    paused: int = 0
    unknown_length: int = 0
    business_hours: int = 0
    begun_before: int = 0

    @property
    def count(self) -> int:
        """All of them."""
        return self.paused + self.unknown_length + self.business_hours + self.begun_before


def unforecast(targets: pa.Table) -> Unforecast:
    """Those among open targets in time, with the columns `due_at`, `is_paused`, `target_seconds` and `business_hours`."""
    without = targets.filter(pc.is_null(targets["due_at"]))
    unpaused = without.filter(pc.invert(without["is_paused"]))
    with_length = unpaused.filter(pc.is_valid(unpaused["target_seconds"]))
    in_business_hours: int = pc.sum(with_length["business_hours"], min_count=0).as_py()
    return Unforecast(
        paused=without.num_rows - unpaused.num_rows,
        unknown_length=unpaused.num_rows - with_length.num_rows,
        business_hours=in_business_hours,
        begun_before=with_length.num_rows - in_business_hours,
    )


@dataclass(frozen=True)
class Forecast:
    """Open targets in time, by their estimated breach (`due_at`); counts are of targets.

    Attributes:
        tickets: those to breach within `FORECAST_HOURS` after as_of, soonest first, cut to its longest length.
        ticket_count, target_count: of those within `FORECAST_HOURS`.
        later: due after that.
        overdue_estimates: due before as_of, without a breach from Zendesk: left-over clocks, mostly.
        without: those that have no estimate.
    """

    tickets: tuple[OpenTicket, ...]
    ticket_count: int
    target_count: int
    later: int
    overdue_estimates: int
    without: Unforecast

    @property
    def unforecast(self) -> int:
        """How many have no estimate."""
        return self.without.count
