"""A root of raw files without rows, written fast: for tests that depend only on which days are stored and in which state."""

from collections import Counter

from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path, write_partition
from ticket_events_pipeline.tables.schemas import RAW_SCHEMAS, SCHEMA_VERSION
from ticket_events_pipeline_tests.support.raw_files import LATE_SECONDS, raw_footer

WHOLE, OPEN, DAMAGED, MISSING = "WODM"


class Shelf(FolderStore):
    """A folder store that counts its reads."""

    def __init__(self, root):
        super().__init__(root)
        self.read = Counter()

    def reader(self, path):
        self.read[path] += 1
        return super().reader(path)

    def put_day(self, stream, day, state, *, schema_version=SCHEMA_VERSION):
        path = partition_path(stream, day)
        if state == MISSING:
            self.delete(path)
        elif state == DAMAGED:
            with self.writer(path) as file:
                file.write(b"PAR1 but no more")
        else:
            rows = RAW_SCHEMAS[stream].empty_table()
            read_to = day.end + LATE_SECONDS if state == WHOLE else day.start
            footer = raw_footer(stream, day, rows, read_to=read_to, schema_version=schema_version)
            write_partition(self, stream, day, rows, footer.to_metadata())
