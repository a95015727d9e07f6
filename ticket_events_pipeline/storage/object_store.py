"""A store in a bucket: S3 and compatible stores, Azure Blob Storage, Google Cloud Storage.

Built on obstore, which has the two operations needed: a put that becomes visible whole, and a conditional put. pyarrow.fs has
no conditional put, s3fs no If-Match.
https://developmentseed.org/obstore/

A file is collected on this machine, in memory or in an unnamed temporary file, and put when it is complete.
"""

from __future__ import annotations

import mimetypes
import mmap
import os
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, cast

from obstore.exceptions import BaseError, PreconditionError

from ticket_events_pipeline.day import Instant, wall_clock
from ticket_events_pipeline.errors import TransientError, UsageError
from ticket_events_pipeline.process import this_process
from ticket_events_pipeline.root import ObjectRoot
from ticket_events_pipeline.storage.conditional_put import ConditionalPuts
from ticket_events_pipeline.storage.file_lock import Log
from ticket_events_pipeline.storage.object_connection import PATIENT, connect
from ticket_events_pipeline.storage.object_errors import UNSUPPORTED, translated_errors
from ticket_events_pipeline.storage.object_fence import FencedPuts
from ticket_events_pipeline.storage.range_reader import TAIL_BYTES, Block, ObjectReader
from ticket_events_pipeline.storage.store import HALF_WRITTEN, Change, Fence, remove_half_written

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ObjectStoreMethods

_BYTES_IN_MEMORY = 8 * 2**20

_PART_BYTES = 8 * 2**20
"""A larger file is put in parts of this size, so that only a failed part is sent again; 10,000 parts are 80 GB."""

_PARTS_AT_ONCE = 4

_SLOWEST_BYTES_PER_SECOND = 280_000
"""The speed at which four concurrent parts fit into the timeout; a file put in one piece gets a timeout for that speed."""


