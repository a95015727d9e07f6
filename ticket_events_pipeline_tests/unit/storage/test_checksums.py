"""A flipped bit anywhere in a Parquet file is an error that names the file, or changes nothing."""

from __future__ import annotations

import io
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.storage.checksums import (
    BLOCK_BYTES,
    CHECKSUM_KEYS,
    ChecksumError,
    ChecksummedWriter,
    open_checked,
    verify_bytes,
)
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import opened_parquet
from ticket_events_pipeline.storage.stored_file import metadata_of
from ticket_events_pipeline_tests.support.damages import flipped


def draws():
    """The same ones for each test, in whatever order tests run."""
    return random.Random(7)  # noqa: S311


TINY = pa.table({"id": [1, 2, 3], "text": ["a", None, "b"]})
TEXTS = draws()
LARGE = pa.table({"id": range(40_000), "text": [TEXTS.randbytes(8).hex() for _ in range(40_000)], "same": ["x"] * 40_000})
ROWS_PER_GROUP = 9_000


def written(table, metadata):
    sink = io.BytesIO()
    with ChecksummedWriter(sink, table.schema, compression="zstd") as writer:
        writer.write_table(table, row_group_size=ROWS_PER_GROUP)
        assert writer.finish(metadata) == len(sink.getvalue())
    return sink.getvalue()


class Counting(io.BytesIO):
    """Counts the bytes that are read."""

    count = 0

    def read(self, size=-1):
        content = super().read(size)
        self.count += len(content)
        return content


def test_a_checksummed_file_is_read_by_us_and_by_plain_parquet_readers():
    content = written(LARGE, {"rows": "40000"})
    with open_checked(io.BytesIO(content)) as file:
        assert (file.read(), metadata_of(file)) == (LARGE, {"rows": "40000"})
    assert pq.read_table(io.BytesIO(content)) == LARGE
    assert metadata_of(pq.ParquetFile(io.BytesIO(content))) == {"rows": "40000"}


def test_verifying_the_bytes_finds_every_flipped_bit_without_reading_a_row():
    content, rng = written(LARGE, {"rows": "40000"}), draws()
    assert verify_bytes(io.BytesIO(content))
    for place in [0, *rng.sample(range(len(content)), k=40), len(content) - 1]:
        with pytest.raises((ChecksumError, pa.ArrowException, OSError)):
            verify_bytes(io.BytesIO(flipped(content, 8 * place + rng.randrange(8))))


def test_the_bytes_of_a_file_without_checksums_are_not_verified():
    sink = io.BytesIO()
    pq.write_table(TINY, sink)
    assert not verify_bytes(sink)


def test_every_byte_of_a_tiny_file_is_covered():
    content, rng = written(TINY, {"rows": "3"}), draws()
    for place in range(len(content)):
        with pytest.raises(ChecksumError), open_checked(io.BytesIO(flipped(content, 8 * place + rng.randrange(8)))) as file:
            file.read()


@pytest.mark.parametrize("key", sorted(CHECKSUM_KEYS))
def test_a_damaged_checksum_key_does_not_turn_verification_off(key):
    content = written(TINY, {})
    for bit in range(8 * content.index(key.encode()) - 16, 8 * (content.index(key.encode()) + len(key) + 2)):
        with pytest.raises(ChecksumError, match="its footer differs from what was written"):
            open_checked(io.BytesIO(flipped(content, bit)))


def test_parts_outside_a_damaged_block_are_read_and_damaged_ones_are_not(tmp_path):
    """A reader of some row groups and columns needs only their bytes, and the blocks around them, to be intact."""
    content, rng, read, refused = written(LARGE, {}), draws(), 0, []
    for _ in range(150):
        (tmp_path / "file").write_bytes(flipped(content, rng.randrange(8 * len(content))))
        group, columns = rng.randrange(5), rng.choice([["id"], ["text"], ["same"], ["id", "text", "same"]])
        expected = LARGE.slice(group * ROWS_PER_GROUP, ROWS_PER_GROUP).select(columns)
        try:
            with opened_parquet(FolderStore(tmp_path), "file", advice="Make it again.") as file:
                rows = file.read_row_group(group, columns=columns) if rng.random() < 0.5 else batches(file, group, columns)
                assert rows == expected
                read += 1
        except DamagedFileError as error:
            refused.append(str(error))
    assert min(read, len(refused)) > 30
    assert all(message.startswith(f"{tmp_path}/file can't be read as Parquet (") for message in refused)
    assert all(message.endswith("). Make it again.") for message in refused)


def batches(file, group, columns):
    return pa.Table.from_batches(file.iter_batches(1000, row_groups=[group], columns=columns, use_threads=False))


def test_a_damaged_block_is_found_when_the_whole_file_is_read(tmp_path):
    content = written(LARGE, {})
    (tmp_path / "file").write_bytes(flipped(content, 8 * 3 * BLOCK_BYTES + 5))
    message = f"the {BLOCK_BYTES} bytes from {3 * BLOCK_BYTES} on differ from those that were written"
    with (
        pytest.raises(DamagedFileError, match=message),
        opened_parquet(FolderStore(tmp_path), "file", advice="") as file,
    ):
        file.read()


def test_a_file_truncated_anywhere_is_damaged():
    content = written(TINY, {})
    for size in [*range(0, len(content), 17), len(content) - 1]:
        with pytest.raises(ChecksumError):
            open_checked(io.BytesIO(content[:size]))


@pytest.mark.parametrize("table", [TINY, TINY.slice(0, 0), LARGE])
def test_files_without_checksums_are_still_read(table):
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema) as parquet:
        parquet.write_table(table)
        parquet.add_key_value_metadata({"rows": "3"})
    with open_checked(sink) as file:
        assert (file.read(), metadata_of(file)) == (table, {"rows": "3"})


def test_texts_that_look_like_checksums_are_harmless():
    """Statistics contain texts of the account, and so do footers."""
    likeness = b"\x18\x0dfooter_sha256\x18\x40".decode("latin-1") + "0" * 64
    content = written(pa.table({"text": [likeness]}), {"title": likeness})
    assert content.count(likeness.encode()) > 1
    with open_checked(io.BytesIO(content)) as file:
        assert file.read()["text"].to_pylist() == [likeness]
    for place in range(len(content)):
        with pytest.raises(ChecksumError), open_checked(io.BytesIO(flipped(content, 8 * place))) as file:
            file.read()


def test_almost_no_byte_is_read_twice():
    content = written(LARGE, {})
    source = Counting(content)
    with open_checked(source) as file:
        for group in range(file.num_row_groups):
            batches(file, group, LARGE.column_names)
    columns = 3 * file.num_row_groups
    assert source.count <= len(content) + BLOCK_BYTES * (columns + 1)


def test_reading_a_footer_reads_only_the_end_of_the_file():
    source = Counting(written(LARGE, {}))
    open_checked(source).close()
    assert source.count == BLOCK_BYTES


def test_an_unfinished_file_is_not_readable():
    sink = io.BytesIO()
    with ChecksummedWriter(sink, TINY.schema) as writer:
        writer.write_table(TINY, row_group_size=2)
    with pytest.raises(ChecksumError, match="doesn't end as a Parquet file does"):
        open_checked(io.BytesIO(sink.getvalue()))
