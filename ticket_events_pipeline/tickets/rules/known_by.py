"""The column `known_by`: a JSON object of the fields whose value isn't from an audit before; null for unknown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from ticket_events_pipeline.sla.rules.row_runs import Ints
from ticket_events_pipeline.tickets.rules.values import BY_AUDIT, KNOWN_BY, Codes

_MOST = 2**63 - 1


def known_by_texts(codes: Mapping[str, Codes]) -> pa.Array:
    """The column's texts, `{}` where all is from audits.

    Args:
        codes: by field, of each row a code of `values.KNOWN_BY`; at least one field.
    """
    # Hardly any combination occurs: each is written once.
    first, combination = _combinations(list(codes.values()))
    texts = [_text({name: int(column[row]) for name, column in codes.items()}) for row in first.tolist()]
    return pa.array(texts, pa.string()).take(pa.array(combination))


def _combinations(columns: Sequence[Codes]) -> tuple[Ints, Ints]:
    """A row of each combination, and the number of each row's combination."""
    packed, values = np.zeros(len(columns[0]), np.int64), 1
    for column in columns:
        if values > _MOST // len(KNOWN_BY):
            distinct, packed = np.unique(packed, return_inverse=True)
            values = len(distinct)
        packed, values = packed * len(KNOWN_BY) + column, values * len(KNOWN_BY)
    _, first, combination = np.unique(packed, return_index=True, return_inverse=True)
    return first, combination


def _text(codes: Mapping[str, int]) -> str:
    said = {name: KNOWN_BY[code] for name, code in codes.items() if code != BY_AUDIT}
    return json.dumps(said, separators=(",", ":"))


def codes_in(texts: pa.Array | pa.ChunkedArray, fields: Sequence[str]) -> dict[str, Codes]:
    """The inverse of `known_by_texts`, for some fields.

    Raises:
        ValueError: a text isn't one that `known_by_texts` writes.
    """
    encoded = pa.chunked_array([texts]) if isinstance(texts, pa.Array) else texts
    encoded = encoded.combine_chunks().dictionary_encode()
    said = [json.loads(text) for text in encoded.dictionary.to_pylist()]
    indices = encoded.indices.to_numpy()
    audit = KNOWN_BY[BY_AUDIT]
    return {
        field: np.array([KNOWN_BY.index(of_row.get(field, audit)) for of_row in said], np.int8)[indices] for field in fields
    }
