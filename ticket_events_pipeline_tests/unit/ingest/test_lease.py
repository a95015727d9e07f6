"""A day of a stream is read by one pass at a time; who comes later waits, then refuses, and a dead holder is soon forgotten."""

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
    """Waiting that takes no time: what was waited, and what happens meanwhile."""

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


def rewrite(root, **fields):
    path = root / "_inflight" / "passes" / f"{STREAM}.json"
    path.write_text(json.dumps([{**holder, **fields} for holder in holders(root)]))


ELSEWHERE = {"process": "0-1_7_4711_99", "host": "another"}


def test_passes_over_other_days_do_not_meet(tmp_path):
    store = FolderStore(tmp_path)
    first, second = hold(store, days(1, 3)), hold(store, days(4, 9))
    assert known_fetches(store, STREAM).alive == {first.fetch_id, second.fetch_id}
    first.release()
    second.release()
    assert [one for one in holders(tmp_path) if not one["ended"]] == []


def test_the_other_stream_is_another_matter(tmp_path):
    store = FolderStore(tmp_path)
    one = hold(store, days(1, 3))
    other = hold_days(store, "ticket_events", days(1, 3), label="", log=lambda _: None, sleep=Waits())
    one.release()
    other.release()


def test_who_comes_later_waits_and_says_for_whom(tmp_path):
    store, told = FolderStore(tmp_path), []
    first = hold(store, days(1, 3), label="run 4711")
    waits = Waits(first.release)
    second = hold(store, days(3, 5), sleep=waits, log=told.append)
    second.release()
    assert waits.seconds == 2
    assert told[0].startswith(f"{STREAM}: 2026-03-01 to 2026-03-03 are being fetched by process {this_process().pid} on ")
    assert "(run 4711); waiting for it" in told[0]


def test_who_has_waited_for_minutes_refuses_and_names_the_holder(tmp_path):
    store = FolderStore(tmp_path)
    first = hold(store, days(1, 3), label="run 4711")
    beating = Waits(lambda: rewrite(tmp_path, beat=holders(tmp_path)[0]["beat"] + 1))
    with pytest.raises(DaysHeldError, match=r"are being fetched by process \d+ on .* \(run 4711\), for more than 300 s"):
        hold(store, days(2, 2), sleep=beating)
    assert beating.seconds == 300
    first.release()


def test_days_that_are_done_are_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.01)
    store = FolderStore(tmp_path)
    first = hold(store, days(1, 3))
    first.hold_from(days(1, 3)[2])
    second = hold(store, days(1, 2), sleep=lambda _: threading.Event().wait(0.05))
    second.release()
    first.release()


def test_a_process_that_is_gone_holds_nothing(tmp_path):
    store = FolderStore(tmp_path)
    first = hold(store, days(1, 3))
    rewrite(tmp_path, process=str(replace(this_process(), began="1")))
    waits = Waits()
    second = hold(store, days(1, 3), sleep=waits)
    assert waits.seconds == 0
    assert known_fetches(store, STREAM).alive == {second.fetch_id}
    second.release()
    first.release()


def test_a_process_on_another_machine_is_dead_when_its_beat_stands_still(tmp_path):
    store = FolderStore(tmp_path)
    first = hold(store, days(1, 3))
    rewrite(tmp_path, **ELSEWHERE)
    waits = Waits()
    second = hold(store, days(1, 3), sleep=waits)
    assert waits.seconds == leases.DEAD_AFTER_SECONDS
    second.release()
    first.release()


def test_a_process_on_another_machine_lives_while_its_beat_goes_on(tmp_path):
    store = FolderStore(tmp_path)
    first = hold(store, days(1, 3))
    rewrite(tmp_path, **ELSEWHERE)
    beating = Waits(lambda: rewrite(tmp_path, beat=holders(tmp_path)[0]["beat"] + 1))
    with pytest.raises(DaysHeldError, match="on another"):
        hold(store, days(1, 3), sleep=beating)
    first.release()


def test_a_pass_that_was_taken_for_dead_writes_nothing_more(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.01)
    store = FolderStore(tmp_path)
    first = hold(store, days(1, 3))
    first.check()
    (tmp_path / "_inflight" / "passes" / f"{STREAM}.json").write_text("[]")
    threading.Event().wait(0.3)
    with pytest.raises(DaysHeldError, match="another fetch has taken over its days"):
        first.check()
    first.release()


