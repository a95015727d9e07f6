"""Whose breaches they were, as the page shows it: by dimension, for one group, in the lists and in the data quality."""

from dataclasses import replace

import pytest

from ticket_events_pipeline.report.breakdown import Known
from ticket_events_pipeline.report.dimension_table import Decided, split_of
from ticket_events_pipeline.report.holders import Holder
from ticket_events_pipeline.report.model import TicketTableState
from ticket_events_pipeline.report.open_tickets import Unforecast
from ticket_events_pipeline.report.page import report_page
from ticket_events_pipeline.text import html_characters
from ticket_events_pipeline_tests.support.hand_made_reports import (
    AGENT_ROWS,
    ANNA,
    BEN,
    BILLING,
    BREAKDOWN,
    DUE,
    DUE_TICKET,
    LATE,
    LATE_TICKET,
    NOBODY,
    NOTHING_FORESEEN,
    SECOND_LEVEL,
    UNKNOWN_PARTY,
    day_report,
    dimension_row,
    group_part,
    with_breakdown,
    with_late,
    with_texts,
)
from ticket_events_pipeline_tests.support.hostile_texts import HOSTILE
from ticket_events_pipeline_tests.support.html_page import parsed


def page_of(report):
    return parsed(report_page(report))


def split(page, dimension):
    return page.one("table", class_="figures split", data_dimension=dimension)


def test_each_dimension_has_a_tab_and_a_table_and_the_first_is_chosen():
    page = page_of(with_breakdown())
    tabs = page.one("fieldset", class_="tabs")
    assert [label.text for label in tabs.all("label")] == ["Group", "Agent", "Channel", "Custom field 36"]
    assert [choice.attributes["id"] for choice in tabs.all("input") if "checked" in choice.attributes] == ["split-1"]
    assert [panel.attributes["id"] for panel in page.all("div", class_="panel")] == ["by-1", "by-2", "by-3", "by-4"]
    assert ".whose:has(#split-4:not(:checked)) #by-4 { display: none; }" in page.one("style").text


def test_the_groups_are_shown_with_their_figures_none_and_unknown_apart_and_few_targets_by_name():
    table = split(page_of(with_breakdown()), "group")
    assert [cell.text for cell in table.one("thead").all("th")] == [
        "Group",
        "Breaches",
        "Decided",
        "Time used",
        "Late and open",
        "Open",
    ]
    assert table.rows() == [
        ["Second level", "31 6 assumed", "1,232", "20.0%", "9", "44"],
        ["Fewer than 20 decided targets: by name"],
        ["Archive", "1", "3", "0%", "0", "0"],
        ["Billing deleted", "4", "17", "71.5%", "2", "5"],
        ["none", "3", "20", "0%", "1", "6"],
        ["unknown", "2", "13", "8.5%", "0", "0"],
    ]


def test_people_are_shown_with_their_decided_targets_and_nobody_apart():
    assert split(page_of(with_breakdown()), "assignee").rows() == [
        ["Ben Okafor", "5", "20", "60.0%", "0", "0"],
        ["nobody", "7", "15", "40.0%", "0", "0"],
    ]


def test_values_beyond_the_largest_are_one_row_with_their_time_and_assumed_breaches():
    rows = [dimension_row(str(place), f"Group {place:02}", 40 - place, 100) for place in range(1, 14)]
    found = replace(
        BREAKDOWN.splits[0],
        split=split_of(rows, min_targets=20),
        assumed={"11": 2, "12": 1, "1": 5},
        time={("11", True): 0.25, ("13", True): 0.25, ("2", True): 0.5},
    )
    shown = split(page_of(with_breakdown(breakdown=replace(BREAKDOWN, splits=(found,)))), "group").rows()
    assert len(shown) == 12
    assert shown[10] == ["5 of them only on the page itself"]
    assert shown[0] == ["Group 01", "39 5 assumed", "139", "0%", "0", "0"]
    assert shown[-1] == ["3 more", "84 3 assumed", "384", "50.0%", "0", "0"]


