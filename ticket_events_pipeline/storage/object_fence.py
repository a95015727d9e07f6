"""Puts behind a fence, in a bucket: who may write is read first, and the put holds only where the target hasn't changed since.

A bucket has no lock that would last from the look to the put. So a file is put in the place of the version that lay there
when this process held its days for certain, and of no other: whoever was taken over in between finds the heir's version. An
heir who finds a late put of that kind puts again, since its own days are its.
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
from ticket_events_pipeline.storage.object_errors import explained

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import ObjectStoreMethods

    from ticket_events_pipeline.storage.store import Fence

ATTEMPTS = 5
"""One late put of a process that was taken over explains one; more are a stranger's, who doesn't ask for a lease."""

_MARK = "put"
"""Metadata of a file: which put made it. Tells one's own put again whose answer got lost."""


class _Found(NamedTuple):
    """What lies at a path."""

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
        """Put one of the files that the fence's holder alone replaces.

        It goes in one piece, whatever its size: a put in parts takes no condition. S3 takes 5 GB so, more than the most rows
        that an account lets out in a day.

        Raises:
            UsageError: the store refuses.
            TransientError: the store can't be reached, or somebody without a lease goes on replacing the file.
            What the fence raises where another process may write.
        """
        mark = uuid.uuid4().hex
        mode = self._first_mode(objects, path, fence)
        for _ in range(ATTEMPTS):
            self.check(fence)
            if self._is_put(objects, path, content, mode=mode, mark=mark):
                return
            found = self._found(objects, path)
            if found.mark == mark:
                return  # only the answer got lost
            mode = found.mode
        raise TransientError(f"{self._root}/{path} was replaced by others {ATTEMPTS} times in between. Run it again.")

    def _first_mode(self, objects: ObjectStoreMethods, path: str, fence: Fence) -> PutMode:
        """The condition that what lies there is what was seen before the fence was asked."""
        if not self._root.provider.lists_put_conditions:
            return self._found(objects, path).mode
        if fence.versions is None:
            fence.versions = self._versions(fence.replaces)
        seen = fence.versions.get(path)
        return "create" if seen is None else {"e_tag": seen}

    def _is_put(self, objects: ObjectStoreMethods, path: str, content: bytes | mmap.mmap, *, mode: PutMode, mark: str) -> bool:
        try:
            with explained(self._root, f"write {self._root}/{path}", may_be_missing=True):
                objects.put(path, content, mode=mode, attributes={_MARK: mark}, use_multipart=False)
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):  # the last: removed since it was seen
            return False
        except TransientError:
            if self._found(objects, path).mark != mark:  # it may have been done, and only the answer got lost
                raise
        return True

    def _found(self, objects: ObjectStoreMethods, path: str) -> _Found:
        try:
            with explained(self._root, f"read {self._root}/{path}", may_be_missing=True):
                found = objects.get(path, options={"head": True})
        except FileNotFoundError:
            return _Found(None, "create")
        version = {name: value for name in ("e_tag", "version") if (value := found.meta[name]) is not None}
        return _Found(found.attributes.get(_MARK), cast("PutMode", version))
