"""What every store promises, on a folder and on a bucket of each provider."""

import io
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.process import Process, this_process
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.partition_file import read_metadata, read_partition, stored_days, write_partition
from ticket_events_pipeline.storage.range_reader import Block, ObjectReader
from ticket_events_pipeline.storage.store import HALF_WRITTEN, Store
from ticket_events_pipeline_tests.support.file_contents import put, read
from ticket_events_pipeline_tests.support.object_server import KINDS, prefix_of

DAY = Day.parse("2026-03-02")


@dataclass
class Place:
    """A test's own root, and the variables that lead there."""

    root: str
    env: dict[str, str]

    def open(self) -> Store:
        return open_store(self.root)


@pytest.fixture(params=["folder", *KINDS])
def place(request, tmp_path, object_servers):
    if request.param == "folder":
        yield Place(str(tmp_path / "root"), {})
        return
    server = object_servers(request.param)
    with server.exported():
        yield Place(server.root(f"tests/{prefix_of(request.node)}"), server.env)


@pytest.fixture
def store(place):
    return place.open()


def stored_files(store):
    """Every file except a folder's lock files."""
    return [path for path in store.paths("") if not path.endswith((".lock", ".lock.holder"))]


def test_a_file_appears_complete_when_its_block_ends(store):
    with store.writer("a/file") as file:
        file.write(b"first half, ")
        assert store.paths("a") == []
        file.write(b"second half")
        with pytest.raises(FileNotFoundError):
            store.reader("a/file")
    assert read(store, "a/file") == b"first half, second half"


def test_a_file_is_replaced_atomically(store):
    put(store, "a/file", b"a longer one")
    with store.writer("a/file") as file:
        file.write(b"new")
        assert read(store, "a/file") == b"a longer one"
    assert read(store, "a/file") == b"new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_changes_and_leaves_nothing(store, error):
    def half_a_file(path):
        with store.writer(path) as file:
            file.write(b"half")
            raise error

    put(store, "a/old", b"old")
    for path in ("a/old", "a/new"):
        with pytest.raises(error):
            half_a_file(path)
    assert stored_files(store) == ["a/old"]
    assert read(store, "a/old") == b"old"


def test_a_file_may_be_empty(store):
    put(store, "empty", b"")
    with store.reader("empty") as file:
        assert (file.seek(0, os.SEEK_END), file.read()) == (0, b"")


def test_a_file_of_many_megabytes_is_read_back_unchanged(store):
    content = os.urandom(21 * 2**20)
    with store.writer("big") as file:
        for start in range(0, len(content), 2**20):
            file.write(content[start : start + 2**20])
        assert file.tell() == len(content)
    assert read(store, "big") == content
    with store.reader("big") as file:
        file.seek(9 * 2**20)
        assert file.read(5 * 2**20) == content[9 * 2**20 : 14 * 2**20]


def test_a_missing_file_is_file_not_found(store):
    put(store, "a/file")
    for path in ("nothing", "a/nothing", "nothing/at/all"):
        with pytest.raises(FileNotFoundError):
            store.reader(path)


def test_paths_are_sorted_and_only_of_that_folder(store):
    for path in ("a/b/2", "a/bc/1", "a/b/10", "a/b/c/3", "x", "a/b-c/1", "a/b.c"):
        put(store, path)
    assert store.paths("a/b") == ["a/b/10", "a/b/2", "a/b/c/3"]
    assert store.paths("a") == ["a/b-c/1", "a/b.c", "a/b/10", "a/b/2", "a/b/c/3", "a/bc/1"]
    assert store.paths("nothing") == []
    assert stored_files(store) == sorted(["x", *store.paths("a")])


def test_a_files_version_changes_with_its_content(store):
    for path in ("a/b/1", "a/b/c/2", "a/3", "ab/4"):
        put(store, path)
    before = store.versions("a")
    assert sorted(before) == store.paths("a") == ["a/3", "a/b/1", "a/b/c/2"]
    assert store.versions("a") == before
    put(store, "a/b/1", b"different")
    after = store.versions("a")
    assert after.pop("a/b/1") != before.pop("a/b/1")
    assert after == before
    assert store.versions("nothing") == {}


def test_the_versions_of_tables_are_those_of_their_own_files(store):
    files = ["one/date=2026-03-01/one.parquet", "one/date=2026-03-02/one.parquet", "two/date=2026-03-01/two.parquet"]
    others = [
        "one/date=2026-03-01/two.parquet",
        "one/one.parquet",
        "three/a/three.parquet",
        "_inflight/one/one.parquet",
        "one.parquet",
    ]
    for path in (*files, *others):
        put(store, path)
    versions = store.versions("")
    assert store.table_versions(["two", "one", "nothing"]) == {path: versions[path] for path in files}
    assert store.table_versions([]) == {}


@pytest.mark.parametrize(("prefix", "listings"), [("tests/listed", 1), ("", 3)])
def test_a_root_is_listed_once_but_a_whole_bucket_table_by_table(bucket, prefix, listings):
    path = f"listed_{listings}/date=2026-03-01/listed_{listings}.parquet"
    store = open_store(bucket.root(prefix))
    put(store, path)
    bucket.heal()
    found = store.table_versions([f"listed_{listings}", "others", "nothing"])
    assert sum(bucket.listing in line for line in bucket.requests()) == listings
    assert list(found) == [path]


