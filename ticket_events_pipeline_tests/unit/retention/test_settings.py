"""TICKET_EVENTS_RETAIN_DAYS: what it says, and what is refused."""

from __future__ import annotations

import datetime as dt

import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import SettingsError
from ticket_events_pipeline.quality.traffic import FEED_WEEKS, VOLUME_WEEKS
from ticket_events_pipeline.report.durations import DAYS_BEFORE
from ticket_events_pipeline.report.model import CHART_DAYS, USUAL_WEEKS
from ticket_events_pipeline.retention.settings import PRUNABLE, REACH_DAYS, first_kept, least_days, retention_settings
from ticket_events_pipeline.sla.inputs import HISTORY_DAYS
from ticket_events_pipeline.sla.rules.carry_over import REACH_DAYS as LAYERS
from ticket_events_pipeline.tickets.dimensions import LOOK_BACK_DAYS
from ticket_events_pipeline.tickets.evidence import LOOK_BACK_DAYS as EVIDENCE_DAYS
from ticket_events_pipeline.tickets.evidence import SNAPSHOT_DAYS
from ticket_events_pipeline.tickets.ticket_facts import LOOK_BACK_DAYS as FACTS_DAYS

LEAST = 75


def retained(text, **more):
    return retention_settings({"TICKET_EVENTS_RETAIN_DAYS": text, **more}).retained


@pytest.mark.parametrize("text", ["", "  ", "none"])
def test_unset_nothing_is_pruned(text):
    assert retained(text) == {}


def test_a_number_is_for_all_assets_and_an_assets_own_entry_counts_more():
    assert retained("730") == dict.fromkeys(PRUNABLE, 730)
    own = {"ticket_events": 90, "ticket_field_changes": 95}
    assert retained("ticket_events=90, 730 ,ticket_field_changes = 95") == {**dict.fromkeys(PRUNABLE, 730), **own}
    assert retained("ticket_events=90,ticket_field_changes=95") == own


def test_the_first_kept_day_counts_today():
    assert first_kept({"ticket_events": 90}, Day.parse("2026-11-30")) == {"ticket_events": dt.date(2026, 9, 2)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a year", "'a year' is neither a number of days nor an asset with one, as in 730, ticket_events=90"),
        ("-90", "'-90' is neither"),
        ("ticket_event=90", "'ticket_event' is none of ticket_events, ticket_metric_events, sla_clocks"),
        ("730, 90", "730 and 90 are both for all assets: give one of them"),
        ("ticket_events=90, ticket_events=91", "ticket_events is given twice"),
        (f"{LEAST - 1}", f"'{LEAST - 1}' is not a whole number from {LEAST} to 999999"),
        ("ticket_events=30", f"'30' is not a whole number from {LEAST} to 999999"),
    ],
)
def test_what_cannot_work_is_refused_and_names_the_variable(text, message):
    with pytest.raises(SettingsError) as refused:
        retained(text)
    assert f"TICKET_EVENTS_RETAIN_DAYS: {message}" in str(refused.value)


def test_what_is_read_again_every_night_stays_open():
    assert least_days(3) == LEAST
    assert least_days(40) == 40 + 64 - 0
    with pytest.raises(SettingsError, match="from 104 to"):
        retained("90", TICKET_EVENTS_RESTATE_DAYS="40")


def test_no_table_or_page_of_an_open_day_reads_a_day_that_may_be_pruned():
    """Behind the bound stands each module's own: if one of them is raised, so is the bound."""
    carried = 1 + LAYERS
    reaches = [
        HISTORY_DAYS,
        carried + LAYERS,
        LOOK_BACK_DAYS + LOOK_BACK_DAYS,
        EVIDENCE_DAYS,
        SNAPSHOT_DAYS,
        FACTS_DAYS,
        CHART_DAYS + 7,
        7 * USUAL_WEEKS,
        DAYS_BEFORE,
        7 * VOLUME_WEEKS,
        7 * FEED_WEEKS,
    ]
    assert max(reaches) <= REACH_DAYS
