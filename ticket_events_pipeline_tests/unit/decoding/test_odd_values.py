"""Undocumented values: other types, other names, numbers and texts that no column can hold. Nothing is lost.

What any single field becomes is in `test_decode`.
"""

import json
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.decoding.decode import RejectedRow, decode_rows
from ticket_events_pipeline.decoding.json_values import _deep_json, compact_json
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.storage.rejected_rows import RejectedRows
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.zendesk.answers import Unreadable
from ticket_events_pipeline.zendesk.json_body import parse_json
from ticket_events_pipeline.zendesk.page import PageRequest, decode_page
from ticket_events_pipeline.zendesk.walk import row_key
from ticket_events_pipeline_tests.support.client_bench import Bench
from ticket_events_pipeline_tests.support.decoding_oracle import differences, through_parquet
from ticket_events_pipeline_tests.support.faulty_account import ROW_OF, FaultyAccount, audit, metric_event
from ticket_events_pipeline_tests.support.fetches import ownership_of
from ticket_events_pipeline_tests.support.scripted_server import ScriptedServer

DAY = Day.parse("2026-03-02")
NOON = DAY.start + 12 * 3600
EVENTS, METRIC = "ticket_events", "ticket_metric_events"
DIGITS = "7" * 10_000


def parsed(text: str):
    return parse_json(text.encode())


def stored(stream, *rows):
    """The `extra` of each stored row, after a check that no value of the row is lost."""
    found, batch = through_parquet(stream, list(rows))
    assert batch.rejected == []
    assert [differences(stream, row, shown) for row, shown in zip(rows, found, strict=True)] == [[]] * len(rows)
    return [json.loads(one["extra"] or "{}") for one in found]


@pytest.mark.parametrize("stream", [EVENTS, METRIC])
def test_unknown_metrics_types_and_fields_are_kept(stream):
    found, _ = through_parquet(stream, [metric_event(1, NOON, metric="mood", type="sigh", weather={"wind": [1, None]})])
    assert (found[0]["metric"], found[0]["type"], found[0]["extra"]) == ("mood", "sigh", '{"weather":{"wind":[1,null]}}')


@pytest.mark.parametrize("stream", [EVENTS, METRIC])
def test_numbers_that_no_column_holds_are_kept_to_the_last_digit(stream):
    row = parsed(
        f'{{"id": 1, "time": "2026-03-02T09:00:00Z", "ticket_id": 9223372036854775808, "instance_id": {DIGITS}, "a": 1e400, '
        f'"b": NaN, "c": -Infinity, "sla": {{"target": -9223372036854775809, "policy": {{"id": 1e-400}}}}, "metric": null}}'
    )
    (extra,) = stored(stream, row)
    assert extra == {
        "ticket_id": 2**63,
        "instance_id": DIGITS,
        "a": "1e400",
        "b": "NaN",
        "c": "-Infinity",
        "sla.target": -(2**63) - 1,
        "sla.policy.id": 0.0,
    }


@pytest.mark.parametrize("row_id", [2**63, -(2**63) - 1, DIGITS, "NaN", "1", 1.5, 1e300, True, None, [1], {"id": 1}])
@pytest.mark.parametrize("stream", [EVENTS, METRIC])
def test_an_id_that_is_no_64_bit_integer_rejects_its_row_and_the_row_is_kept_whole(stream, row_id):
    row = ROW_OF[stream](1, NOON) | {"id": row_id}
    batch = decode_rows(stream, [row])
    assert batch.table.num_rows == 0
    assert batch.rejected == [RejectedRow("no id that is a 64-bit integer", row)]


def test_an_id_written_as_a_whole_float_is_that_number():
    assert decode_rows(METRIC, [metric_event(1, NOON) | {"id": 60.0}]).table["id"].to_pylist() == [60]


