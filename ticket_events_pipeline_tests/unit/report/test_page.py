"""The morning report's page, read as a tree: every figure in its place, every text as text, and nothing that it needs."""

import datetime as dt
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.report.model import Change, ChartDay, ContradictedTarget, Counted, Elapsed, Overdue, Spread, Usual
from ticket_events_pipeline.report.open_tickets import LateTickets, WorkList
from ticket_events_pipeline.report.page import LINES, PAPER_LINES, UNKNOWN, report_page
from ticket_events_pipeline.tickets.ticket_facts import TicketFacts
from ticket_events_pipeline_tests.support.hand_made_reports import (
    CHART,
    DATA_QUALITY,
    DAY,
    DUE_TICKET,
    FIRST_REPLY,
    FORECAST,
    HOUR,
    LATE,
    LATE_TICKET,
    NO_TICKETS,
    NOTHING_FORESEEN,
    NOTHING_LATE,
    STANDARD,
    TICKETS,
    TREND,
    USUAL,
    day_report,
    late_tickets,
    with_data_quality,
    with_deleted_tickets,
    with_late,
    with_texts,
)
from ticket_events_pipeline_tests.support.hostile_texts import HOSTILE
from ticket_events_pipeline_tests.support.html_page import parsed


def page_of(report, **rest):
    return parsed(report_page(report, **rest))


def tile(page, metric):
    return page.one("article", data_metric=metric)


def test_the_heading_shows_the_account_the_day_and_its_as_of_time():
    page = page_of(day_report())
    assert page.one("h1").text == "Monday, 23 November 2026"
    assert page.one("header").one("p", class_="quiet").text == "SLA breaches of acme"
    assert page.one("p", class_="state").text == "Complete day as of Tue 24 Nov, 00:00 (Europe/Berlin)"
    assert page.one("time", data_figure="as_of").attributes["datetime"] == "2026-11-24T00:00:00+01:00"


def first_lines(page):
    return [page.one("h2", id="headline").text, *(line.text for line in page.all("p", class_="lede"))]


def test_the_first_lines_say_what_happened_and_what_to_do():
    assert first_lines(page_of(day_report())) == [
        "▲ 7 targets breached: more than on the last 8 Mondays (2–6)",
        "✓ Every metric reached the goal of 95%.",
        "1 ticket late and still open. 1 ticket may breach within 24 hours, the first at Tue 24 Nov, 00:40.",
    ]


def with_rates(**counts):
    """A report whose metrics have these (breaches, achieved)."""
    return day_report(metrics=tuple(replace(FIRST_REPLY, sla_metric=name, day=Counted(*of, 0)) for name, of in counts.items()))


def test_the_metrics_below_the_goal_are_named_the_lowest_first():
    report = with_rates(one=(1, 1), two=(1, 3), three=(5, 95), four=(2, 1))
    assert page_of(report).all("p", class_="lede")[0].text == ("✗ Below the goal of 95%: Four 33.3%, One 50.0%, Two 75.0%.")
    report = with_rates(one=(1, 1), two=(1, 3), three=(1, 4), four=(2, 1), five=(1, 5), six=(1, 6))
    assert page_of(report).all("p", class_="lede")[0].text.endswith("Three 80.0% and 2 more metrics.")


def test_new_tickets_are_among_the_late_ones():
    page = page_of(with_late(new=(replace(LATE_TICKET, ticket_id=1),), older=(LATE_TICKET,)))
    assert "2 tickets late and still open, 1 of them new." in first_lines(page)[2]


def test_a_tile_compares_a_metric_with_its_goal_and_with_what_is_usual():
    shown = tile(page_of(day_report()), "first_reply_time")
    assert shown.one("h3").text == "First reply time"
    names = ["rate", "goal", "rate_change", "breaches", "usual", "change", "achieved", "usually_achieved", "breached_open"]
    names += ["active", "completed_breached", "elapsed_p50", "elapsed_p90", "overdue_p50", "overdue_p90"]
    assert {name: shown.figure(name) for name in names} == {
        "rate": "99.4%",
        "goal": "✓ goal reached",
        "rate_change": "▲ better than usual",
        "breaches": "7",
        "usual": "usually 2.5 (1–6)",
        "change": "▲ more than usual",
        "achieved": "1,234",
        "usually_achieved": "usually 1,041",
        "breached_open": "11",
        "active": "210",
        "completed_breached": "3",
        "elapsed_p50": "12 min",
        "elapsed_p90": "1 h 10 min",
        "overdue_p50": "16 min",
        "overdue_p90": "2 h 30 min",
    }
    assert [name.text for name in shown.all("dt")][2] == "Reply time"


