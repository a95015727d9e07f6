"""Fenced puts in a bucket: the lease is checked first, and the put succeeds only if the target hasn't changed since.

A bucket has no lock that lasts from the check to the put. So a put replaces exactly the version that was there while this
process surely held the lease: a process that lost its lease in between finds the new holder's version. A new holder that finds
such a late put puts again, since the days are its own.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import mmap
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, cast

from obstore.exceptions import AlreadyExistsError, PreconditionError

from ticket_events_pipeline.errors import TransientError
from ticket_events_pipeline.root import ObjectRoot
from ticket_events_pipeline.storage.conditional_put import ConditionalPuts
from ticket_events_pipeline.storage.object_errors import translated_errors

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import ObjectStoreMethods

    from ticket_events_pipeline.storage.store import Fence

ATTEMPTS = 5
"""A late put of the former lease holder explains one failed attempt; more come from a process that takes no lease."""

_MARK = "put"
"""Metadata of a file: which put made it. Identifies one's own put whose answer was lost."""


class _Found(NamedTuple):
    """The object at a path, and the condition for replacing exactly that version."""

    mark: str | None
    mode: PutMode


class FencedPuts:
    """Puts of whole files below a root, for who may write."""

    def __init__(self, root: ObjectRoot, conditional: ConditionalPuts, versions: Callable[[str], dict[str, str]]) -> None:
        self._root = root
        self._conditional = conditional
        self._versions = versions

    def check(self, fence: Fence) -> None:
        """Raises what the fence raises where another process may write."""
        fence.check(self._conditional.content(fence.path))

    def put(self, objects: ObjectStoreMethods, path: str, content: bytes | mmap.mmap, fence: Fence) -> None:
        """Put a file that only the lease holder replaces.

        It is put in one piece, whatever its size: a multipart put takes no precondition. S3 accepts 5 GB that way, more than
        any account delivers in a day.

        Raises:
            UsageError: the store refuses.
            TransientError: the store can't be reached, or a process without a lease keeps replacing the file.
            What the fence raises if another process holds the lease.
        """
        mark = uuid.uuid4().hex
        mode = self._first_mode(objects, path, fence)
        for _ in range(ATTEMPTS):
            self.check(fence)
            if self._is_put(objects, path, content, mode=mode, mark=mark):
                return
            found = self._found(objects, path)
            if found.mark == mark:
                return  # only the answer was lost
            mode = found.mode
        raise TransientError(f"{self._root}/{path} was replaced by others {ATTEMPTS} times in between. Run it again.")

    def _first_mode(self, objects: ObjectStoreMethods, path: str, fence: Fence) -> PutMode:
        """The condition that the target is what was seen before the fence was checked."""
        if not self._root.provider.lists_put_conditions:
            return self._found(objects, path).mode
        if fence.versions is None:
            fence.versions = self._versions(fence.replaces)
        seen = fence.versions.get(path)
        # Azure's listing leaves the quotes out, which belong to an entity tag in a condition.
        return "create" if seen is None else {"e_tag": seen if seen.startswith('"') else f'"{seen}"'}

    def _is_put(self, objects: ObjectStoreMethods, path: str, content: bytes | mmap.mmap, *, mode: PutMode, mark: str) -> bool:
        try:
            with translated_errors(self._root, f"write {self._root}/{path}", may_be_missing=True):
                objects.put(path, content, mode=mode, attributes={_MARK: mark}, use_multipart=False)
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):  # FileNotFoundError: removed since it was seen
            return False
        except TransientError:
            if self._found(objects, path).mark != mark:  # it may have succeeded, with only the answer lost
                raise
        return True

    def _found(self, objects: ObjectStoreMethods, path: str) -> _Found:
        try:
            with translated_errors(self._root, f"read {self._root}/{path}", may_be_missing=True):
                found = objects.get(path, options={"head": True})
        except FileNotFoundError:
            return _Found(None, "create")
        version = {name: value for name in ("e_tag", "version") if (value := found.meta[name]) is not None}
        return _Found(found.attributes.get(_MARK), cast("PutMode", version))
