"""Files of a store, put and read whole."""

from ticket_events_pipeline.storage.store import Store


def put(store: Store, path: str, content: bytes = b"content") -> None:
    """Write the file."""
    with store.writer(path) as file:
        file.write(content)


def read(store: Store, path: str) -> bytes:
    """The whole file."""
    with store.reader(path) as file:
        return file.read()
