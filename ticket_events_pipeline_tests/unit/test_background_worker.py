"""A background worker: ordered, bounded, joined at the end, and no error is lost."""

import threading
from functools import partial

import pytest

from ticket_events_pipeline.background_worker import BackgroundWorker, in_time, map_ahead, prefetch
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.zendesk.client import WalkedPage
from ticket_events_pipeline.zendesk.page import EventPage
from ticket_events_pipeline_tests.support.streams import TICKET_METRIC_EVENTS

DAY = Day.parse("2026-03-02")


def failing():
    raise ValueError("the work")


def test_work_runs_in_the_background():
    other_is_done, seen = threading.Event(), []
    with BackgroundWorker(limit=3) as worker:
        worker.submit(lambda: seen.append(other_is_done.wait(10)))
        other_is_done.set()
        worker.finish()
        assert seen == [True]


def test_the_end_of_the_block_waits_for_the_work():
    may_end, seen = threading.Event(), []
    with BackgroundWorker(limit=3) as worker:
        worker.submit(lambda: seen.append(may_end.wait(10)))
        threading.Timer(0.05, may_end.set).start()
    assert seen == [True]


def test_pieces_are_done_in_order():
    done = []
    with BackgroundWorker(limit=3) as worker:
        for number in range(50):
            worker.submit(partial(done.append, number))
        worker.finish()
        assert done == list(range(50))


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_pieces_are_pending_than_the_limit(limit):
    may_end, begun = threading.Event(), 0
    with BackgroundWorker(limit=limit) as worker:

        def begin_all():
            nonlocal begun
            for _ in range(limit + 2):
                worker.submit(lambda: may_end.wait(10))
                begun += 1

        beginner = threading.Thread(target=begin_all)
        beginner.start()
        beginner.join(0.2)
        assert begun == limit
        may_end.set()
        beginner.join(10)
        assert begun == limit + 2


def test_pieces_after_a_failed_piece_are_never_done():
    """A page after a failed one would move the watermark, and the rows of the failed page would be lost."""
    may_fail, done = threading.Event(), []

    def fail():
        may_fail.wait(10)
        raise ValueError("the work")

    with BackgroundWorker(limit=3) as worker:
        worker.submit(fail)
        worker.submit(lambda: done.append("behind it"))
        may_fail.set()
        with pytest.raises(ValueError, match="the work"):
            worker.finish()
        worker.submit(lambda: done.append("begun later"))
    assert done == []


def test_an_error_is_raised_once_at_the_next_wait():
    with BackgroundWorker(limit=3) as worker:
        worker.finish()
        worker.submit(failing)
        worker.wait()
        with pytest.raises(ValueError, match="the work"):
            worker.finish()
        worker.finish()


def test_prefetch_yields_all_items_in_order():
    assert list(prefetch(iter([]))) == []
    assert list(prefetch([1, None, 3])) == [1, None, 3]


def test_the_next_item_is_prefetched_while_one_is_in_use():
    is_made = {number: threading.Event() for number in range(3)}

    def items():
        for number, made in is_made.items():
            made.set()
            yield number

    for number in prefetch(items()):
        assert is_made[min(number + 1, 2)].wait(10)


def test_only_one_item_is_prefetched():
    made = []
    items = prefetch(made.append(number) or number for number in range(10))
    assert next(items) == 0
    items.close()
    assert made in ([0], [0, 1])


def test_an_error_of_an_item_is_raised_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise ValueError("the third")

    seen = []
    with pytest.raises(ValueError, match="the third"):
        seen.extend(prefetch(items()))
    assert seen == [1, 2]


class Source:
    """A source of one page in the middle of the day, without an end."""

    def __init__(self, rows):
        self.rows = rows

    def pages(self, stream, start_time, **bounds):
        page = EventPage(stream, start_time, self.rows, 1, start_time + 60, False, None, DAY.end + 9999)
        yield WalkedPage(page, watermark=start_time + 60, at_end=False, requests=1)


def test_map_ahead_yields_the_results_in_order_however_long_each_takes():
    may_end = threading.Event()

    def later_ones_first(number):
        assert number or may_end.wait(10)
        may_end.set()
        return number * 10

    assert list(map_ahead(later_ones_first, range(5))) == [0, 10, 20, 30, 40]


def test_map_ahead_takes_no_more_items_than_it_can_hold():
    taken = []
    results = map_ahead(lambda number: number, (taken.append(number) or number for number in range(100)), threads=2)
    assert next(results) == 0
    assert len(taken) == 3
    results.close()


def test_map_ahead_raises_an_error_after_the_results_before_it():
    results = map_ahead(lambda number: 6 // number, [2, 0, 1])
    assert next(results) == 3
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_last_page_that_cannot_be_decoded_fails_the_fetch(tmp_path):
    """Otherwise a source without a last page would leave the day unwritten without an error."""
    days = fetch_days(
        Source(7), FolderStore(tmp_path), stream=TICKET_METRIC_EVENTS, days=[DAY], ownership=Ownership("acme", "UTC", False),
        clock=lambda: DAY.end + 9999.0, log=print,
    )  # fmt: skip
    with pytest.raises(TypeError):
        list(days)


def test_work_that_hangs_is_given_up_and_all_else_comes_back_as_it_is():
    never = threading.Event()
    with pytest.raises(TimeoutError):
        in_time(never.wait, seconds=0.1)
    never.set()
    assert in_time(lambda: "the result", seconds=60) == "the result"
    with pytest.raises(ValueError, match="the work"):
        in_time(failing, seconds=60)
