#!/bin/sh
# After a run is deleted, Dagster on SQLite uses its event ids again, and sensors with a cursor miss new materializations.
#
# Versions:  dagster 1.13.29, default storage (SQLite).
# Expected:  storage ids only grow: `after_storage_id` of `fetch_materializations` and the cursor of `@asset_sensor`
#            rely on it (Dagster, API reference, `AssetRecordsFilter`, and guide "Asset sensors"). On Postgres they come
#            from a sequence.
# Seen:      the id column is a plain rowid. When the newest run is deleted, in the UI or by `dagster run delete`, the next
#            events get the freed ids, which are not above the cursor.
# Matters:   an @asset_sensor, or any sensor with such a cursor, skips new materializations without an error until the ids
#            have passed its cursor: after a large run was deleted, that can take weeks.
# Way out:   start the cursor again when it is above the newest id, or use Postgres.
# Prints:    the id before and after the deletion, and how many runs the sensor requests with its cursor and without.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check dagster==1.13.29

cd "$work" && DAGSTER_DISABLE_TELEMETRY=1 venv/bin/python -W ignore - 2>log.txt <<'PY'
import sys

import dagster as dg


@dg.asset
def events() -> None: ...


@dg.job
def summary() -> None: ...


@dg.asset_sensor(asset_key=events.key, job=summary)
def on_events(context: dg.SensorEvaluationContext):
    yield dg.RunRequest()


def tick(instance: dg.DagsterInstance, cursor: str | None) -> tuple[int, str | None]:
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    ticked = on_events.evaluate_tick(context)
    return len(ticked.run_requests or []), ticked.cursor


def newest_id(instance: dg.DagsterInstance) -> int:
    return instance.fetch_materializations(events.key, limit=1).records[0].storage_id


print(f"dagster {dg.__version__}")
with dg.instance_for_test() as instance:
    for _ in range(3):
        deleted = dg.materialize([events], instance=instance).run_id
    before = newest_id(instance)
    first, cursor = tick(instance, None)
    instance.delete_run(deleted)
    dg.materialize([events], instance=instance)
    after = newest_id(instance)
    with_cursor, _ = tick(instance, cursor)
    without, _ = tick(instance, None)
print(f"id of the newest materialization: {before}; after its run was deleted and the asset made again: {after}")
print(f"runs requested by the sensor: first {first}; for the new materialization {with_cursor} with its cursor, {without} without")
expected = (True, 1, 0, 1)
changed = (after <= before, first, with_cursor, without) != expected
sys.exit("the behaviour has changed: the new materialization has a new id, or the sensor sees it" if changed else 0)
PY
