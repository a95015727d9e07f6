"""How far a day's report can be trusted, in words: what has to be said before any figure, and the strip of all that is known.

The figures are `evidence`'s. Nothing here is an alarm of its own; the asset checks are. Text comes out plain, for a page to
escape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.formats import date_text, days_text, moment_text, plural, rate_text
from ticket_events_pipeline.report.model import ContradictedTarget, DayReport, Trust
from ticket_events_pipeline.sla.provenance import RULES_VERSION
from ticket_events_pipeline.tables.streams import AUDITS

UNKNOWN_SHARE = 0.05
"""From this share of targets without a known policy on, the splits by policy no longer tell the whole."""

DELETIONS_LAG_SECONDS = 3600
"""The two streams of an open day are read one after the other: deletions known up to so long before `as_of` are whole."""

LACKING = (
    "by which targets of deleted tickets stay open, overdue counts time in which a target was closed, and outcomes are not "
    "compared with durations"
)
MAKE_AGAIN = "make the SLA tables of the day again to apply the current rules"


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
        targets: whose tickets are named.
        is_wide: whether there is much to say.
    """

    name: str
    label: str
    value: str
    meaning: str
    is_odd: bool = False
    targets: tuple[ContradictedTarget, ...] = ()
    is_wide: bool = False


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
    trust = report.trust
    ordinary = [*_reading_facts(report), *_days_facts(report), *_target_facts(trust), _feed_fact(trust)]
    return [*ordinary, *_rules_facts(trust), *_deletions_facts(report), *_contradicted_facts(trust)]


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


def _rules_facts(trust: Trust) -> list[TrustFact]:
    """Nothing where all days were made by the current rules."""
    if trust.rules_version < RULES_VERSION:
        meaning = f"made under the rules of version {trust.rules_version}, {LACKING}; {MAKE_AGAIN}"
        return [TrustFact("rules_version", "Rules", f"version {trust.rules_version}", meaning, is_odd=True, is_wide=True)]
    if trust.older_days:
        value = f"older on {plural(len(trust.older_days), 'day')} ({days_text(trust.older_days)})"
        meaning = "this day follows the current rules; means and chart mix both until those days' SLA tables are made again"
        return [TrustFact("rules_version", "Rules", value, meaning, is_wide=True)]
    return []


def _deletions_facts(report: DayReport) -> list[TrustFact]:
    """How far deleted tickets are known, where that is not the whole history."""
    trust = report.trust
    if trust.rules_version < RULES_VERSION:
        return []  # said already
    if trust.deletions_from is None or trust.deletions_through is None:
        meaning = (
            f"targets of deleted tickets count as open. Fetch {AUDITS} of these days; where they are stored, sla_clocks "
            "were made before deletions were read: make the SLA tables of the days again"
        )
        return [TrustFact("deletions", "Deleted tickets", "not known", meaning, is_odd=True, is_wide=True)]
    value, meanings = "", []
    if trust.deletions_from > trust.history_from:
        value = f"known from {date_text(trust.deletions_from)}"
        meanings.append("targets of tickets deleted before that day count as open")
    if trust.deletions_through < trust.as_of - DELETIONS_LAG_SECONDS:
        value = f"{value or 'known'} through {moment_text(trust.deletions_through, report.day)}"
        meanings.append(f"the audits of the time after are not read yet: fetch {AUDITS}")
    if not value:
        return []
    return [TrustFact("deletions", "Deleted tickets", value, "; ".join(meanings), is_odd=True, is_wide=True)]


def _contradicted_facts(trust: Trust) -> list[TrustFact]:
    """Nothing where no outcome is contradicted, or none was looked for."""
    if not trust.contradicted:
        return []
    meaning = (
        "Their outcome and their measured duration disagree; the outcome is Zendesk's and counts. A breach may be dated before "
        "its policy was applied, on a day that is no longer read again: fetch the tickets' days again. Where that changes "
        "nothing, a schedule or a policy was changed, and there is nothing to do."
    )
    further = trust.contradicted - len(trust.contradicted_targets)
    value = plural(trust.contradicted, "target") + (f", {len(trust.contradicted_targets)} of them here" if further else "")
    named = trust.contradicted_targets
    return [TrustFact("contradicted", "Outcomes contradicted", value, meaning, is_odd=True, targets=named, is_wide=True)]
