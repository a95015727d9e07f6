"""One fetch at a time holds a day of a stream; a second one waits, then fails, and the lease of a dead holder expires."""

import json
import threading
from dataclasses import replace

import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import DaysHeldError
from ticket_events_pipeline.ingest import lease as leases
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.ingest.lease import Lease, hold_days, known_fetches
from ticket_events_pipeline.process import this_process
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.events import metric_event
from ticket_events_pipeline_tests.support.fault_injection import bury
from ticket_events_pipeline_tests.support.fetches import Moment, client_at, ownership_of, stored_ids

STREAM = "ticket_metric_events"
DAY = Day.parse("2026-03-02")


def days(first, last):
    return days_between(Day.parse(f"2026-03-{first:02}"), Day.parse(f"2026-03-{last:02}"))


class Waits:
    """A sleep that takes no time: adds up the seconds and runs a callback at each wait."""

    def __init__(self, meanwhile=lambda: None):
        self.seconds = 0.0
        self._meanwhile = meanwhile

    def __call__(self, seconds):
        self.seconds += seconds
        self._meanwhile()


def hold(store, span, *, sleep=None, log=lambda _: None, label=""):
    return hold_days(store, STREAM, span, label=label, log=log, sleep=sleep or Waits())


def holders(root):
    return json.loads((root / "_inflight" / "passes" / f"{STREAM}.json").read_text())


def overwrite(root, text):
    """Replace the file of leases under its lock: a heartbeat that has read it already would write it back."""
    FolderStore(root).update(f"_inflight/passes/{STREAM}.json", lambda _: text.encode())


def rewrite(root, **fields):
    FolderStore(root).update(
        f"_inflight/passes/{STREAM}.json",
        lambda content: json.dumps([{**holder, **fields} for holder in json.loads(content)]).encode(),
    )


ELSEWHERE = {"process": "0-1_7_4711_99", "host": "another"}


def test_fetches_of_different_days_do_not_block_each_other(tmp_path):
    store = FolderStore(tmp_path)
    first, second = hold(store, days(1, 3)), hold(store, days(4, 9))
    assert known_fetches(store, STREAM).alive == {first.fetch_id, second.fetch_id}
    first.release()
    second.release()
    assert [one for one in holders(tmp_path) if not one["ended"]] == []


def test_fetches_of_different_streams_do_not_block_each_other(tmp_path):
    store = FolderStore(tmp_path)
    one = hold(store, days(1, 3))
    other = hold_days(store, "ticket_events", days(1, 3), label="", log=lambda _: None, sleep=Waits())
    one.release()
    other.release()


def test_a_second_fetch_waits_and_logs_the_holder(tmp_path):
    store, messages = FolderStore(tmp_path), []
    first = hold(store, days(1, 3), label="run 4711")
    waits = Waits(first.release)
    second = hold(store, days(3, 5), sleep=waits, log=messages.append)
    second.release()
    assert waits.seconds == 2
    assert messages[0].startswith(f"{STREAM}: 2026-03-01 to 2026-03-03 are being fetched by process {this_process().pid} on ")
    assert "(run 4711); waiting for it" in messages[0]


def test_a_fetch_that_waited_five_minutes_fails_and_names_the_holder(tmp_path):
    store = FolderStore(tmp_path)
    first = hold(store, days(1, 3), label="run 4711")
    beating = Waits(lambda: rewrite(tmp_path, beat=holders(tmp_path)[0]["beat"] + 1))
    with pytest.raises(DaysHeldError, match=r"are being fetched by process \d+ on .* \(run 4711\), for more than 300 s"):
        hold(store, days(2, 2), sleep=beating)
    assert beating.seconds == 300
    first.release()


def test_finished_days_are_released(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.01)
    store = FolderStore(tmp_path)
    first = hold(store, days(1, 3))
    first.hold_from(days(1, 3)[2])
    second = hold(store, days(1, 2), sleep=lambda _: threading.Event().wait(0.05))
    second.release()
    first.release()