def test_a_tile_without_figures_shows_zeros_and_nothing_usual():
    shown = tile(page_of(day_report()), "group_ownership_time")
    assert shown.figure("breaches") == "0"
    assert shown.figure("rate") == UNKNOWN
    assert shown.figure("goal") == "nothing achieved or breached"
    assert [name.text for name in shown.all("dt")] == ["Breaches", "Achieved", "Late and open", "Completed late"]
    assert shown.all("svg") == []
    assert "usual" not in shown.text


@pytest.mark.parametrize(
    ("change", "stated", "tone"),
    [
        (Change.MORE, ["▲ more than usual"], "bad"),
        (Change.FEWER, ["▼ fewer than usual"], "good"),
        (Change.USUAL, [], None),
        (Change.UNKNOWN, [], None),
    ],
)
def test_only_a_change_is_marked_by_sign_word_and_colour(change, stated, tone):
    metric = replace(FIRST_REPLY, breaches_change=change)
    marks = tile(page_of(day_report(metrics=(metric,))), "first_reply_time").all("span", data_figure="change")
    assert [mark.text for mark in marks] == stated
    assert [mark.attributes["class"] for mark in marks] == [tone] * len(stated)


def test_a_rate_is_good_from_the_goal_on():
    tones = {}
    for achieved in (94, 95, 96):
        metric = replace(FIRST_REPLY, day=Counted(100 - achieved, achieved, 0))
        page = page_of(day_report(metrics=(metric,)))
        tones[achieved] = tile(page, "first_reply_time").one("span", data_figure="rate").attributes["class"]
    assert tones == {94: "number bad", 95: "number good", 96: "number good"}


def test_too_few_earlier_days_are_stated_once():
    metrics = (replace(FIRST_REPLY, usual=None, breaches_change=Change.UNKNOWN, rate_change=Change.UNKNOWN),)
    page = page_of(day_report(metrics=metrics, usual=None, breaches_change=Change.UNKNOWN))
    assert page.text.count("not enough earlier Mondays to compare with") == 1
    assert first_lines(page)[0] == "7 targets breached"


def test_of_a_single_target_the_time_is_shown_without_a_median():
    metric = replace(FIRST_REPLY, elapsed=Elapsed(1, 60, 60), day=Counted(1, 0, 1), overdue=Overdue(120, 120, 120))
    shown = tile(page_of(day_report(metrics=(metric,))), "first_reply_time")
    assert (shown.figure("elapsed_p50"), shown.figure("overdue_p50")) == ("1 min", "2 min")
    assert "median" not in shown.text
    assert "90% within" not in shown.text


spreads = st.builds(Spread, st.floats(0, 1e6), st.integers(0, 10**6), st.integers(0, 10**6))
counts = st.integers(min_value=0, max_value=10**7)


@settings(max_examples=40)
@given(
    day=st.builds(Counted, counts, counts, counts),
    active=counts,
    late=counts,
    usual=st.none() | st.builds(Usual, st.integers(3, 8), spreads, spreads, st.none()),
    overdue=st.just(Overdue(None, None, None)) | st.builds(Overdue, st.floats(0, 1e7), st.floats(0, 1e7), counts),
)
def test_any_figures_are_in_their_places(day, active, late, usual, overdue):
    metric = replace(FIRST_REPLY, day=day, active=active, breached_open=late, usual=usual, overdue=overdue, trend=TREND[-1:])
    shown = tile(page_of(day_report(metrics=(metric,))), "first_reply_time")
    figures = {"breaches": day.breaches, "achieved": day.achieved, "completed_breached": day.completed_breached}
    figures |= {"active": active, "breached_open": late}
    assert {name: shown.figure(name) for name in figures} == {name: f"{count:,}" for name, count in figures.items()}
    rate = shown.figure("rate")
    assert (rate == UNKNOWN) is (day.achievement_rate is None)
    assert (rate == "100%") is (day.achievement_rate == 1)
    assert (rate == "0%") is (day.achievement_rate == 0)


