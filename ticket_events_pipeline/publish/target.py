"""Where published tables go: a folder or an object store's prefix, apart from the files that they are copies of."""

from __future__ import annotations

import os

from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.root import ObjectRoot, is_object_store, parse_root


def parse_target(text: str, root: str) -> str:
    """A folder's absolute path, or an object store's URI: as a root is written.

    Raises:
        UsageError: it can't hold tables, or the files of `root` lie in it, or it lies in them.
    """
    try:
        target = parse_root(text)
    except ValueError as error:
        raise UsageError(f"The URI to publish to {error}.") from error
    if _is_within(target, root) or _is_within(root, target):
        raise UsageError(
            f"{target} and the root {root} lie in each other. Publishing copies rows into tables with files of their own; "
            "query engines that read the root would read those too, and a clean-up of the tables could remove stored days. "
            "Publish to a place of its own."
        )
    return target


def _is_within(inner: str, outer: str) -> bool:
    if is_object_store(inner) != is_object_store(outer):
        return False
    if not is_object_store(inner):
        real = os.path.realpath(outer)
        return os.path.commonpath([os.path.realpath(inner), real]) == real
    one, other = ObjectRoot.parse(inner), ObjectRoot.parse(outer)
    is_same_bucket = (one.provider.library_scheme, one.bucket) == (other.provider.library_scheme, other.bucket)
    return is_same_bucket and f"{one.prefix}/".startswith(f"{other.prefix}/" if other.prefix else "")
