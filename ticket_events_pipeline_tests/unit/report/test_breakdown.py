"""The figures of the breakdown, from rows of the ticket tables: the time used up, assumed values, a group's agents."""

import datetime as dt

import pyarrow as pa
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.breakdown import MOST_GROUPS, BreakdownSource, Known, breakdown_of
from ticket_events_pipeline.report.holders import Party
from ticket_events_pipeline.report.ticket_tables import TicketTables
from ticket_events_pipeline_tests.support.dimension_cases import (
    ANNA,
    BEN,
    BILLING,
    NAMES,
    SALES,
    SECOND_LEVEL,
    dimension_row,
    dimension_table,
    stretch,
    target_dimensions,
    target_holders,
    target_row,
)

DAY = Day.parse("2026-11-23")
EARLIER = dt.datetime(2026, 11, 22, 23, 59, 59, tzinfo=dt.UTC)
UNKNOWN = '{"group_id": null, "assignee_id":null}'


def hours(**of_tickets):
    """`business_hours` of the first replies of these tickets, by number."""
    rows = [
        {"ticket_id": int(name[1:]), "sla_metric": "first_reply_time", "instance_id": 1, "business_hours": value}
        for name, value in of_tickets.items()
    ]
    schema = [
        ("ticket_id", pa.int64()),
        ("sla_metric", pa.string()),
        ("instance_id", pa.int64()),
        ("business_hours", pa.bool_()),
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema(schema))


def breakdown(targets=(), stretches=(), *, business=None, rows=(), min_targets=20, **tables):
    found = {
        "by_dimension": dimension_table(*rows),
        "dimensions": target_dimensions(*targets),
        "holders": target_holders(*stretches),
    }
    source = BreakdownSource(
        day=DAY,
        tables=TicketTables(**found | tables),
        hours=hours(**(business or {f"t{row['ticket_id']}": False for row in targets})),
        names=NAMES,
        min_targets=min_targets,
    )
    return breakdown_of(source)


def test_without_the_table_by_dimension_there_is_no_breakdown():
    assert breakdown(by_dimension=None) is None


def test_each_breached_target_counts_the_same_in_the_time_used_however_long_it_was():
    """Billing held the first for 9 of 10 seconds, and Second level the other for all of its 1,000."""
    time = breakdown(
        [target_row(1, group_id=SECOND_LEVEL), target_row(2, group_id=SECOND_LEVEL, assignee_id=None)],
        [stretch(1, BILLING, ANNA, 9), stretch(1, SECOND_LEVEL, BEN, 1), stretch(2, SECOND_LEVEL, None, 1000)],
    ).time
    assert (time.targets, time.unmeasured, time.by_others) == (2, 0, 1)
    assert time.groups == pytest.approx({("360002", True): 0.55, ("360001", True): 0.45})
    assert time.agents == pytest.approx({(None, True): 0.5, ("9001", True): 0.45, ("9002", True): 0.05})


def test_a_target_in_business_hours_is_shared_out_in_those():
    time = breakdown(
        [target_row(1)],
        [stretch(1, BILLING, ANNA, 900, business_seconds=10), stretch(1, SALES, ANNA, 100, business_seconds=30)],
        business={"t1": True},
    ).time
    assert time.groups == pytest.approx({("360003", True): 0.75, ("360001", True): 0.25})
    assert time.by_others == 1


def test_a_target_in_business_hours_of_an_unknown_schedule_is_left_out_and_counted():
    time = breakdown(
        [target_row(1), target_row(2), target_row(3)],
        [
            stretch(1, BILLING, ANNA, 900, business_seconds=10),
            stretch(1, SALES, ANNA, 100),
            stretch(2, SALES, ANNA, 10),
            stretch(3, SALES, ANNA, 0),
        ],
        business={"t1": True, "t2": None, "t3": False},
    ).time
    assert (time.targets, time.unmeasured) == (1, 2)
    assert time.groups == {("360003", True): 1.0}