def test_a_pass_that_stood_still_looks_again_before_it_writes(tmp_path):
    """Its machine slept: no thread of it has beaten meanwhile."""
    clock, store = Moment(1000), FolderStore(tmp_path)
    path = tmp_path / "_inflight" / "passes" / f"{STREAM}.json"
    first = hold(store, days(1, 3))
    (entry,) = leases._holders_of(path.read_bytes())
    asleep = Lease(store, STREAM, entry, clock=clock)
    clock.now += 3600
    asleep.check()  # nobody took over
    path.write_text("[]")
    asleep.check()  # looked a moment ago
    clock.now += 3600
    with pytest.raises(DaysHeldError, match="another fetch has taken over its days"):
        asleep.check()
    asleep.release()
    first.release()


def test_a_damaged_file_of_leases_holds_nobody_up(tmp_path):
    store = FolderStore(tmp_path)
    hold(store, days(1, 3)).release()
    for damage in ("", "[{", "{}", '[{"pass_id": 1}]', "[3]"):
        (tmp_path / "_inflight" / "passes" / f"{STREAM}.json").write_text(damage)
        hold(store, days(1, 3)).release()


def test_a_dead_pass_is_gone_on_for_by_one_only(tmp_path):
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
def test_of_two_passes_over_a_day_the_second_begins_when_the_first_has_ended(tmp_path):
    """Both in earnest, over HTTP: the second one's first request comes after the first one's last."""
    clock, told = Moment(DAY.end + 5000), []
    account = RecordedAccount({STREAM: [metric_event(number, DAY.start + number * 60) for number in range(1, 60)]})
    with SandboxServer(account, clock=clock, page_limit=5) as server, client_at(server.base_url, clock=clock) as client:

        def pass_(log):
            return fetch_days(
                client,
                FolderStore(tmp_path),
                stream=STREAMS[STREAM],
                days=[DAY, DAY.plus(1)],
                ownership=ownership_of(DAY),
                clock=clock,
                log=log,
            )

        first = pass_(lambda _: None)
        assert next(first).day == DAY  # and holds the next day
        second = threading.Thread(target=lambda: list(pass_(told.append)))
        second.start()
        while not told:
            threading.Event().wait(0.01)
        made = len(server.requests)
        threading.Event().wait(0.2)
        assert len(server.requests) == made
        list(first)
        second.join()
    assert "are being fetched by process" in told[0]
    assert stored_ids(tmp_path, STREAM, DAY) == list(range(1, 60))
    bury(tmp_path)
    assert known_fetches(FolderStore(tmp_path), STREAM).alive == set()


def hourly(day, count=30):
    return [metric_event(number, day.start + number * 60) for number in range(1, count)]


@pytest.mark.slow
def test_a_day_that_a_pass_has_written_can_be_read_by_another_while_it_reads_on(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.01)
    clock = Moment(DAY.end + 100_000)
    with (
        SandboxServer(RecordedAccount({STREAM: hourly(DAY)}), clock=clock) as server,
        client_at(server.base_url, clock=clock) as client,
    ):

        def pass_(span):
            return fetch_days(
                client,
                FolderStore(tmp_path),
                stream=STREAMS[STREAM],
                days=span,
                ownership=ownership_of(DAY),
                clock=clock,
                log=print,
            )

        first = pass_([DAY, DAY.plus(1)])
        assert next(first).day == DAY
        second = threading.Thread(target=lambda: list(pass_([DAY])), daemon=True)
        second.start()
        second.join(20)
        assert not second.is_alive()
        assert next(first).day == DAY.plus(1)
        first.close()


def test_a_pass_that_has_lost_its_days_leaves_them_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.01)
    clock = Moment(DAY.end + 100_000)
    with (
        SandboxServer(RecordedAccount({STREAM: hourly(DAY)}), clock=clock) as server,
        client_at(server.base_url, clock=clock) as client,
    ):

        class TakenOver:
            def pages(self, stream, start_time):
                for walked in client.pages(stream, start_time):
                    (tmp_path / "_inflight" / "passes" / f"{STREAM}.json").write_text("[]")
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


def stands_still(root):
    """The pass that holds days looks as if its process were stopped, on another machine."""
    rewrite(root, **ELSEWHERE)


def test_every_acquisition_and_take_over_draws_another_token(tmp_path):
    store, tokens = FolderStore(tmp_path), []
    for _ in range(2):
        lease = hold(store, days(1, 3))
        for fetch_id in (lease.fetch_id, "dead", lease.fetch_id):
            tokens.append(holders(tmp_path)[-1]["token"])
            assert lease.take_over(fetch_id)
        lease.release()
    assert len(set(tokens)) == len(tokens) == 6


