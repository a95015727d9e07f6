"""How far a day's report can be trusted, in words: what has to be said before any figure, and the strip of all that is known.

The figures are `evidence`'s. Nothing here is an alarm of its own; the asset checks are. Text comes out plain, for a page to
escape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.figures import DayReport, Trust
from ticket_events_pipeline.report.wording import date_text, days_text, moment_text, plural, rate_text

UNKNOWN_SHARE = 0.05
"""From this share of targets without a known policy on, the splits by policy no longer tell the whole."""


@dataclass(frozen=True)
class Notice:
    """What a reader must know before the figures.

    Attributes:
        kind: `alarm`: the figures are wrong; `note`: they will change, or tell less than usual.
        title, text: plain text.
    """

    kind: Literal["alarm", "note"]
    title: str
    text: str


@dataclass(frozen=True)
class TrustFact:
    """A line of the trust strip.

    Attributes:
        name: of the fact, for those who look for its value in the page.
        label, value, meaning: plain text.
        is_odd: whether it takes something from the figures.
    """

    name: str
    label: str
    value: str
    meaning: str
    is_odd: bool = False


def notices(report: DayReport) -> list[Notice]:
    """What has to be said before any figure; empty on an ordinary day."""
    trust = report.trust
    said = [_feed_notice(trust)]
    if not trust.is_complete:
        until = moment_text(trust.as_of, report.day)
        text = f"It was read up to {until}; its figures will change, and the usual ones are those of whole days."
        said.append(Notice("note", "This day is still open.", text))
    if _unknown_share(trust) >= UNKNOWN_SHARE:
        text = f"{plural(trust.unknown_policies, 'target')} of {trust.targets:,} breached without one: see “no known policy”."
        said.append(Notice("note", "Many targets have no known policy.", text))
    return [notice for notice in said if notice is not None]


def _feed_notice(trust: Trust) -> Notice | None:
    if trust.metric_events is None or trust.applied_events is None:
        text = "Its raw file is no longer stored, so whether the feed was whole can't be told."
        return Notice("note", "The events of this day can't be counted.", text)
    if not trust.metric_events:
        text = "No metric event came all day. Unless nobody used the account, something before this report has stopped."
        return Notice("note", "Nothing happened on this day.", text)
    if not trust.applied_events:
        text = (
            f"Among {plural(trust.metric_events, 'metric event')} none applied an SLA policy. Few breaches below do not mean a "
            "good day: have the account's SLA policies checked, then fetch the day again."
        )
        return Notice("alarm", "The feed is broken: these figures are not the day's.", text)
    return None


def trust_facts(report: DayReport) -> list[TrustFact]:
    """Everything that is known about how far the figures go, what takes something from them marked."""
    return [*_reading_facts(report), *_days_facts(report), *_target_facts(report.trust), _feed_fact(report.trust)]


def _reading_facts(report: DayReport) -> list[TrustFact]:
    trust, day = report.trust, report.day
    through = "none yet" if trust.events_through is None else moment_text(trust.events_through, day)
    state = "complete" if trust.is_complete else "still open"
    return [
        TrustFact("is_complete", "The day is", state, "read to its end, or not yet", not trust.is_complete),
        TrustFact("as_of", "Figures as of", moment_text(trust.as_of, day), "nothing later is counted"),
        TrustFact("events_through", "Events through", through, "the newest metric event read", trust.events_through is None),
        TrustFact("history_from", "History from", date_text(trust.history_from), "clocks begun before are not known"),
    ]


def _days_facts(report: DayReport) -> list[TrustFact]:
    trust = report.trust
    last = f"of the last {len(report.chart)} days"
    return [
        _days_fact(
            "missing_days", "Days missing", trust.missing_days, f"{last}, without a summary that can be read", is_odd=True
        ),
        _days_fact("open_days", "Days open", trust.open_days, f"{last}, not yet read to their end"),
        _days_fact("restated_days", "Days restated", trust.restated_days, f"{last}, changed after they had been complete"),
    ]


def _days_fact(name: str, label: str, days: tuple[Day, ...], meaning: str, *, is_odd: bool = False) -> TrustFact:
    value = f"{len(days):,} ({days_text(days)})" if days else "none"
    return TrustFact(name, label, value, meaning, is_odd and bool(days))


def _target_facts(trust: Trust) -> list[TrustFact]:
    share = _unknown_share(trust)
    unknown = f"{trust.unknown_policies:,} of {plural(trust.targets, 'target')}"
    if trust.targets:
        unknown += f" ({rate_text(share)})"
    return [
        TrustFact("unknown_policies", "Policy unknown", unknown, "breached without an applied policy", share >= UNKNOWN_SHARE),
        TrustFact("withdrawn_breaches", "Breaches withdrawn", f"{trust.withdrawn_breaches:,}", "taken back by Zendesk"),
        TrustFact(
            "superseded_breaches",
            "Breaches superseded",
            f"{trust.superseded_breaches:,}",
            "late, then met under a relaxed target: counted as achieved",
        ),
    ]


def _unknown_share(trust: Trust) -> float:
    return trust.unknown_policies / trust.targets if trust.targets else 0


def _feed_fact(trust: Trust) -> TrustFact:
    if trust.metric_events is None or trust.applied_events is None:
        return TrustFact("applied_events", "Policies applied", "unknown", "the raw file is no longer stored", True)
    value = f"{trust.applied_events:,} of {plural(trust.metric_events, 'metric event')}"
    return TrustFact("applied_events", "Policies applied", value, "none at all means a broken feed", not trust.applied_events)
