"""A root is written so that DuckDB finds its files, or it is refused."""

import pytest

from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.views.lake import Lake


@pytest.mark.parametrize(
    ("location", "glob"),
    [
        ("/data", "'/data/sla_targets/date=*/*.parquet'"),
        ("/it's [here]*?", "'/it''s [[]here][*][?]/sla_targets/date=*/*.parquet'"),
        ("s3://bucket", "'s3://bucket/sla_targets/date=*/*.parquet'"),
        ("gs://bucket/a/b", "'gs://bucket/a/b/sla_targets/date=*/*.parquet'"),
        ("az://box/a", "'az://box/a/sla_targets/date=*/*.parquet'"),
        ("abfss://box@acme.dfs.core.windows.net/a", "'abfss://acme.dfs.core.windows.net/box/a/sla_targets/date=*/*.parquet'"),
    ],
)
def test_the_files_of_a_root_are_a_glob_of_duckdb(location, glob):
    assert Lake.of(location, "UTC").files("sla_targets") == glob


@pytest.mark.parametrize("location", ["s3://bucket", "gs://bucket", "az://box", "abfss://box/a"])
def test_a_bucket_comes_with_what_duckdb_needs_to_read_it(location):
    setup = Lake.of(location, "UTC").setup
    assert any("INSTALL" in line for line in setup)
    assert any("CREATE SECRET" in line for line in setup)
    assert not Lake.of("/data", "UTC").setup


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("/backup/date=2026-01-01/data", "begins with date="),
        ("/backup/Date=2026-01-01/data", "begins with date="),
        ("s3://bucket/date=2026-01-01", "begins with date="),
        ("/back\\slash", "backslash"),
        ("/two\nlines", "control character"),
    ],
)
def test_a_root_that_duckdb_would_read_wrongly_is_refused(location, why):
    with pytest.raises(UsageError, match=why):
        Lake.of(location, "UTC")