def test_rates_stand_by_metric_with_their_targets_and_against_the_goal_only_with_enough_of_them():
    many = dimension_row("1", "One", 6, 54, by_metric={"next_reply_time": Decided(1, 18), "first_reply_time": Decided(5, 36)})
    few = dimension_row("2", "Two", 5, 1, by_metric={"next_reply_time": Decided(5, 1)})
    found = replace(BREAKDOWN.splits[1], split=split_of([many, few], min_targets=20))
    page = page_of(with_breakdown(breakdown=replace(BREAKDOWN, splits=(found,))))
    table = page.one("table", class_="figures rates")
    assert [cell.text for cell in table.one("thead").all("th")] == ["Agent", "First reply time", "Next reply time"]
    assert table.rows() == [
        ["One", "87.8% 5 of 41", "94.7% 1 of 19"],
        ["Fewer than 20 decided targets: by name"],
        ["Two", "–", "16.7% 5 of 6"],
    ]
    assert [rate.text for rate in table.all("span", class_="bad")] == ["87.8%"]


def test_the_page_says_how_often_another_group_had_used_up_the_time():
    assert page_of(with_breakdown()).figure("by_others") == "22"
    page = page_of(with_breakdown(breakdown=replace(BREAKDOWN, time=replace(BREAKDOWN.time, by_others=0))))
    assert page.all(data_figure="by_others") == []


def test_without_measured_time_there_is_no_column_of_it():
    splits = tuple(replace(found, time=None) for found in BREAKDOWN.splits)
    page = page_of(with_breakdown(breakdown=replace(BREAKDOWN, time=None, splits=splits)))
    assert split(page, "group").rows()[0] == ["Second level", "31 6 assumed", "1,232", "9", "44"]
    assert "Time used" not in page.text


def test_a_day_without_targets_has_no_tabs():
    page = page_of(with_breakdown(breakdown=replace(BREAKDOWN, splits=(), time=None)))
    assert page.all("fieldset") == []
    assert "No target was open on this day." in page.one("section", class_="whose").text


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (TicketTableState(), "Whose breaches these were isn't stored for this day. To make it: "),
        (
            TicketTableState(unreadable=("daily_sla_breaches_by_dimension",)),
            "Whose breaches these were can't be shown: daily_sla_breaches_by_dimension of this day can't be read. "
            "To make it again: ",
        ),
    ],
)
def test_a_day_without_ticket_tables_says_in_one_line_how_to_make_them(state, said):
    page = page_of(day_report(ticket_tables=state))
    assert page.figure("no_ticket_tables") == f"{said}ticket-events backfill --tickets 2026-11-23"
    assert page.all("section", class_="whose") == []
    assert page.all(data_figure="group_known") == []


def test_a_closed_day_without_ticket_tables_says_that_it_is_not_made_again():
    page = page_of(day_report(data_quality=replace(day_report().data_quality, is_closed=True)))
    assert page.figure("no_ticket_tables") == (
        "Whose breaches these were isn't stored for this day. The day is closed: earlier days were pruned "
        "(TICKET_EVENTS_RETAIN_DAYS), so it isn't made again."
    )


def test_a_link_leads_to_one_group_alone_with_its_agents_tickets_and_who_used_its_time():
    late = replace(LATE_TICKET, now_with=Holder(SECOND_LEVEL, BEN))
    gone = replace(LATE_TICKET, ticket_id=35442, now_with=Holder(BILLING, UNKNOWN_PARTY))
    lost = replace(LATE_TICKET, ticket_id=35443, now_with=Holder(UNKNOWN_PARTY, UNKNOWN_PARTY))
    page = page_of(with_breakdown(groups=(group_part(late=(late,), elsewhere=(gone, lost)),)))
    assert split(page, "group").one("a").attributes["href"] == "#group-360002"
    assert page.one("nav", class_="groups").one("a").attributes["href"] == "#group-360002"
    section = page.one("section", class_="group", id="group-360002")
    assert ".group:not(:target) { display: none; }" in page.one("style").text
    assert [paragraph.text for paragraph in section.all("p")] == [
        "All groups",
        "31 breaches among 1,232 decided targets. Their time passed with Billing 71.5%, Second level 20.0%. "
        "In 22 breaches, another group had used up most of the time.",
    ]
    assert section.one("table").rows() == [["Ben Okafor", "5", "15", "20"], ["nobody", "7", "8", "15"]]
    assert [line.text for line in section.all("li")] == [
        "#35436 My printer is on fire late for 2 d 3 h: Next reply time · urgent · Ben Okafor",
        "#35442 My printer is on fire late for 2 d 3 h: Next reply time · urgent · now with Billing",
        "#35443 My printer is on fire late for 2 d 3 h: Next reply time · urgent · now with a group that isn't known",
    ]