def test_deleting_a_missing_file_is_no_error(store):
    put(store, "a/file")
    put(store, "a/other")
    store.delete("a/file")
    store.delete("a/file")
    store.delete("never/there")
    assert stored_files(store) == ["a/other"]


def test_an_update_creates_changes_or_leaves_a_file(store):
    seen = []

    def change_to(after):
        def change(before):
            seen.append(before)
            return after

        return change

    for after in (None, b"one", None, b"two", b""):
        store.update("shared/file", change_to(after))
    assert seen == [None, None, b"one", b"one", b"two"]
    assert read(store, "shared/file") == b""


def test_an_update_that_raises_leaves_the_file_unchanged(store):
    def fail(before):
        raise ZeroDivisionError

    for before in ([], ["shared"]):
        with pytest.raises(ZeroDivisionError):
            store.update("shared", fail)
        assert stored_files(store) == before
        store.update("shared", lambda _: b"as it was")
    assert read(store, "shared") == b"as it was"


def one_more(before):
    return str(int(before or 0) + 1).encode()


def test_no_change_is_lost_among_threads(place, store):
    start = threading.Barrier(6)

    def count(number):
        own = store if number % 2 else place.open()
        start.wait()
        for _ in range(10):
            own.update("count", one_more)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(count, range(6)))
    assert read(store, "count") == b"60"


COUNTING = """
import sys
from ticket_events_pipeline.storage.open_store import open_store
store = open_store(sys.argv[1])
sys.stdin.read(1)
for _ in range(25):
    store.update("count", lambda before: str(int(before or 0) + 1).encode())
"""


def test_no_change_is_lost_among_processes(place, store):
    command = [sys.executable, "-c", COUNTING, place.root]
    counting = [subprocess.Popen(command, env={**os.environ, **place.env}, stdin=subprocess.PIPE) for _ in range(3)]
    for process in counting:
        process.stdin.close()  # they start at about the same time
    assert [process.wait(timeout=60) for process in counting] == [0, 0, 0]
    assert read(store, "count") == b"75"


def test_checking_a_store_leaves_nothing_behind(store):
    store.check()
    assert stored_files(store) == []


def test_sweeping_removes_only_files_of_ended_processes(store):
    dead = Process(this_process().boot, this_process().space, this_process().pid, "1")
    for process in (dead, this_process(), Process("", "", 1, "")):
        put(store, f"{HALF_WRITTEN}/{process}.file")
    put(store, "a/file")
    store.sweep()
    kept = sorted(f"{HALF_WRITTEN}/{process}.file" for process in (this_process(), Process("", "", 1, "")))
    assert stored_files(store) == [*kept, "a/file"]


def test_a_file_has_an_address_below_the_root(place, store):
    assert store.location == place.root
    assert store.url("a/file") == f"{place.root}/a/file"


def test_partitions_are_written_listed_and_read_in_parts(store):
    table = pa.table({"id": list(range(1000)), "text": ["x" * 50] * 1000})
    write_partition(store, "asset", DAY, table, {"rows": "1000"})
    write_partition(store, "asset", DAY.plus(1), table.slice(0, 0), {})
    assert stored_days(store, "asset", "UTC") == [DAY, DAY.plus(1)]
    assert read_partition(store, "asset", DAY) == table
    assert read_partition(store, "asset", DAY, columns=["id"]) == table.select(["id"])
    assert read_metadata(store, "asset", DAY) == {"rows": "1000"}
    assert read_partition(store, "asset", DAY.plus(2)) is None


positions = st.integers(-5, 3000)
steps = st.lists(
    st.tuples(st.just("read"), st.integers(-1, 2500)) | st.tuples(st.sampled_from([0, 1, 2]), positions), max_size=12
)


@given(st.integers(0, 2500), st.integers(0, 700), steps)
def test_an_object_is_read_as_a_file_is(size, tail_bytes, wanted):
    """Any reads and seeks in any order; no request asks for bytes that were read already."""
    content = bytes(number % 251 for number in range(size))
    asked: list[tuple[int, int]] = []

    def fetch(start, end):
        asked.append((start, end))
        return content[start:end]

    tail_start = max(0, size - tail_bytes)
    reader: Any = ObjectReader(fetch, size=size, tail=Block(tail_start, content[tail_start:]))
    plain = io.BytesIO(content)
    for kind, number in wanted:
        if kind == "read":
            assert reader.read(number) == plain.read(number)
        else:
            with pytest.raises(ValueError, match="position") if _leaves(plain, number, kind) else nullcontext():
                assert reader.seek(number, kind) == plain.seek(number, kind)
        assert reader.tell() == plain.tell()
    assert all(0 <= start < end <= tail_start for start, end in asked)
    assert len(asked) <= 1 or size > tail_bytes


def _leaves(plain, offset, whence):
    return (0, plain.tell(), len(plain.getvalue()))[whence] + offset < 0