class ObjectStore:
    """Everything below a root in a bucket. The bucket's policies decide who may read it."""

    def __init__(self, root: ObjectRoot) -> None:
        self._root = root
        self.location = str(root)
        self._patient, self._prompt = connect(root)
        self._conditional = ConditionalPuts(root, self._prompt)
        self._fenced = FencedPuts(root, self._conditional, self.versions)

    @contextmanager
    def writer(self, path: str, *, fence: Fence | None = None) -> Iterator[BinaryIO]:
        """See `Store.writer`. A put that fails half-way is aborted; a killed process may leave invisible parts of one.

        Raises:
            UsageError: the store refuses, or this machine has no disk space for the file.
            TransientError: the store can't be reached.
        """
        try:
            with tempfile.SpooledTemporaryFile(max_size=_BYTES_IN_MEMORY) as spooled:
                file = cast(BinaryIO, spooled)
                yield file
                if fence is None:
                    self._put(path, file)
                else:
                    self._put_fenced(path, file, fence)
        except OSError as error:
            if error.errno is None:  # an error of the store, not of this machine
                raise
            raise UsageError(
                f"{self.url(path)} can't be collected in {tempfile.gettempdir()}: {error.strerror}. Free disk space there, or "
                "set TMPDIR to another folder."
            ) from error

    def reader(self, path: str) -> BinaryIO:
        """See `Store.reader`. Everything that is read is of one version.

        Raises:
            UsageError: the store refuses.
            TransientError: the store can't be reached, or the file was replaced while it was read.
        """
        with self._translated("read", path):
            end = self._end_of(path)
            meta, tail = end.meta, Block(end.range[0], bytes(end.bytes()))

        def fetch(start: int, stop: int) -> bytes:
            try:
                with self._translated("read", path):
                    found = self._patient.get(path, options={"range": (start, stop), "if_match": meta["e_tag"]})
                    return bytes(found.bytes())
            except (PreconditionError, FileNotFoundError):
                raise TransientError(f"{self.url(path)} was replaced while it was read. Run it again.") from None

        return cast(BinaryIO, ObjectReader(fetch, size=meta["size"], tail=tail))

    def paths(self, prefix: str) -> list[str]:
        """See `Store.paths`. A thousand files a request."""
        with self._translated("list", prefix):
            return sorted(found["path"] for found in self._patient.list(prefix or None).collect())

    def versions(self, prefix: str) -> dict[str, str]:
        """See `Store.versions`. A thousand files a request."""
        with self._translated("list", prefix):
            found = self._patient.list(prefix or None).collect()
        return {one["path"]: one["e_tag"] or f"{one['size']} {one['last_modified'].isoformat()}" for one in found}

    def table_versions(self, tables: Sequence[str]) -> dict[str, str]:
        """See `Store.table_versions`. One listing of the root has fuller pages than one of each table: requests cost money.

        A root that is a whole bucket may hold other things than tables: there, each table is listed by itself.
        """
        found: dict[str, str] = {}
        for folder in [""] if self._root.prefix else tables:
            found |= self.versions(folder)
        return {path: version for path, version in found.items() if _table_of(path) in tables}

    def delete(self, *paths: str, fence: Fence | None = None) -> None:
        """See `Store.delete`."""
        if fence is not None:
            self._fenced.check(fence)
        for path in paths:
            with suppress(FileNotFoundError), self._translated("remove", path):  # S3 doesn't report missing objects, others do
                self._prompt.delete(path)

    def update(self, path: str, change: Change, *, log: Log | None = None) -> None:
        """See `Store.update`.

        Raises:
            UsageError: the store refuses, or has no conditional puts.
            TransientError: the store can't be reached, or other processes keep changing the file.
        """
        self._conditional.update(path, change, trial=self._trial())

    def clock(self) -> Instant:
        """See `Store.clock`. Unless it is known from updates, a trial file shows it; the machine's clock if none can be put."""
        now = self._conditional.clock.now()
        if now is None:
            with suppress(UsageError, TransientError):
                self._conditional.test_preconditions(self._trial())
            now = self._conditional.clock.now()
        return Instant.exactly(wall_clock()) if now is None else now

    def sweep(self) -> None:
        """See `Store.sweep`. Parts of a killed put are invisible here; a lifecycle rule of the bucket removes them."""
        remove_half_written(self)

    def check(self) -> None:
        """See `Store.check`."""
        trial = self._trial()
        with self._translated("write", trial):
            self._prompt.put(trial, b"trial", use_multipart=False)
        try:
            self.reader(trial).read()
            self.paths(HALF_WRITTEN)
        finally:
            self.delete(trial)
        self._conditional.test_preconditions(trial)

    def url(self, path: str) -> str:
        """See `Store.url`."""
        return f"{self.location}/{path}"

    def _put(self, path: str, file: BinaryIO) -> None:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        kind, _ = mimetypes.guess_type(path)
        with self._translated("write", path):
            self._patient.put(
                path,
                file,
                use_multipart=size > _PART_BYTES,
                chunk_size=_PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
                # Else a browser downloads a page instead of showing it.
                attributes={"Content-Type": kind} if kind == "text/html" else None,
            )

    def _put_fenced(self, path: str, file: BinaryIO, fence: Fence) -> None:
        if not path.startswith(f"{fence.replaces}/"):  # a unique name: there is nothing to replace
            self._fenced.check(fence)
            self._put(path, file)
            return
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size <= _BYTES_IN_MEMORY:
            self._fenced.put(self._patient, path, file.read(), fence)
            return
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:  # mapped, so that memory can be reclaimed
            self._fenced.put(self._patient_for(size), path, content, fence)

    def _patient_for(self, size: int) -> ObjectStoreMethods:
        """A connection whose timeout is long enough to put a file of that size in one piece."""
        seconds = size // _SLOWEST_BYTES_PER_SECOND
        if seconds <= PATIENT.request_seconds:
            return self._patient
        return connect(self._root, patient=PATIENT._replace(request_seconds=seconds)).patient

    def _end_of(self, path: str) -> GetResult:
        """The size, the version and the last bytes; in one request where the store supports it."""
        try:
            return self._patient.get(path, options={"range": {"suffix": TAIL_BYTES}})
        except UNSUPPORTED:  # Azure
            size = self._size_of(path)
        except BaseError as error:
            # An empty object has no last bytes: S3 answers 416, others send an empty body.
            if not any(words in str(error) for words in ("416 Range", "non-partial response")):
                raise
            size = 0
        return self._patient.get(path, options={"range": (max(0, size - TAIL_BYTES), size)} if size else {})

    def _size_of(self, path: str) -> int:
        try:
            return self._patient.head(path)["size"]
        except FileNotFoundError:
            self._patient.get(path)  # raises too, and says whether the container is missing: the answer to a HEAD has no body
            raise

    def _trial(self) -> str:
        return f"{HALF_WRITTEN}/{this_process()}.{uuid.uuid4().hex}.trial"

    def _translated(self, verb: str, path: str) -> AbstractContextManager[None]:
        return translated_errors(self._root, f"{verb} {self.url(path)}", may_be_missing=verb in ("read", "remove"))


def _table_of(path: str) -> str:
    """The table of a path `TABLE/…/TABLE.parquet`; empty for any other."""
    table, _, rest = path.partition("/")
    return table if rest.endswith(f"/{table}.parquet") else ""
