"""What a published table still holds of a text that was blanked in the stored day: nothing, once its history has expired."""

import datetime as dt
import os
import zlib

import pyarrow.parquet as pq
import pytest
from pyiceberg.avro.file import AvroFile
from pyiceberg.io.pyarrow import PyArrowFileIO

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.publish.publisher import expire_history
from ticket_events_pipeline_tests.support.published import FORMATS, Lakehouse, made_up, put_day

DAY = Day.parse("2026-03-02")
ASSET = "ticket_metric_events"
SECRET = "Quastenflosse"
"""Short enough for a bound that is cut to 16 characters."""


@pytest.fixture(params=FORMATS)
def lakehouse(request, tmp_path):
    made = Lakehouse(request.param, tmp_path)
    for number in range(3):
        put_day(made.root, ASSET, DAY.plus(number), made_up(ASSET, 5, seed=number, text=SECRET))
    made.publish(ASSET)
    for number in range(3):
        put_day(made.root, ASSET, DAY.plus(number), made_up(ASSET, 5, seed=number, text="blank"))
    made.publish(ASSET)
    return made


def holders(lakehouse, text):
    """The files below the URI that hold the text, decompressed."""
    files = [path for path in (lakehouse.folder / lakehouse.format).rglob("*") if path.is_file()]
    return [str(path) for path in files if text in contents(path)]


def contents(path):
    if path.suffix == ".parquet":
        file = pq.ParquetFile(path)
        return f"{file.read().to_pylist()} {file.metadata.metadata} {file.metadata.to_dict()}"
    if path.suffix == ".avro":
        with AvroFile(PyArrowFileIO().new_input(str(path))) as file:
            return f"{list(file)} {path.read_bytes()}"
    content = path.read_bytes()
    return (zlib.decompress(content, 31) if content[:2] == b"\x1f\x8b" else content).decode(errors="replace")


def expire(lakehouse, *, in_minutes=1):
    now = dt.datetime.now(dt.UTC)
    with lakehouse.tables() as tables:
        return expire_history(tables, [ASSET], before=now + dt.timedelta(minutes=in_minutes), now=now)


def test_a_blanked_text_is_in_no_file_of_the_table_once_its_history_has_expired(lakehouse):
    assert len(holders(lakehouse, SECRET)) == 3
    assert sum(expire(lakehouse).values()) == 3
    assert holders(lakehouse, SECRET) == []
    assert lakehouse.published(ASSET) == lakehouse.stored(ASSET)


def test_only_data_files_ever_hold_a_text_of_a_row(lakehouse):
    assert {path.rpartition("/")[2].rpartition(".")[2] for path in holders(lakehouse, SECRET)} == {"parquet"}
    assert not [path for path in holders(lakehouse, SECRET) if "_delta_log" in path or "/metadata/" in path]


def test_what_a_killed_publish_left_is_removed_when_it_is_an_hour_old(lakehouse):
    kept = next((lakehouse.folder / lakehouse.format).rglob("date=*/*.parquet"))
    old, young = kept.with_name("old.parquet"), kept.with_name("young.parquet")
    for path in (old, young):
        path.write_bytes(kept.read_bytes())
    hours_ago = dt.datetime.now(dt.UTC).timestamp() - 2 * 3600
    os.utime(old, (hours_ago, hours_ago))
    expire(lakehouse)
    assert (old.exists(), young.exists()) == (False, True)
    assert lakehouse.published(ASSET) == lakehouse.stored(ASSET)
