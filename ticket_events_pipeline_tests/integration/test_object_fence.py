"""Fenced puts in a bucket: a former lease holder never replaces what the new holder has put."""

import pytest

from ticket_events_pipeline.errors import DaysHeldError, TransientError
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.store import Fence
from ticket_events_pipeline_tests.support.file_contents import put, read

LEASE = "_inflight/passes/stream.json"
DAY = "stream/date=2026-03-02/stream.parquet"


@pytest.fixture
def store(bucket_root):
    return open_store(bucket_root)


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


def verbs(bucket):
    return [line.partition(" ")[0] for line in bucket.requests()]


@pytest.mark.parametrize("before", [None, b"stood there"])
def test_a_fenced_put_costs_one_more_request_and_a_fetch_one_listing(bucket, store, before):
    if before:
        put(store, DAY, before)
    fence = hold(store, "first")
    bucket.heal()
    put_fenced(store, fence, b"new")
    condition = ["HEAD"] if bucket.kind == "google" else []  # its listing has no generations
    assert verbs(bucket) == [*(condition or ["GET"]), "GET", "PUT"]
    assert condition or bucket.listing in bucket.requests()[0]
    bucket.heal()
    put_fenced(store, fence, b"another day", "stream/date=2026-03-03/stream.parquet")
    put_fenced(store, fence, b"a name of its own", "_inflight/segments/1")
    assert verbs(bucket) == [*condition, "GET", "PUT", "GET", "PUT"]
    bucket.heal()
    store.delete("_inflight/segments/1", "_inflight/segments/2", fence=fence)
    assert verbs(bucket) == ["GET", *["POST" if bucket.kind == "azure" else "DELETE"] * 2]


@pytest.mark.parametrize("before", [None, b"stood there"])
def test_a_former_lease_holder_replaces_nothing(bucket, store, before):
    if before:
        put(store, DAY, before)
    first = hold(store, "first")
    put_fenced(store, first, b"another day", "stream/date=2026-03-03/stream.parquet")
    second = hold(store, "second")
    for attempt in (put_fenced, lambda store, fence, _: store.delete(DAY, fence=fence)):
        with pytest.raises(DaysHeldError, match="second"):
            attempt(store, first, b"the former holder's")
        assert (DAY in store.paths("stream")) == (before is not None)
    put_fenced(store, second, b"the new holder's")
    with pytest.raises(DaysHeldError, match="second"):
        put_fenced(store, first, b"the former holder's")
    assert read(store, DAY) == b"the new holder's"


def asleep(store, fence, during):
    """The same fence, whose holder is suspended once between the check and the put, while `during` runs."""
    check, left = fence.check, [during]

    def check_and_wait(content):
        check(content)
        if left:
            left.pop()()

    return Fence(fence.path, check_and_wait, fence.replaces, fence.log)


@pytest.mark.parametrize("before", [None, b"stood there"])
def test_a_late_put_after_that_of_the_new_holder_is_refused(bucket, store, before):
    if before:
        put(store, DAY, before)
    late = asleep(store, hold(store, "first"), lambda: put_fenced(store, hold(store, "second"), b"the new holder's"))
    with pytest.raises(DaysHeldError, match="second"):
        put_fenced(store, late, b"the former holder's")
    assert read(store, DAY) == b"the new holder's"


@pytest.mark.parametrize("before", [None, b"stood there"])
def test_a_late_put_before_that_of_the_new_holder_is_replaced(bucket, store, before):
    """The new holder has listed the files before."""
    if before:
        put(store, DAY, before)
    new_holder = fence_of("second")

    def taken_over():
        hold(store, "second")
        put_fenced(store, new_holder, b"another day", "stream/date=2026-03-03/stream.parquet")

    put_fenced(store, asleep(store, hold(store, "first"), taken_over), b"the former holder's")
    put_fenced(store, new_holder, b"the new holder's")
    assert read(store, DAY) == b"the new holder's"


def test_a_day_deleted_by_hand_meanwhile_is_put(bucket, store):
    put(store, DAY, b"stood there")
    put_fenced(store, asleep(store, hold(store, "first"), lambda: store.delete(DAY)), b"new")
    assert read(store, DAY) == b"new"


@pytest.mark.parametrize("times", [1, 4])
def test_a_put_whose_answer_is_lost_is_made_once(bucket, store, times):
    fence = hold(store, "first")
    put_fenced(store, fence, b"another day", "stream/date=2026-03-03/stream.parquet")
    bucket.heal()
    bucket.fail("PUT", 500, code="InternalError", after=True, times=times)
    put_fenced(store, fence, b"new")
    assert read(store, DAY) == b"new"


def test_a_day_that_others_keep_replacing_without_a_lease_is_an_error(bucket, store):
    fence = hold(store, "first")
    bucket.fail("PUT", 412, code="PreconditionFailed", times=5)
    with pytest.raises(TransientError, match=rf"{DAY} was replaced by others 5 times in between"):
        put_fenced(store, fence, b"new")


def test_a_day_of_many_megabytes_is_put_in_one_piece(bucket, store):
    """A multipart put takes no precondition."""
    content = bytes(range(256)) * (9 * 2**12)
    fence = hold(store, "first")
    bucket.heal()
    put_fenced(store, fence, content)
    assert [line.partition(" ")[0] for line in bucket.requests() if f"{DAY}?" in line and "PUT" in line] == ["PUT"]
    assert read(store, DAY) == content
    key = f"{store.location.partition('/lake/')[2]}/{DAY}"
    assert [name for name in bucket.head(key) if name.lower().endswith("-meta-put")]