@pytest.mark.parametrize("stream", [EVENTS, METRIC])
def test_nulls_everywhere_but_in_id_and_time_are_nulls(stream):
    names = ["ticket_id", "metric", "instance_id", "type", "deleted", "sla", "group_sla", "status", "via", "created_at"]
    row = {**dict.fromkeys(names), "id": 1, "time": "2026-03-02T09:00:00Z"}
    (extra,) = stored(stream, row, row | {"id": 2, "sla": {"target": None, "policy": None}, "status": {"calendar": None}})[:1]
    assert extra == ({} if stream == EVENTS else {"via": None, "created_at": None})


def test_a_deleted_that_is_null_is_false_as_a_missing_one_is():
    assert decode_rows(METRIC, [metric_event(1, NOON) | {"deleted": None}]).table["deleted"].to_pylist() == [False]


@pytest.mark.parametrize(
    "time",
    [
        "1712010112345",
        "20260302",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        253402300800,
        -1,
        1e18,
        True,
    ],
)
def test_a_time_that_readers_can_not_show_rejects_its_row(time):
    """Thirteen digits as text are milliseconds, not a day of the year 1712."""
    batch = decode_rows(METRIC, [metric_event(1, NOON) | {"time": time}])
    assert [one.reason for one in batch.rejected] == ["no readable time in time, timestamp, created_at"]


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59.999Z", 253402300799])
def test_the_first_and_the_last_time_that_readers_can_show_are_accepted(time):
    batch = decode_rows(METRIC, [metric_event(1, NOON) | {"time": time}])
    assert batch.rejected == []
    assert batch.table["time"].to_pandas()[0].year in (1, 1969, 9999)


@pytest.mark.parametrize(
    ("time", "is_finer"),
    [
        ("2026-03-02T09:00:00.123Z", False),
        ("2026-03-02T09:00:00.123000+01:00", False),
        ("2026-03-02T09:00:00,123456Z", True),
        ("2026-03-02T09:00:00.0000001Z", True),
        (1772442000.5, False),
        (1772442000.00001, True),
    ],
)
def test_only_times_finer_than_a_millisecond_are_also_kept_in_extra(time, is_finer):
    table = decode_rows(METRIC, [metric_event(1, NOON) | {"time": time}]).table
    assert (table["extra"][0].as_py() is not None) == is_finer


def test_fields_whose_names_look_like_paths_overwrite_nothing():
    row = metric_event(1, NOON) | {
        "sla.policy.description": 1,
        "sla": {"policy": {"description": 2, "a.b": 3, "a": {"b": 4}, "": 5}, "policy.description": 6, "": 7, "x\\.y": 8},
        "sla.": 9,
        "sla\\.policy": 10,
        "status.calendar": 11,
        "status": {"calendar": "soon", "calendar.x": 12},
        "weather.wind": 13,
        "weather": {"wind": 14},
        "": 15,
        "group_sla": {"target": 16},
    }
    assert stored(METRIC, row) == [
        {
            "sla\\.policy\\.description": 1,
            "sla.policy.description": 2,
            "sla.policy.a\\.b": 3,
            "sla.policy.a": {"b": 4},
            "sla.policy.": 5,
            "sla.policy\\.description": 6,
            "sla.": 7,
            "sla.x\\\\\\.y": 8,
            "sla\\.": 9,
            "sla\\\\\\.policy": 10,
            "status\\.calendar": 11,
            "status.calendar": "soon",
            "status.calendar\\.x": 12,
            "weather.wind": 13,
            "weather": {"wind": 14},
            "": 15,
            "group_sla": {"target": 16},
        }
    ]


def test_earlier_values_of_a_repeated_name_are_kept_in_extra_and_json_columns():
    row = parsed(
        '{"id": 1, "timestamp": 1772442000, "via": "Web form", "via": "API", "child_events": [{"id": 1, "status": "new", '
        '"status": "open"}], "metadata": {"a": 1, "a": 2}}'
    )
    (extra,) = stored(EVENTS, row)
    assert extra == {"repeated_fields": [["via", "Web form"]]}
    (columns,) = decode_rows(EVENTS, [row]).table.to_pylist()
    assert columns["via"] == "API"
    assert columns["child_events"] == '[{"id":1,"status":"open","repeated_fields":[["status","new"]]}]'
    assert columns["metadata"] == '{"a":2,"repeated_fields":[["a",1]]}'


