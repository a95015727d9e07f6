"""The file of beats: what a reader finds, that nobody's change is lost, and that damage to it harms nothing."""

import json
import threading
import time

import pytest

from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.run_beats import (
    ENDED_KEPT,
    MOST_RUNS,
    PATH,
    RunBeat,
    beating,
    end,
    end_all,
    read_beats,
    try_beating,
)


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "root")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "root" / PATH


def until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")


def test_in_a_root_without_runs_nothing_beats(store):
    assert read_beats(store) == {}


def test_every_beat_of_a_run_differs_and_its_end_leaves_no_entry(store):
    beat, seen = RunBeat(store, "a-run"), []
    for _ in range(5):
        beat.beat()
        seen.append(read_beats(store)["a-run"])
    assert len(set(seen)) == 5
    beat.remove()
    assert read_beats(store) == {}


def test_a_run_that_another_process_resumes_never_repeats_a_beat(store):
    first, second = RunBeat(store, "a-run"), RunBeat(store, "a-run")
    first.beat()
    seen = read_beats(store)["a-run"]
    second.beat()
    assert read_beats(store)["a-run"] != seen


def test_a_run_beats_before_its_block_begins_and_on_until_it_is_over(store):
    with beating(store, "a-run", seconds=0.01) as beat:
        first = read_beats(store)["a-run"]
        assert beat.is_stored
        until(lambda: read_beats(store)["a-run"] != first)
    assert read_beats(store) == {}
    time.sleep(0.05)
    assert read_beats(store) == {}


def test_the_entry_goes_also_if_the_block_fails(store):
    with pytest.raises(RuntimeError), beating(store, "a-run"):
        raise RuntimeError
    assert read_beats(store) == {}


def test_beats_of_many_runs_at_once_are_all_kept(store):
    beats = [RunBeat(store, f"run-{number}") for number in range(8)]
    threads = [threading.Thread(target=lambda beat=beat: [beat.beat() for _ in range(5)]) for beat in beats]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {run_id: beat.rpartition("-")[2] for run_id, beat in read_beats(store).items()} == {
        beat.run_id: "5" for beat in beats
    }


def test_a_run_that_was_ended_learns_of_it_with_its_next_beat_and_beats_no_more(store):
    with beating(store, "a-run", seconds=0.01) as beat:
        end_all(store, ["a-run", "another-run"])
        until(lambda: beat.was_ended)
        assert read_beats(store) == {}
    assert read_beats(store) == {}
    late = RunBeat(store, "another-run")
    late.beat()
    assert (late.was_ended, late.is_stored) == (True, False)


def test_a_run_is_ended_only_if_it_has_not_beaten_since(store):
    beat = RunBeat(store, "a-run")
    beat.beat()
    seen = read_beats(store)["a-run"]
    beat.beat()
    assert not end(store, "a-run", unless_beaten_since=seen)
    assert not end(store, "a-run", unless_beaten_since=None)
    assert end(store, "a-run", unless_beaten_since=read_beats(store)["a-run"])
    beat.beat()
    assert beat.was_ended
    assert end(store, "a-run", unless_beaten_since=None)  # once more, after a sensor died in the middle
    assert end(store, "never-seen", unless_beaten_since=None)


@pytest.mark.parametrize(
    "damaged",
    [b"", b"\x00" * 40, b'{"runs": {"a-run', b"[]", b"7", b'{"runs": [], "ended": {}, "trials": "x"}', b'{"runs": {"b": 7}}'],
)
def test_a_damaged_file_says_nothing_and_every_living_run_adds_itself_again(store, file, damaged):
    beat = RunBeat(store, "a-run")
    beat.beat()
    seen = read_beats(store)["a-run"]
    file.write_bytes(damaged)
    assert read_beats(store) == {}
    beat.beat()
    assert set(read_beats(store)) == {"a-run"}
    assert read_beats(store)["a-run"] != seen
    file.unlink()
    beat.beat()
    assert set(read_beats(store)) == {"a-run"}


def test_a_root_that_can_not_be_written_stops_no_run_and_a_reader_learns_that_nobody_can_beat(store, file):
    file.parent.parent.mkdir(parents=True)
    file.parent.write_text("in the way")
    with beating(store, "a-run", seconds=0.01) as beat:
        with pytest.raises(UsageError, match="can't change"):
            try_beating(store)
        assert not beat.is_stored
        file.parent.unlink()
        until(lambda: beat.is_stored)
        assert set(read_beats(store)) == {"a-run"}
        try_beating(store)
        assert set(read_beats(store)) == {"a-run"}


def test_the_file_stays_small(store, file):
    runs = {f"run-{number}": "t-1" for number in range(MOST_RUNS + 5)}
    ended = [f"ended-{number}" for number in range(ENDED_KEPT + 5)]
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"runs": runs, "ended": ended, "trials": 0}))
    RunBeat(store, "run-0").beat()  # it was the one that beat longest ago
    kept = json.loads(file.read_text())
    assert (len(kept["runs"]), kept["ended"]) == (MOST_RUNS, ended[-ENDED_KEPT:])
    assert "run-0" in kept["runs"]