def test_each_metric_has_its_line_and_its_numbers_as_a_table():
    trend = (ChartDay(DAY.plus(-2), None), ChartDay(DAY.plus(-1), Counted(3, 9, 5), True), ChartDay(DAY, Counted(0, 0, 8)))
    page = page_of(day_report(metrics=(replace(FIRST_REPLY, trend=trend),)))
    assert tile(page, "first_reply_time").one("svg").attributes["role"] == "img"
    assert page.one("summary", id="days-1").text == "First reply time"
    assert page.one("table", id="days-table-1").rows() == [
        ["Mon 23 Nov still open", UNKNOWN, "0", "0"],
        ["Sun 22 Nov", "75.0%", "3", "9"],
        ["Sat 21 Nov no summary", UNKNOWN, UNKNOWN, UNKNOWN],
    ]


def test_the_work_list_shows_each_late_ticket():
    page = page_of(day_report())
    assert page.one("h2", id="late").text == "Late and still open: 1 ticket"
    assert page.one("h3", id="late-older").text == "Breached before Mon 23 Nov: 1 ticket"
    assert page.one("table", id="late-older-table").rows() == [
        [
            "#35436 My printer is on fire urgent · with Second level",
            "2 d 3 h",
            "Next reply time no. 2 paused Bürozeiten (business hours)",
            "target 28 h 30 min",
            "Sat 21 Nov, 21:00",
        ]
    ]
    link = page.one("table", id="late-older-table").one("a")
    assert link.attributes["href"] == "https://acme.zendesk.com/agent/tickets/35436"
    assert link.attributes["rel"] == "noopener noreferrer"


def test_a_ticket_is_one_row_with_its_targets_inside():
    other = replace(LATE, sla_metric="agent_work_time", instance_id=1, is_paused=False, overdue_seconds=3 * HOUR)
    ticket = replace(LATE_TICKET, targets=(replace(other, breached_at=DAY.end - 3 * HOUR), LATE))
    page = page_of(with_late(new=(ticket,)))
    rows = page.one("table", id="late-new-table").rows()
    assert [row[-3:] for row in rows] == [
        ["Agent work time Bürozeiten (business hours)", "target 28 h 30 min", "Mon 23 Nov, 21:00 late for 3 h"],
        [
            "Next reply time no. 2 paused Bürozeiten (business hours)",
            "target 28 h 30 min",
            "Sat 21 Nov, 21:00 late for 2 d 3 h",
        ],
    ]
    assert [len(row) for row in rows] == [5, 3]
    assert rows[0][1] == "2 d 3 h"
    assert page.one("table", id="late-new-table").one("th", scope="rowgroup").attributes["rowspan"] == "2"


def test_new_tickets_come_first_and_long_late_ones_are_folded_with_their_count():
    old = replace(LATE_TICKET, ticket_id=3, targets=(replace(LATE, overdue_seconds=58 * 24 * HOUR),))
    long_late = LateTickets((old,), ticket_count=511, target_count=530)
    work = WorkList(late_tickets(replace(LATE_TICKET, ticket_id=1)), late_tickets(LATE_TICKET), long_late)
    page = page_of(day_report(work_list=work))
    assert [table.attributes["id"] for table in page.all("table", class_="worklist")][:3] == [
        "late-new-table",
        "late-older-table",
        "late-long-table",
    ]
    fold = page.one("details", class_="long-late")
    assert fold.one("summary").text == "Late for more than 30 days: 1 of 511 tickets"
    assert "530 targets" in fold.text
    assert fold.one("table").rows()[0][1] == "58 d"
    assert page.figure("late_tickets") == "513 tickets"
    assert page.figure("late_count") == "532 targets"


