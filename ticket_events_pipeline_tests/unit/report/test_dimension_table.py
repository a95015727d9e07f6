"""The figures by group, agent and other dimensions: added up, named, cut and put in order."""

from ticket_events_pipeline.report.dimension_table import dimension_markdown, dimension_rows, dimension_title, split_of
from ticket_events_pipeline_tests.support.dimension_cases import (
    ANNA,
    BILLING,
    NAMES,
    SALES,
    SECOND_LEVEL,
    SomeNames,
    dimension_row,
    dimension_table,
)
from ticket_events_pipeline_tests.support.hostile_texts import HOSTILE


def groups(*rows, **options):
    return dimension_rows(dimension_table(*rows), NAMES, "group", **options)


def test_figures_are_added_up_over_metrics_and_hours_and_shown_with_names():
    rows = groups(
        dimension_row("group", BILLING, 1, 8, active_eod=5, breached_open_eod=2, completed_breached=1),
        dimension_row("group", BILLING, 2, 1, sla_metric="next_reply_time", business_hours=True, active_eod=1),
        dimension_row("group", SECOND_LEVEL, 9, 1),
        dimension_row("assignee", BILLING, 50, 50),
    )
    assert [(row.shown, row.value) for row in rows] == [("Second level", "360002"), ("Billing", "360001")]
    billing = rows[1]
    assert (billing.breaches, billing.achieved, billing.completed_breached) == (3, 9, 1)
    assert (billing.open, billing.late, billing.decided) == (6, 2, 12)


def test_tickets_of_several_rows_are_not_added_up():
    one, several = groups(
        dimension_row("group", SECOND_LEVEL, 9, 1, breached_tickets=7),
        dimension_row("group", BILLING, 1, 8),
        dimension_row("group", BILLING, 2, 1, business_hours=True),
    )
    assert (one.breached_tickets, several.breached_tickets) == (7, None)


def test_only_the_wanted_metrics_count():
    rows = groups(
        dimension_row("group", BILLING, 1, 8),
        dimension_row("group", BILLING, 2, 1, sla_metric="next_reply_time"),
        dimension_row("group", SECOND_LEVEL, 4, 0, sla_metric="agent_work_time"),
        metrics={"next_reply_time", "periodic_update_time"},
    )
    assert [(row.shown, row.breaches) for row in rows] == [("Billing", 2)]


def test_nobody_none_and_unknown_are_apart_and_last():
    unknown = {"is_known": False}
    rows = groups(
        dimension_row("group", None, 30, 0, **unknown), dimension_row("group", None, 20, 0), dimension_row("group", BILLING, 1)
    )
    assert [(row.shown, row.value, row.is_known) for row in rows] == [
        ("Billing", "360001", True),
        ("none", None, True),
        ("unknown", None, False),
    ]
    agents = dimension_table(dimension_row("assignee", None, 1), dimension_row("assignee", None, 2, **unknown))
    assert [row.shown for row in dimension_rows(agents, NAMES, "assignee")] == ["nobody", "unknown"]


def test_a_value_that_is_assumed_counts_with_the_same_value_that_is_known_and_none_that_is_assumed_is_unknown():
    rows = groups(
        dimension_row("group", BILLING, 2, 3),
        dimension_row("group", BILLING, 1, 1, is_known=False),
        dimension_row("group", None, 4, is_known=False),
    )
    assert [(row.shown, row.breaches, row.decided, row.is_known) for row in rows] == [
        ("Billing", 3, 7, True),
        ("unknown", 4, 4, False),
    ]


def test_on_paper_stand_the_values_with_the_most_breaches_also_of_those_with_too_few_targets_for_an_order():
    rows = groups(*(dimension_row("group", 100 + number, number, 0) for number in range(8)))
    assert split_of(rows, min_targets=20).leading(3) == {"107", "106", "105"}


