"""The asset checks report what `verify` reports, in runs of one day and of a range, and run by themselves."""

import re

import dagster as dg
import pytest

from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.definitions import defs
from ticket_events_pipeline.defs.asset_checks import KNOWN, PLACED, TYPES, WHOLE
from ticket_events_pipeline.defs.day_check import MAX_LINES, NAMED_DAYS
from ticket_events_pipeline.defs.runs import range_tags
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.damages import DAMAGES, cell_flipped, with_rows
from ticket_events_pipeline_tests.support.deployment import ASSETS, deployed
from ticket_events_pipeline_tests.support.dev_server import running_ui, wait_for

EVENTS, METRIC = "ticket_events", "ticket_metric_events"
SPECS = {spec.key: spec for asset in defs.resolve_asset_graph().assets_defs for spec in asset.check_specs}
RAW_CHECKS = {key: spec for key, spec in SPECS.items() if spec.asset_key.to_user_string() in (EVENTS, METRIC)}
NAMES = {key.name for key in RAW_CHECKS}
FIRST, SECOND, THIRD = "2026-03-02", "2026-03-03", "2026-03-04"
DAY = Day.parse(SECOND)
LATER = Day.parse("2026-03-20").start
GREEN = "nothing missing, damaged or stored twice. Compared with the stored days up to 7 days away."


def metric_event(number, day, **more):
    row = {"id": number, "ticket_id": 7, "metric": "reply_time", "instance_id": 1, "type": "breach"}
    return {**row, "time": f"{day}T{number % 24:02}:{number % 60:02}:00Z", **more}


def audit(number, day, **more):
    return {"id": number, "ticket_id": 7, "created_at": f"{day}T09:00:00Z", "event_type": "Audit", "child_events": [], **more}


@pytest.fixture
def deployment(tmp_path):
    with deployed(tmp_path / "root", now=LATER, page_limit=8) as deployment:
        for number, day in enumerate((FIRST, SECOND, THIRD)):
            deployment.account.deliver(METRIC, [metric_event(100 * number + nth, day) for nth in range(1, 40)])
            deployment.account.deliver(EVENTS, [audit(100 * number + nth, day) for nth in range(1, 4)])
        yield deployment


def results(run):
    """By asset and check: passed, severity, description."""
    return {
        (evaluation.asset_key.to_user_string(), evaluation.check_name): (
            evaluation.passed,
            evaluation.severity.value,
            evaluation.description,
        )
        for evaluation in run.get_asset_check_evaluations()
    }


def checked(deployment, *span):
    """A run of the checks alone, over the days of `span`; without, as the UI's button for a single check makes it."""
    keys = set(RAW_CHECKS)
    job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection=set(), asset_check_selection=keys)
    tags = {}
    if span:
        tags = range_tags(*map(Day.parse, span)) if len(span) == 2 else {"dagster/partition": span[0]}
    run = job.execute_in_process(instance=deployment.instance, tags=tags, raise_on_error=False)
    assert run.success  # a red check is not a failed run
    return results(run)


def named_days(deployment):
    record = deployment.instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(dg.AssetKey(METRIC), WHOLE))
    return record.event.asset_check_evaluation.metadata[NAMED_DAYS].value


def forget(deployment):
    """As if nothing had ever been reported."""
    deployment.instance.wipe_assets([dg.AssetKey(METRIC)])


@pytest.mark.parametrize("span", [(SECOND,), (FIRST, THIRD)], ids=["a day", "a range"])
def test_the_checks_run_with_their_assets_and_are_green_on_what_is_whole(deployment, span):
    run = deployment.run("fetch_ticket_events", *span)
    assert run.success
    found = results(run)
    assert {key: passed for key, (passed, _, _) in found.items()} == {
        **{(stream, name): True for stream in STREAMS for name in NAMES},
        ("ticket_field_changes", "audits_readable"): True,
    }
    days = {1: 1, 2: 3}[len(span)]
    assert found[METRIC, WHOLE][2] == f"{days} day{'' if days == 1 else 's'} checked, {GREEN}"
    steps = [event.step_key for event in run.all_events if event.event_type_value == "STEP_SUCCESS"]
    assert steps[:4] == [EVENTS, METRIC, f"{EVENTS}_checks", f"{METRIC}_checks"]
    assert steps[4:] == ["ticket_field_changes", "ticket_field_changes_checks"]