def test_a_ticket_of_which_nothing_is_known_is_its_number_alone():
    bare = replace(LATE, policy_title=None, policy_id=None, business_hours=None, target_seconds=None, is_paused=False)
    ticket = replace(LATE_TICKET, facts=TicketFacts(), targets=(replace(bare, instance_id=1),), now_with=None)
    page = page_of(with_late(older=(ticket,), tickets_url=None))
    assert page.one("table", id="late-older-table").rows() == [
        ["#35436", "2 d 3 h", "Next reply time no known policy (hours unknown)", f"target {UNKNOWN}", "Sat 21 Nov, 21:00"]
    ]
    assert page.one("table", id="late-older-table").all("a") == []


def test_a_shortened_list_is_labelled_and_a_long_one_is_folded():
    late = tuple(replace(LATE_TICKET, ticket_id=number) for number in range(1, LINES + 4))
    work = WorkList(NO_TICKETS, LateTickets(late, ticket_count=1234, target_count=1300), NO_TICKETS)
    forecast = replace(FORECAST, tickets=(DUE_TICKET,) * 2, ticket_count=5)
    page = page_of(day_report(work_list=work, forecast=forecast))
    assert page.one("h2", id="late").text == "Late and still open: 1,234 tickets"
    assert page.one("h3", id="late-older").text == f"Breached before Mon 23 Nov: {LINES + 3} of 1,234 tickets"
    tables = ("late-older-table", "late-older-table-more")
    numbers = [row[0].split()[0] for table in tables for row in page.one("table", id=table).rows()]
    assert numbers == [f"#{number}" for number in range(1, LINES + 4)]
    assert len(page.one("table", id="late-older-table").rows()) == LINES
    assert page.one("details", class_="more").one("summary").text == "3 more"
    assert page.one("h2", id="next").text == "Next 24 hours: 2 of 5 tickets may breach"


def test_paper_has_the_first_lines_of_both_parts_of_the_work_list_together():
    late = tuple(replace(LATE_TICKET, ticket_id=number) for number in range(1, 6))
    page = page_of(with_late(new=late, older=late))
    for name, shown in (("new", len(late)), ("older", PAPER_LINES - len(late))):
        bodies = page.one("table", id=f"late-{name}-table").all("tbody")
        assert len([body for body in bodies if body.attributes.get("class") != "not-on-paper"]) == shown
    assert [line.text for line in page.one("section", class_="late").all("p", class_="on-paper")] == [
        f"{2 * len(late) - PAPER_LINES} more on the page itself."
    ]


def test_what_breaches_next_is_marked_as_an_estimate_with_its_limits():
    section = page_of(day_report()).one("section", aria_labelledby="next")
    assert section.one("h2").text == "Next 24 hours: 1 ticket may breach"
    assert [cell.text for cell in section.all("th", scope="col")] == [
        "Ticket",
        "Breaches at (estimate)",
        "Metric and policy",
        "Target",
    ]
    assert section.one("table").rows() == [
        [
            "#35437",
            "Tue 24 Nov, 00:40 (in 40 min, estimate)",
            "Total resolution time policy 11 (calendar hours)",
            "target 8 h",
        ]
    ]
    assert section.one("p", class_="hint").text == (
        "When open targets breach if nothing happens: estimates as of Tue 24 Nov, 00:00; “in 40 min” is 40 minutes "
        "after that. Those by business hours follow the account's schedules as last fetched. 39 more targets are due later. "
        "586 more passed their estimate without a breach from Zendesk: mostly left-over clocks, as of deleted or merged "
        "tickets. 33 open targets have no estimate. 13 may breach at any time: 7 in business hours whose schedule or "
        "beginning isn't known; 4 of unknown length; 2 begun before the stored history. 20 are paused and have no due time "
        "until they go on."
    )


def test_what_breaches_next_has_no_running_number_that_nothing_explains():
    ticket = replace(DUE_TICKET, targets=(replace(DUE_TICKET.targets[0], instance_id=5),))
    page = page_of(day_report(forecast=replace(FORECAST, tickets=(ticket,))))
    assert "no. 5" not in page.one("section", aria_labelledby="next").text


def test_left_over_clocks_are_counted_and_never_next():
    section = page_of(day_report(forecast=replace(NOTHING_FORESEEN, overdue_estimates=600))).one(
        "section", aria_labelledby="next"
    )
    assert section.figure("overdue_estimates") == "600"
    assert "No breach can be foreseen in the next 24 hours." in section.text
    assert section.all("table") == []