def test_time_is_measured_only_of_targets_that_breached_on_the_day():
    """What was fulfilled, and breaches of another day, take no part."""
    found = breakdown(
        [target_row(1, at_kind="fulfilment"), target_row(2, at=EARLIER), target_row(3)],
        [
            stretch(1, SALES, ANNA, 10, ended_by="fulfilment"),
            stretch(2, SALES, ANNA, 10),
            stretch(3, BILLING, ANNA, 10),
            stretch(3, BILLING, ANNA, 10, ended_by="fulfilment", sla_metric="next_reply_time"),
        ],
    )
    assert (found.time.targets, found.time.groups) == (1, {("360001", True): 1.0})
    assert breakdown([target_row(2, at=EARLIER)], [stretch(2, SALES, ANNA, 10)]).time is None


def test_nobody_and_unknown_have_shares_of_their_own_and_a_known_group_is_known_without_its_agent():
    time = breakdown(
        [target_row(1)],
        [
            stretch(1, BILLING, None, 1),
            stretch(1, BILLING, None, 2, is_known=False),
            stretch(1, None, None, 3),
            stretch(1, None, None, 4, is_known=False),
        ],
    ).time
    assert time.groups == pytest.approx({(None, False): 0.4, (None, True): 0.3, ("360001", True): 0.3})
    assert time.agents == pytest.approx({(None, False): 0.6, (None, True): 0.4})


@pytest.mark.parametrize(
    ("group_id", "known_by", "is_other"),
    [(SECOND_LEVEL, "{}", 1), (BILLING, "{}", 0), (None, "{}", 1), (None, UNKNOWN, 0)],
)
def test_most_of_the_time_is_by_another_group_only_if_the_one_at_the_breach_is_known(group_id, known_by, is_other):
    stretches = [stretch(1, BILLING, ANNA, 4), stretch(1, BILLING, BEN, 4), stretch(1, SALES, ANNA, 2)]
    assert breakdown([target_row(1, group_id=group_id, known_by=known_by)], stretches).time.by_others == is_other


def test_breaches_with_an_assumed_value_are_counted_under_it():
    targets = [
        target_row(1, known_by='{"group_id":"assumed","priority":"snapshot"}'),
        target_row(2, known_by='{"group_id": "assumed"}'),
        target_row(3, group_id=None, known_by='{"group_id":"assumed","assignee_id":null}', assignee_id=None),
        target_row(4, known_by='{"assignee_id":"assumed"}'),
        target_row(5, at_kind="fulfilment", known_by='{"group_id":"assumed"}'),
    ]
    rows = [
        dimension_row("group", BILLING, 3),
        dimension_row("group", None, 1),
        dimension_row("group", None, 1, is_known=False),
        dimension_row("assignee", ANNA, 1),
    ]
    groups, agents = breakdown(targets, rows=rows).splits
    assert [(row.shown, groups.assumed_of(row)) for row in groups.split.rows] == [("Billing", 2), ("none", 0), ("unknown", 0)]
    assert [agents.assumed_of(row) for row in agents.split.rows] == [1]


def test_the_ways_in_which_the_groups_of_breaches_are_known_are_counted():
    targets = [
        target_row(1),
        target_row(2, known_by=None),
        target_row(3, known_by='{"group_id":"snapshot"}'),
        target_row(4, known_by='{"group_id":"previous_value","assignee_id":null}'),
        target_row(5, known_by=UNKNOWN, group_id=None),
        target_row(6, known_by=UNKNOWN, group_id=None, at_kind="as_of"),
        target_row(7, at=EARLIER, known_by=UNKNOWN, group_id=None),
    ]
    expected = Known({"audit": 2, "snapshot": 1, "previous_value": 1, "unknown": 1}, targets=7, unknown_targets=3)
    assert breakdown(targets).known == expected
    assert breakdown(dimensions=None).known is None