def test_a_groups_section_says_what_it_holds_and_will_breach_next():
    soon = replace(DUE, due_by="business_hours")
    ticket = replace(DUE_TICKET, targets=(soon, replace(DUE, instance_id=2)), now_with=Holder(SECOND_LEVEL, BEN))
    forecast = replace(NOTHING_FORESEEN, tickets=(ticket,), ticket_count=30, target_count=31, without=Unforecast(paused=2))
    section = page_of(with_breakdown(groups=(group_part(forecast=forecast),))).one("section", class_="group")
    assert "With it now, may breach in the next 24 hours (estimates): 1 of 30 tickets" in [
        title.text for title in section.all("h4")
    ]
    assert [line.text for line in section.all("li")] == [
        "#35437 Total resolution time Tue 24 Nov, 00:40 (in 40 min, by business hours), "
        "Total resolution time Tue 24 Nov, 00:40 (in 40 min) · Ben Okafor"
    ]
    assert "2 open targets are paused and have no due time until they go on." in section.text


def test_a_group_without_late_tickets_says_so():
    page = page_of(with_breakdown(groups=(group_part(),)))
    assert "It has no ticket now that is late and open." in page.one("section", class_="group").text


def late_line(then, now):
    """What the work list says of a ticket's holders: under the subject, and below the policy."""
    ticket = replace(LATE_TICKET, now_with=now, targets=(replace(LATE, breached_with=then),))
    page = page_of(with_late(older=(ticket,)))
    row = page.one("table", id="late-older-table").one("tbody").one("tr")
    ticket_cell, what = row.one("th"), row.one("td", class_="what")
    policy, *beside = [found.text for found in what.all("span", class_="second")]
    assert policy == "Bürozeiten (business hours)"
    return ticket_cell.one("span", class_="second").text, beside


NO_GROUP = replace(UNKNOWN_PARTY, is_known=True)
NOW = Holder(SECOND_LEVEL, BEN)


@pytest.mark.parametrize(
    ("then", "beside"),
    [
        (Holder(BILLING, ANNA), ["breached with Billing, Anna Schmidt"]),
        (Holder(BILLING, NOBODY), ["breached with Billing, nobody"]),
        (Holder(BILLING, UNKNOWN_PARTY), ["breached with Billing"]),
        (Holder(SECOND_LEVEL, ANNA), ["breached with Anna Schmidt"]),
        (Holder(SECOND_LEVEL, NOBODY), ["breached with nobody"]),
        (Holder(SECOND_LEVEL, BEN), []),
        (Holder(UNKNOWN_PARTY, UNKNOWN_PARTY), ["breached with: unknown"]),
        (Holder(NO_GROUP, NOBODY), ["breached with no group, nobody"]),
        (Holder(UNKNOWN_PARTY, BEN), ["breached with a group that isn't known, Ben Okafor"]),
    ],
)
def test_the_work_list_says_who_has_a_ticket_and_who_had_it_at_the_breach_if_that_was_another(then, beside):
    assert late_line(then, NOW) == ("urgent · with Second level, Ben Okafor", beside)


def test_where_no_table_tells_of_the_breach_only_the_group_of_today_is_shown():
    assert late_line(None, Holder(SECOND_LEVEL, UNKNOWN_PARTY)) == ("urgent · with Second level", [])


def test_a_deleted_group_is_marked_in_the_work_list():
    gone = replace(BILLING, is_deleted=True)
    under = "urgent · with Billing deleted, Ben Okafor"
    assert late_line(Holder(gone, NOBODY), Holder(gone, BEN)) == (under, ["breached with nobody"])


