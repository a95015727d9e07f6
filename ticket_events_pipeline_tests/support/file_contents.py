"""Files of a store, put and read whole."""

from collections import Counter
from pathlib import Path

from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.store import Store


def put(store: Store, path: str, content: bytes = b"content") -> None:
    """Write the file."""
    with store.writer(path) as file:
        file.write(content)


def read(store: Store, path: str) -> bytes:
    """The whole file."""
    with store.reader(path) as file:
        return file.read()


class CountingStore(FolderStore):
    """Remembers how often each file was opened."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.opened: Counter[str] = Counter()

    def reader(self, path: str):
        self.opened[path] += 1
        return super().reader(path)
