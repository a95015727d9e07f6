"""Stored files: whole or not there, hashed by their rows alone, readable by their owner and by every tool."""

import hashlib
import stat
import struct
from contextlib import suppress
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, UsageError
from ticket_events_pipeline.storage.content_hash import ContentHash, content_hash
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.partition_file import (
    opened_partition,
    partition_writer,
    read_metadata,
    read_partition,
    stored_days,
    write_partition,
)
from ticket_events_pipeline.storage.raw_footer import LedgerPage, RawFooter, read_raw_footer

DAY = Day.parse("2026-03-02")

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("title", pa.string()),
        ("deleted", pa.bool_()),
        ("time", pa.timestamp("ms", tz="UTC")),
        ("rate", pa.float64()),
    ]
)
rows = st.fixed_dictionaries(
    {
        "id": st.none() | st.integers(-(2**63), 2**63 - 1),
        "title": st.none() | st.text(max_size=4),
        "deleted": st.none() | st.booleans(),
        "time": st.none() | st.integers(0, 2**41),
        "rate": st.none() | st.floats(allow_nan=False),
    }
)


def table_of(values):
    return pa.table({name: pa.array([row[name] for row in values], pa.int64() if name == "time" else kind).cast(kind)
                     for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True)}, schema=SCHEMA)  # fmt: skip


@given(st.lists(rows, max_size=12), st.lists(st.integers(0, 12), max_size=4))
def test_the_hash_does_not_depend_on_how_rows_are_chunked(values, cuts):
    whole = table_of(values)
    edges = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    running = ContentHash(SCHEMA)
    for start, end in pairwise(edges):
        for batch in whole.slice(start, end - start).to_batches():
            running.update(batch)
    assert running.hexdigest() == content_hash(whole)


def plain_hash(values):
    """The hash by its definition, value by value: per column sha256 of validity, lengths and bytes, and one over all."""
    packed = {"id": "<q", "deleted": "<B", "time": "<q", "rate": "<d"}
    whole = hashlib.sha256()
    for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True):
        column = [row[name] for row in values]
        texts = ["" if value is None else value for value in column] if name == "title" else []
        lengths = b"".join(struct.pack("<i", len(text.encode())) for text in texts)
        content = "".join(texts).encode()
        if name != "title":
            content = b"".join(struct.pack(packed[name], 0 if value is None else value) for value in column)
        whole.update(f"{name}:{kind};".encode())
        for part in (bytes(value is not None for value in column), lengths, content):
            whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()


@given(st.lists(rows, max_size=20), st.integers(0, 20))
def test_the_hash_equals_one_computed_value_by_value(values, start):
    """For any bit offset at which the table's buffers begin."""
    assert content_hash(table_of(values).slice(start)) == plain_hash(values[start:])


@given(st.lists(rows, max_size=12), st.sampled_from(SCHEMA.names), st.integers(0, 11))
def test_an_added_column_is_left_out_of_the_hash_until_it_has_a_value(values, name, place):
    older = table_of(values).drop_columns([name])
    nowhere = table_of([{**row, name: None} for row in values])
    assert content_hash(nowhere, added=[name]) == content_hash(older)
    filled = table_of([{**row, name: None if number != place else row[name]} for number, row in enumerate(values)])
    is_null = filled[name].null_count == filled.num_rows
    assert content_hash(filled, added=[name]) == content_hash(older if is_null else filled)


def test_the_bytes_under_a_null_do_not_change_the_hash():
    text, number = pa.array(["under", "over"]), pa.array([7, 8])
    is_valid = pa.array([False, True]).buffers()[1]
    hidden = [pa.Array.from_buffers(column.type, 2, [is_valid, *column.buffers()[1:]]) for column in (text, number)]
    assert content_hash(pa.table(hidden, names=["t", "n"])) == content_hash(pa.table({"t": [None, "over"], "n": [None, 8]}))


@given(st.lists(rows, max_size=6), st.lists(rows, max_size=6))
def test_different_rows_have_different_hashes(one, other):
    same = [[repr(row[name]) for name in SCHEMA.names] for row in one] == [
        [repr(row[name]) for name in SCHEMA.names] for row in other
    ]
    # 0.0 and -0.0 are different rows too, by their bytes as by their repr.
    assert (content_hash(table_of(one)) == content_hash(table_of(other))) == same


def test_moving_text_between_rows_changes_the_hash():
    assert content_hash(pa.table({"a": ["ab", "c"]})) != content_hash(pa.table({"a": ["a", "bc"]}))
    assert content_hash(pa.table({"a": ["", None]})) != content_hash(pa.table({"a": [None, ""]}))


def test_dictionary_encoding_does_not_change_the_hash():
    plain = pa.table({"a": pa.array(["x", None, "y", "x"])})
    coded = pa.table({"a": pa.array(["x", None, "y", "x"]).dictionary_encode()})
    running = ContentHash(plain.schema)
    for batch in coded.to_batches():
        running.update(batch)
    assert running.hexdigest() == content_hash(plain)


