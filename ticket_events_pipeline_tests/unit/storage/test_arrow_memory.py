"""Arrow's allocator is another one only as long as it is asked for."""

import pyarrow as pa
import pytest

from ticket_events_pipeline.storage.arrow_memory import keeping_allocator


def backend():
    return pa.default_memory_pool().backend_name


@keeping_allocator()
def fail():
    raise ValueError(backend())


def test_the_allocator_is_put_back_even_after_an_error():
    before = backend()
    with pytest.raises(ValueError, match="jemalloc" if "jemalloc" in pa.supported_memory_backends() else "system"):
        fail()
    assert backend() == before