def test_who_was_taken_over_writes_and_removes_nothing_more_and_is_told_by_whom(tmp_path):
    """Before the heir has done anything, and after it has ended; also where the heir has the dead pass's id."""
    store = FolderStore(tmp_path)
    first = hold(store, days(1, 3), label="the first")
    put(first.fenced(), "file")
    stands_still(tmp_path)
    second = hold(store, days(2, 2), label="the second")
    assert second.take_over(first.fetch_id)
    put(second.fenced(), "file", b"the heir's")
    for has_ended in (False, True):
        told = rf"{STREAM}: this fetch was stopped .* process \d+ on \S+ \(the second\) has taken over its days"
        for attempt in (lambda: put(first.fenced(), "file"), lambda: first.fenced().delete("file"), first.fenced().delete):
            with pytest.raises(
                DaysHeldError, match=rf"{told}{' and has ended since' if has_ended else ''}\. It writes nothing more"
            ):
                attempt()
        second.release(is_finished=True)
    assert (tmp_path / "file").read_bytes() == b"the heir's"
    assert store.paths("_inflight/half_written") == []
    first.release()


def test_who_was_taken_over_twice_is_told_the_last_heir(tmp_path):
    store, leases_ = FolderStore(tmp_path), []
    for number in range(3):
        leases_.append(hold(store, days(1, 3), label=f"pass {number}"))
        stands_still(tmp_path)
    with pytest.raises(DaysHeldError, match=r"\(pass 2\) has taken over"):
        leases_[0].check_now()
    for lease in leases_:
        lease.release()


def test_the_journal_of_a_pass_whose_heir_has_finished_its_days_is_over(tmp_path):
    store = FolderStore(tmp_path)
    for wanted, is_finished in ((days(2, 2), True), (days(1, 3), False), (days(1, 4), True)):
        first = hold(store, days(1, 3))
        stands_still(tmp_path)
        heir = hold(store, wanted)
        heir.release(is_finished=is_finished)
        assert (first.fetch_id in known_fetches(store, STREAM).over) == (is_finished and len(wanted) == 4)
        first.release()


def test_the_file_of_leases_does_not_grow(tmp_path):
    store = FolderStore(tmp_path)
    for number in range(15):
        heir = hold(store, days(1, 3))
        assert heir.take_over(f"dead {number}")
        heir.release(is_finished=True)
    assert [one["pass_id"] for one in holders(tmp_path)] == [f"dead {number}" for number in range(5, 15)]


def test_a_lease_of_the_first_versions_holds_its_days_and_may_be_taken_over(tmp_path):
    store = FolderStore(tmp_path)
    first = hold(store, days(1, 3))
    path = tmp_path / "_inflight" / "passes" / f"{STREAM}.json"
    (entry,) = holders(tmp_path)
    path.write_text(
        json.dumps([{name: entry[name] for name in entry if name not in ("token", "heir_of", "instead_of", "ended")}])
    )
    stands_still(tmp_path)
    waits = Waits()
    second = hold(store, days(1, 3), sleep=waits)
    assert waits.seconds == leases.DEAD_AFTER_SECONDS
    with pytest.raises(DaysHeldError, match="has taken over its days"):
        first.check_now()
    second.release()
    first.release()


def test_a_lease_whose_file_is_lost_or_damaged_allows_nothing(tmp_path):
    for damage in (None, "[{"):
        first = hold(FolderStore(tmp_path), days(1, 3))
        path = tmp_path / "_inflight" / "passes" / f"{STREAM}.json"
        path.unlink() if damage is None else path.write_text(damage)
        with pytest.raises(DaysHeldError, match="another fetch has taken over its days and has ended"):
            put(first.fenced(), "file")
        first.release()
    assert not (tmp_path / "file").exists()


def test_what_a_later_version_says_of_a_lease_is_passed_over(tmp_path):
    """Else the whole file would count as damaged, and every pass that is running would lose its days."""
    first = hold(FolderStore(tmp_path), days(1, 3))
    path = tmp_path / "_inflight" / "passes" / f"{STREAM}.json"
    path.write_text(json.dumps([{**entry, "colour": "blue"} for entry in json.loads(path.read_text())]))
    put(first.fenced(), "file")
    first.release()
    assert (tmp_path / "file").exists()