def test_a_file_appears_complete_or_not_at_all(tmp_path):
    store = FolderStore(tmp_path)
    write_partition(store, "asset", DAY, pa.table({"a": [1]}), {"k": "v"})
    with suppress(ZeroDivisionError), store.writer(f"asset/date={DAY}/asset.parquet") as file:
        file.write(b"half a file")
        1 / 0  # noqa: B018  # an error while the file is written
    assert read_partition(store, "asset", DAY) == pa.table({"a": [1]})
    assert read_metadata(store, "asset", DAY) == {"k": "v"}
    assert store.paths("_inflight") == []


def test_files_and_folders_are_readable_by_their_owner_only(tmp_path):
    store = FolderStore(tmp_path / "new" / "root")
    write_partition(store, "asset", DAY, pa.table({"a": [1]}), {})
    made = list(tmp_path.rglob("*"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_dir()} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_file()} == {0o600}


def test_an_error_names_a_root_that_cannot_be_written(tmp_path):
    (tmp_path / "root").write_text("a file")
    with pytest.raises(UsageError, match=r"TICKET_EVENTS_ROOT: can't write below .*root"):
        write_partition(FolderStore(tmp_path / "root"), "asset", DAY, pa.table({"a": [1]}), {})


def test_an_error_names_an_unknown_kind_of_root():
    with pytest.raises(UsageError, match="TICKET_EVENTS_ROOT: ftp:// can't hold the files; set a folder, s3://"):
        open_store("ftp://host/folder")


def test_an_error_names_a_damaged_file_and_what_to_do(tmp_path):
    store = FolderStore(tmp_path)
    write_partition(store, "ticket_events", DAY, pa.table({"a": [1]}), {})
    with pytest.raises(DamagedFileError, match="has no footer of this pipeline"):
        read_raw_footer(store, "ticket_events", DAY)
    path = tmp_path / "ticket_events" / f"date={DAY}" / "ticket_events.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(
        DamagedFileError, match=f"{path} can't be read as Parquet.*Materialize ticket_events of 2026-03-02 again"
    ):
        read_partition(store, "ticket_events", DAY)


def test_a_day_without_a_file_is_none_and_stored_days_are_listed(tmp_path):
    store = FolderStore(tmp_path)
    write_partition(store, "asset", DAY.plus(2), pa.table({"a": [1]}), {})
    write_partition(store, "asset", DAY, pa.table({"a": [1]}), {})
    assert read_partition(store, "asset", DAY.plus(1)) is None
    assert read_metadata(store, "asset", DAY.plus(1)) is None
    assert stored_days(store, "asset", "UTC") == [DAY, DAY.plus(2)]
    assert stored_days(store, "nothing", "UTC") == []


FOOTER = RawFooter(
    schema_version=1, account="acme", timezone="UTC", sideload=False, stream="ticket_events", partition="2026-03-02",
    window_start=DAY.start, window_end=DAY.end, complete=True, next_start_time=DAY.end + 120, requests=2, rows=1, duplicates=0,
    rejected=0, fetched_at=DAY.end + 500, content_hash="ab", pages=(LedgerPage(DAY.start, None, 0, None, None),),
)  # fmt: skip


def test_a_raw_footer_round_trips_as_text(tmp_path):
    metadata = FOOTER.to_metadata()
    assert (metadata["complete"], metadata["sideload"], metadata["window_start"]) == ("true", "false", "1772409600")
    assert metadata["pages"] == (
        '[{"start_time":1772409600,"end_time":null,"count":0,"first_id":null,"last_id":null,"server_count":null,"newest":null}]'
    )
    write_partition(FolderStore(tmp_path), "ticket_events", DAY, pa.table({"a": [1]}), metadata)
    assert read_raw_footer(FolderStore(tmp_path), "ticket_events", DAY) == FOOTER


sizes = st.lists(st.integers(1, 9), min_size=1, max_size=12)


@given(sizes, st.data())
def test_batches_hold_the_rows_of_the_row_groups_in_order_however_many_are_read_together(tmp_path_factory, sizes, data):
    store = FolderStore(tmp_path_factory.mktemp("root"))
    table = pa.table({"id": range(sum(sizes)), "title": [f"{number}" * 9 for number in range(sum(sizes))]})
    groups, first = [], 0
    with partition_writer(store, "asset", DAY, table.schema) as writer:
        for size in sizes:
            groups.append(table.slice(first, size))
            writer.write(groups[-1])
            first += size
        writer.finish({})
    wanted = data.draw(st.sets(st.sampled_from(range(len(sizes)))).map(sorted))
    limit = data.draw(st.sampled_from([{}, {"batch_rows": 4}]))
    columns = data.draw(st.sampled_from([None, ["title"], ["title", "id"]]))
    with opened_partition(store, "asset", DAY) as file:
        found = list(file.batches(columns, row_groups=wanted, **limit))
        expected = pa.concat_tables([table.slice(0, 0), *(groups[number] for number in wanted)])
        assert pa.Table.from_batches(found, expected.select(columns or table.column_names).schema).equals(
            expected.select(columns or table.column_names)
        )
        assert len(list(file.batches())) == 1