def fact(report, name):
    page = page_of(report)
    value = page.one("dd", data_figure=name)
    (block,) = [block for block in page.one("dl", class_="data-quality").all("div") if value in block.content]
    return value.text, block.all("dd")[1].text


def test_the_trust_strip_says_how_many_groups_are_known_assumed_unknown_and_from_snapshots():
    assert fact(with_breakdown(), "group_known") == (
        "⚠ 34 (89.5%) of 38 breaches",
        "known from snapshots: 4 (10.5%); assumed, since audits in between are missing: 3 (7.9%); "
        "of all targets of the day, 5 (0.8%) have an unknown group",
    )
    known = replace(BREAKDOWN, known=Known({"audit": 39, "unknown": 1}, targets=2, unknown_targets=1))
    assert fact(with_breakdown(breakdown=known), "group_known")[0] == "39 (97.5%) of 40 breaches"
    known = replace(BREAKDOWN, known=Known({}, targets=0, unknown_targets=0))
    assert fact(with_breakdown(breakdown=known), "group_known")[0] == "no breach"


@pytest.mark.parametrize(
    ("state", "name", "value", "meaning"),
    [
        ({"audits": "missing"}, "audits", "⚠ missing", "nobody knows who held a ticket on this day: fetch ticket_events"),
        ({"audits": "open"}, "audits", "still open", "were read in part"),
        ({"audits": None}, "audits", "⚠ missing", "fetch ticket_events"),
        ({"is_current": False}, "ticket_tables", "⚠ of earlier targets", "the next run makes both agree"),
        ({"unreadable": ("sla_target_holders",)}, "unreadable", "⚠ 1", "can't be read: sla_target_holders"),
        ({"names_at": None}, "names", "none", "ids are shown"),
        ({}, "names", "Tue 24 Nov, 04:00", "when they were fetched"),
    ],
)
def test_the_trust_strip_says_what_the_ticket_tables_were_made_of(state, name, value, meaning):
    ordinary = {"audits": "complete", "names_at": with_breakdown().ticket_tables.names_at}
    shown = fact(with_breakdown(ticket_tables=TicketTableState(**ordinary | state)), name)
    assert shown[0] == value
    assert meaning in shown[1]


def test_an_ordinary_day_has_no_fact_about_its_audits():
    page = page_of(with_breakdown())
    assert [page.all(data_figure=name) for name in ("audits", "ticket_tables", "unreadable")] == [[], [], []]


def test_how_long_it_took_stands_by_metric_and_group_beside_the_days_before():
    page = page_of(with_breakdown())
    assert page.one("table", id="durations-table").rows() == [
        ["First reply time", "312", "1 h 1 min", "1 h 15 min", "31 min", "–"]
    ]
    assert page.one("table", id="durations-by-group-table").rows() == [
        ["First reply time"],
        ["Second level", "301", "20 min", "2 h 20 min", "1 h 2 min", "1 h 16 min", "11 min", "1 h 30 min", "32 min", "41 min"],
        ["unknown", "11", "1 min", "2 min", "1 min", "–", "–", "–", "–", "–"],
        ["2 more groups"],
    ]
    assert page_of(day_report()).all("table", id="durations-table") == []


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_text_wherever_it_stands(text):
    page = page_of(with_texts(text))
    assert {element.tag for element in page.elements()} & {"script", "img"} == set()
    assert [element for element in page.elements() if any(name.startswith("on") for name in element.attributes)] == []
    assert len(page.all("h1")) == 1
    name = split(page, "group").all("tr")[1].one("bdi")
    assert name.text == " ".join(html_characters(text).split())


def test_agents_of_a_group_in_no_order_are_said_to_be():
    part = group_part()
    few = replace(part.figures, agents=split_of(AGENT_ROWS, min_targets=50))
    section = page_of(with_breakdown(groups=(replace(part, figures=few),))).one("section", class_="group")
    assert section.one("table").rows()[0] == ["Fewer than 20 decided targets: by name"]
