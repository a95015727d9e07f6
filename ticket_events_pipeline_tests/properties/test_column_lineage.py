"""Every stored column has a description, and its documented lineage is its real one."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.rules.clocks import advance, empty_clocks
from ticket_events_pipeline.sla.rules.daily_summary import daily_summary
from ticket_events_pipeline.sla.rules.deletions import AUDIT_COLUMNS, status_changes
from ticket_events_pipeline.sla.rules.events import APPLY, BREACH, RANK_BY_TYPE, sla_events
from ticket_events_pipeline.sla.rules.targets import targets
from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE
from ticket_events_pipeline.tables.streams import SLA_STREAMS
from ticket_events_pipeline_tests.support.sla_cases import changes_of, raw_table

FIRST = Day(dt.date(2026, 3, 2))
DAY = FIRST.plus(1)
SAMPLES = range(3)
STATUSES = ["deleted", "deleted", "open"]
RELAXED = ["apply_sla", "breach", "apply_sla", "fulfill", "update_status"]


MADE = [table for table in TABLES.values() if table.made_from]


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_a_description_is_one_sentence_of_plain_text(table):
    for column in table:
        assert column.doc[0].isupper() or column.doc[0].isdigit() or column.doc.split()[0] in table, column.name
        assert column.doc.endswith("."), column.name
        assert ". " not in column.doc, column.name
        assert column.doc.isascii(), column.name
        assert len(column.doc) <= 200, (column.name, len(column.doc))


@pytest.mark.parametrize("table", MADE, ids=lambda table: table.name)
def test_the_lineage_names_only_columns_that_exist_above_it_and_each_once(table):
    for column in table:
        assert len(set(column.made_from)) == len(column.made_from)
        assert all(any(name in upstream for upstream in table.made_from) for name in column.made_from)


def said_of(asset, upstream):
    """For each column of the asset, the columns of `upstream` in its documented lineage."""
    lineage = TABLES[asset].lineage
    return {name: {column for source, column in sources if source == upstream} for name, sources in lineage.items()}


def history(seed):
    """Many short clock histories over three days, with few times and policies, so that all combinations occur."""
    rng, number, events = random.Random(seed), 0, []  # noqa: S311  # the same every time
    kinds = [kind for kind in RANK_BY_TYPE for _ in range(3 if kind.startswith("apply") else 2)]
    for ticket in range(400):
        metric, instance = rng.choice(["reply_time", "resolution_time"]), rng.choice([1, 2])
        lived = RELAXED if ticket % 4 == 0 else rng.choices(kinds, k=rng.choice([3, 6, 12]))
        for place, kind in enumerate(lived):
            number += 1
            event = {"id": number, "ticket_id": ticket, "metric": metric, "instance_id": instance, "type": kind}
            event["time"] = FIRST.start + rng.choice([0, 1, 2]) * 86_400 + rng.choice([0, 3600, 3600, 7200, 80_000])
            if lived is RELAXED:
                event["time"] = DAY.start + 3600 * place
            event["deleted"] = kind == "breach" and rng.random() < 0.3
            title = f"Policy as renamed for the {rng.randrange(99)}th time"
            policy = {"id": rng.choice([11, 12]), "title": title}
            target = {"target": rng.choice([30, 60]), "business_hours": rng.random() < 0.5, "policy": policy}
            if rng.random() < 0.3:
                target["target_in_seconds"] = rng.choice([1800, 3600])
            if kind.startswith("apply"):
                event[kind.removeprefix("apply_")] = target if rng.random() < 0.8 else None
            if kind == "update_status":
                event["status"] = {"calendar": rng.choice([20, 45, 90]), "business": rng.choice([20, 45, 90])}
            events.append(event)
    return [event for event in events if event["time"] < DAY.end]


def audits(seed):
    """Tickets of that history that are deleted, restored, or neither."""
    rng = random.Random(seed)  # noqa: S311
    children = [[{"event_type": "Change", "status": status} for status in rng.choices(STATUSES, k=2)] for _ in range(200)]
    return [
        {
            "id": 100_000 + place,
            "ticket_id": rng.randrange(400),
            "time": DAY.start + rng.choice([0, 7200, 60_000]),
            "child_events": each,
        }
        for place, each in enumerate(children)
    ]


def shuffled(column, rng):
    """The column's values in other rows, NULLs staying where they are."""
    values = column.to_pylist()
    places = [place for place, value in enumerate(values) if value is not None]
    moved = [values[place] for place in places]
    rng.shuffle(moved)
    for place, value in zip(places, moved, strict=True):
        values[place] = value
    return pa.array(values, column.type)


