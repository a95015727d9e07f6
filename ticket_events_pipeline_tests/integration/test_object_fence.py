"""A put behind a fence, in a bucket: who was taken over replaces nothing that the heir has put, and the heir's put stands."""

import pytest

from ticket_events_pipeline.errors import DaysHeldError, TransientError
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.store import Fence
from ticket_events_pipeline_tests.integration.test_stores import put, read
from ticket_events_pipeline_tests.support.object_server import client

LEASE = "_inflight/passes/stream.json"
DAY = "stream/date=2026-03-02/stream.parquet"


@pytest.fixture
def store(s3_root):
    return open_store(s3_root)


def fence_of(name):
    def check(content):
        if content != name.encode():
            raise DaysHeldError(f"{content} has taken over")

    return Fence(LEASE, check, "stream", print)


def hold(store, name):
    store.update(LEASE, lambda _: name.encode())
    return fence_of(name)


def put_fenced(store, fence, content, path=DAY):
    with store.writer(path, fence=fence) as file:
        file.write(content)


def verbs(s3):
    return [line.partition(" ")[0] for line in s3.requests()]


def test_a_day_takes_one_request_more_than_its_put_and_a_pass_one_listing(s3, store):
    fence = hold(store, "first")
    s3.heal()
    put_fenced(store, fence, b"new")
    assert verbs(s3) == ["GET", "GET", "PUT"]
    assert "list-type=2" in s3.requests()[0]
    s3.heal()
    put_fenced(store, fence, b"another day", "stream/date=2026-03-03/stream.parquet")
    put_fenced(store, fence, b"a name of its own", "_inflight/segments/1")
    assert verbs(s3) == ["GET", "PUT", "GET", "PUT"]
    s3.heal()
    store.delete("_inflight/segments/1", "_inflight/segments/2", fence=fence)
    assert verbs(s3) == ["GET", "DELETE", "DELETE"]


@pytest.mark.parametrize("before", [None, b"stood there"])
def test_who_was_taken_over_replaces_nothing(s3, store, before):
    if before:
        put(store, DAY, before)
    first = hold(store, "first")
    put_fenced(store, first, b"another day", "stream/date=2026-03-03/stream.parquet")
    second = hold(store, "second")
    for attempt in (put_fenced, lambda store, fence, _: store.delete(DAY, fence=fence)):
        with pytest.raises(DaysHeldError, match="second"):
            attempt(store, first, b"the loser's")
        assert (DAY in store.paths("stream")) == (before is not None)
    put_fenced(store, second, b"the heir's")
    with pytest.raises(DaysHeldError, match="second"):
        put_fenced(store, first, b"the loser's")
    assert read(store, DAY) == b"the heir's"


def asleep(store, fence, during):
    """The same fence, whose holder stands still once between its look and its put, while others do something."""
    check, left = fence.check, [during]

    def look(content):
        check(content)
        if left:
            left.pop()()

    return Fence(fence.path, look, fence.replaces, fence.log)


@pytest.mark.parametrize("before", [None, b"stood there"])
def test_a_put_that_comes_after_the_heirs_is_refused(s3, store, before):
    if before:
        put(store, DAY, before)
    late = asleep(store, hold(store, "first"), lambda: put_fenced(store, hold(store, "second"), b"the heir's"))
    with pytest.raises(DaysHeldError, match="second"):
        put_fenced(store, late, b"the loser's")
    assert read(store, DAY) == b"the heir's"


@pytest.mark.parametrize("before", [None, b"stood there"])
def test_a_late_put_that_comes_before_the_heirs_is_replaced_by_it(s3, store, before):
    """The heir had listed what stands before."""
    if before:
        put(store, DAY, before)
    heir = fence_of("second")

    def taken_over():
        hold(store, "second")
        put_fenced(store, heir, b"another day", "stream/date=2026-03-03/stream.parquet")

    put_fenced(store, asleep(store, hold(store, "first"), taken_over), b"the loser's")
    put_fenced(store, heir, b"the heir's")
    assert read(store, DAY) == b"the heir's"


def test_a_day_that_was_removed_by_hand_meanwhile_is_put(s3, store):
    put(store, DAY, b"stood there")
    put_fenced(store, asleep(store, hold(store, "first"), lambda: store.delete(DAY)), b"new")
    assert read(store, DAY) == b"new"


@pytest.mark.parametrize("times", [1, 4])
def test_a_put_whose_answer_got_lost_is_made_once(s3, store, times):
    fence = hold(store, "first")
    put_fenced(store, fence, b"another day", "stream/date=2026-03-03/stream.parquet")
    s3.heal()
    s3.fail("PUT", 500, code="InternalError", after=True, times=times)
    put_fenced(store, fence, b"new")
    assert read(store, DAY) == b"new"


def test_a_day_that_others_go_on_replacing_without_a_lease_is_an_error(s3, store):
    fence = hold(store, "first")
    s3.fail("PUT", 412, code="PreconditionFailed", times=5)
    with pytest.raises(TransientError, match=rf"{DAY} was replaced by others 5 times in between"):
        put_fenced(store, fence, b"new")


def test_a_day_of_many_megabytes_is_put_in_one_piece(s3, store):
    """In parts, no condition could be set."""
    content = bytes(range(256)) * (9 * 2**12)
    fence = hold(store, "first")
    s3.heal()
    put_fenced(store, fence, content)
    assert [line.partition(" ")[0] for line in s3.requests() if DAY in line] == ["PUT"]
    assert read(store, DAY) == content
    key = f"{store.location.partition('/lake/')[2]}/{DAY}"
    assert "put" in client(s3).head_object(Bucket="lake", Key=key)["Metadata"]
