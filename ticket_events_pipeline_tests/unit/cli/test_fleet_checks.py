"""What the checks of a fleet make of clocks, mounts, storage, workers and Redis: a finding each, with what to do."""

import datetime as dt

import pytest

from ticket_events_pipeline.cli.doctor_checks import Status
from ticket_events_pipeline.cli.fleet_checks import clock_difference, shared_folder_finding
from ticket_events_pipeline.cli.fleet_instance_checks import (
    expiry_findings,
    result_store_findings,
    storage_findings,
    worker_findings,
)
from ticket_events_pipeline.defs.fleet_instance import CeleryWorker, ResultStore, StorageFacts, as_seconds
from ticket_events_pipeline.storage.mounts import Lock, Mount

SAFE = {"appendonly": "yes", "save": "", "maxmemory": "536870912", "maxmemory-policy": "noeviction"}
DAY = 86_400


@pytest.mark.parametrize(
    ("sent_at", "received_at", "date", "ahead"),
    [
        (1000.4, 1000.5, 1000, 0),  # the server's second is the same
        (1000.9, 1001.9, 1000, 0),
        (999.5, 1000.2, 1000, 0),  # it began after the request was sent
        (1010.5, 1010.6, 1000, 9.5),  # ahead by 9.5 s at least: the server's second may have been over
        (990.1, 990.2, 1000, -9.8),
        (990.0, 1020.0, 1000, 0),  # nothing is certain of an answer that took half a minute
        (1000.0, 1030.0, 1025, 0),
    ],
)
def test_only_what_is_certain_of_a_difference_between_clocks_counts(sent_at, received_at, date, ahead):
    assert clock_difference(sent_at, received_at, date) == pytest.approx(ahead)


@pytest.mark.parametrize(
    ("mount", "status", "words"),
    [
        (Mount("/", "ext4"), Status.NOTE, "a disk of this machine"),
        (Mount("/mnt", "nfs4", frozenset({"local_lock=none"})), Status.NOTE, "only if its server passes locks on"),
        (Mount("/mnt", "nfs", frozenset({"nolock"})), Status.FAILED, "mounted with nolock: its locks stay on"),
        (Mount("/mnt", "nfs", frozenset({"local_lock=posix"})), Status.NOTE, "only if its server passes locks on"),
        (None, Status.NOTE, "doesn't say"),
    ],
)
def test_a_folder_for_several_hosts_is_judged_by_its_mount(mount, status, words):
    found = shared_folder_finding("shared_root", "TICKET_EVENTS_ROOT /mnt/lake", mount, Lock.FLOCK)
    assert (found.status, words in found.text) == (status, True), found
    assert "object store" in found.fix


@pytest.mark.parametrize(
    ("facts", "batch_size", "statuses"),
    [
        (StorageFacts("SQLite", "29b5", "29b5"), "1000", [Status.FAILED]),
        (StorageFacts("Postgres", "29b5", "29b5"), "1000", [Status.OK]),
        (StorageFacts("Postgres", "29b5", "29b5"), "", [Status.OK, Status.NOTE]),
        (StorageFacts("Postgres", "17d4", "29b5"), "1000", [Status.FAILED]),
        (StorageFacts("Postgres", "", "29b5"), "1000", [Status.FAILED]),
        (StorageFacts("MySQLRunStorage", "29b5", "29b5"), "", [Status.OK]),
    ],
)
def test_a_storage_for_several_hosts_is_a_server_with_the_tables_of_this_version(facts, batch_size, statuses):
    assert [finding.status for finding in storage_findings(facts, batch_size)] == statuses


def worker(name, *, version="5.7.0", queues=("dagster",), result_seconds=90 * DAY):
    return CeleryWorker(name, version, queues, result_seconds)


@pytest.mark.parametrize(
    ("workers", "found"),
    [
        ([], [(Status.FAILED, "none answers")]),
        ([worker("a@x", queues=("other",))], [(Status.FAILED, "none takes tasks from the queue dagster")]),
        ([worker("a@x"), worker("b@y", queues=("other",))], [(Status.OK, "2 workers answered: a@x (Celery 5.7.0), b@y")]),
        (
            [worker("a@x"), worker("b@y", version="5.6.0")],
            [(Status.OK, "b@y (Celery 5.6.0)"), (Status.NOTE, "their versions of Celery differ")],
        ),
    ],
)
def test_some_worker_takes_the_runs_from_the_queue(workers, found):
    findings = list(worker_findings(workers, "dagster"))
    assert [finding.status for finding in findings] == [status for status, _ in found]
    assert all(words in finding.text for finding, (_, words) in zip(findings, found, strict=True)), findings


@pytest.mark.parametrize(
    ("seconds", "statuses"),
    [(None, []), (90 * DAY, []), (7 * DAY, []), (DAY, [Status.NOTE]), (DAY - 1, [Status.FAILED])],
)
def test_the_record_of_a_task_lasts_longer_than_any_run(seconds, statuses):
    findings = list(expiry_findings([worker("a@x", result_seconds=seconds)]))
    assert [finding.status for finding in findings] == statuses
    assert all("at a@x" in finding.text and "celery.yaml" in finding.fix for finding in findings)


@pytest.mark.parametrize(
    ("expires", "seconds"), [(None, None), (0, None), (3600, 3600), (3600.0, 3600), (dt.timedelta(days=1), DAY), ("x", None)]
)
def test_an_expiry_is_a_number_of_seconds_or_a_duration(expires, seconds):
    assert as_seconds(expires) == seconds


@pytest.mark.parametrize(
    ("kind", "server", "found"),
    [
        ("DisabledBackend", {}, [(Status.FAILED, "none, so nobody sees")]),
        ("RPCBackend", {}, [(Status.FAILED, "rpc, so nobody sees")]),
        ("DatabaseBackend", {}, [(Status.OK, "DatabaseBackend")]),
        ("RedisBackend", {}, [(Status.NOTE, "doesn't let its settings be read")]),
        ("RedisBackend", SAFE, [(Status.OK, "writes every change to disk")]),
        ("RedisBackend", {**SAFE, "appendonly": "no"}, [(Status.FAILED, "writes nothing to disk")]),
        ("RedisBackend", {**SAFE, "appendonly": "no", "save": "3600 1"}, [(Status.NOTE, "now and then (save 3600 1)")]),
        ("RedisBackend", {**SAFE, "maxmemory-policy": "allkeys-lru"}, [(Status.FAILED, "maxmemory-policy allkeys-lru")]),
        ("RedisBackend", {**SAFE, "maxmemory-policy": "allkeys-lru", "maxmemory": "0"}, [(Status.OK, "evicts nothing")]),
    ],
)
def test_the_states_of_tasks_survive_a_restart_and_a_full_memory(kind, server, found):
    findings = list(result_store_findings(ResultStore(kind, server)))
    assert [finding.status for finding in findings] == [status for status, _ in found]
    assert all(words in finding.text for finding, (_, words) in zip(findings, found, strict=True)), findings
    assert all(finding.fix for finding in findings if finding.status != Status.OK)
