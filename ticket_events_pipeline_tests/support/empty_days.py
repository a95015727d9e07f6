"""A root of raw files without rows, laid in no time: for what depends only on which days are stored, and how."""

from collections import Counter

from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.partition_file import partition_path, write_partition
from ticket_events_pipeline.storage.raw_footer import RawFooter
from ticket_events_pipeline.storage.store import FolderStore
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION, TABLES

WHOLE, OPEN, DAMAGED, MISSING = "WODM"


class Shelf(FolderStore):
    """Counts what is read of it."""

    def __init__(self, root):
        super().__init__(root)
        self.read = Counter()

    def reader(self, path):
        self.read[path] += 1
        return super().reader(path)

    def lay(self, stream, day, state, *, schema_version=SCHEMA_VERSION):
        path = partition_path(stream, day)
        if state == MISSING:
            self.delete(path)
        elif state == DAMAGED:
            with self.writer(path) as file:
                file.write(b"PAR1 but no more")
        else:
            rows = TABLES[stream].schema.empty_table()
            footer = RawFooter(
                schema_version=schema_version,
                account="acme",
                timezone=day.timezone,
                sideload=False,
                stream=stream,
                partition=str(day),
                window_start=day.start,
                window_end=day.end,
                complete=state == WHOLE,
                next_start_time=day.start,
                requests=1,
                rows=0,
                duplicates=0,
                rejected=0,
                fetched_at=day.end,
                content_hash=content_hash(rows),
                pages=(),
            )
            write_partition(self, stream, day, rows, footer.to_metadata())