JSON_PAIRS = st.recursive(
    st.integers() | st.booleans() | st.none() | st.text(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(st.tuples(st.sampled_from(["a", "b", "repeated_fields"]), inner), max_size=5).map(tuple)
    ),
)
"""Objects are tuples of pairs here, so that a name can be repeated."""


def text_of(value) -> str:
    if isinstance(value, tuple):
        return "{" + ",".join(f"{json.dumps(name)}:{text_of(inner)}" for name, inner in value) + "}"
    return "[" + ",".join(map(text_of, value)) + "]" if isinstance(value, list) else json.dumps(value)


def plain(value):
    """The expected value: the last value of each name, and the others in `repeated_fields`."""
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if not isinstance(value, tuple):
        return value
    found, others = {}, []
    for name, inner in value:
        if name in found:
            others.append([name, found[name]])
        found[name] = plain(inner)
    spare = next(name for name in ("repeated_fields" + "_" * n for n in range(9)) if name not in found)
    return found | ({spare: others} if others else {})


def in_order(value):
    """The value with repeated fields in the order of their names: the order of delivery is not compared here."""
    if isinstance(value, list):
        return [in_order(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    return {
        name: sorted(map(in_order, inner), key=repr)
        if name.startswith("repeated_fields") and isinstance(inner, list)
        else in_order(inner)
        for name, inner in value.items()
    }


@given(JSON_PAIRS)
def test_every_value_of_a_repeated_name_is_parsed(value):
    assert in_order(parsed(text_of(value))) == in_order(plain(value))


@pytest.mark.parametrize("depth", [sys.getrecursionlimit() * 3, 12_000])
@pytest.mark.parametrize("stream", [EVENTS, METRIC])
def test_nesting_deeper_than_the_stack_is_written(tmp_path, stream, depth):
    deep = {}
    for _ in range(depth):
        deep = {"a": [deep]}
    text = '{"a":[' * depth + "{}" + "]}" * depth
    row = ROW_OF[stream](1, NOON) | {"unheard_of": deep, "metric": deep, "system": deep}
    table = decode_rows(stream, [row]).table
    held = "".join(table[name][0].as_py() or "" for name in ("system", "extra") if name in table.column_names)
    assert held.count(text) == 3
    assert row_key({"id": deep}) is not None
    assert RejectedRows(FolderStore(tmp_path), stream, print).keep(1, [RejectedRow("deep", deep)]) == 1


@given(st.recursive(st.none() | st.floats(allow_nan=False) | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)))
def test_deep_nesting_is_written_as_the_library_writes_shallow_nesting(value):
    assert _deep_json(value) == compact_json(value)


def test_a_response_nested_deeper_than_the_stack_is_reported_as_such():
    body = b'{"ticket_events": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    with pytest.raises(Unreadable, match="JSON nested too deep, in 400019 bytes"):
        decode_page(PageRequest(STREAMS[EVENTS], 0), 200, {}, body)


@pytest.mark.parametrize("size", [2_000_000, pytest.param(50_000_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("letter", ["x", "é", "\\u00e9", "😀", "\\ud83d\\ude00", "\\ud83d"])
def test_a_comment_of_many_megabytes_is_stored_unchanged(size, letter):
    """As text or as JSON escapes: 2 MB here, 50 MB in the slow tests. Memory is limited to a few copies."""
    text = letter * (size // len(letter.encode()))
    body = (
        json.dumps({EVENTS: [audit(1, NOON, child_events=[{"event_type": "Comment", "body": "@"}])]})
        .replace("@", text)
        .encode()
    )
    del text
    decode_rows(EVENTS, [audit(1, NOON)])  # so that memory allocated once, at the first call, is not counted
    tracemalloc.start()
    try:
        page = decode_page(PageRequest(STREAMS[EVENTS], 0), 200, {}, body)
        table = decode_rows(EVENTS, page.rows).table
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    (children,) = table["child_events"].to_pylist()
    assert json.loads(children)[0]["body"] == page.rows[0]["child_events"][0]["body"]
    assert len(children) > size * 0.99
    assert table["comment_present"].to_pylist() == [True]
    # Escapes triple the size of text beyond ASCII, and more than one copy is held at a time.
    assert peak < 12 * size


def reading(rows, root, stream, page_limit=1000):
    """Fetches the day; the bench holds the log."""
    account = FaultyAccount({stream: rows}, page_limit=page_limit)
    with ScriptedServer(account.script()) as server:
        made = Bench(server, BearerToken("hush-hush"))
        account.time = made.time
        made.days = list(
            fetch_days(
                made.client,
                FolderStore(root),
                stream=STREAMS[stream],
                days=[DAY],
                ownership=ownership_of(DAY),
                clock=made.time.clock,
                log=made.log.append,
            )
        )
        made.client.close()
        return made


ODD = [
    {"ticket_id": 2**70, "metric": {"name": "reply_time"}, "type": ["breach"], "deleted": "no", "instance_id": "1"},
    {"sla": "none", "group_sla": [1], "status": 5, "via": {"channel": "web"}, "updater_id": "7"},
    {"sla": {"target": "60", "policy": {"id": {"a": 1}, "title": 7}}, "status": {"calendar": 1.5, "business": None}},
    {"child_events": "none", "system": 7, "metadata": [], "merged_ticket_ids": {}},
    {"child_events": None, "created_at": {"when": 1}, "timestamp": "soon"},
]


@pytest.mark.parametrize("stream", [EVENTS, METRIC])
def test_a_fetch_stores_rows_of_other_types_without_loss(tmp_path, stream):
    rows = [{"id": n, "time": "2026-03-02T09:00:00Z", **odd} for n, odd in enumerate(ODD, 1)]
    reading(rows, tmp_path, stream)
    expected, _ = through_parquet(stream, rows)
    table = read_partition(FolderStore(tmp_path), stream, DAY)
    assert table["extra"].to_pylist() == [row["extra"] for row in expected]
    assert [differences(stream, row, found) for row, found in zip(rows, expected, strict=True)] == [[]] * len(rows)


@pytest.mark.parametrize("stream", [EVENTS, METRIC])
def test_a_rejected_row_on_two_pages_is_stored_once(tmp_path, stream):
    """It is in the second that two pages share."""
    rows = [ROW_OF[stream](n, NOON + 60 * n) for n in range(1, 6)]
    lost = {name: value for name, value in ROW_OF[stream](9, NOON + 180).items() if name != "id"}
    made = reading([*rows[:3], lost, *rows[3:]], tmp_path, stream, page_limit=4)
    store = FolderStore(tmp_path)
    assert len(made.server.requests) == 2
    (path,) = store.paths("_rejected")
    assert [json.loads(line)["row"] for line in (tmp_path / path).read_text().splitlines()] == [lost]
    assert read_raw_footer(store, stream, DAY).rejected == 1
    assert [line for line in made.log if " rejected, see " in line] == [f"{stream}: 1 row was rejected, see {tmp_path}/{path}"]


def test_rejected_rows_are_deduped_by_their_whole_content_across_pages(tmp_path):
    store, log = FolderStore(tmp_path), []
    rejected = RejectedRows(store, METRIC, log.append)
    one, other = RejectedRow("no id", {"a": 1}), RejectedRow("no id", {"a": 2})
    assert [rejected.keep(*page) for page in [(1, [one]), (2, [one, other]), (3, [other, other]), (4, []), (5, [other])]] == [
        1,
        1,
        0,
        0,
        1,
    ]
    assert sorted(path.split("-")[0] for path in store.paths("_rejected")) == [
        f"_rejected/{METRIC}/{start_time}" for start_time in (1, 2, 5)
    ]
    assert len(log) == 3
    assert RejectedRows(store, METRIC, print).keep(1, [one]) == 1
    assert len(store.paths("_rejected")) == 3