def with_column(table, name, values):
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)


def flipped(column, where, rng):
    """A boolean column with some of its values turned where `where` holds."""
    turned = [rng.random() < 0.3 for _ in range(len(column))]
    return pc.if_else(pc.and_(pa.array(turned), where), pc.invert(column), column)


def differing(one, other, key):
    """The columns in which rows of both tables differ that have the same key."""
    found = [{tuple(row[name] for name in key): row for row in table.to_pylist()} for table in (one, other)]
    return {
        name
        for place in found[0].keys() & found[1].keys()
        for name, value in found[0][place].items()
        if value != found[1][place][name]
    }


# From raw rows to clocks. Ids, tickets, metrics and instances say which rows belong together: they are renamed one by one.

RAW_KEYS = {"ticket_id", "metric", "instance_id"}


def renamed_raw(raw, column):
    if column == "metric":
        return pc.if_else(pc.equal(raw[column], "reply_time"), "agent_work_time", raw[column])
    return pc.subtract(1_000_000, raw[column]) if column == "ticket_id" else pc.add(raw[column], 5)


def perturbed_raw(raw, column, rng):
    """The raw rows with one column changed, so that each row still is a metric event of the same delivery."""
    if column in RAW_KEYS:
        return with_column(raw, column, renamed_raw(raw, column))
    if column == "deleted":
        return with_column(raw, column, flipped(raw[column], pc.equal(raw["type"], "breach"), rng))
    if column == "child_events":
        texts = [
            text and rng.choice([text, text[:1] + "0," + text[1:], text.replace("deleted", "new")])
            for text in raw[column].to_pylist()
        ]
        return with_column(raw, column, pa.array(texts, pa.string()))
    if column == "sla_is_group":
        values = [rng.choice([None, value, value is False]) for value in raw[column].to_pylist()]
        return with_column(raw, column, pa.array(values, pa.bool_()))
    if raw.schema.field(column).type == pa.string() and column not in ("type", "sla_policy_id", "sla_policy_title"):
        return with_column(raw, column, pa.array(["changed"] * raw.num_rows))
    if pc.all(pc.is_null(raw[column])).as_py():
        values = pa.array([rng.randrange(2) for _ in range(raw.num_rows)])
        return with_column(raw, column, values.cast(raw.schema.field(column).type))
    return with_column(raw, column, shuffled(raw[column], rng))


def clocks_of(raw, new_ids):
    """The clocks after two days, each row under the id that it had before a change of ids."""
    audits_of_raw = raw.select(AUDIT_COLUMNS).to_batches() if "child_events" in raw.column_names else []
    clocks = advance(empty_clocks(), sla_events(raw), DAY, status_changes(audits_of_raw)).drop_columns(["clock"])
    old = dict(zip(new_ids, range(len(new_ids)), strict=True))
    return clocks.append_column("delivery", pa.array([old[number] for number in clocks["id"].to_pylist()]))


@pytest.mark.parametrize("stream", SLA_STREAMS)
def test_clocks_depend_on_exactly_the_raw_columns_of_their_lineage(stream):
    made_from, rng = defaultdict(set), random.Random(1)  # noqa: S311
    raw = raw_table([*history(1), *(audits(1) if stream == "ticket_events" else [])], stream)
    before = clocks_of(raw, raw["id"].to_pylist())
    for column in raw.column_names:
        changed = perturbed_raw(raw, column, rng)
        for name in differing(before, clocks_of(changed, changed["id"].to_pylist()), ["delivery"]):
            made_from[name].add(column)
    said = said_of("sla_clocks", stream)
    assert said.pop("clock") == RAW_KEYS
    assert {name: made_from[name] for name in said} == said


def test_a_clock_number_identifies_its_ticket_metric_and_instance():
    clocks = advance(empty_clocks(), sla_events(raw_table(history(0))), DAY).to_pylist()
    numbered = {(row["clock"], row["ticket_id"], row["metric"], row["instance_id"]) for row in clocks}
    assert len({number for number, *_ in numbered}) == len({tuple(key) for _, *key in numbered}) == len(numbered)


# From clocks to targets. A row's clock and its place among the clock's rows stay.


