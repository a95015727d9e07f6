"""The ids of a stored day, without its rows: which events it holds.

An event is its id; in `ticket_events` an audit and a metric event may share a number, so there it is shape and id. Ids are kept
by shape: `True` for the metric-event shape. In `ticket_metric_events`, which has one shape, all stand under `False`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.schemas import TIMESTAMP, metric_shaped

IdsByShape = dict[bool, np.ndarray]
"""int64, by whether the event has the metric-event shape."""

SHAPES = (False, True)

_ROWS_PER_BATCH = 64 * 1024


def id_columns(schema: pa.Schema) -> list[str]:
    """The columns that identify an event: its id, and in `ticket_events` also what its shape follows from."""
    return ["id", *(["metric", "instance_id"] if "event_type" in schema.names else [])]


def read_event_ids(file: StoredFile, *, before_ms: int | None = None, among: IdsByShape | None = None) -> IdsByShape:
    """The ids of a file's rows, in the order of the rows.

    `before_ms` leaves out rows with that time (epoch milliseconds) or a later one. `among`, sorted arrays, leaves out every
    other id; row groups whose statistics say that they hold none of them are not read.

    Raises:
        pyarrow.ArrowException, OSError: the file breaks off.
    """
    found: dict[bool, list[np.ndarray]] = {shape: [] for shape in SHAPES}
    columns = id_columns(file.schema)
    groups = range(file.num_row_groups) if among is None else _groups_with(file, among)
    for batch in file.batches(
        columns if before_ms is None else [*columns, "time"], row_groups=groups, batch_rows=_ROWS_PER_BATCH
    ):
        rows = batch.filter(batch["id"].is_valid())
        if before_ms is not None:
            rows = rows.filter(pc.less(rows["time"], pa.scalar(before_ms, TIMESTAMP)))
        for shape, ids in ids_by_shape(pa.Table.from_batches([rows])).items():
            found[shape].append(ids if among is None else ids[is_among(ids, among[shape])])
    return {shape: np.concatenate([np.empty(0, np.int64), *parts]) for shape, parts in found.items()}


def ids_by_shape(rows: pa.Table) -> IdsByShape:
    """The ids of rows that have the columns `id_columns`, in their order."""
    ids, is_metric = rows["id"].to_numpy(), has_metric_shape(rows)
    return {shape: ids[is_metric == shape] for shape in SHAPES}


def has_metric_shape(rows: pa.Table) -> np.ndarray:
    """Whether each row has the metric-event shape; all False in a stream that has one shape, see `id_columns`."""
    if "instance_id" not in rows.column_names:
        return np.zeros(rows.num_rows, dtype=bool)
    shapes: np.ndarray = metric_shaped(rows).to_numpy()
    return shapes


def is_among(ids: np.ndarray, sorted_ids: np.ndarray) -> np.ndarray:
    """Which of `ids` stand in `sorted_ids`, as booleans."""
    places = np.searchsorted(sorted_ids, ids)
    found = np.zeros(len(ids), dtype=bool)
    inside = places < len(sorted_ids)
    found[inside] = sorted_ids[places[inside]] == ids[inside]
    return found


def _groups_with(file: StoredFile, among: IdsByShape) -> list[int]:
    column = file.own_schema.names.index("id")
    return [
        number for number in range(file.num_row_groups) if _may_hold(file.row_group(number).column(column).statistics, among)
    ]


def _may_hold(statistics: pq.Statistics | None, among: IdsByShape) -> bool:
    if statistics is None or not statistics.has_min_max:
        return True
    return any(np.searchsorted(ids, statistics.min) < np.searchsorted(ids, statistics.max, "right") for ids in among.values())
