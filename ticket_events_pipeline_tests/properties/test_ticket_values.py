"""Drawn tickets: the tables of whose breach it was equal the oracle's, and nothing that is marked known is wrong."""

from __future__ import annotations

import json
from collections import defaultdict

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.tickets.by_dimension import BY_DIMENSION, make_breaches_by_dimension
from ticket_events_pipeline.tickets.changes import make_changes
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS, make_dimensions
from ticket_events_pipeline.tickets.states import make_states
from ticket_events_pipeline_tests.support import ticket_oracle
from ticket_events_pipeline_tests.support.drawn_tickets import CUSTOM, NOW, TRACKED, DrawnSnapshots, DrawnTickets
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days

KEY = ("ticket_id", "metric", "instance_id")
COLUMNS = [*TRACKED, "group_id_eod", "assignee_id_eod"]
KNOWN = ("audit", "previous_value", "snapshot")


class Root:
    """A root whose days land and are made in a certain order."""

    def __init__(self, path, drawn):
        self.path, self.drawn, self.snapshots = path, drawn, DrawnSnapshots(drawn)
        self.store, self.without_audits, self.read = FolderStore(path), set(), {}
        self.first, self.last = drawn.days[0].start, drawn.days[-1].end

    def land(self, days, *, with_audits=True, read_to=None):
        for day in days:
            self.drawn.put(self.path, day, with_audits=with_audits, read_to=read_to)
            if with_audits:
                list(make_changes(self.store, [day]))
                self.without_audits.discard(day)
            else:
                self.without_audits.add(day)

    def make(self, days):
        self.read.clear()
        make_sla_days(self.path, days[0], days[-1])
        list(make_states(self.store, days, fields=TRACKED))
        list(make_dimensions(self.store, days, snapshots=self.snapshots, schedules={}))
        list(make_breaches_by_dimension(self.store, days))

    def rows(self, asset, day):
        if (asset, day) not in self.read:
            self.read[asset, day] = plain_rows(read_partition(self.store, asset, day))
        return self.read[asset, day]

    def targets(self, day):
        return self.rows(TARGETS, day)

    def dimensions(self, day):
        return [row | {"known_by": ticket_oracle.stored_known_by(row, COLUMNS)} for row in self.rows(DIMENSIONS, day)]

    def by_dimension(self, day):
        return self.rows(BY_DIMENSION, day)

    def is_known_between(self, first, last):
        """Whether the audits of every day between are stored, all of which were read past their end."""
        has_gap = any(day.start < last and first < day.end for day in self.without_audits)
        return not has_gap and first >= self.first and last <= self.last


def plain_rows(table):
    """The table's rows, times as epoch seconds."""
    for place, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            seconds = pc.divide(table[column.name].cast(pa.int64()), 1000)
            table = table.set_column(place, column.name, seconds)
    return table.to_pylist()


def by_ticket(rows):
    found = defaultdict(list)
    for row in rows:
        found[row["ticket_id"]].append(row)
    return found


def oracle_of(root, day):
    landed = [day for day in root.drawn.days if day not in root.without_audits]
    audits = [row for row in root.drawn.audits if any(day.start <= row["time"] < day.end for day in landed)]
    return ticket_oracle.dimensions(
        root.targets(day),
        by_ticket(audits),
        fields=TRACKED,
        is_known_between=root.is_known_between,
        snapshots_by_ticket=root.snapshots.taken,
    )


def known_values(row):
    return {column: row[column] for column in COLUMNS if row["known_by"][column] in KNOWN}


def assert_nothing_known_is_wrong(root, day):
    for row, target in zip(root.dimensions(day), root.targets(day), strict=True):
        life = root.drawn.lives[row["ticket_id"]]
        assert [row[name] for name in KEY] == [target[name] for name in KEY]
        assert (row["at"], row["at_kind"]) == ticket_oracle.moment_of(target)
        for column, value in known_values(row).items():
            at, field = (target["as_of"], column[:-4]) if column.endswith("_eod") else (row["at"], column)
            includes_at = row["at_kind"] in ("fulfilment", "closing") and field == column
            said = life.truth(field, at, includes_at=includes_at)
            assert (value, "audit") == ticket_oracle.as_stored(field, said, "audit"), (row, column)


def assert_equal_where_both_know(rows, others):
    assert [[row[name] for name in KEY] for row in rows] == [[row[name] for name in KEY] for row in others]
    for row, other in zip(rows, others, strict=True):
        assert (row["at"], row["at_kind"]) == (other["at"], other["at_kind"])
        one, two = known_values(row), known_values(other)
        assert {column: one[column] for column in one.keys() & two.keys()} == {
            column: two[column] for column in one.keys() & two.keys()
        }