def test_a_dead_process_on_this_machine_holds_no_days(tmp_path):
    store = FolderStore(tmp_path)
    first = hold(store, days(1, 3))
    rewrite(tmp_path, process=str(replace(this_process(), began="1")))
    waits = Waits()
    second = hold(store, days(1, 3), sleep=waits)
    assert waits.seconds == 0
    assert known_fetches(store, STREAM).alive == {second.fetch_id}
    second.release()
    first.release()


def test_a_process_on_another_machine_is_dead_if_its_heartbeat_stops(tmp_path):
    store = FolderStore(tmp_path)
    first = hold(store, days(1, 3))
    rewrite(tmp_path, **ELSEWHERE)
    waits = Waits()
    second = hold(store, days(1, 3), sleep=waits)
    assert waits.seconds == leases.DEAD_AFTER_SECONDS
    second.release()
    first.release()


def test_a_process_on_another_machine_is_alive_while_its_heartbeat_continues(tmp_path):
    store = FolderStore(tmp_path)
    first = hold(store, days(1, 3))
    rewrite(tmp_path, **ELSEWHERE)
    beating = Waits(lambda: rewrite(tmp_path, beat=holders(tmp_path)[0]["beat"] + 1))
    with pytest.raises(DaysHeldError, match="on another"):
        hold(store, days(1, 3), sleep=beating)
    first.release()


def test_a_fetch_whose_lease_was_dropped_writes_nothing_more(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.01)
    store = FolderStore(tmp_path)
    first = hold(store, days(1, 3))
    first.check()
    overwrite(tmp_path, "[]")

    def check_until_the_next_heartbeat():
        for _ in range(1000):
            first.check()
            threading.Event().wait(0.01)

    with pytest.raises(DaysHeldError, match="another fetch has taken over its days"):
        check_until_the_next_heartbeat()
    first.release()


def test_a_stopped_fetch_checks_its_lease_before_it_writes(tmp_path):
    """Its machine slept, so it sent no heartbeat."""
    clock, store = Moment(1000), FolderStore(tmp_path)
    path = tmp_path / "_inflight" / "passes" / f"{STREAM}.json"
    first = hold(store, days(1, 3))
    (entry,) = leases._holders_of(path.read_bytes())
    asleep = Lease(store, STREAM, entry, clock=clock)
    clock.now += 3600
    asleep.check()  # the lease is still its own
    path.write_text("[]")
    asleep.check()  # the last check was a moment ago
    clock.now += 3600
    with pytest.raises(DaysHeldError, match="another fetch has taken over its days"):
        asleep.check()
    asleep.release()
    first.release()


def test_a_damaged_lease_file_blocks_no_fetch(tmp_path):
    store = FolderStore(tmp_path)
    hold(store, days(1, 3)).release()
    for damage in ("", "[{", "{}", '[{"pass_id": 1}]', "[3]"):
        overwrite(tmp_path, damage)
        hold(store, days(1, 3)).release()


def test_a_dead_fetch_is_taken_over_by_one_fetch_only(tmp_path):
    store = FolderStore(tmp_path)
    first, second = hold(store, days(1, 3)), hold(store, days(4, 6))
    assert first.take_over("dead")
    assert not second.take_over("dead")
    assert known_fetches(store, STREAM).alive == {"dead", second.fetch_id}
    first.release()
    assert second.take_over("dead")
    second.release()
    assert [one for one in holders(tmp_path) if not one["ended"]] == []


