"""Packed rows are the rows."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.sla.rules.packed_rows import PackedRows
from ticket_events_pipeline.tables.table import BOOL, DICTIONARY_STRING, INT8, INT32, INT64, TIMESTAMP

WHOLE = st.integers(0, 300) | st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**8, 2**16, 2**32, 2**32 - 1])
KINDS = {
    INT64: WHOLE,
    INT32: st.integers(0, 2**16) | st.integers(-(2**31), 2**31 - 1),
    INT8: st.integers(-128, 127),
    TIMESTAMP: st.integers(0, 2**41),
    BOOL: st.booleans(),
    DICTIONARY_STRING: st.sampled_from(["reply_time", "pause", ""]),
}


@st.composite
def tables(draw):
    size, columns = draw(st.integers(0, 12)), {}
    for number, kind in enumerate(draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=6))):
        values = draw(st.sampled_from([KINDS[kind], KINDS[kind] | st.none(), st.none() | st.none() | KINDS[kind], st.none()]))
        of_kind = pa.string() if kind == DICTIONARY_STRING else kind
        columns[str(number)] = pa.array(draw(st.lists(values, min_size=size, max_size=size)), of_kind).cast(kind)
    return pa.table(columns)


@given(tables(), st.data())
def test_rows_come_out_as_they_went_in(table, data):
    wanted = pa.array(data.draw(st.lists(st.integers(0, table.num_rows - 1)) if table.num_rows else st.just([])), pa.int64())
    packed = PackedRows.of(table)
    assert packed.take(wanted).schema == table.schema
    assert packed.take(wanted).to_pylist() == table.take(wanted).to_pylist()
    for name in packed.dense.column_names:
        assert packed[name].type == table[name].type
        assert packed[name].to_pylist() == table[name].to_pylist()


@pytest.mark.parametrize(
    ("numbers", "kind"), [([1, 255], "uint8"), ([1, 256], "uint16"), ([1, 2**32], "int64"), ([-1], "int64")]
)
def test_whole_numbers_take_as_many_bytes_as_they_need(numbers, kind):
    assert str(PackedRows.of(pa.table({"n": pa.array(numbers, pa.int64())})).dense["n"].type) == kind


def test_the_place_of_a_row_takes_four_bytes():
    assert PackedRows.of(pa.table({"n": pa.array([1, None, None], pa.int64())})).places.type == pa.int32()