def assert_split_as_the_oracle_does(root, day):
    made = root.by_dimension(day)
    expected = ticket_oracle.by_dimension(root.targets(day), root.dimensions(day), start=day.start, custom=[CUSTOM])
    order = ["dimension", "sla_metric", "business_hours", "value", "is_known"]
    expected.sort(key=lambda row: [(row[name] is None, row[name]) for name in order])
    assert [rounded(row) for row in made] == [rounded(row) for row in expected]


def rounded(row):
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in row.items()}


def assert_sums_equal_the_summarys(root, day):
    summary, split = read_partition(root.store, SUMMARY, day), read_partition(root.store, BY_DIMENSION, day)
    names = list(ticket_oracle.COUNTED)

    def sums(table):
        found = table.group_by("sla_metric").aggregate([(name, "sum") for name in names]).to_pylist()
        return {row.pop("sla_metric"): row for row in found if any(row[f"{name}_sum"] for name in names)}

    for dimension in [*ticket_oracle.DIMENSIONS, CUSTOM]:
        if dimension != "tag":
            rows = split.filter(pc.equal(split["dimension"], dimension))
            assert sums(rows) == sums(summary)


def draw(seed, tickets, tmp_path):
    drawn = DrawnTickets(seed, tickets)
    return drawn, lambda name: Root(tmp_path / name, drawn)


def check_range(seed, tickets, tmp_path):
    """As one range, when all has landed: the same values, known by the same, as by the oracle's rules."""
    drawn, new_root = draw(seed, tickets, tmp_path)
    root = new_root("range")
    root.land(drawn.days)
    root.make(drawn.days)
    for day in drawn.days:
        made, expected = root.dimensions(day), oracle_of(root, day)
        for row, other in zip(made, expected, strict=True):
            assert {name: row[name] for name in other} == other
        assert_nothing_known_is_wrong(root, day)
        assert_split_as_the_oracle_does(root, day)
        assert_sums_equal_the_summarys(root, day)
    return root


def check_other_orders(whole, tmp_path):
    """Day by day, and the later days first: equal to the range wherever both know."""
    drawn, days = whole.drawn, whole.drawn.days
    in_order, later_first = Root(tmp_path / "in order", drawn), Root(tmp_path / "later first", drawn)
    for day in days:
        if day in days[1::2]:
            in_order.land([day], read_to=day.start + 5000)
            in_order.make([day])
            assert_nothing_known_is_wrong(in_order, day)
        in_order.land([day])
        in_order.make([day])
    later_first.land(days[3:])
    later_first.make(days[3:])
    later_first.land(days[:3])
    later_first.make(days)
    for day in days:
        for root in (in_order, later_first):
            assert_nothing_known_is_wrong(root, day)
            assert_equal_where_both_know(root.dimensions(day), whole.dimensions(day))
            assert_sums_equal_the_summarys(root, day)


def check_gaps(whole, missing, tmp_path):
    """Without the audits of some days, nothing known is wrong; once they land, all is as if they always had been there."""
    drawn, days = whole.drawn, whole.drawn.days
    root = Root(tmp_path / "gaps", drawn)
    for place, day in enumerate(days):
        root.land([day], with_audits=place not in missing)
        root.make([day])
        if place in missing:
            assert all(set(row["known_by"].values()) == {None} for row in root.dimensions(day))
    for day in days:
        assert_nothing_known_is_wrong(root, day)
        assert_equal_where_both_know(root.dimensions(day), oracle_of(root, day))
    root.land([days[place] for place in missing])
    root.make(days[min(missing) :])
    for day in days:
        assert_nothing_known_is_wrong(root, day)
        assert_equal_where_both_know(root.dimensions(day), whole.dimensions(day))
        assert_sums_equal_the_summarys(root, day)


def check(seed, tickets, tmp_path):
    whole = check_range(seed, tickets, tmp_path)
    check_other_orders(whole, tmp_path)
    check_gaps(whole, [seed % 5] if seed % 2 else [1, 2, 3], tmp_path)
    return whole


def test_values_are_those_of_the_oracle(tmp_path):
    whole = check_range(3, 40, tmp_path)
    known_by = {how for day in whole.drawn.days for row in whole.dimensions(day) for how in row["known_by"].values()}
    assert known_by == {*KNOWN, None}
    assert whole.snapshots.asked
    assert whole.drawn.days[-1].end < NOW


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
def test_values_of_five_thousand_tickets_are_those_of_the_oracle_in_whatever_order_the_days_are_made(seed, tmp_path):
    check(seed, 500, tmp_path)


def test_the_stored_json_names_what_is_not_from_audits(tmp_path):
    drawn, new_root = draw(7, 20, tmp_path)
    root = new_root("range")
    root.land(drawn.days)
    root.make(drawn.days)
    texts = read_partition(root.store, DIMENSIONS, drawn.days[0])["known_by"].to_pylist()
    assert all(how != "audit" for text in texts for how in json.loads(text).values())