@pytest.mark.slow
def test_every_damage_is_red_in_a_run_of_the_day_and_of_a_range_and_names_it(deployment):
    """Each damage is on a day of its own, with a whole day between."""
    days = dict(zip(DAMAGES, range(5, 5 + 2 * len(DAMAGES), 2), strict=True))
    last = DAY.plus(2 * len(DAMAGES) + 3)
    for number in range(2, 2 * len(DAMAGES) + 4):
        rows = [metric_event(100 * number + nth, DAY.plus(number)) for nth in range(1, 24)]
        deployment.account.deliver(METRIC, rows)
    deployment.clock.now = last.end + 86_400
    deployment.fetch(SECOND, str(last))
    for name, (damage, _) in DAMAGES.items():
        damage(deployment.root, METRIC, DAY.plus(days[name]))
    found = checked(deployment, SECOND, str(last))
    passed, severity, description = found[METRIC, WHOLE]
    assert (passed, severity) == (False, "ERROR")
    assert re.match(rf"{len(DAMAGES)} of \d+ days failed\.\n\n- {DAY.plus(5)}: ", description)
    assert named_days(deployment) == [str(DAY.plus(number)) for number in days.values()]
    assert found[EVENTS, WHOLE][0]
    for name, (_, problem) in DAMAGES.items():
        forget(deployment)
        passed, severity, description = checked(deployment, str(DAY.plus(days[name])))[METRIC, WHOLE]
        assert (passed, severity) == (False, "ERROR")
        assert problem in description
        verdict, _, *lines = description.splitlines()
        assert verdict == "1 of 1 day failed."
        assert {line[:13] for line in lines} == {f"- {DAY.plus(days[name])}:"}


def test_a_red_day_stays_red_in_later_runs_until_it_is_repaired(deployment):
    """A check has one state in the UI: an hourly run over today must not hide yesterday's red.

    This holds for any number of days of the later run, each of which has a planned record that is newer than the evaluation.
    """
    deployment.fetch(FIRST, SECOND)
    with_rows(cell_flipped)(deployment.root, METRIC, DAY)
    assert not checked(deployment, SECOND)[METRIC, WHOLE][0]
    run = deployment.run("fetch_ticket_events", THIRD, str(DAY.plus(4)))
    assert run.success
    passed, _, description = results(run)[METRIC, WHOLE]
    assert not passed
    assert description.splitlines()[2].startswith(f"- {SECOND}")
    assert results(deployment.run("fetch_ticket_events", SECOND))[METRIC, WHOLE][0]
    assert results(deployment.run("fetch_ticket_events", THIRD))[METRIC, WHOLE][2].startswith("1 day checked, ")


def test_a_red_day_stays_red_after_a_run_whose_asset_failed(deployment, monkeypatch):
    deployment.fetch(FIRST, SECOND)
    with_rows(cell_flipped)(deployment.root, METRIC, DAY)
    assert not checked(deployment, SECOND)[METRIC, WHOLE][0]
    monkeypatch.setenv("ZENDESK_OAUTH_TOKEN", "invalid")
    assert not deployment.run("fetch_ticket_events", THIRD).success
    assert not checked(deployment, FIRST)[METRIC, WHOLE][0]


def test_checks_run_by_themselves_without_a_day_cover_every_stored_day(deployment):
    assert checked(deployment)[METRIC, WHOLE] == (True, "ERROR", "No day could be checked.")
    deployment.fetch(FIRST, THIRD)
    with_rows(cell_flipped)(deployment.root, METRIC, DAY)
    assert checked(deployment)[METRIC, WHOLE][2].startswith(f"1 of 3 days failed.\n\n- {SECOND}")
    assert checked(deployment)[EVENTS, WHOLE][2].startswith("3 days checked, ")


RESTATED = ("2026-03-03", "2026-03-05")
"""The last three closed days, as the daily restatement reads them on the 6th."""


def moved(deployment, old, new):
    """Move a stored event from day `old` to day `new`; the results of the restatement after that."""
    deployment.account.deliver(METRIC, [metric_event(900, old)])
    deployment.clock.now = Day.parse("2026-03-06").start + 3600
    deployment.fetch("2026-03-01", "2026-03-05")
    deployment.account.deliver(METRIC, [metric_event(900, new)])
    deployment.clock.now += 3600
    return results(deployment.run("fetch_ticket_events", *RESTATED))