def test_the_figures_by_policy_are_grouped_by_metric():
    table = page_of(day_report()).one("table", id="policies-table")
    assert table.rows() == [
        ["First reply time"],
        [
            "Standard (calendar hours)", "99.6%", "5", "3 (0–4)", "1,200", "13 min", "1 h 1 min", "190", "9", "2",
            "10 min", "20 min", "30 min",
        ],
        ["no known policy (hours unknown)", "0%", "2", UNKNOWN, "0", UNKNOWN, UNKNOWN, "20", "2", "0", *[UNKNOWN] * 3],
    ]  # fmt: skip


def test_the_policies_stand_in_the_order_of_the_metrics():
    rows = tuple(replace(STANDARD, sla_metric=name) for name in ("first_reply_time", "agent_work_time"))
    table = page_of(day_report(policies=rows)).one("table", id="policies-table")
    assert [header.text for header in table.all("th", scope="rowgroup")] == ["First reply time", "Agent work time"]


def test_the_data_quality_section_shows_everything_that_is_known():
    report = with_data_quality(missing_days=(DAY.plus(-5), DAY.plus(-4), DAY.plus(-2)), restated_days=(DAY.plus(-23),))
    strip = page_of(report).one("dl", class_="data-quality")
    figures = [element for element in strip.all("dd") if "data-figure" in element.attributes]
    assert {element.attributes["data-figure"]: element.text for element in figures} == {
        "is_complete": "complete",
        "as_of": "Tue 24 Nov, 00:00",
        "events_through": "Mon 23 Nov, 23:58",
        "history_from": "Tuesday, 1 September 2026",
        "missing_days": "⚠ 3 (18 to 19 Nov, 21 Nov)",
        "open_days": "none",
        "restated_days": "1 (31 Oct)",
        "unknown_policies": "3 of 615 targets (0.5%)",
        "withdrawn_breaches": "4",
        "superseded_breaches": "2",
        "applied_events": "working",
    }
    assert "breaches may be missing, or counted though the target was fulfilled or changed before that day" in strip.text


def test_no_deletions_contradictions_or_old_rules_are_not_mentioned():
    page = page_of(day_report())
    shown = [
        fact.attributes["data-figure"]
        for fact in page.one("dl", class_="data-quality").all("dd")
        if "data-figure" in fact.attributes
    ]
    assert not {"contradicted", "rules_version", "deletions"} & set(shown)
    assert "deleted" not in page.one("p", class_="sum").text
    assert page.all("p", class_="deleted") == []


def test_contradicted_targets_are_named_with_causes_and_a_remedy():
    named = (ContradictedTarget(41, "first_reply_time"), ContradictedTarget(42, "agent_work_time"))
    page = page_of(with_data_quality(contradicted=7, contradicted_targets=named))
    assert page.figure("contradicted") == "⚠ 7 targets, 2 of them here"
    strip = page.one("dl", class_="data-quality")
    assert [link.attributes["href"] for link in strip.all("a")] == [f"{TICKETS}41", f"{TICKETS}42"]
    assert "#41 (First reply time), #42 (Agent work time). Their outcome and their measured duration disagree" in strip.text
    assert "fetch the tickets' days again" in strip.text


@pytest.mark.parametrize(
    ("changes", "value", "meaning"),
    [
        ({"deletions_from": None, "deletions_through": None}, "⚠ not known", "Fetch ticket_events of these days"),
        ({"deletions_from": dt.date(2026, 9, 2)}, "⚠ known from Wednesday, 2 September 2026", "before that day count as open"),
        ({"deletions_through": DAY.end - 7200}, "⚠ known through Mon 23 Nov, 22:00", "are not read yet: fetch ticket_events"),
        (
            {"deletions_from": DAY.date, "deletions_through": DAY.start},
            "⚠ known from Monday, 23 November 2026 through Mon 23 Nov, 00:00",
            "count as open; the audits of the time after",
        ),
    ],
)
def test_deletions_unknown_for_a_part_of_the_history_are_stated(changes, value, meaning):
    page = page_of(with_data_quality(**changes))
    assert page.figure("deletions") == value
    assert meaning in page.one("dl", class_="data-quality").text


