#!/bin/sh
# A partitioned asset check in a run over a range leaves every partition "planned" for ever, also those that had failed.
#
# Versions:  dagster 1.13.29.
# Expected:  asset and check have the same daily partitions. A run of one partition records the check's result for that
#            partition; a single run over a range (BackfillPolicy.single_run) records materializations for each of its
#            partitions, so the check's result is recorded for each, or for none (Dagster, API reference, `asset_check`,
#            `partitions_def`; guide "Backfilling data").
# Seen:      each partition of the range becomes "planned", and the one result is recorded without a partition. The run
#            succeeds and the partitions stay "planned". A failure that a run of one partition had recorded is no longer
#            the partition's status. AssetCheckResult has no field for a partition.
# Matters:   after a backfill the statuses don't show which days were checked, and known failures are hidden.
# Way out:   a check without partitions, which records one result for the whole range.
# Prints:    the latest status of each partition, before and after a range run that passed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check dagster==1.13.29

cd "$work" && DAGSTER_DISABLE_TELEMETRY=1 venv/bin/python -W ignore - 2>log.txt <<'PY'
import sys

import dagster as dg

days = dg.DailyPartitionsDefinition("2026-03-01", end_date="2026-03-05")
passes = False


@dg.asset(partitions_def=days, backfill_policy=dg.BackfillPolicy.single_run())
def events() -> None: ...


@dg.asset_check(asset=events, partitions_def=days)
def complete() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=passes)


def statuses(instance: dg.DagsterInstance) -> dict[str | None, str]:
    infos = instance.event_log_storage.get_asset_check_partition_info([complete.check_key])
    return {info.partition_key: info.latest_execution_status.value for info in infos}


print(f"dagster {dg.__version__}")
job = dg.Definitions(assets=[events], asset_checks=[complete]).resolve_implicit_global_asset_job_def()
with dg.instance_for_test() as instance:
    job.execute_in_process(instance=instance, partition_key="2026-03-01")
    single = statuses(instance)
    passes = True
    whole = {"dagster/asset_partition_range_start": "2026-03-01", "dagster/asset_partition_range_end": "2026-03-04"}
    result = job.execute_in_process(instance=instance, tags=whole)
    ranged = statuses(instance)
    run = instance.get_run_by_id(result.run_id).status.value
print(f"after a run of one day, check failed:     {single}")
print(f"after a run of four days, check passed: {ranged}; the run: {run}")
expected = {None: "SUCCEEDED"} | {f"2026-03-0{day}": "PLANNED" for day in range(1, 5)}
changed = (single, ranged, run) != ({"2026-03-01": "FAILED"}, expected, "SUCCESS")
sys.exit(f"the behaviour has changed; it was {expected}" if changed else 0)
PY
