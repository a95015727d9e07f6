"""What a published table still holds of a text that was blanked in the stored day: nothing, once its history has expired."""

import datetime as dt
import os
import re
import zlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyiceberg.avro.file import AvroFile
from pyiceberg.io.pyarrow import PyArrowFileIO

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import UsageError
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
    old, young = (kept.with_name(re.sub("[0-9a-f]{12}(?=[-.])", digit * 12, kept.name)) for digit in "01")
    for path in (old, young):
        path.write_bytes(kept.read_bytes())
    make_old(old)
    expire(lakehouse)
    assert (old.exists(), young.exists()) == (False, True)
    assert lakehouse.published(ASSET) == lakehouse.stored(ASSET)


def make_old(*paths):
    hours_ago = dt.datetime.now(dt.UTC).timestamp() - 2 * 3600
    for path in paths:
        os.utime(path, (hours_ago, hours_ago))


def test_a_file_that_the_format_did_not_write_survives_the_clean_up(lakehouse):
    data = next((lakehouse.folder / lakehouse.format).rglob("date=*/*.parquet")).parent
    table = Path(lakehouse.uri) / ASSET
    folders = (table, data, table / "metadata", table / "mine")
    foreign = [folder / name for folder in folders for name in ("a.parquet", "b.avro")]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"somebody else's")
        make_old(path)
    assert sum(expire(lakehouse).values()) == 3
    assert [path for path in foreign if not path.exists()] == []
    assert lakehouse.published(ASSET) == lakehouse.stored(ASSET)


@pytest.mark.parametrize("first", FORMATS)
def test_a_folder_with_a_table_of_the_other_format_is_neither_published_to_nor_cleaned_up(first, tmp_path):
    (second,) = set(FORMATS) - {first}
    one, other = (Lakehouse(name, tmp_path, str(tmp_path / "shared")) for name in (first, second))
    put_day(one.root, ASSET, DAY, made_up(ASSET, 5))
    one.publish(ASSET)
    made = other.publish(ASSET)[0]
    assert (made.version, len(made.problems)) == ("", 1)
    assert f"{tmp_path}/shared/{ASSET} has a table in the format {first}: " in made.problems[0]
    with pytest.raises(UsageError, match="Two formats can't share a folder"):
        expire(other)
    assert one.published(ASSET) == one.stored(ASSET)