def test_an_id_without_a_name_is_shown_and_a_deleted_group_is_marked():
    rows = groups(dimension_row("group", 77, 2), dimension_row("group", SALES, 1))
    assert [(row.shown, row.is_deleted) for row in rows] == [("77", False), ("Sales", True)]
    priorities = dimension_rows(dimension_table(dimension_row("priority", "360001", 1)), NAMES, "priority")
    assert [row.shown for row in priorities] == ["360001"]


def test_a_day_without_rows_has_no_values():
    assert groups() == []
    assert dimension_markdown(dimension_table(), NAMES, "group", min_targets=20) == "No target was open on this day."


def test_the_ten_largest_are_shown_and_the_rest_is_summed_up():
    numbered = [dimension_row("group", 100 + place, 50 - place, 50, active_eod=3, breached_open_eod=1) for place in range(13)]
    split = split_of(groups(*numbered, dimension_row("group", None, 2, is_known=False)), min_targets=20)
    assert [row.value for row in split.compared] == [str(100 + place) for place in range(10)]
    assert len(split.rest) == 3
    assert (split.rest_row.shown, split.rest_row.breaches, split.rest_row.achieved) == ("3 more", 40 + 39 + 38, 150)
    assert (split.rest_row.open, split.rest_row.late) == (9, 3)
    assert [row.shown for row in split.without] == ["unknown"]
    assert sum(row.breaches for row in split.rows) == sum(row["breaches"] for row in numbered) + 2


def test_a_single_value_beyond_the_tenth_is_shown_itself():
    split = split_of(groups(*(dimension_row("group", place, 20, 5) for place in range(1, 12))), min_targets=20)
    assert (len(split.compared), split.rest, split.rest_row) == (11, (), None)


def test_values_with_few_decided_targets_are_in_the_order_of_their_names():
    rows = groups(
        dimension_row("group", SALES, 19, 0),
        dimension_row("group", SECOND_LEVEL, 1, 19),
        dimension_row("group", BILLING, 2, 0),
    )
    split = split_of(rows, min_targets=20)
    assert [row.shown for row in split.compared] == ["Second level"]
    assert [row.shown for row in split.others] == ["Billing", "Sales"]


def test_the_table_for_the_ui_says_what_is_deleted_nobody_and_in_no_order():
    table = dimension_table(
        dimension_row("group", SECOND_LEVEL, 31, 1200, breached_open_eod=4),
        dimension_row("group", SALES, 2, 1),
        dimension_row("group", None, 3),
    )
    assert dimension_markdown(table, NAMES, "group", min_targets=20).splitlines() == [
        "| Group | Breaches | Decided | Late and open |",
        "| --- | ---: | ---: | ---: |",
        "| Second level | 31 | 1,231 | 4 |",
        "| Sales (deleted) | 2 | 3 | 0 |",
        "| *none* | 3 | 3 | 0 |",
        "",
        "By name, not by breaches: those with fewer than 20 decided targets.",
    ]


def test_hostile_names_are_one_cell_of_text_each():
    for text in HOSTILE:
        names = SomeNames({("agents", ANNA): text})
        table = dimension_table(dimension_row("assignee", ANNA, 31, 1200))
        (line,) = dimension_markdown(table, names, "assignee", min_targets=1).splitlines()[2:]
        assert line.count("|") == 5
        assert "<script" not in line
        assert "<img" not in line


def test_ten_values_fit_into_what_the_ui_shows_in_place():
    rows = [dimension_row("group", 10**12 + place, 10_000, 10_000, breached_open_eod=10_000) for place in range(12)]
    table = dimension_table(*rows, dimension_row("group", None, 1), dimension_row("group", None, 1, is_known=False))
    assert len(dimension_markdown(table, NAMES, "group", min_targets=100_000)) < 1000


def test_a_custom_field_is_titled_by_its_id():
    assert [dimension_title(name) for name in ("assignee", "custom_field:36")] == ["Agent", "Custom field 36"]