@pytest.mark.slow
def test_the_second_of_two_fetches_of_a_day_begins_after_the_first_has_ended(tmp_path):
    """Over HTTP: the first request of the second fetch follows the last request of the first."""
    clock, messages = Moment(DAY.end + 5000), []
    account = RecordedAccount({STREAM: [metric_event(number, DAY.start + number * 60) for number in range(1, 60)]})
    with SandboxServer(account, clock=clock, page_limit=5) as server, client_at(server.base_url, clock=clock) as client:

        def start(log):
            return fetch_days(
                client,
                FolderStore(tmp_path),
                stream=STREAMS[STREAM],
                days=[DAY, DAY.plus(1)],
                ownership=ownership_of(DAY),
                clock=clock,
                log=log,
            )

        first = start(lambda _: None)
        assert next(first).day == DAY  # and it holds the next day
        second = threading.Thread(target=lambda: list(start(messages.append)))
        second.start()
        while not messages:
            threading.Event().wait(0.01)
        made = len(server.requests)
        threading.Event().wait(0.2)
        assert len(server.requests) == made
        list(first)
        second.join()
    assert "are being fetched by process" in messages[0]
    assert stored_ids(tmp_path, STREAM, DAY) == list(range(1, 60))
    bury(tmp_path)
    assert known_fetches(FolderStore(tmp_path), STREAM).alive == set()


def hourly(day, count=30):
    return [metric_event(number, day.start + number * 60) for number in range(1, count)]


@pytest.mark.slow
def test_another_fetch_can_read_a_day_that_a_running_fetch_has_finished(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.01)
    clock = Moment(DAY.end + 100_000)
    with (
        SandboxServer(RecordedAccount({STREAM: hourly(DAY)}), clock=clock) as server,
        client_at(server.base_url, clock=clock) as client,
    ):

        def start(span):
            return fetch_days(
                client,
                FolderStore(tmp_path),
                stream=STREAMS[STREAM],
                days=span,
                ownership=ownership_of(DAY),
                clock=clock,
                log=print,
            )

        first = start([DAY, DAY.plus(1)])
        assert next(first).day == DAY
        second = threading.Thread(target=lambda: list(start([DAY])), daemon=True)
        second.start()
        second.join(20)
        assert not second.is_alive()
        assert next(first).day == DAY.plus(1)
        first.close()


def test_a_fetch_that_lost_its_lease_does_not_change_its_days(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.01)
    clock = Moment(DAY.end + 100_000)
    with (
        SandboxServer(RecordedAccount({STREAM: hourly(DAY)}), clock=clock) as server,
        client_at(server.base_url, clock=clock) as client,
    ):

        class TakenOver:
            def pages(self, stream, start_time, **bounds):
                for walked in client.pages(stream, start_time, **bounds):
                    overwrite(tmp_path, "[]")
                    threading.Event().wait(0.3)
                    yield walked

        with pytest.raises(DaysHeldError, match="another fetch has taken over its days"):
            list(
                fetch_days(
                    TakenOver(),
                    FolderStore(tmp_path),
                    stream=STREAMS[STREAM],
                    days=[DAY],
                    ownership=ownership_of(DAY),
                    clock=clock,
                    log=print,
                )
            )
    assert FolderStore(tmp_path).paths(STREAM) == []


def put(store, path, content=b"content"):
    with store.writer(path) as file:
        file.write(content)


def stop_holder(root):
    """Makes the holder look like a stopped process on another machine."""
    rewrite(root, **ELSEWHERE)


def test_each_new_lease_and_each_take_over_has_a_new_fencing_token(tmp_path):
    store, tokens = FolderStore(tmp_path), []
    for _ in range(2):
        lease = hold(store, days(1, 3))
        for fetch_id in (lease.fetch_id, "dead", lease.fetch_id):
            tokens.append(holders(tmp_path)[-1]["token"])
            assert lease.take_over(fetch_id)
        lease.release()
    assert len(set(tokens)) == len(tokens) == 6


