"""One flipped bit of a Parquet file, wherever, is an error that names the file, or changes nothing."""

from __future__ import annotations

import io
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.storage.checksums import BLOCK_BYTES, CHECKSUM_KEYS, ChecksumError, ChecksummedWriter, open_checked
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import opened_parquet
from ticket_events_pipeline.storage.stored_file import metadata_of
from ticket_events_pipeline_tests.support.damages import flipped

RNG = random.Random(7)  # noqa: S311 - the same bits every time
TINY = pa.table({"id": [1, 2, 3], "text": ["a", None, "b"]})
LARGE = pa.table({"id": range(40_000), "text": [RNG.randbytes(8).hex() for _ in range(40_000)], "same": ["x"] * 40_000})
ROWS_PER_GROUP = 9_000


def written(table, metadata):
    sink = io.BytesIO()
    with ChecksummedWriter(sink, table.schema, compression="zstd") as writer:
        writer.write_table(table, row_group_size=ROWS_PER_GROUP)
        assert writer.finish(metadata) == len(sink.getvalue())
    return sink.getvalue()


class Counting(io.BytesIO):
    """Counts the bytes that are read of it."""

    count = 0

    def read(self, size=-1):
        content = super().read(size)
        self.count += len(content)
        return content


def test_what_was_written_is_read_by_us_and_by_everyone():
    content = written(LARGE, {"rows": "40000"})
    with open_checked(io.BytesIO(content)) as file:
        assert (file.read(), metadata_of(file)) == (LARGE, {"rows": "40000"})
    assert pq.read_table(io.BytesIO(content)) == LARGE
    assert metadata_of(pq.ParquetFile(io.BytesIO(content))) == {"rows": "40000"}


def test_every_byte_of_a_tiny_file_is_covered():
    content = written(TINY, {"rows": "3"})
    for place in range(len(content)):
        with pytest.raises(ChecksumError), open_checked(io.BytesIO(flipped(content, 8 * place + RNG.randrange(8)))) as file:
            file.read()


@pytest.mark.parametrize("key", sorted(CHECKSUM_KEYS))
def test_a_file_whose_checksums_lost_their_name_is_not_taken_for_an_older_one(key):
    content = written(TINY, {})
    for bit in range(8 * content.index(key.encode()) - 16, 8 * (content.index(key.encode()) + len(key) + 2)):
        with pytest.raises(ChecksumError, match="its footer isn't the one that was written"):
            open_checked(io.BytesIO(flipped(content, bit)))


def test_what_is_read_of_a_file_is_right_and_what_is_damaged_of_it_is_not_read(tmp_path):
    """A reader of some groups and columns needs no other bytes than theirs, and the blocks around them, to be right."""
    content, read, refused = written(LARGE, {}), 0, []
    for _ in range(150):
        (tmp_path / "file").write_bytes(flipped(content, RNG.randrange(8 * len(content))))
        group, columns = RNG.randrange(5), RNG.choice([["id"], ["text"], ["same"], ["id", "text", "same"]])
        expected = LARGE.slice(group * ROWS_PER_GROUP, ROWS_PER_GROUP).select(columns)
        try:
            with opened_parquet(FolderStore(tmp_path), "file", advice="Make it again.") as file:
                rows = file.read_row_group(group, columns=columns) if RNG.random() < 0.5 else batches(file, group, columns)
                assert rows == expected
                read += 1
        except DamagedFileError as error:
            refused.append(str(error))
    assert min(read, len(refused)) > 30
    assert all(told.startswith(f"{tmp_path}/file can't be read as Parquet (") for told in refused)
    assert all(told.endswith("). Make it again.") for told in refused)


def batches(file, group, columns):
    return pa.Table.from_batches(file.iter_batches(1000, row_groups=[group], columns=columns, use_threads=False))


def test_a_damaged_block_is_found_while_the_whole_file_is_read(tmp_path):
    content = written(LARGE, {})
    (tmp_path / "file").write_bytes(flipped(content, 8 * 3 * BLOCK_BYTES + 5))
    told = f"the {BLOCK_BYTES} bytes from {3 * BLOCK_BYTES} on aren't those that were written"
    with (
        pytest.raises(DamagedFileError, match=told),
        opened_parquet(FolderStore(tmp_path), "file", advice="") as file,
    ):
        file.read()


def test_a_file_that_breaks_off_is_damaged_wherever_it_does():
    content = written(TINY, {})
    for size in [*range(0, len(content), 17), len(content) - 1]:
        with pytest.raises(ChecksumError):
            open_checked(io.BytesIO(content[:size]))


@pytest.mark.parametrize("table", [TINY, TINY.slice(0, 0), LARGE])
def test_files_without_checksums_are_read_as_ever(table):
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema) as parquet:
        parquet.write_table(table)
        parquet.add_key_value_metadata({"rows": "3"})
    with open_checked(sink) as file:
        assert (file.read(), metadata_of(file)) == (table, {"rows": "3"})


def test_texts_that_look_like_the_checksums_do_no_harm():
    """Statistics hold texts of the account, and footers too."""
    likeness = b"\x18\x0dfooter_sha256\x18\x40".decode("latin-1") + "0" * 64
    content = written(pa.table({"text": [likeness]}), {"title": likeness})
    assert content.count(likeness.encode()) > 1
    with open_checked(io.BytesIO(content)) as file:
        assert file.read()["text"].to_pylist() == [likeness]
    for place in range(len(content)):
        with pytest.raises(ChecksumError), open_checked(io.BytesIO(flipped(content, 8 * place))) as file:
            file.read()


def test_hardly_a_byte_is_read_twice():
    content = written(LARGE, {})
    source = Counting(content)
    with open_checked(source) as file:
        for group in range(file.num_row_groups):
            batches(file, group, LARGE.column_names)
    columns = 3 * file.num_row_groups
    assert source.count <= len(content) + BLOCK_BYTES * (columns + 1)


def test_a_footer_alone_takes_no_more_than_the_files_end():
    source = Counting(written(LARGE, {}))
    open_checked(source).close()
    assert source.count == BLOCK_BYTES


def test_a_file_that_was_not_finished_is_none():
    sink = io.BytesIO()
    with ChecksummedWriter(sink, TINY.schema) as writer:
        writer.write_table(TINY, row_group_size=2)
    with pytest.raises(ChecksumError, match="doesn't end as a Parquet file does"):
        open_checked(io.BytesIO(sink.getvalue()))
