"""The checks of the SLA tables: every damage is found, and intact tables have no findings."""

import datetime as dt
from shutil import copytree

import pyarrow as pa
import pytest

from ticket_events_pipeline.day import days_between
from ticket_events_pipeline.quality.sla_tables import (
    FIRST_DAYS,
    INCOMING,
    MIN_TARGETS,
    OUTGOING,
    breaches_have_a_policy,
    counts_match_targets,
    open_targets_add_up,
    outcomes_match_durations,
)
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.sla.clock_files import CLOCKS
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.text import markdown_code
from ticket_events_pipeline_tests.support.damages import another_days, removed, rewrite, truncated
from ticket_events_pipeline_tests.support.quality_cases import check_texts
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import all_events, make_sla_days, put_raw_day, sla_root

DAY = Clock.DAY
DAYS = days_between(DAY, DAY.plus(2))
BEFORE, MIDDLE, AFTER = DAYS


def eventful():
    """Clocks with every outcome, and with every figure of a summary, around the middle day."""
    busy = {"metric": "agent_work_time"}
    return all_events(
        Clock(1, first_id=100).apply(9, 60).add("fulfill", 34),
        Clock(2, first_id=200)
        .apply(20, 60)
        .add("breach", 25)
        .add("fulfill", 26)
        .add("update_status", 26, status={"calendar": 90}),
        Clock(3, first_id=300).apply(25, 60, 12).add("breach", 27),
        Clock(3, "reply_time", first_id=350).apply(25, 60, 12, title="VIP").add("breach", 26).add("fulfill", 29),
        Clock(4, first_id=400).apply(9, 60).add("apply_sla", 30, sla=None),
        Clock(5, first_id=500).apply(9, 60).add("fulfill", 10).add("activate", 30),
        Clock(6, first_id=600).add("breach", 28),
        Clock(7, first_id=700, **busy).apply(26, 60, business_hours=True).add("pause", 27),
        Clock(8, first_id=800)
        .apply(25, 60)
        .add("breach", 26)
        .apply(26.5, 120)
        .add("fulfill", 27)
        .add("update_status", 27, status={"calendar": 120}),
        Clock(9, first_id=900).apply(25, 60).add("breach", 26, deleted=True),
        Clock(10, first_id=1000)
        .apply(9, 60)
        .apply(25, 60, 99, title="At the breach alone")
        .add("breach", 26)
        .apply(27, 60, 13),
        *(
            Clock(n, "pausable_update_time", first_id=100 * n).apply(25, 60).add("breach", 26).add("fulfill", 26 + n)
            for n in (11, 12, 15)
        ),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    sla_root(root, eventful(), BEFORE, AFTER)
    return root


@pytest.fixture
def root(made, tmp_path):
    return copytree(made, tmp_path / "root")


def check(check_days, root, days=DAYS):
    """By day: the findings in one text, or the reason in brackets why the check was skipped, or an empty text."""
    return check_texts(check_days(FolderStore(root), list(days)))


def edit(root, asset, day, rows):
    """Changes rows as only the program could: the footer's hash is right."""
    rewrite(root, asset, day, rows=rows)
    table = read_partition(FolderStore(root), asset, day)
    digest = content_hash(table, added=TABLES[asset].added)
    rewrite(root, asset, day, footer=lambda metadata: {**metadata, "content_hash": digest})


def with_cell(column, change, *, row=0):
    def changed(table):
        values = table[column].to_pylist()
        values[row] = change(values[row])
        index = table.column_names.index(column)
        return table.set_column(index, table.schema.field(index), pa.array(values, table.schema.field(index).type))

    return changed


# counts_match_targets


def test_summaries_match_their_targets_on_empty_and_open_days_too(root):
    assert check(counts_match_targets, root) == dict.fromkeys(DAYS, "")
    later = [AFTER.plus(1), AFTER.plus(60)]
    sla_root(root, [], later[1], later[1])
    sla_root(root, eventful(), AFTER.plus(1), later[0], now=later[0].start + 3600)
    assert check(counts_match_targets, root, later) == dict.fromkeys(later, "")


def another(value):
    if value is None:
        return 1
    if isinstance(value, dt.date):
        return value + dt.timedelta(days=1)
    return value + ("2" if isinstance(value, str) else 1)


TARGET_EDITS = {
    "a target is gone": lambda table: table.slice(1),
    "a target is stored twice": lambda table: pa.concat_tables([table, table.slice(0, 1)]),
    "an outcome is another": with_cell("outcome", lambda _: "cancelled"),
}


@pytest.mark.parametrize("name", TARGET_EDITS)
def test_targets_that_a_summary_was_not_made_from_are_found(root, name):
    edit(root, TARGETS, MIDDLE, TARGET_EDITS[name])
    found = check(counts_match_targets, root)
    assert found[MIDDLE] == (
        f"{SUMMARY} was made from another file of {TARGETS} than the stored one. "
        f"Materialize sla_clocks, sla_targets and daily_sla_breach_summary of {MIDDLE} again."
    )
    assert (found[BEFORE], found[AFTER]) == ("", "")


def test_a_summary_of_an_older_version_without_a_targets_hash_has_no_finding(root):
    rewrite(root, SUMMARY, MIDDLE, footer=lambda old: {name: old[name] for name in old if name != "made_from_targets"})
    assert check(counts_match_targets, root)[MIDDLE] == ""


@pytest.mark.parametrize("asset", [TARGETS, SUMMARY])
def test_a_file_whose_rows_were_changed_is_reported_as_changed(root, asset):
    rewrite(root, asset, MIDDLE, rows=with_cell("policy_title", lambda _: "Another"))
    found = check(counts_match_targets, root)
    assert found[MIDDLE].startswith(f"The rows of {asset} are not those that were stored: their content_hash differs")
    assert (found[BEFORE], found[AFTER]) == ("", "")


FILE_DAMAGES = {
    "truncated": (truncated, "can't be read as Parquet"),
    "removed": (removed, "is stored, though the day has been made"),
    "another day's": (another_days, f"says that it is of `{BEFORE}`: it was put in this day's place"),
    "no footer": (
        lambda root, asset, day: rewrite(root, asset, day, footer=lambda _: {}),
        "has no readable footer of this pipeline",
    ),
    "footer of nonsense": (
        lambda root, asset, day: rewrite(root, asset, day, footer=lambda old: {**old, "as_of": "now"}),
        "has no readable footer of this pipeline",
    ),
    "column removed": (
        lambda root, asset, day: rewrite(root, asset, day, rows=lambda table: table.drop_columns(["policy_title"])),
        "policy_title is missing",
    ),
}


@pytest.mark.parametrize("asset", [TARGETS, SUMMARY])
@pytest.mark.parametrize("name", FILE_DAMAGES)
def test_an_unusable_file_is_reported_with_its_asset_and_raises_nothing(root, asset, name):
    damage, problem = FILE_DAMAGES[name]
    damage(root, asset, MIDDLE)
    found = check(counts_match_targets, root)
    assert problem in found[MIDDLE]
    assert asset in found[MIDDLE]
    assert (found[BEFORE], found[AFTER]) == ("", "")


def test_a_summary_of_other_events_than_its_targets_is_reported(root):
    """A run that is killed between the two leaves such files."""
    rewrite(root, TARGETS, MIDDLE, footer=lambda old: {**old, "made_from_ticket_metric_events": "another complete"})
    assert check(counts_match_targets, root)[MIDDLE].startswith(f"{SUMMARY} was made from other events than {TARGETS}")


def test_a_day_that_was_never_made_is_skipped(root):
    never = AFTER.plus(9)
    assert check(counts_match_targets, root, [never]) == {never: "(neither targets nor a summary of the day are stored)"}


# open_targets_add_up


def test_open_targets_add_up_and_the_first_day_is_skipped(root):
    found = check(open_targets_add_up, root)
    assert found == {BEFORE: "(no readable summary of the day before is stored)", MIDDLE: "", AFTER: ""}


def test_a_day_is_compared_with_the_day_before_also_if_that_is_not_checked(root):
    assert check(open_targets_add_up, root, [BEFORE, AFTER])[AFTER] == ""


@pytest.mark.parametrize("name", ["active_eod", *INCOMING, *OUTGOING])
def test_a_change_of_any_figure_of_the_balance_is_found(root, name):
    edit(root, SUMMARY, AFTER, with_cell(name, another))
    found = check(open_targets_add_up, root)
    assert "open at the end of the day before" in found[AFTER]
    assert f"daily_sla_breach_summary of {MIDDLE} and of {AFTER} again." in found[AFTER]
    assert found[MIDDLE] == ""


def test_a_wrong_number_of_open_targets_breaks_the_balance_of_two_days(root):
    edit(root, SUMMARY, MIDDLE, with_cell("active_eod", another))
    found = check(open_targets_add_up, root)
    assert found[MIDDLE]
    assert found[AFTER]
    assert check(open_targets_add_up, root, [AFTER]) == {AFTER: found[AFTER]}


def test_the_balance_is_checked_per_metric_and_names_it(root):
    """Two errors that cancel each other out are both found, also of a metric that one of the days lacks."""

    def moved(table):
        metrics = ["brand_new_time" if metric == "first_reply_time" else metric for metric in table["sla_metric"].to_pylist()]
        return table.set_column(0, "sla_metric", pa.array(metrics))

    sla_root(root, all_events(Clock(1, "reply_time", first_id=9000).apply(9, 600)), BEFORE, AFTER)
    edit(root, SUMMARY, AFTER, moved)
    found = check(open_targets_add_up, root)[AFTER]
    assert "`brand_new_time`: 0 targets were open at the end of the day before + 0 started" in found
    assert "`first_reply_time`: 1 target was open at the end of the day before" in found
    assert "= 1, but 0 are open at the end of the day." in found


def test_an_open_day_is_compared_with_the_day_before_but_not_the_day_after_with_it(root):
    at_noon = MIDDLE.start + 12 * 3600
    sla_root(root, eventful(), BEFORE, MIDDLE, now=at_noon)
    put_raw_day(root, eventful(), AFTER)
    make_sla_days(root, AFTER, AFTER)
    found = check(open_targets_add_up, root)
    assert (found[MIDDLE], found[AFTER]) == ("", "(the day before was still open when it was summarised)")


def test_a_day_that_waits_to_be_made_again_is_skipped_and_adds_up_afterwards(root):
    more = [*eventful(), *all_events(Clock(77, first_id=7700).apply(30, 60))]
    put_raw_day(root, more, MIDDLE)
    make_sla_days(root, MIDDLE, MIDDLE)
    assert check(open_targets_add_up, root)[AFTER] == "(the day before was made again since, and this day was not yet)"
    make_sla_days(root, AFTER, AFTER)
    assert check(open_targets_add_up, root)[AFTER] == ""


def test_a_day_before_whose_sla_clocks_are_newer_than_its_summary_is_no_baseline(root):
    """A run that is killed between the two leaves such files: the same clocks, as of an earlier fetch."""
    rewrite(root, SUMMARY, MIDDLE, footer=lambda old: {**old, "made_from_ticket_events": "another"})
    assert check(open_targets_add_up, root)[AFTER] == "(the day before was made again since, and this day was not yet)"


def test_a_day_made_without_sla_clocks_of_the_day_before_is_skipped(root):
    for asset in (CLOCKS, TARGETS, SUMMARY):
        removed(root, asset, MIDDLE)
    make_sla_days(root, AFTER, AFTER)
    assert check(open_targets_add_up, root)[AFTER] == "(no readable summary of the day before is stored)"
    make_sla_days(root, MIDDLE, MIDDLE)
    assert check(open_targets_add_up, root)[AFTER] == "(it was made without sla_clocks of the day before)"
    make_sla_days(root, AFTER, AFTER)
    for damage in (truncated, removed):
        damage(root, CLOCKS, MIDDLE)
        assert check(open_targets_add_up, root)[AFTER] == "(sla_clocks of the day before can't be read)"


@pytest.mark.parametrize("name", sorted(FILE_DAMAGES.keys() - {"removed", "column removed"}))
def test_an_unusable_summary_is_reported_and_the_next_day_skipped(root, name):
    damage, problem = FILE_DAMAGES[name]
    damage(root, SUMMARY, MIDDLE)
    found = check(open_targets_add_up, root)
    assert problem in found[MIDDLE]
    assert found[AFTER] == "(no readable summary of the day before is stored)"


def test_a_day_without_a_summary_is_skipped(root):
    removed(root, SUMMARY, MIDDLE)
    assert check(open_targets_add_up, root)[MIDDLE] == "(no summary of the day is stored)"


def test_open_targets_add_up_where_tickets_are_deleted_and_restored(tmp_path):
    late = Clock().apply(9, 60).add("breach", 10).ticket(25, "deleted").ticket(50, "open")
    sla_root(tmp_path, late.events, BEFORE, AFTER, audits=late.audits)
    everything_agrees = dict.fromkeys((MIDDLE, AFTER), "")
    for check_days in (open_targets_add_up, counts_match_targets):
        found = check(check_days, tmp_path)
        assert {day: found[day] for day in everything_agrees} == everything_agrees
    edit(tmp_path, SUMMARY, MIDDLE, with_cell("targets_deleted", another))
    assert "- 2 deleted = -1, but 0 are open" in check(open_targets_add_up, tmp_path)[MIDDLE]


LATER_COLUMNS = {asset: [column.name for column in TABLES[asset] if column.since > 1] for asset in (TARGETS, SUMMARY)}


def by_version_1(root):
    """Turn all days into those of version 1, whose rules knew neither deletions nor contradictions."""

    def footer(metadata):
        return {
            name: metadata[name] for name in metadata if name not in ("rules_version", "schema_version", "made_from_targets")
        }

    for day in DAYS:
        for asset, columns in LATER_COLUMNS.items():
            for column in columns:  # the hash of the rest is that of a file without them
                edit(root, asset, day, with_nulls(column))
            rewrite(root, asset, day, rows=lambda table, columns=columns: table.drop_columns(columns), footer=footer)


def with_nulls(column):
    def changed(table):
        index = table.column_names.index(column)
        return table.set_column(index, table.schema.field(index), pa.nulls(table.num_rows, table.schema.field(index).type))

    return changed


def test_days_of_earlier_rules_get_no_findings_for_what_those_did_not_count(root):
    by_version_1(root)
    assert check(counts_match_targets, root) == dict.fromkeys(DAYS, "")
    assert check(open_targets_add_up, root)[AFTER] == ""
    reason = "(its targets were made under rules that did not compare outcomes with durations)"
    assert check(outcomes_match_durations, root) == dict.fromkeys(DAYS, reason)


# outcomes_match_durations


def contradicted(number, *, business_hours=False):
    """A first reply after 90 minutes that no breach followed, though the target is 60."""
    late = Clock(number, "reply_time", first_id=100 * number).add("activate", 9).apply(9, 60, business_hours=business_hours)
    late.add("fulfill", 26.5)
    return late.add("update_status", 26.5, status={"calendar": 90, "business": 90})


def test_outcomes_that_agree_with_the_durations_are_green(root):
    assert check(outcomes_match_durations, root) == dict.fromkeys(DAYS, "")


def test_contradicted_targets_are_named_with_the_cause_and_the_command(tmp_path):
    early = Clock(7, "agent_work_time", first_id=700).apply(25, 60).add("breach", 26).add("fulfill", 27)
    early.add("update_status", 27, status={"calendar": 20})
    clocks = [contradicted(1), contradicted(2, business_hours=True), early, Clock(3, first_id=300).apply(9, 60)]
    sla_root(tmp_path, all_events(*clocks), BEFORE, AFTER)
    found = check(outcomes_match_durations, tmp_path)
    assert (found[BEFORE], found[AFTER]) == ("", "")
    assert found[MIDDLE].startswith("3 of 4 targets have an outcome that their measured duration contradicts: ")
    for target in (
        "ticket 1 (`first_reply_time`, achieved)",
        "ticket 2 (`first_reply_time`, achieved)",
        "ticket 7 (`agent_work_time`, breached)",
    ):
        assert target in found[MIDDLE]
    assert "A breach may be dated before its policy was applied" in found[MIDDLE]
    assert f"`ticket-events backfill {BEFORE}..{MIDDLE}`" in found[MIDDLE]


def test_at_most_five_contradicted_targets_are_named(tmp_path):
    sla_root(tmp_path, all_events(*(contradicted(number) for number in range(1, 9))), BEFORE, MIDDLE)
    found = check(outcomes_match_durations, tmp_path, [MIDDLE])[MIDDLE]
    assert (found.count("ticket "), "and 3 more. The outcome follows" in found) == (5, True)


def test_unreadable_targets_are_a_finding_and_absent_ones_are_skipped(root):
    truncated(root, TARGETS, MIDDLE)
    removed(root, TARGETS, AFTER)
    found = check(outcomes_match_durations, root)
    assert "can't be read as Parquet" in found[MIDDLE]
    assert found[AFTER] == "(no targets of the day are stored)"


# breaches_have_a_policy


def policies(tmp_path, *, unknown, known, extra=()):
    day = DAY.plus(FIRST_DAYS)
    clocks = [Clock(n, first_id=10 * n).add("breach", 24 * FIRST_DAYS + 1) for n in range(1, unknown + 1)]
    clocks += [Clock(n, first_id=10 * n).apply(24 * FIRST_DAYS + 1, 60) for n in range(1001, 1001 + known)]
    events = all_events(Clock(1, "reply_time", first_id=1).add("activate", 1), *clocks, *extra)
    sla_root(tmp_path, events, DAY, day)
    return check(breaches_have_a_policy, tmp_path, [day])[day]


def test_a_few_targets_without_a_policy_are_green(tmp_path):
    assert policies(tmp_path, unknown=5, known=95) == ""


def test_many_targets_without_a_policy_are_reported_with_their_share(tmp_path):
    found = policies(tmp_path, unknown=6, known=94)
    assert found.startswith("Of 100 targets, 6 (6%) breached without an apply that is known: they count under no policy.")
    assert "Check whether apply_sla events of" in found


def test_a_day_with_few_targets_is_skipped(tmp_path):
    assert policies(tmp_path, unknown=MIN_TARGETS - 1, known=0) == f"(it has fewer than {MIN_TARGETS} targets)"
    assert policies(tmp_path, unknown=MIN_TARGETS, known=0).startswith(f"Of {MIN_TARGETS} targets, {MIN_TARGETS} (100%)")


def test_a_policy_applied_after_the_breach_or_without_an_id_is_known(tmp_path):
    start = 24 * FIRST_DAYS + 1
    late = [Clock(n, first_id=10 * n).add("breach", start).apply(start + 1, 60) for n in range(3001, 3031)]
    nameless = {"target": 60, "policy": {"title": "Nameless"}}
    without_id = [
        Clock(n, first_id=10 * n).add("breach", start).add("apply_sla", start + 1, sla=nameless) for n in range(4001, 4031)
    ]
    gone = [
        Clock(n, first_id=10 * n).add("breach", start).apply(start + 1, 60).add("apply_sla", start + 2, sla=None)
        for n in (1, 2)
    ]
    assert policies(tmp_path, unknown=0, known=0, extra=[*late, *without_id, *gone]) == ""


def test_the_first_week_of_stored_days_is_skipped(tmp_path):
    clocks = [Clock(n, first_id=10 * n).add("breach", 1) for n in range(1, 61)]
    sla_root(tmp_path, all_events(*clocks), DAY, DAY.plus(FIRST_DAYS))
    days = days_between(DAY, DAY.plus(FIRST_DAYS))
    found = check(breaches_have_a_policy, tmp_path, days)
    assert {found[day] for day in days[:-1]} == {f"(events are known only from {DAY} on)"}
    assert found[days[-1]].startswith("Of 60 targets, 60 (100%)")


def test_policies_of_unreadable_targets_are_a_finding_and_absent_ones_are_skipped(root):
    truncated(root, TARGETS, MIDDLE)
    removed(root, TARGETS, AFTER)
    found = check(breaches_have_a_policy, root)
    assert "can't be read as Parquet" in found[MIDDLE]
    assert found[AFTER] == "(no targets of the day are stored)"


# names from the account


HOSTILE = "<script>alert(1)</script>\n- x|`y` **z** [a](http://example.org) \u202e"


def test_names_from_the_account_are_shown_literally_on_one_line(tmp_path):
    events = all_events(Clock(1, HOSTILE).apply(9, 60, HOSTILE))
    sla_root(tmp_path, events, DAY, DAY.plus(1))
    edit(tmp_path, SUMMARY, DAY.plus(1), with_cell("active_eod", another))
    found = check(open_targets_add_up, tmp_path, [DAY.plus(1)])[DAY.plus(1)]
    assert markdown_code(HOSTILE) in found
    assert "\n" not in found
    assert "<script>" not in found.replace(markdown_code(HOSTILE), "")