def obeyed(deployment, description):
    """The checks of the run that the check's description recommends."""
    ((first, last, asset),) = set(re.findall(r"backfill ([\d-]+)\.\.([\d-]+) --asset (\w+)`", description))
    assert asset == METRIC
    deployment.clock.now += 3600
    return results(deployment.run("fetch_ticket_events", first, last))


def test_an_event_also_stored_before_the_restated_days_is_red_until_the_command_ran(deployment):
    found = moved(deployment, "2026-03-02", "2026-03-03")
    passed, severity, description = found[METRIC, WHOLE]
    assert (passed, severity) == (False, "ERROR")
    assert description.splitlines()[2] == (
        "- 2026-03-03: 1 event (id 900) is stored on 2026-03-02 as well. Their times changed, and only one of the two days "
        "was read since. Read both in one run: `ticket-events backfill 2026-03-02..2026-03-03 --asset "
        "ticket_metric_events`."
    )
    assert found[EVENTS, WHOLE][0]
    later = results(deployment.run("fetch_ticket_events", "2026-03-01"))
    passed, _, later_description = later[METRIC, WHOLE]
    assert not passed, "a later run doesn't hide it"
    assert later_description.splitlines()[2] == description.splitlines()[2]
    assert obeyed(deployment, description)[METRIC, WHOLE] == (True, "ERROR", f"2 days checked, {GREEN}")


def test_an_event_that_no_day_holds_any_more_is_red_until_the_command_ran(deployment):
    passed, severity, description = moved(deployment, "2026-03-03", "2026-03-02")[METRIC, WHOLE]
    assert (passed, severity) == (False, "ERROR")
    assert description.splitlines()[2] == (
        "- 2026-03-03: 1 event (id 900) that it held before was missing when it was read again, at 2026-03-06T02:00:00Z, and "
        "is stored on no day within 7 days: moved to a day that was not read since (2 days from 2026-03-01 to "
        "2026-03-02), or gone at Zendesk. Read these days together with 2026-03-03: `ticket-events backfill "
        "2026-03-01..2026-03-03 --asset ticket_metric_events`."
    )
    assert obeyed(deployment, description)[METRIC, WHOLE][0]
    assert 900 in deployment.table(METRIC, "2026-03-02")["id"].to_pylist()


def test_events_gone_at_zendesk_are_in_the_metadata_of_a_green_check(deployment):
    deployment.account.deliver(METRIC, [metric_event(900, SECOND)])
    deployment.fetch(FIRST, THIRD)
    deployment.account.clear(METRIC)
    for number, day in enumerate((FIRST, SECOND, THIRD)):
        deployment.account.deliver(METRIC, [metric_event(100 * number + nth, day) for nth in range(1, 40)])
    run = deployment.run("fetch_ticket_events", FIRST, THIRD)
    assert results(run)[METRIC, WHOLE][0]
    (notes,) = [
        evaluation.metadata["notes"].value
        for evaluation in run.get_asset_check_evaluations()
        if evaluation.asset_key == dg.AssetKey(METRIC) and evaluation.check_name == WHOLE
    ]
    assert notes.startswith(f"- {SECOND}: 1 event (id 900) that it held before is gone at Zendesk, or more than 7 days away")


def test_rejected_rows_are_a_warning_with_their_count_and_folder(deployment):
    deployment.account.deliver(METRIC, [metric_event(77, SECOND), {"ticket_id": 5, "time": f"{SECOND}T10:00:00Z"}])
    run = deployment.run("fetch_ticket_events", FIRST, THIRD)
    assert run.success
    passed, severity, description = results(run)[METRIC, PLACED]
    assert (passed, severity) == (False, "WARN")
    assert description.startswith("1 row rejected, without an id or a readable time.")
    assert f"{deployment.root}/_rejected/{METRIC}" in description
    assert results(run)[METRIC, WHOLE][0]
    assert results(run)[EVENTS, PLACED][0]