def test_a_day_made_by_older_rules_states_how_to_apply_the_current_ones():
    flow = replace(FIRST_REPLY.flow, deleted=None)
    changed = replace(
        DATA_QUALITY, rules_version=1, contradicted=None, deletions_from=None, deletions_through=None, older_days=(DAY,)
    )
    page = page_of(day_report(metrics=(replace(FIRST_REPLY, flow=flow),), data_quality=changed))
    assert page.figure("rules_version") == "⚠ version 1"
    stated = page.one("dl", class_="data-quality").text
    assert "made under the rules of version 1, by which targets of deleted tickets stay open" in stated
    assert "make the SLA tables of the day again to apply the current rules" in stated
    assert "Deleted tickets were not counted" in page.one("section", aria_labelledby="flow").text
    assert "not counted" in page.one("table", id="flow-table").text
    assert page.all("dd", data_figure="deletions") == page.all("dd", data_figure="contradicted") == []


def test_older_rules_on_other_days_of_the_chart_are_stated():
    page = page_of(with_data_quality(older_days=(DAY.plus(-3), DAY.plus(-2))))
    assert page.figure("rules_version") == "older on 2 days (20 to 21 Nov)"


def test_the_open_targets_add_up_from_the_days_beginning_to_its_end():
    page = page_of(with_deleted_tickets())
    assert page.one("p", class_="sum").text.replace("\N{MINUS SIGN}", "-") == (
        "190 open when the day began + 1,261 started + 8 discovered + 12 re-opened - 1,234 achieved - 3 completed late "
        "- 13 cancelled - 5 closed with their deleted tickets = 216 open at Tue 24 Nov, 00:00."
    )
    row = page.one("table", id="flow-table").one("tr", data_metric="first_reply_time")
    assert [cell.text for cell in row.all("td")] == ["185", "1,260", "8", "12", "1,234", "3", "13", "5", "210"]


def test_targets_closed_by_a_deletion_are_explained_and_their_tickets_linked():
    shown = page_of(with_deleted_tickets()).one("p", class_="deleted")
    assert shown.text.startswith(
        "5 targets of 2 tickets were closed because the ticket was deleted: #35440 (1 late), #35441. They"
    )
    assert [link.attributes["href"] for link in shown.all("a")] == [f"{TICKETS}35440", f"{TICKETS}35441"]
    cut = page_of(replace(with_deleted_tickets(), deleted_count=3)).one("p", class_="deleted")
    assert "#35441 and 1 more ticket." in cut.text


def notices(page):
    shown = [element for element in page.all("div") if "notice" in (element.attributes.get("class") or "")]
    return [(notice.attributes["class"], notice.one("strong").text) for notice in shown]


def test_an_ordinary_day_has_no_notice_and_no_warning_sign():
    page = page_of(day_report())
    assert notices(page) == []
    assert "⚠" not in page.text


def test_traffic_without_any_applied_policy_is_called_a_broken_feed():
    page = page_of(with_data_quality(applied_events=0, metric_events=812))
    assert notices(page) == [("notice alarm", "The feed is broken: these figures are not the day's.")]
    assert "Among 812 metric events none applied an SLA policy." in page.text
    assert page.figure("applied_events") == "⚠ broken, or nothing happened"


@pytest.mark.parametrize(
    ("changes", "stated"),
    [
        ({"is_complete": False, "as_of": DAY.end - 36_000}, "This day is still open."),
        ({"applied_events": 0, "metric_events": 0}, "Nothing happened on this day."),
        ({"applied_events": None, "metric_events": None}, "The events of this day can't be counted."),
        ({"unknown_policies": 31}, "Many targets have no known policy."),
    ],
)
def test_reasons_for_less_reliable_figures_are_stated_before_them(changes, stated):
    page = page_of(with_data_quality(**changes))
    assert notices(page) == [("notice note", stated)]
    assert page.text.index(stated) < page.text.index("targets breached")