def test_a_fetch_that_was_taken_over_changes_nothing_and_names_the_new_holder(tmp_path):
    """Before the new holder has written anything and after it has ended, also if it has the id of the dead fetch."""
    store = FolderStore(tmp_path)
    first = hold(store, days(1, 3), label="the first")
    put(first.fenced(), "file")
    stop_holder(tmp_path)
    second = hold(store, days(2, 2), label="the second")
    assert second.take_over(first.fetch_id)
    put(second.fenced(), "file", b"the new holder's")
    for has_ended in (False, True):
        problem = rf"{STREAM}: this fetch was stopped .* process \d+ on \S+ \(the second\) has taken over its days"
        for attempt in (lambda: put(first.fenced(), "file"), lambda: first.fenced().delete("file"), first.fenced().delete):
            with pytest.raises(
                DaysHeldError, match=rf"{problem}{' and has ended since' if has_ended else ''}\. It writes nothing more"
            ):
                attempt()
        second.release(is_finished=True)
    assert (tmp_path / "file").read_bytes() == b"the new holder's"
    assert store.paths("_inflight/half_written") == []
    first.release()


def test_a_fetch_that_was_taken_over_twice_names_the_last_holder(tmp_path):
    store, leases_ = FolderStore(tmp_path), []
    for number in range(3):
        leases_.append(hold(store, days(1, 3), label=f"fetch {number}"))
        stop_holder(tmp_path)
    with pytest.raises(DaysHeldError, match=r"\(fetch 2\) has taken over"):
        leases_[0].check_now()
    for lease in leases_:
        lease.release()


def test_a_journal_is_over_once_the_new_holder_has_finished_its_days(tmp_path):
    store = FolderStore(tmp_path)
    for wanted, is_finished in ((days(2, 2), True), (days(1, 3), False), (days(1, 4), True)):
        first = hold(store, days(1, 3))
        stop_holder(tmp_path)
        new_holder = hold(store, wanted)
        new_holder.release(is_finished=is_finished)
        assert (first.fetch_id in known_fetches(store, STREAM).over) == (is_finished and len(wanted) == 4)
        first.release()


def test_the_lease_file_does_not_grow(tmp_path):
    store = FolderStore(tmp_path)
    for number in range(15):
        new_holder = hold(store, days(1, 3))
        assert new_holder.take_over(f"dead {number}")
        new_holder.release(is_finished=True)
    assert [one["pass_id"] for one in holders(tmp_path)] == [f"dead {number}" for number in range(5, 15)]


def test_a_lease_of_the_first_versions_is_valid_and_can_be_taken_over(tmp_path):
    store = FolderStore(tmp_path)
    first = hold(store, days(1, 3))
    path = tmp_path / "_inflight" / "passes" / f"{STREAM}.json"
    (entry,) = holders(tmp_path)
    path.write_text(
        json.dumps([{name: entry[name] for name in entry if name not in ("token", "heir_of", "instead_of", "ended")}])
    )
    stop_holder(tmp_path)
    waits = Waits()
    second = hold(store, days(1, 3), sleep=waits)
    assert waits.seconds == leases.DEAD_AFTER_SECONDS
    with pytest.raises(DaysHeldError, match="has taken over its days"):
        first.check_now()
    second.release()
    first.release()


def test_a_lease_whose_file_is_lost_or_damaged_permits_no_write(tmp_path):
    for damage in (None, "[{"):
        first = hold(FolderStore(tmp_path), days(1, 3))
        path = tmp_path / "_inflight" / "passes" / f"{STREAM}.json"
        path.unlink() if damage is None else path.write_text(damage)
        with pytest.raises(DaysHeldError, match="another fetch has taken over its days and has ended"):
            put(first.fenced(), "file")
        first.release()
    assert not (tmp_path / "file").exists()


def test_unknown_fields_of_a_later_version_are_ignored(tmp_path):
    """Otherwise the whole file would count as damaged, and every running fetch would lose its lease."""
    first = hold(FolderStore(tmp_path), days(1, 3))
    path = tmp_path / "_inflight" / "passes" / f"{STREAM}.json"
    path.write_text(json.dumps([{**entry, "colour": "blue"} for entry in json.loads(path.read_text())]))
    put(first.fenced(), "file")
    first.release()
    assert (tmp_path / "file").exists()
