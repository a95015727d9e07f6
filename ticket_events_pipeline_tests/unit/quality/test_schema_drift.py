"""Values unknown to the schema are reported with a count and an example; known values never are."""

from typing import Any

import pytest

from ticket_events_pipeline.decoding.decode import decode_rows
from ticket_events_pipeline.quality.schema_drift import TYPE_CHANGED, UNKNOWN, find_oddities
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import write_partition
from ticket_events_pipeline_tests.support.events import audit, metric_event
from ticket_events_pipeline_tests.support.fetches import Moment, fetch
from ticket_events_pipeline_tests.support.quality_cases import DAY, EVENTS, HOUR, METRIC, NOON


def odd(tmp_path, stream, *rows):
    moment = Moment(DAY.end + HOUR)
    with SandboxServer(RecordedAccount({stream: rows}), clock=moment) as server:
        fetch(server, tmp_path, stream, str(DAY), str(DAY), clock=moment)
    return [(oddity.kind, oddity.name, oddity.count, oddity.example_id) for oddity in find_oddities(
        FolderStore(tmp_path), stream, [DAY, DAY.plus(1)])]  # fmt: skip


POLICY = {"id": 5, "title": "Gold", "description": "All tickets"}


def test_documented_rows_are_not_odd(tmp_path):
    plain = metric_event(1, NOON, type="apply_sla", sla={"target": 60, "business_hours": True, "policy": POLICY})
    both = metric_event(2, NOON, sla={"target": 60, "policy": POLICY}, group_sla={"target": 5, "policy": {**POLICY, "id": "x"}})
    surrogate = metric_event(3, NOON, sla={"target": 60, "policy": {"id": 5, "title": "VIP \ud83d"}})
    precise = {**metric_event(4, NOON), "time": "2026-03-10T12:00:00.123456Z"}
    assert odd(tmp_path, METRIC, plain, both, surrogate, precise) == []
    written = {**audit(1, NOON), "created_at": "2026-03-10T12:00:00.123456Z", "via": "Web \ud83d", "updater_id": -1}
    assert odd(tmp_path, EVENTS, written, metric_event(2, NOON)) == []


@pytest.mark.parametrize("spelled", [1, 0, "1", "TRUE", "t", "false", None])
def test_a_deleted_in_another_spelling_that_is_read_is_not_odd(tmp_path, spelled):
    assert odd(tmp_path, METRIC, metric_event(1, NOON, deleted=spelled)) == []


@pytest.mark.parametrize(
    ("stream", "row", "kind", "name"),
    [
        (METRIC, metric_event(1, NOON, sla="Gold"), TYPE_CHANGED, "sla"),
        (METRIC, metric_event(1, NOON, sla={"target": "60"}), TYPE_CHANGED, "sla.target"),
        (METRIC, metric_event(1, NOON, group_sla={"policy": "Gold"}), TYPE_CHANGED, "group_sla.policy"),
        (METRIC, metric_event(1, NOON, status={"calendar": {"minutes": 5}}), TYPE_CHANGED, "status.calendar"),
        (METRIC, metric_event(1, NOON, deleted="no"), TYPE_CHANGED, "deleted"),
        (METRIC, metric_event(1, NOON, deleted=7), TYPE_CHANGED, "deleted"),
        (EVENTS, metric_event(1, NOON, deleted=["true"]), TYPE_CHANGED, "deleted"),
        (METRIC, metric_event(1, NOON, ticket_id=2**70), TYPE_CHANGED, "ticket_id"),
        (METRIC, metric_event(1, NOON, metric={"name": "reply_time"}), TYPE_CHANGED, "metric"),
        (METRIC, metric_event(1, NOON, metric="mood_time"), UNKNOWN, "metric mood_time"),
        (METRIC, metric_event(1, NOON, type="forgive"), UNKNOWN, "type forgive"),
        (METRIC, metric_event(1, NOON, colour="red"), UNKNOWN, "colour"),
        (METRIC, metric_event(1, NOON, sla={"policy": {**POLICY, "rank": 1}}), UNKNOWN, "sla.policy.rank"),
        (METRIC, metric_event(1, NOON, via="Web form"), UNKNOWN, "via"),
        (METRIC, {**audit(1, NOON), "updater_id": 5}, UNKNOWN, "audits in this stream"),
        (EVENTS, {**audit(1, NOON), "via": {"channel": "web"}}, TYPE_CHANGED, "via"),
        (EVENTS, {**audit(1, NOON), "created_at": "yesterday"}, TYPE_CHANGED, "created_at"),
        (EVENTS, {**audit(1, NOON), "event_type": "Omen"}, UNKNOWN, "event_type Omen"),
        (EVENTS, {**audit(1, NOON), "mood": 5}, UNKNOWN, "mood"),
        (EVENTS, {**audit(1, NOON), "metric": "reply_time"}, UNKNOWN, "metric"),
    ],
)
def test_values_unknown_to_the_schema_are_counted_with_an_example(tmp_path, stream, row, kind, name):
    usual = metric_event(2, NOON) if stream == METRIC else audit(2, NOON)
    assert odd(tmp_path, stream, usual, row, {**row, "id": 3}) == [(kind, name, 2, 1)]


def test_fields_named_by_data_do_not_flood_the_list(tmp_path):
    found = odd(tmp_path, METRIC, *[metric_event(number, NOON, **{f"field_{number}": 1}) for number in range(1, 301)])
    assert len(found) == 101
    assert sum(count for _, _, count, _ in found) == 300


def test_values_nested_too_deep_to_be_read_are_reported(tmp_path):
    """`extra` was written without recursion, but a JSON reader is limited by the stack."""
    nested: Any = 1
    for _ in range(100_000):
        nested = {"a": nested}
    table = decode_rows(METRIC, [metric_event(1, NOON, news=nested), metric_event(2, NOON, news=1)]).table
    write_partition(FolderStore(tmp_path), METRIC, DAY, table, {})
    found = [(oddity.name, oddity.example_id) for oddity in find_oddities(FolderStore(tmp_path), METRIC, [DAY])]
    assert found == [("fields nested too deep to be read", 1), ("news", 2)]
