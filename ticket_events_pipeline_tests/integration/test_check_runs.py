"""The checks of the SLA tables and of the account's traffic in Dagster: red for damaged data and green for good data.

In runs of the checks alone and with their assets, of one day and of a range, by the sensor, and over days that were reported
before. The account has five weeks of similar days, up to yesterday: which days are evaluated again depends on today's date.
"""

import datetime as dt
import re
from shutil import copytree

import dagster as dg
import pyarrow as pa
import pytest

from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.definitions import defs
from ticket_events_pipeline.defs.day_check import NAMED_DAYS
from ticket_events_pipeline.defs.runs import range_tags
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline_tests.support.damages import path_of, rewrite
from ticket_events_pipeline_tests.support.deployment import deployed
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days, put_raw_day

EVENTS, METRIC, TARGETS, SUMMARY = "ticket_events", "ticket_metric_events", "sla_targets", "daily_sla_breach_summary"
LAST = Day.containing(wall_clock() - 600).plus(-1)  # in the first minutes of a day, yesterday is not complete
DAYS = days_between(LAST.plus(-35), LAST)
SLA_DAYS = DAYS[-16:]
TICKETS, AUDITS = 60, 120
OWNER = {"account": "127.0.0.1"}

NEW_CHECKS = {
    (METRIC, "sla_policies_applied"),
    (EVENTS, "sla_policies_applied"),
    (METRIC, "row_count_in_usual_range"),
    (EVENTS, "row_count_in_usual_range"),
    (TARGETS, "breaches_have_a_policy"),
    (TARGETS, "outcomes_match_durations"),
    (SUMMARY, "counts_match_targets"),
    (SUMMARY, "open_targets_add_up"),
}
NEW_KEYS = {dg.AssetCheckKey(dg.AssetKey(asset), name) for asset, name in NEW_CHECKS}


def events_of(day, *, applied=True):
    """A day's tickets: each gets a target and is answered, some late, some on the next day."""
    number = (day.date - dt.date(2020, 1, 1)).days * 10_000
    apply = ("apply_sla", {"sla": {"target": 60, "business_hours": False, "policy": {"id": 11, "title": "Standard"}}})
    events = []
    for ticket in range(number, number + TICKETS):
        start = day.start + 3600 + 60 * (ticket - number)
        given = [("activate", start, {})]
        given += [(apply[0], start, apply[1])] if applied else [("pause", start, {})]
        given += [("breach", start + 3600, {})] if ticket % 10 == 0 else []
        given += [("fulfill", start + (86_400 if ticket % 7 == 0 else 7200), {})]
        clock = {"ticket_id": ticket, "metric": "reply_time", "instance_id": 1, "deleted": False}
        events += [
            {"id": number + 10 * (ticket - number) + nth, **clock, "type": kind, "time": time, **more}
            for nth, (kind, time, more) in enumerate(given)
        ]
    return events


def as_sent(events):
    return [{**event, "time": dt.datetime.fromtimestamp(event["time"], dt.UTC).isoformat()} for event in events]


@pytest.fixture(scope="module")
def weeks(tmp_path_factory):
    """Five weeks of raw files as the pipeline makes them, and SLA days at the end; audits are counted in footers only."""
    root = tmp_path_factory.mktemp("weeks")
    events = [event for day in DAYS for event in events_of(day)]
    for day in DAYS:
        put_raw_day(root, events, day, more_footer=OWNER)
        put_raw_day(root, [], day, stream=EVENTS, more_footer={**OWNER, "rows": str(AUDITS)})
    make_sla_days(root, SLA_DAYS[0], LAST)
    return root


@pytest.fixture
def deployment(weeks, tmp_path):
    with deployed(copytree(weeks, tmp_path / "root"), now=wall_clock()) as deployment:
        yield deployment


def evaluations(run):
    assert run.success  # a red check is not a failed run
    return {(found.asset_key.to_user_string(), found.check_name): found for found in run.get_asset_check_evaluations()}