def test_a_group_has_its_own_agents_by_the_breaches_and_achieved_targets_of_the_day():
    targets = [
        target_row(1),
        target_row(2),
        target_row(3, assignee_id=BEN),
        target_row(4, at_kind="fulfilment"),
        target_row(5, at_kind="fulfilment", assignee_id=None),
        target_row(6, assignee_id=None, known_by='{"assignee_id":null}'),
        target_row(7, at_kind="as_of"),
        target_row(8, at=EARLIER),
        target_row(9, group_id=SECOND_LEVEL),
    ]
    rows = [dimension_row("group", BILLING, 4, 2), dimension_row("group", SECOND_LEVEL, 1)]
    billing, second_level = breakdown(targets, rows=rows, min_targets=1).groups
    assert (billing.group, second_level.group.shown) == (Party(BILLING, True, "Billing"), "Second level")
    assert [(row.shown, row.breaches, row.achieved) for row in billing.agents.rows] == [
        ("Anna Schmidt", 2, 1),
        ("Ben Okafor", 1, 0),
        ("nobody", 0, 1),
        ("unknown", 1, 0),
    ]
    assert [(row.shown, row.breaches) for row in second_level.agents.rows] == [("Anna Schmidt", 1)]


def test_a_group_says_who_used_the_time_up_of_its_own_breaches():
    found = breakdown(
        [target_row(1, group_id=SECOND_LEVEL), target_row(2)],
        [stretch(1, BILLING, ANNA, 9), stretch(1, SECOND_LEVEL, BEN, 1), stretch(2, BILLING, ANNA, 5)],
        rows=[dimension_row("group", BILLING, 1), dimension_row("group", SECOND_LEVEL, 1)],
    )
    billing, second_level = found.groups
    assert [(party.shown, share) for party, share in billing.used_by] == [("Billing", 1.0)]
    assert [(party.shown, share) for party, share in second_level.used_by] == [("Billing", 0.9), ("Second level", 0.1)]
    assert (billing.time.by_others, second_level.time.by_others) == (0, 1)


def test_the_groups_with_the_most_breaches_and_late_targets_have_sections_in_the_order_of_their_names():
    rows = [dimension_row("group", place, breaches=place, breached_open_eod=1) for place in range(100, 100 + MOST_GROUPS + 2)]
    rows += [dimension_row("group", None, 999), dimension_row("group", SALES, 1000), dimension_row("group", BILLING, 1000)]
    found = breakdown(rows=rows).groups
    assert len(found) == MOST_GROUPS
    assert [group.group.shown for group in found][-2:] == ["Billing", "Sales"]
    assert "100" not in [group.group.shown for group in found]


def test_a_group_that_only_holds_late_targets_now_has_a_section_too():
    source = BreakdownSource(
        day=DAY,
        tables=TicketTables(by_dimension=dimension_table(dimension_row("group", BILLING, 2, 1))),
        hours=hours(),
        names=NAMES,
        min_targets=20,
        late_now={SECOND_LEVEL: 2},
    )
    found = breakdown_of(source).groups
    assert [(group.group.shown, group.breaches, group.decided) for group in found] == [
        ("Billing", 2, 3),
        ("Second level", 0, 0),
    ]


def test_without_the_other_tables_the_figures_by_dimension_are_shown_alone():
    rows = [dimension_row("group", BILLING, 3, 1), dimension_row("channel", "email", 3, 1)]
    found = breakdown(rows=rows, dimensions=None, holders=None)
    assert [split.dimension for split in found.splits] == ["group", "channel"]
    assert (found.time, found.known, found.splits[0].time) == (None, None, None)
    (group,) = found.groups
    assert (group.agents.rows, group.used_by) == ((), ())


def test_the_accounts_own_dimensions_follow():
    source = BreakdownSource(
        day=DAY,
        tables=TicketTables(
            by_dimension=dimension_table(dimension_row("custom_field:36", "gold", 3), dimension_row("tag", "x", 1))
        ),
        hours=hours(),
        names=NAMES,
        min_targets=20,
        custom_fields=("custom_field:36", "custom_field:37"),
    )
    assert [split.dimension for split in breakdown_of(source).splits] == ["custom_field:36"]