def test_a_field_that_changed_its_type_is_a_warning_with_its_count_and_an_example(deployment):
    deployment.account.deliver(EVENTS, [audit(500 + nth, SECOND, via={"channel": "web"}) for nth in range(3)])
    deployment.account.deliver(METRIC, [metric_event(600, THIRD, sla="Gold")])
    run = deployment.run("fetch_ticket_events", FIRST, THIRD)
    assert run.success
    found = results(run)
    assert found[EVENTS, TYPES][:2] == (False, "WARN")
    assert found[EVENTS, TYPES][2].splitlines()[2:] == [f"- `via`: 3 rows, for example id 500 of {SECOND}"]
    assert found[METRIC, TYPES][2].splitlines()[2:] == [f"- `sla`: 1 row, for example id 600 of {THIRD}"]
    assert "takes no part in the SLA tables" not in found[METRIC, TYPES][2]
    assert found[EVENTS, WHOLE][0]
    assert found[EVENTS, KNOWN][0]


def test_an_event_whose_deleted_cannot_be_read_is_named_with_what_it_means(deployment):
    deployment.account.deliver(METRIC, [metric_event(600, THIRD, deleted="no"), metric_event(601, THIRD, deleted="1")])
    passed, severity, description = results(deployment.run("fetch_ticket_events", FIRST, THIRD))[METRIC, TYPES]
    assert (passed, severity) == (False, "WARN")
    assert "An event whose `deleted` can't be read takes no part in the SLA tables" in description
    assert description.splitlines()[2:] == [f"- `deleted`: 1 row, for example id 600 of {THIRD}"]


def test_unknown_fields_are_a_warning_which_stays_short_if_there_are_many(deployment):
    deployment.account.deliver(METRIC, [metric_event(600, SECOND, metric="mood_time", colour="red")])
    found = results(deployment.run("fetch_ticket_events", SECOND))
    assert found[METRIC, KNOWN][:2] == (False, "WARN")
    assert found[METRIC, KNOWN][2].splitlines()[2:] == [
        f"- `colour`: 1 row, for example id 600 of {SECOND}",
        f"- `metric mood_time`: 1 row, for example id 600 of {SECOND}",
    ]
    deployment.account.deliver(METRIC, [metric_event(700 + nth, THIRD, **{f"field_{nth}": 1}) for nth in range(50)])
    found = results(deployment.run("fetch_ticket_events", THIRD))
    assert len(found[METRIC, KNOWN][2].splitlines()) == 2 + MAX_LINES + 1
    assert found[METRIC, KNOWN][2].endswith(f"… and {50 - MAX_LINES} more")


def test_every_check_is_described_documented_and_not_blocking():
    documented = (CHECKOUT / "docs/reference/checks.md").read_text()
    assert len(SPECS) == 21
    for spec in SPECS.values():
        assert spec.description.endswith(f". If it fails: docs/reference/checks.md#{spec.name}")
        assert not spec.blocking
        assert f"### `{spec.name}`\n" in documented
    assert {(spec.asset_key.to_user_string(), spec.name) for spec in RAW_CHECKS.values()} == {
        (stream, name) for stream in STREAMS for name in NAMES
    }


def by_command_line(place, days):
    ended = place.materialize("*", days[0], days[-1])
    assert ended.code == 0, ended.output


def by_backfill(place, days):
    with running_ui(place) as ui:
        backfill = ui.launch_backfill(ASSETS, days)
        wait_for(lambda: ui.backfill_status(backfill) != "REQUESTED", 300, "the backfill ends")
        assert ui.backfill_status(backfill) == "COMPLETED_SUCCESS"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", [by_command_line, by_backfill])
def test_a_range_is_checked_once_and_as_a_whole_from_command_line_and_ui(tmp_path, way):
    place = new_place(tmp_path, ZENDESK_SANDBOX="1")
    today = Day.containing(wall_clock())
    way(place, [str(day) for day in days_between(today.plus(-4), today.plus(-2))])
    with dg.DagsterInstance.from_config(str(place.home)) as instance:
        for key in SPECS:
            records = instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
            evaluations = [record.event.asset_check_evaluation for record in records]
            (evaluation,) = [evaluation for evaluation in evaluations if evaluation is not None]
            # The sandbox makes a contradicted target a week, perhaps on these days.
            assert evaluation.passed or key.name == "outcomes_match_durations", evaluation
            if key.name in (WHOLE, "sla_policies_applied", "counts_match_targets"):
                assert evaluation.metadata["days_checked"].value == "3"
                assert instance.get_latest_asset_check_evaluation_record(key).event.asset_check_evaluation == evaluation
