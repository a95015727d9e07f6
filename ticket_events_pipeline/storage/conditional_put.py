"""Conditional puts: updating small objects in a bucket without losing another process's update.

Optimistic concurrency: if the precondition fails, read again and retry. Some S3-compatible stores ignore preconditions, so this
is tested before the first update.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import datetime as dt
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, cast

import tenacity
from obstore.exceptions import AlreadyExistsError, PreconditionError

from ticket_events_pipeline.errors import TransientError, UsageError
from ticket_events_pipeline.root import ObjectRoot
from ticket_events_pipeline.storage.object_errors import ThrottledError, translated_errors
from ticket_events_pipeline.storage.store_clock import StoreClock

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import ObjectStoreMethods

    from ticket_events_pipeline.storage.store import Change

ATTEMPTS = 100
"""Of any number of processes that update a file at once, one succeeds in each round."""

THROTTLED_SECONDS = 20.0
"""Google takes one put a second of one object, so several processes that update a file at once wait for each other.
https://docs.cloud.google.com/storage/quotas"""

_MARK = "exchange"
"""Metadata of an updated file: which update put it. Identifies one's own put whose answer was lost."""

_UNKNOWN_VERSION: PutMode = {"e_tag": '"00000000000000000000000000000000"', "version": "1"}


class _OvertakenError(Exception):
    """Another process changed the file in between."""


class _Held(NamedTuple):
    """The content of a small file, and the condition for replacing exactly that version."""

    content: bytes | None
    mark: str | None
    mode: PutMode


class _OwnPut(NamedTuple):
    """The last put of this process to a file, or a try; times are the clock's `monotonic` seconds."""

    mark: str
    sent_at: float
    answered_at: float


class ConditionalPuts:
    """Updates small objects below a root by conditional puts; each also shows what the store's clock says.

    Attributes:
        clock: the store's; known after the first update, or test of preconditions.
    """

    def __init__(
        self,
        root: ObjectRoot,
        objects: ObjectStoreMethods,
        *,
        attempts: int = ATTEMPTS,
        throttled_seconds: float = THROTTLED_SECONDS,
    ) -> None:
        self._root = root
        self._objects = objects
        self._attempts = attempts
        self._throttled_seconds = throttled_seconds
        self._is_tested = False
        self._own_puts: dict[str, _OwnPut] = {}
        self.clock = StoreClock()

    def update(self, path: str, change: Change, *, trial: str) -> None:
        """See `Store.update`; `trial` is a path for testing preconditions.

        Raises:
            UsageError: the store refuses, or ignores preconditions.
            TransientError: the store can't be reached, or other processes keep changing the file.
        """
        if not self._is_tested or self.clock.now() is None:
            self.test_preconditions(trial)
        try:
            self._retrying()(self._try, path, change, uuid.uuid4().hex)
        except _OvertakenError:
            raise TransientError(
                f"{self._root}/{path} was changed by others {self._attempts} times in between. Run it again."
            ) from None

    def content(self, path: str) -> bytes | None:
        """The content of a small file; None if it doesn't exist.

        Raises:
            UsageError: the store refuses.
            TransientError: the store can't be reached.
        """
        return self._held(path).content

    def test_preconditions(self, trial: str) -> None:
        """Test that the store refuses a put whose precondition fails, and read its clock; leaves nothing at `trial`.

        Raises:
            UsageError: it doesn't, so two concurrent fetches could damage each other's files.
        """
        try:
            sent_at = self.clock.monotonic()
            is_put, answered_at = self._is_taken(trial, "create"), self.clock.monotonic()
            if is_put:
                self._read_clock(trial, sent_at=sent_at, answered_at=answered_at)
            taken = [is_put, self._is_taken(trial, "create"), self._is_taken(trial, _UNKNOWN_VERSION)]
        finally:
            with (
                suppress(FileNotFoundError),
                translated_errors(self._root, f"remove {self._root}/{trial}", may_be_missing=True),
            ):
                self._objects.delete(trial)
        if taken != [True, False, False]:
            raise UsageError(
                f"TICKET_EVENTS_ROOT: the store of {self._root} puts a file although its precondition fails, so "
                "two fetches could damage each other's files. Use a store with conditional puts (If-Match, If-None-Match)."
            )
        self._is_tested = True

    def _read_clock(self, path: str, *, sent_at: float, answered_at: float) -> None:
        with translated_errors(self._root, f"read {self._root}/{path}"):
            last_modified = self._objects.head(path)["last_modified"]
        self.clock.note_put(last_modified, sent_at=sent_at, answered_at=answered_at)

    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((_OvertakenError, ThrottledError)),
            wait=tenacity.wait_random_exponential(multiplier=0.02, max=1),
            stop=self._gives_up,
            reraise=True,
        )

    def _gives_up(self, state: tenacity.RetryCallState) -> bool:
        is_throttled = state.outcome is not None and isinstance(state.outcome.exception(), ThrottledError)
        has_waited = (state.seconds_since_start or 0) > self._throttled_seconds
        return state.attempt_number >= self._attempts or (is_throttled and has_waited)

    def _is_taken(self, path: str, mode: PutMode) -> bool:
        """Whether the store accepts a put with a precondition."""
        return self._retrying()(self._is_taken_at_once, path, mode)

    def _is_taken_at_once(self, path: str, mode: PutMode) -> bool:
        try:
            with translated_errors(self._root, f"write {self._root}/{path} under a condition (If-Match, If-None-Match)"):
                self._objects.put(path, b"trial", mode=mode, use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    def _try(self, path: str, change: Change, mark: str) -> None:
        held = self._held(path)
        after = None if held.mark == mark else change(held.content)
        if after is None:
            return
        sent_at = self.clock.monotonic()
        try:
            with translated_errors(self._root, f"change {self._root}/{path}"):
                self._objects.put(path, after, mode=held.mode, attributes={_MARK: mark}, use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            raise _OvertakenError from None
        except TransientError:
            if self._held(path).mark != mark:  # it may have succeeded, with only the answer lost
                raise
        finally:
            self._own_puts[path] = _OwnPut(mark, sent_at, self.clock.monotonic())

    def _held(self, path: str) -> _Held:
        try:
            with translated_errors(self._root, f"read {self._root}/{path}", may_be_missing=True):
                found = self._objects.get(path)
                content = bytes(found.bytes())
        except FileNotFoundError:
            return _Held(None, None, "create")
        version = {name: value for name in ("e_tag", "version") if (value := found.meta[name]) is not None}
        mark = found.attributes.get(_MARK)
        self._note_time(path, mark, found.meta["last_modified"])
        return _Held(content, mark, cast("PutMode", version))

    def _note_time(self, path: str, mark: str | None, last_modified: dt.datetime) -> None:
        own = self._own_puts.get(path)
        if own is not None and own.mark == mark:
            self.clock.note_put(last_modified, sent_at=own.sent_at, answered_at=own.answered_at)
        else:
            self.clock.note_seen(last_modified)
