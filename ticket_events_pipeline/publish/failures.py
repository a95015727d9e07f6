"""Errors of a table format's library as those of this package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from ticket_events_pipeline.errors import TicketEventsError, TransientError, UsageError
from ticket_events_pipeline.publish.table_format import ConflictError
from ticket_events_pipeline.text import one_line

LONGEST_REASON = 400

_ROOT = "TICKET_EVENTS_ROOT: "
"""How an error of a store begins: it is the root's, as a rule."""


class Reading:
    """Batches on their way to a library, which passes on no more than the text of what they raise.

    Attributes:
        failure: what they raised.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self.failure: Exception | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._batches
        except Exception as error:
            self.failure = error
            raise


def of_place(error: UsageError | TransientError, place: str) -> UsageError | TransientError:
    """The error of a store, which names the root's variable, with the place that was meant."""
    kind = UsageError if isinstance(error, UsageError) else TransientError
    return kind(f"{place}: {str(error).removeprefix(_ROOT)}")


@contextmanager
def library_errors(
    url: str, *, conflicts: tuple[type[Exception], ...], others: tuple[type[Exception], ...], reading: Reading | None = None
) -> Iterator[None]:
    """The block's errors; what the rows raised while they were read goes first, since it is the cause of the others.

    Raises:
        ConflictError: one of `conflicts`.
        TransientError: one of `others`, or an error of Arrow or of the system.
    """
    try:
        yield
    except (TicketEventsError, ConflictError) as error:
        is_of_rows = reading is not None and reading.failure is error
        if isinstance(error, UsageError | TransientError) and str(error).startswith(_ROOT) and not is_of_rows:
            raise of_place(error, url) from error
        raise
    except conflicts as error:
        raise ConflictError(one_line(str(error), limit=LONGEST_REASON)) from error
    except (*others, OSError, ValueError, pa.ArrowException) as error:
        if reading is not None and reading.failure is not None:
            raise reading.failure from None
        reason = one_line(str(error), limit=LONGEST_REASON)
        raise TransientError(
            f"{url} can't be read or written ({reason}). Publish again when that is repaired. If files of the table are "
            "gone, drop it, and publish anew."
        ) from error