def test_an_open_day_is_labelled_with_the_time_up_to_which_it_was_read():
    page = page_of(with_data_quality(is_complete=False, as_of=DAY.end - 36_000))
    assert page.figure("state") == "Day still open"
    assert (
        "It was read up to Mon 23 Nov, 14:00; its figures will change, and the usual ones are those of whole days." in page.text
    )


@pytest.mark.parametrize(
    ("change", "stated"),
    [
        (Change.USUAL, "7 targets breached so far; whole Mondays had 2–6"),
        (Change.MORE, "▲ 7 targets breached so far: already more than on the last 8 Mondays (2–6)"),
    ],
)
def test_the_headline_of_an_open_day_says_so_far(change, stated):
    report = replace(with_data_quality(is_complete=False, as_of=DAY.end - 36_000), breaches_change=change)
    assert first_lines(page_of(report))[:2] == [stated, "✓ Every metric reached the goal of 95% so far."]


@pytest.mark.parametrize(
    ("change", "spread", "stated"),
    [
        (Change.USUAL, Spread(5, 2, 9), "7 targets breached, as on other Mondays (2–9)"),
        (Change.USUAL, Spread(5, 2, 6), "7 targets breached, about as on other Mondays (2–6)"),
        (Change.FEWER, Spread(30, 20, 41), "▼ 7 targets breached: fewer than on the last 8 Mondays (20–41)"),
        (Change.USUAL, Spread(7, 7, 7), "7 targets breached, as on other Mondays (7)"),
    ],
)
def test_the_headline_compares_with_the_same_weekday(change, spread, stated):
    report = day_report(breaches_change=change, usual=replace(USUAL, breaches=spread))
    assert first_lines(page_of(report))[0] == stated


def test_an_open_day_links_to_the_last_complete_one():
    """`latest.html` is today's until midnight; in the morning it is yesterday's that is wanted."""
    chart = (*CHART[:-1], replace(CHART[-1], is_complete=False))
    report = replace(with_data_quality(is_complete=False), chart=chart)
    yesterday = DAY.plus(-1)

    def leads_to(page):
        return [link.attributes["href"] for link in page.one("p", class_="state").all("a")]

    assert leads_to(page_of(report, previous=yesterday)) == [f"../date={yesterday}/sla_breach_report.html"]
    assert "the last complete day: Sunday, 22 November 2026" in page_of(report, previous=yesterday).text
    assert leads_to(page_of(report)) == []
    assert leads_to(page_of(report, previous=yesterday.plus(-1))) == []
    assert leads_to(page_of(day_report(), previous=yesterday)) == []


def test_an_empty_day_reads_sensibly():
    page = page_of(
        day_report(
            metrics=(), policies=(), usual=None, breaches_change=Change.UNKNOWN, work_list=NOTHING_LATE,
            forecast=NOTHING_FORESEEN,
            chart=tuple(ChartDay(DAY.plus(-offset), None) for offset in range(29, -1, -1)),
            data_quality=replace(
                DATA_QUALITY, targets=0, unknown_policies=0, events_through=None, applied_events=0, metric_events=0
            ),
        )
    )  # fmt: skip
    assert first_lines(page) == [
        "0 targets breached",
        "No target was achieved or breached, so there is no rate.",
        "No ticket is late and still open.",
    ]
    assert "No SLA target was open on this day, nor on the earlier days it is compared with." in page.text
    assert "No target was late and open at Tue 24 Nov, 00:00." in page.text
    assert "No breach can be foreseen in the next 24 hours." in page.text
    assert "No policy has a figure on this day." in page.text
    assert page.figure("unknown_policies") == "0 of 0 targets"
    assert page.figure("events_through") == "⚠ none yet"
    assert page.all("table") == []


def test_the_neighbours_that_are_stored_are_linked_and_no_others():
    def links(**rest):
        nav = page_of(day_report(), **rest).one("nav")
        return {link.text: link.attributes["href"] for link in nav.all("a")}

    always = {"Newest day": "../latest.html", "What the numbers mean": "../explained.html"}
    assert links() == always
    assert links(previous=DAY.plus(-1), following=DAY.plus(3)) == {
        "\u2039 Sun 22 Nov": "../date=2026-11-22/sla_breach_report.html",
        "Thu 26 Nov \u203a": "../date=2026-11-26/sla_breach_report.html",
        **always,
    }