def perturbed_clocks(clocks, column, rng):
    if column == "ticket_id":
        return with_column(clocks, column, pc.add(clocks[column], 1_000_000))
    if column == "instance_id":
        return with_column(clocks, column, pc.add(clocks[column], 1))
    if column == "metric":
        return with_column(clocks, column, pa.array(["agent_work_time"] * clocks.num_rows).dictionary_encode())
    if column == "clock":
        return with_column(clocks, column, pc.subtract(pc.max(clocks[column]), clocks[column]).cast(pa.int32()))
    if column == "id":
        return with_column(clocks, column, shuffled(clocks[column], rng))
    if column == "time":  # all later, but none past the end of the day, and none before one that it comes after
        last = DAY.end * 1000 - 1000
        later = [min(moment + place * 15_000, last) for place, moment in enumerate(clocks["time"].cast(pa.int64()).to_pylist())]
        return with_column(clocks, column, pa.array(later).cast(clocks[column].type))
    if column == "deleted":
        return with_column(clocks, column, flipped(clocks[column], pc.equal(clocks["rank"], BREACH), rng))
    if column == "has_policy":
        return with_column(clocks, column, flipped(clocks[column], pc.equal(clocks["rank"], APPLY), rng))
    if pa.types.is_boolean(clocks[column].type):
        return with_column(clocks, column, flipped(clocks[column], pc.is_valid(clocks[column]), rng))
    return with_column(clocks, column, shuffled(clocks[column], rng))


def targets_of(clocks):
    """The targets of the second day; every ticket has one clock, and its number modulo a million stays the same."""
    made = targets(clocks, day=DAY, as_of=DAY.end)
    assert made.num_rows > 100
    return made.append_column("ticket", pa.array([ticket % 1_000_000 for ticket in made["ticket_id"].to_pylist()]))


def test_targets_depend_on_exactly_the_clock_columns_of_their_lineage():
    made_from = defaultdict(set)
    for seed in SAMPLES:
        rng = random.Random(seed)  # noqa: S311
        clocks = advance(empty_clocks(), sla_events(raw_table(history(seed))), DAY)
        before = targets_of(clocks)
        for column in SLA_CLOCKS_TABLE.schema.names:
            for name in differing(before, targets_of(perturbed_clocks(clocks, column, rng)), ["ticket"]):
                made_from[name].add(column)
    assert {name: made_from[name] for name in SLA_TARGETS_TABLE.schema.names} == said_of("sla_targets", "sla_clocks")


# From targets to the summary. The policies that figures count under decide which rows exist.

BOOKED_UNDER = {
    "sla_metric",
    *(f"{prefix}{name}" for prefix in ("", "entry_", "breach_") for name in ("policy_id", "business_hours")),
}


def sample_targets(seed):
    """The targets of a history, all in hours of the calendar, so that another kind of hours is a new key."""
    clocks = advance(empty_clocks(), sla_events(raw_table(history(seed))), DAY, changes_of(audits(seed)))
    made = targets(clocks, day=DAY, as_of=DAY.end)
    for prefix in ("", "entry_", "breach_"):
        made = with_column(made, f"{prefix}business_hours", pa.array([False] * made.num_rows))
    # These are rare or never result from the rules, but every figure needs some.
    deleted = ["deleted" if place % 9 == 0 else outcome for place, outcome in enumerate(made["outcome"].to_pylist())]
    made = with_column(made, "outcome", pa.array(deleted))
    return with_column(made, "is_contradicted", pa.array([False] * made.num_rows))


def perturbed_targets(made, column, rng):
    values = made[column]
    if column == "ticket_id":
        return with_column(made, column, pa.array([1] * made.num_rows))
    if column in BOOKED_UNDER and pa.types.is_boolean(values.type):
        return with_column(made, column, pc.invert(values))
    if pa.types.is_string(values.type) and column not in ("outcome", "entered_by"):
        return with_column(made, column, pc.if_else(pc.is_valid(values), "Zebra", None))
    if pa.types.is_boolean(values.type):
        return with_column(made, column, flipped(values, pc.is_valid(values), rng))
    return with_column(made, column, shuffled(values, rng))


def summary_of(made):
    return daily_summary(made, day=DAY, as_of=DAY.end, events_through=None, history_from=FIRST.date)


def test_the_summary_depends_on_exactly_the_target_columns_of_its_lineage():
    key, made_from = ["sla_metric", "policy_id", "business_hours"], defaultdict(set)
    for seed in SAMPLES:
        rng = random.Random(seed)  # noqa: S311
        made = sample_targets(seed)
        before = summary_of(made)
        for column in SLA_TARGETS_TABLE.schema.names:
            after = summary_of(perturbed_targets(made, column, rng))
            changed = {name for name in key if set(before[name].to_pylist()) != set(after[name].to_pylist())}
            for name in changed if column in BOOKED_UNDER else differing(before, after, key):
                made_from[name].add(column)
    said = said_of("daily_sla_breach_summary", "sla_targets")
    assert {name: made_from[name] for name in DAILY_SLA_BREACH_SUMMARY_TABLE.schema.names} == said
