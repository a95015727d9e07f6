"""Opening the store at a root: a folder, or a bucket if its library is installed."""

from __future__ import annotations

from pathlib import Path

from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.installation import pip_install
from ticket_events_pipeline.root import ObjectRoot, is_object_store
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.store import Store


def open_store(root: str) -> Store:
    """The store at `root`: a folder's absolute path, or an object store's URI.

    Raises:
        UsageError: the root can't be used, the library for it is not installed, or its settings are missing.
    """
    if not is_object_store(root):
        return FolderStore(Path(root))
    try:
        parsed = ObjectRoot.parse(root)
    except ValueError as error:
        raise UsageError(f"TICKET_EVENTS_ROOT: {error}") from error
    try:
        # Imported here: it needs an extra that a folder doesn't.
        from ticket_events_pipeline.storage.object_store import ObjectStore
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "obstore":
            raise
        raise UsageError(
            f"TICKET_EVENTS_ROOT: {parsed.scheme}:// needs more installed: {pip_install(parsed.provider.extra)}"
        ) from None
    return ObjectStore(parsed)