def checked(deployment, *days, keys=NEW_KEYS):
    """A run of the checks alone over a day or a range; without days, as the UI's button for a single check makes it."""
    job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection=set(), asset_check_selection=keys)
    tags = {}
    if days:
        tags = range_tags(days[0], days[-1]) if len(days) > 1 else {"dagster/partition": str(days[0])}
    return evaluations(job.execute_in_process(instance=deployment.instance, tags=tags, raise_on_error=False))


def settled(deployment):
    """The sensor's run over what was fetched; all days before are made."""
    make_sla_days(deployment.root, DAYS[0], LAST.plus(-1))
    return deployment.settle()


def newest(deployment, asset, name):
    key = dg.AssetCheckKey(dg.AssetKey(asset), name)
    return deployment.instance.get_latest_asset_check_evaluation_record(key).event.asset_check_evaluation


def forget(deployment):
    """As if nothing had ever been reported."""
    deployment.instance.wipe_assets([dg.AssetKey(asset) for asset in (EVENTS, METRIC, TARGETS, SUMMARY)])


def named(evaluation):
    return [Day.parse(text) for text in evaluation.metadata[NAMED_DAYS].value]


def figure(evaluation, name):
    return evaluation.metadata[name].value


def with_columns(**columns):
    """Changes the values of these columns."""

    def changed_table(table):
        for name, change in columns.items():
            index = table.column_names.index(name)
            values = pa.array(change(table[name].to_pylist()), table.schema.field(index).type)
            table = table.set_column(index, table.schema.field(index), values)
        return table

    return changed_table


def changed(root, asset, day, **columns):
    """Change the columns' values as only the program could: the hash fits."""
    change = with_columns(**columns)
    digest = content_hash(change(read_partition(FolderStore(root), asset, day)), added=TABLES[asset].added)
    rewrite(root, asset, day, rows=change, footer=lambda footer: {**footer, "content_hash": digest})


def with_row_count(stream, rows):
    return lambda root, day: rewrite(root, stream, day, footer=lambda footer: {**footer, "rows": str(rows)})


def always(value):
    return lambda values: [value] * len(values)


def one_more(values):
    return [values[0] + 1, *values[1:]]


def without_policies(root, day):
    changed(root, TARGETS, day, policy_id=always(None), applied_at=always(None), entered_by=always("breach"))


DAMAGES = {
    (METRIC, "sla_policies_applied"): (
        lambda root, day: changed(root, METRIC, day, type=always("pause")),
        "ERROR",
        "applies an SLA; by the days before, about 60 should",
    ),
    (METRIC, "row_count_in_usual_range"): (with_row_count(METRIC, 3), "WARN", "It holds 3 rows, but"),
    (EVENTS, "row_count_in_usual_range"): (
        with_row_count(EVENTS, 999),
        "WARN",
        f"It holds 999 rows, but {AUDITS:,} are usual on a ",
    ),
    (TARGETS, "breaches_have_a_policy"): (without_policies, "WARN", "(100%) breached without an apply"),
    (TARGETS, "outcomes_match_durations"): (
        lambda root, day: changed(root, TARGETS, day, is_contradicted=always(True)),
        "WARN",
        "have an outcome that their measured duration contradicts",
    ),
    (SUMMARY, "counts_match_targets"): (
        lambda root, day: rewrite(root, SUMMARY, day, rows=with_columns(breach_events=one_more)),
        "ERROR",
        "The rows of daily_sla_breach_summary are not those that were stored",
    ),
    (SUMMARY, "open_targets_add_up"): (
        lambda root, day: changed(root, SUMMARY, day, targets_started=one_more),
        "ERROR",
        "+ 61 started",
    ),
}
DAMAGED = {key: LAST.plus(-offset) for offset, key in enumerate(DAMAGES)}
"""Each on a day of its own."""