def test_equal_figures_make_equal_bytes():
    assert report_page(day_report()) == report_page(day_report())


def test_the_page_needs_nothing_and_runs_nothing():
    """No script, no frame, no form; no address but the tickets' and its neighbours'; and a policy that forbids the rest."""
    page = page_of(day_report())
    policy = page.one("meta", http_equiv="Content-Security-Policy").attributes["content"]
    assert policy.split("; ")[:3] == ["default-src 'none'", "style-src 'unsafe-inline'", "img-src data:"]
    assert {element.tag for element in page.elements()} & {
        "script",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "link",
        "img",
    } == set()
    addresses = {element.attributes["href"] for element in page.elements() if "href" in element.attributes}
    assert addresses == {
        "../latest.html", "../explained.html", "#late", "#next",
        "https://acme.zendesk.com/agent/tickets/35436", "https://acme.zendesk.com/agent/tickets/35437",
    }  # fmt: skip
    assert [element for element in page.elements() if "src" in element.attributes] == []
    style = page.one("style").content[0]
    assert "url(" not in style
    assert "@import" not in style


def test_the_page_is_accessible():
    """A language, a title, landmarks, headings that skip no level, tables whose headers say what they head, unique ids."""
    page = page_of(day_report())
    assert page.one("html").attributes["lang"] == "en"
    assert page.one("head").one("title").content == ["SLA breaches of 2026-11-23 – acme"]
    assert [len(page.all(tag)) for tag in ("header", "main", "footer", "h1")] == [1, 1, 1, 1]
    levels = [int(element.tag[1]) for element in page.elements() if re.fullmatch("h[1-6]", element.tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert [header.text for header in page.all("th") if "scope" not in header.attributes] == []
    ids = [element.attributes["id"] for element in page.elements() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    assert {
        element.attributes["aria-labelledby"] for element in page.elements() if "aria-labelledby" in element.attributes
    } <= set(ids)
    boxes = [element for element in page.all("div") if element.attributes.get("class") == "scroll"]
    assert all(box.attributes["tabindex"] == "0" and box.attributes["role"] == "region" for box in boxes)


def test_the_page_has_styles_for_dark_mode_print_and_phones():
    style = page_of(day_report()).one("style").content[0]
    assert "@media screen and (prefers-color-scheme: dark)" in style
    assert "@media print" in style
    assert "@media screen and (max-width:" in style
    assert page_of(day_report()).one("meta", name="viewport").attributes["content"] == "width=device-width, initial-scale=1"


def shape(page):
    """Everything in a page but its texts: elements, and their attributes' names."""
    return [(element.tag, sorted(element.attributes)) for element in page.elements()]


TAME = page_of(with_texts("tame"))

texts = st.lists(
    st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=()), min_size=1, max_size=20), min_size=1, max_size=3
).map(" ".join)


@settings(max_examples=60)
@given(text=texts)
@example(text="".join(HOSTILE))
def test_any_text_of_the_account_shows_as_text(text):
    """The same elements as with a tame text, in which the text stands as it is; what can't be shown is U+FFFD."""
    text = f"a{text}z"
    html = report_page(with_texts(text))
    html.encode("utf-8")
    assert set(re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f]", html)) == set()
    page = parsed(html)
    assert shape(page) == shape(TAME)
    shown = " ".join(re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", text).split())
    for element in page.all("bdi", class_="subject"):
        assert element.text == shown
    assert f"SLA breaches of {shown}" in page.text
    assert f"{shown} (calendar hours)" in page.text
    assert " ".join(page.one("head").one("title").content[0].split()) == f"SLA breaches of 2026-11-23 – {shown}"
    assert {link.attributes["href"] for link in page.all("a")} == {link.attributes["href"] for link in TAME.all("a")}


def test_a_ticket_address_cannot_leave_its_attribute():
    page = page_of(day_report(tickets_url='https://acme.zendesk.com/"onmouseover="x'))
    link = page.one("table", id="late-older-table").one("a")
    assert set(link.attributes) == {"class", "href", "rel"}
    assert link.attributes["href"] == 'https://acme.zendesk.com/"onmouseover="x35436'
