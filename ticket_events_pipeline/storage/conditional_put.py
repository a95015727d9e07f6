"""Changing a small object so that no other process's change is lost: a put that the store takes only if nobody was faster.

Nobody waits for anybody: who was overtaken reads again. That holds only where the store refuses a put whose condition doesn't
hold; some stores have never heard of conditions, so it is tried out before it is relied upon.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, cast

import tenacity
from obstore.exceptions import AlreadyExistsError, PreconditionError

from ticket_events_pipeline.errors import TransientError, UsageError
from ticket_events_pipeline.root import ObjectRoot
from ticket_events_pipeline.storage.object_errors import explained

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import ObjectStoreMethods

    from ticket_events_pipeline.storage.store import Change

ATTEMPTS = 100
"""Of any number of processes that change a file at once, each round lets one through."""

_MARK = "exchange"
"""Metadata of an exchanged file: which exchange put it. Tells one's own put again whose answer got lost."""

_NOBODYS_VERSION: PutMode = {"e_tag": '"00000000000000000000000000000000"', "version": "1"}


class _OvertakenError(Exception):
    """Somebody else changed the file in between."""


class _Held(NamedTuple):
    """What a small file holds, and how to put another in its place and in no other's."""

    content: bytes | None
    mark: str | None
    mode: PutMode


class ConditionalPuts:
    """ConditionalPuts small objects below a root."""

    def __init__(self, root: ObjectRoot, objects: ObjectStoreMethods, *, attempts: int = ATTEMPTS) -> None:
        self._root = root
        self._objects = objects
        self._attempts = attempts
        self._is_tried_out = False

    def update(self, path: str, change: Change, *, trial: str) -> None:
        """See `Store.update`; `trial` is a path to try conditions out at.

        Raises:
            UsageError: the store refuses, or knows no conditions.
            TransientError: the store can't be reached, or others don't stop changing the file.
        """
        if not self._is_tried_out:
            self.try_out(trial)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_OvertakenError),
            wait=tenacity.wait_random_exponential(multiplier=0.02, max=1),
            stop=tenacity.stop_after_attempt(self._attempts),
        )
        try:
            retrying(self._try, path, change, uuid.uuid4().hex)
        except tenacity.RetryError:
            raise TransientError(
                f"{self._root}/{path} was changed by others {self._attempts} times in between. Run it again."
            ) from None

    def content(self, path: str) -> bytes | None:
        """What a small file holds; None where it isn't there.

        Raises:
            UsageError: the store refuses.
            TransientError: the store can't be reached.
        """
        return self._held(path).content

    def try_out(self, trial: str) -> None:
        """Be sure that the store refuses a put whose condition doesn't hold; nothing is left at `trial`.

        Raises:
            UsageError: it doesn't; two passes at once would harm each other.
        """
        modes: tuple[PutMode, ...] = ("create", "create", _NOBODYS_VERSION)
        try:
            taken = [self._is_taken(trial, mode) for mode in modes]
        finally:
            with suppress(FileNotFoundError), explained(self._root, f"remove {self._root}/{trial}", may_be_missing=True):
                self._objects.delete(trial)
        if taken != [True, False, False]:
            raise UsageError(
                f"TICKET_EVENTS_ROOT: the store of {self._root} puts a file although the condition set for it doesn't hold: it "
                "can't keep two passes from harming each other. Use a store with conditional puts (If-Match, If-None-Match)."
            )
        self._is_tried_out = True

    def _is_taken(self, path: str, mode: PutMode) -> bool:
        """Whether the store takes a put under a condition."""
        try:
            with explained(self._root, f"write {self._root}/{path} under a condition (If-Match, If-None-Match)"):
                self._objects.put(path, b"trial", mode=mode, use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    def _try(self, path: str, change: Change, mark: str) -> None:
        held = self._held(path)
        after = None if held.mark == mark else change(held.content)
        if after is None:
            return
        try:
            with explained(self._root, f"change {self._root}/{path}"):
                self._objects.put(path, after, mode=held.mode, attributes={_MARK: mark}, use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            raise _OvertakenError from None
        except TransientError:
            if self._held(path).mark != mark:  # it may have been done, and only the answer got lost
                raise

    def _held(self, path: str) -> _Held:
        try:
            with explained(self._root, f"read {self._root}/{path}", may_be_missing=True):
                found = self._objects.get(path)
                content = bytes(found.bytes())
        except FileNotFoundError:
            return _Held(None, None, "create")
        version = {name: value for name in ("e_tag", "version") if (value := found.meta[name]) is not None}
        return _Held(content, found.attributes.get(_MARK), cast("PutMode", version))
