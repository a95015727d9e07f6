"""Published tables in a bucket, reached with the variables of the root; from a folder and from a bucket."""

import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.publish.open_format import opened_format
from ticket_events_pipeline.publish.targets import Target, check_writable, errors_of
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline_tests.support.object_server import object_server
from ticket_events_pipeline_tests.support.published import CATALOG, FORMATS, Lakehouse, made_up, put_day

DAY = Day.parse("2026-03-02")
ASSET = "sla_targets"
CATALOG_URI = "PYICEBERG_CATALOG__TICKET_EVENTS__URI"


@pytest.fixture(scope="module")
def bucket():
    with object_server() as server:
        yield server


class InBucket(Lakehouse):
    """Read back with the libraries' own settings, not with those of the code under test."""

    def rows(self, server):
        if self.format == "delta":
            import deltalake

            options = {**server.env, "AWS_ALLOW_HTTP": "true"}
            return deltalake.DeltaTable(f"{self.uri}/{ASSET}", storage_options=options).to_pyarrow_table()
        from pyiceberg.catalog import load_catalog

        given = {"s3.endpoint": server.url, "s3.region": "eu-central-1", "s3.access-key-id": server.env["AWS_ACCESS_KEY_ID"]}
        given["s3.secret-access-key"] = server.env["AWS_SECRET_ACCESS_KEY"]
        with load_catalog(CATALOG.name, uri=f"sqlite:///{self.folder}/catalog.db", **given) as catalog:
            return catalog.load_table(f"{CATALOG.namespace}.{ASSET}").scan().to_arrow()


@pytest.fixture(params=FORMATS)
def lakehouse(request, bucket, tmp_path, monkeypatch):
    with bucket.exported():
        if request.param == "iceberg":
            set_catalog(monkeypatch, tmp_path)
        yield InBucket(request.param, tmp_path, bucket.root(f"{request.param}-{tmp_path.name}"))


def set_catalog(monkeypatch, folder):
    """As the variable would do before the process starts: the library reads its configuration when it is imported."""
    import pyiceberg.catalog
    from pyiceberg.utils.config import Config

    monkeypatch.setenv(CATALOG_URI, f"sqlite:///{folder}/catalog.db")
    monkeypatch.setattr(pyiceberg.catalog, "_ENV_CONFIG", Config())


def test_tables_in_a_bucket_follow_the_stored_days(lakehouse, bucket):
    for number in range(3):
        put_day(lakehouse.root, ASSET, DAY.plus(number), made_up(ASSET, 3, seed=number))
    assert lakehouse.publish(ASSET)[0].days.total() == 3
    put_day(lakehouse.root, ASSET, DAY, made_up(ASSET, 2, seed=9))
    assert lakehouse.publish(ASSET)[0].days.total() == 1
    assert lakehouse.publish(ASSET)[0].days.total() == 0
    found = sorted(lakehouse.rows(bucket).to_pylist(), key=lambda row: repr(sorted(row.items(), key=repr)))
    assert len(found) == 8
    assert [str(row["date"]) for row in found].count(str(DAY)) == 2


def test_two_publishers_in_a_bucket_double_no_day(lakehouse, bucket):
    from ticket_events_pipeline_tests.integration.test_publish import MeddlingStore

    for number in range(3):
        put_day(lakehouse.root, ASSET, DAY.plus(number), made_up(ASSET, 3, seed=number))
    path = f"{ASSET}/date={DAY.plus(1)}/{ASSET}.parquet"
    store = MeddlingStore(lakehouse.root, path, lambda: lakehouse.publish(ASSET))
    lakehouse.publish(ASSET, store=store)
    assert lakehouse.rows(bucket).num_rows == 9


def test_an_unchanged_delta_table_takes_few_requests(bucket, tmp_path):
    """And not some for every day."""
    with bucket.exported():
        lakehouse = Lakehouse("delta", tmp_path, bucket.root(f"few-{tmp_path.name}"))
        for number in range(12):
            put_day(lakehouse.root, ASSET, DAY.plus(number), made_up(ASSET, 1, seed=number))
        lakehouse.publish(ASSET)
        bucket.heal()
        lakehouse.publish(ASSET)
        reads = [line for line in bucket.requests() if line.startswith("GET") and ".json" in line]
        assert len(reads) <= 3 * 13


def test_iceberg_in_a_bucket_wants_a_catalog(bucket):
    with (
        bucket.exported(),
        pytest.raises(UsageError, match="Set PYICEBERG_CATALOG__TICKET_EVENTS__URI"),
        opened_format("iceberg", bucket.root("x"), CATALOG, is_to_change=True),
    ):
        pass


def test_trying_to_write_to_a_bucket_leaves_nothing_and_fails_where_there_is_none(bucket):
    with bucket.exported():
        uri = bucket.root("tried")
        check_writable(uri)
        assert open_store(uri).paths("") == []
        missing = Target("delta", "s3://no-such-bucket/x", "--to delta")
        with pytest.raises(UsageError, match=r"^--to delta: can't write "), errors_of(missing):
            check_writable(missing.uri)
