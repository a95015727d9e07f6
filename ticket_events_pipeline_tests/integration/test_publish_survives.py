"""A publish killed with -9 at any moment, and readers that are at work meanwhile: each sees one of the committed states."""

import random
import threading
import time
from collections import Counter

import deltalake
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline_tests.support.killed_publish import count_calls, run_publish
from ticket_events_pipeline_tests.support.published import ACCOUNT, CATALOG, FORMATS, Lakehouse, in_order, made_up, put_day

ASSET = "sla_targets"
DAYS = [Day.parse("2026-03-02").plus(number) for number in range(6)]


@pytest.fixture(params=FORMATS)
def lakehouse(request, tmp_path):
    return Lakehouse(request.param, tmp_path)


def command(lakehouse):
    arguments = ["--to", lakehouse.format, lakehouse.uri, "--asset", ASSET]
    return arguments, {"TICKET_EVENTS_ROOT": str(lakehouse.root), "ZENDESK_SUBDOMAIN": ACCOUNT}


def seconds_of(arguments, env):
    began = time.monotonic()
    assert run_publish(arguments, env) == 0
    return time.monotonic() - began


def restate(lakehouse, seed):
    """Three days with other rows, one of them empty, and one that is gone for the round."""
    rng = random.Random(seed)  # noqa: S311 - drawn anew alike
    changed = rng.sample(DAYS, 4)
    for day in changed[:3]:
        put_day(lakehouse.root, ASSET, day, made_up(ASSET, 5 if day != changed[0] else 0, seed=100 + seed))
    lakehouse.file(ASSET, changed[3]).unlink(missing_ok=True)
    return changed


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["calls", "seconds"])
def test_a_publish_killed_at_any_moment_is_continued_to_the_exact_table(lakehouse, moment):
    rng = random.Random(19)  # noqa: S311 - drawn anew alike
    for number, day in enumerate(DAYS):
        put_day(lakehouse.root, ASSET, day, made_up(ASSET, 4, seed=number))
    arguments, env = command(lakehouse)
    dry = Lakehouse(lakehouse.format, lakehouse.folder, str(lakehouse.folder / "dry"))
    longest = count_calls(*command(dry)) if moment == "calls" else seconds_of(*command(dry)) / 3
    kills, changed = 0, DAYS
    for round_ in range(3):
        seen = len(lakehouse.commits(ASSET)) if round_ else 0
        for _ in range(5):
            at = rng.randrange(1, longest) if moment == "calls" else rng.uniform(0.0, longest)
            killed = run_publish(arguments, env, **{moment: at}) == -9
            kills += killed
            if not killed:
                break
        assert run_publish(arguments, env) == 0
        assert lakehouse.published(ASSET) == lakehouse.stored(ASSET)
        commits = Counter(commit["date"] for commit in lakehouse.commits(ASSET)[seen:])
        assert set(commits.values()) <= {1}, commits
        assert set(commits) <= {str(day) for day in changed}
        changed = restate(lakehouse, round_)
    assert kills > 3


def test_a_reader_sees_one_of_the_committed_states(lakehouse):
    for number, day in enumerate(DAYS):
        put_day(lakehouse.root, ASSET, day, made_up(ASSET, 10, seed=number))
    lakehouse.publish(ASSET)
    before = lakehouse.published(ASSET)
    opened = opened_reader(lakehouse)
    counts, failures, is_over = set(), [], threading.Event()

    def read_again_and_again():
        while not is_over.is_set():
            try:
                counts.add(lakehouse.read(ASSET).num_rows)
            except Exception as error:
                failures.append(error)

    reader = threading.Thread(target=read_again_and_again)
    reader.start()
    try:
        for number, day in enumerate(DAYS):
            put_day(lakehouse.root, ASSET, day, made_up(ASSET, 10 - number - 1, seed=50 + number))
        lakehouse.publish(ASSET)
    finally:
        is_over.set()
        reader.join()
    committed = [60]
    for number in range(len(DAYS)):
        committed.append(committed[-1] - number - 1)
    assert failures == []
    assert counts <= set(committed)
    assert opened() == before


def opened_reader(lakehouse):
    """Reads all rows of the state as it is now, whenever it is called."""
    if lakehouse.format == "delta":
        table = deltalake.DeltaTable(f"{lakehouse.uri}/{ASSET}")
        return lambda: in_order(table.to_pyarrow_table().to_pylist())
    with lakehouse.catalog() as catalog:
        table = catalog.load_table(f"{CATALOG.namespace}.{ASSET}")
    return lambda: in_order(table.scan().to_arrow().to_pylist())