@pytest.mark.parametrize("span", [(LAST,), (LAST.plus(-2), LAST)], ids=["a day", "a range"])
def test_every_check_is_green_and_covers_every_day_of_the_run_if_all_is_well(deployment, span):
    found = checked(deployment, *span)
    assert found.keys() == NEW_CHECKS
    days = {1: 1, 2: 3}[len(span)]
    for key, evaluation in found.items():
        assert evaluation.passed, (key, evaluation.description)
        assert (figure(evaluation, "days_checked"), named(evaluation)) == (str(days), [])
        assert re.match(rf"{days} days? checked, .*\.$", evaluation.description)


def test_every_check_is_red_by_its_damage_and_green_once_it_is_repaired(deployment, weeks):
    for key, (damage, _, _) in DAMAGES.items():
        damage(deployment.root, DAMAGED[key])
    found = checked(deployment, LAST.plus(-8), LAST)
    assert found[EVENTS, "sla_policies_applied"].passed
    for key, (_, severity, problem) in DAMAGES.items():
        lines = [line for line in found[key].description.splitlines() if line.startswith(f"- {DAMAGED[key]}: ")]
        assert (found[key].passed, found[key].severity.value) == (False, severity)
        assert problem in "".join(lines)
        # The damages of the targets leave a summary of other targets.
        also = {DAMAGED[other] for other in DAMAGES if other[0] == TARGETS} if key[1] == "counts_match_targets" else set()
        assert set(named(found[key])) == {DAMAGED[key], *also}
    for key, (_, severity, problem) in DAMAGES.items():
        forget(deployment)
        asset_check = {dg.AssetCheckKey(dg.AssetKey(key[0]), key[1])}
        alone = checked(deployment, DAMAGED[key], keys=asset_check)
        assert alone.keys() == {key}
        evaluation = alone[key]
        assert (evaluation.passed, evaluation.severity.value, named(evaluation)) == (False, severity, [DAMAGED[key]])
        assert problem in evaluation.description
    copytree(weeks, deployment.root, dirs_exist_ok=True)
    assert all(evaluation.passed for evaluation in checked(deployment, LAST.plus(-8), LAST).values())


def test_without_days_every_stored_day_is_checked_and_skipped_ones_are_named(deployment):
    found = checked(deployment)
    assert all(evaluation.passed for evaluation in found.values())
    assert {key: int(figure(evaluation, "days_checked")) for key, evaluation in found.items()} == {
        (METRIC, "sla_policies_applied"): 36,
        (EVENTS, "sla_policies_applied"): 36,
        (METRIC, "row_count_in_usual_range"): 8,
        (EVENTS, "row_count_in_usual_range"): 8,
        (TARGETS, "breaches_have_a_policy"): 16,
        (TARGETS, "outcomes_match_durations"): 16,
        (SUMMARY, "counts_match_targets"): 16,
        (SUMMARY, "open_targets_add_up"): 15,
    }
    assert found[SUMMARY, "open_targets_add_up"].description == (
        "15 days checked, all open targets add up.\n\nNot checked:\n\n- 1 day: no readable summary of the day before is stored"
    )


def test_figures_of_the_newest_day_are_numbers_that_the_ui_can_plot(deployment):
    with_row_count(EVENTS, AUDITS + 1)(deployment.root, LAST)
    found = checked(deployment, LAST.plus(-1), LAST)
    assert figure(found[METRIC, "sla_policies_applied"], "applies") == TICKETS
    assert (
        figure(found[EVENTS, "row_count_in_usual_range"], "rows")
        == figure(found[EVENTS, "row_count_in_usual_range"], "usual_rows") + 1
    )
    assert figure(found[TARGETS, "breaches_have_a_policy"], "share_without_policy") == 0.0
    assert figure(found[SUMMARY, "counts_match_targets"], "counted_targets") > TICKETS


def test_a_reported_day_is_reported_again_by_a_run_over_other_days(deployment):
    for damage, _, _ in DAMAGES.values():
        damage(deployment.root, LAST)
    checked(deployment, LAST)
    found = checked(deployment, LAST.plus(-9))
    for key in DAMAGES:
        assert (found[key].passed, named(found[key])) == (False, [LAST])


def test_what_cannot_be_repaired_is_dropped_after_a_week_and_a_contradiction_never(deployment):
    """A quiet holiday stays quiet; but a wrong summary can be made again."""
    long_ago = LAST.plus(-7)
    for damage, _, _ in DAMAGES.values():
        damage(deployment.root, long_ago)
    found = checked(deployment, long_ago)
    assert all(named(found[key]) == [long_ago] for key in DAMAGES)
    found = checked(deployment, LAST)
    contradictions = {(SUMMARY, "counts_match_targets"), (SUMMARY, "open_targets_add_up")}
    assert {key for key in DAMAGES if named(found[key])} == contradictions


@pytest.mark.parametrize("span", [(LAST,), (LAST.plus(-1), LAST)], ids=["a day", "a range"])
def test_the_checks_run_with_the_assets_of_the_job(deployment, span):
    """The day before LAST says another number of open targets: a run over LAST can't repair that, one over both does."""
    changed(deployment.root, SUMMARY, LAST.plus(-1), active_eod=one_more)
    found = evaluations(deployment.run("summarize_sla_breaches", *map(str, span)))
    assert {key for key in found if key in NEW_CHECKS} == {key for key in NEW_CHECKS if key[0] in (TARGETS, SUMMARY)}
    assert found[SUMMARY, "counts_match_targets"].passed
    assert named(found[SUMMARY, "open_targets_add_up"]) == ([LAST] if len(span) == 1 else [])


def test_an_account_that_stops_applying_slas_is_reported_by_the_fetch_itself(deployment):
    """The tables of the sensor's run contradict nothing, and are checked as well."""
    answered_late = [event for event in events_of(LAST.plus(-1)) if event["time"] >= LAST.start]
    deployment.account.deliver(METRIC, as_sent([*answered_late, *events_of(LAST, applied=False)]))
    found = evaluations(deployment.run("fetch_ticket_events", str(LAST)))
    red = {key for key, evaluation in found.items() if not evaluation.passed and evaluation.severity.value == "ERROR"}
    assert red == {(METRIC, "sla_policies_applied")}
    assert settled(deployment) == [(str(LAST), str(LAST))]
    for name in ("counts_match_targets", "open_targets_add_up"):
        evaluation = newest(deployment, SUMMARY, name)
        assert (evaluation.passed, figure(evaluation, "days_checked")) == (True, "1")


def test_breaches_without_a_known_policy_are_reported_by_the_sensors_run(deployment):
    applies = [event for event in events_of(LAST) if event["type"] == "apply_sla"]
    bare = [{**{name: event[name] for name in event if name != "sla"}, "type": "breach"} for event in applies]
    deployment.account.deliver(METRIC, as_sent(bare))
    deployment.fetch(str(LAST))
    settled(deployment)
    evaluation = newest(deployment, TARGETS, "breaches_have_a_policy")
    assert (evaluation.passed, evaluation.severity.value, named(evaluation)) == (False, "WARN", [LAST])


def test_a_damaged_file_fails_no_run_and_is_no_baseline(deployment):
    for asset in (EVENTS, METRIC, TARGETS, SUMMARY):
        for offset in (7, 1):
            path_of(deployment.root, asset, LAST.plus(-offset)).write_bytes(b"PAR1")
    found = checked(deployment, LAST)
    assert all(evaluation.passed for evaluation in found.values())
    assert figure(found[METRIC, "row_count_in_usual_range"], "days_checked") == "1"
    found = checked(deployment, LAST.plus(-1))
    assert {key for key, evaluation in found.items() if not evaluation.passed} == {
        key for key in NEW_CHECKS if key[0] in (TARGETS, SUMMARY)
    }
