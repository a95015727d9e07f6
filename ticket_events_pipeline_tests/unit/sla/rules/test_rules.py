"""The SLA rules, one per test; hours count from 2026-03-02 00:00 UTC."""

from __future__ import annotations

import pytest

from ticket_events_pipeline_tests.support.sla_cases import Clock, clocks_by_day, tables_of

DAY = Clock.DAY
NEXT = DAY.plus(1)


def at(hour):
    return DAY.start + round(hour * 3600)


def assert_row(row, **expected):
    assert {name: row[name] for name in expected} == expected


def test_rule_2_order_in_one_second_is_by_rank_for_any_ids():
    clock = Clock().add("fulfill", 9).add("breach", 9).apply(9, 60).add("activate", 9)
    assert_row(
        clock.target(), outcome="breached", entered_by="policy", breached_at=at(9), fulfilled_at=at(9), overdue_seconds=0
    )


@pytest.mark.parametrize(
    ("metric", "instance_id", "expected"),
    [
        ("reply_time", 1, "first_reply_time"),
        ("reply_time", 2, "next_reply_time"),
        ("resolution_time", 1, "total_resolution_time"),
        ("brand_new_time", 7, "brand_new_time"),
    ],
)
def test_rule_3_metric_names(metric, instance_id, expected):
    assert_row(Clock(metric=metric, instance_id=instance_id).apply(9, 60).target(), sla_metric=expected)


def test_rule_4_seconds_come_before_minutes_and_a_policy_without_id_is_in_force():
    clock = Clock().add("apply_sla", 9, sla={"target": 60, "target_in_seconds": 90, "business_hours": True})
    assert_row(clock.target(), outcome="active", policy_id=None, target_seconds=90, business_hours=True, entered_by="policy")


def test_rule_4_group_policy_ids_may_be_strings():
    clock = Clock().add("apply_group_sla", 9, group_sla={"target": 60, "policy": {"id": "g-1", "title": "Group"}})
    assert_row(clock.target(), is_group_sla=True, policy_id="g-1", policy_title="Group")


def test_rule_4_a_repeat_of_the_same_target_is_no_change_even_across_a_null():
    clock = Clock().apply(9, 60).apply(10, 60, title="Renamed").add("apply_sla", 11, sla=None).apply(12, 60)
    assert_row(clock.target(), target_changes=0, reopen_count=1, outcome="active")


def test_rule_4_every_differing_target_after_the_first_counts():
    clock = Clock().apply(9, 60).apply(10, 90).apply(11, 60).apply(12, 60, policy=12).apply(13, 60, 12, business_hours=True)
    assert_row(clock.target(), target_changes=4, applied_at=at(9), policy_id="12")


def test_rule_4_apply_on_a_fulfilled_clock_waits_for_activate():
    clock = Clock().apply(9, 60).add("fulfill", 10).apply(11, 90, 12)
    assert_row(clock.target(), outcome="achieved", policy_id="11", target_seconds=3600, target_changes=0)
    clock.apply(11.5, 120, 13).add("activate", 12)
    assert_row(clock.target(), outcome="active", policy_id="13", target_seconds=7200, target_changes=1, reopen_count=1)


def test_rule_4_null_on_a_fulfilled_clock_lets_activate_open_no_target():
    clock = Clock().apply(9, 60).add("fulfill", 10).add("apply_sla", 11, sla=None).add("activate", 12)
    assert_row(clock.target(), outcome="achieved", fulfilled_at=at(10), policy_id="11", reopen_count=0)


def test_rule_5_clock_never_open_is_no_target():
    assert Clock().add("activate", 9).add("pause", 10).add("fulfill", 11).add("breach", 12).target() is None


def test_rule_5_breach_without_policy_enters_with_null_policy():
    assert_row(
        Clock().add("activate", 8).add("breach", 9).target(),
        outcome="breached_open",
        entered_by="breach",
        entered_at=at(9),
        policy_id=None,
        target_seconds=None,
        business_hours=None,
        is_group_sla=False,
        overdue_seconds=15 * 3600,
    )


def test_rule_5_losing_the_policy_unbreached_cancels():
    clock = Clock().apply(9, 60).add("apply_sla", 10)
    assert_row(clock.target(), outcome="cancelled", closed_at=at(10), fulfilled_at=None, policy_id="11")
    assert clock.target(NEXT) is None


def test_rule_5_losing_the_policy_after_a_breach_cancels_nothing():
    assert_row(
        Clock().apply(9, 60).add("breach", 10).add("apply_sla", 11, sla=None).target(), outcome="breached_open", policy_id="11"
    )


def test_rule_5_a_fulfil_of_a_cancelled_target_only_stops_its_clock():
    clock = Clock().apply(9, 60).add("apply_sla", 10, sla=None).add("fulfill", 11).add("breach", 12).apply(13, 60)
    assert_row(clock.target(), outcome="cancelled", closed_at=at(10), fulfilled_at=None, breach_events=0, reopen_count=0)


def test_rule_5_cancelled_target_reopens_by_a_new_apply_or_by_a_breach():
    clock = Clock().apply(9, 60).add("apply_sla", 10, sla=None)
    assert_row(clock.apply(11, 90).target(), outcome="active", closed_at=None, entered_at=at(9), reopen_count=1)
    clock.add("apply_sla", 12, sla=None).add("breach", 13)
    assert_row(clock.target(), outcome="breached_open", reopen_count=2, breach_policy_id=None, policy_id="11")


def test_rule_5_repeated_fulfil_changes_nothing():
    clock = Clock().apply(9, 60).add("fulfill", 10).apply(10.5, 90).add("fulfill", 11)
    assert_row(clock.target(), outcome="achieved", fulfilled_at=at(10), target_seconds=3600, last_event_at=at(11))


def test_rule_6_activate_after_fulfil_reopens_the_same_target():
    clock = Clock().add("activate", 8).apply(9, 60).add("fulfill", 10).add("activate", 30)
    assert_row(clock.target(), outcome="achieved", reopen_count=0, activated_at=at(8))
    assert_row(
        clock.target(NEXT), outcome="active", fulfilled_at=None, reopen_count=1, reopened_on_day=True, was_open_at_start=False
    )


def test_rule_6_closing_and_reopening_within_the_day_is_no_reopening():
    clock = Clock().apply(9, 60).add("fulfill", 30).add("activate", 31)
    assert_row(clock.target(NEXT), reopen_count=1, reopened_on_day=False, was_open_at_start=True, outcome="active")


def fulfilled_clock(*, business_hours=False, **status):
    clock = Clock().apply(9, 60, business_hours=business_hours).add("fulfill", 10)
    return clock.add("update_status", 10, status=status) if status else clock


@pytest.mark.parametrize(("business_hours", "expected"), [(False, 55 * 60), (True, 40 * 60), (None, 55 * 60)])
def test_a_fulfilled_target_took_what_zendesk_measured_in_its_hours(business_hours, expected):
    clock = fulfilled_clock(business_hours=business_hours, calendar=55, business=40)
    assert_row(clock.target(), outcome="achieved", elapsed_seconds=expected)


def test_a_late_a_superseded_and_an_unknown_policys_target_took_what_was_measured_too():
    late = Clock().apply(9, 60).add("breach", 10).add("fulfill", 11).add("update_status", 11, status={"calendar": 120})
    assert_row(late.target(), outcome="breached", elapsed_seconds=7200)
    superseded = superseded_clock(status={"calendar": 90, "business": 0}).target()
    assert_row(superseded, outcome="achieved", superseded=True, elapsed_seconds=5400)
    discovered = Clock().add("breach", 10).add("fulfill", 11).add("update_status", 11, status={"calendar": 60, "business": 1})
    assert_row(discovered.target(), outcome="breached", policy_id=None, elapsed_seconds=3600)


def test_without_a_fulfilment_or_a_measure_of_it_the_time_taken_is_unknown():
    assert_row(fulfilled_clock().target(), outcome="achieved", elapsed_seconds=None)
    assert_row(fulfilled_clock(business=40).target(), elapsed_seconds=None)
    assert_row(fulfilled_clock(calendar=-1).target(), elapsed_seconds=None)
    assert_row(fulfilled_clock(calendar=0).target(), elapsed_seconds=0)
    reopened = fulfilled_clock(calendar=55).add("activate", 11)
    assert_row(reopened.target(), outcome="active", elapsed_seconds=None)
    assert_row(reopened.add("fulfill", 12).target(), outcome="achieved", elapsed_seconds=None)
    measured = {"calendar": 55, "business": 55}
    cancelled = Clock().apply(9, 60).add("apply_sla", 10, sla=None).add("fulfill", 11)
    assert_row(cancelled.add("update_status", 11, status=measured).target(), outcome="cancelled", elapsed_seconds=None)
    deleted = Clock().apply(9, 60).ticket(10, "deleted").add("fulfill", 11).add("update_status", 11, status=measured)
    assert_row(deleted.target(), outcome="deleted", elapsed_seconds=None)


def test_rule_6_pause_holds_until_activate_or_fulfil():
    clock = Clock().add("pause", 8).apply(9, 60)
    assert_row(clock.target(), is_paused=True)
    assert_row(clock.add("activate", 10).target(), is_paused=False)
    assert_row(clock.add("pause", 11).add("fulfill", 12).target(), is_paused=False)


def test_rule_6_pause_on_a_fulfilled_clock_is_ignored():
    assert_row(
        Clock().apply(9, 60).add("fulfill", 10).add("pause", 11).add("activate", 12).target(), is_paused=False, outcome="active"
    )


def test_b1_elapsed_beyond_the_target_is_no_breach():
    clock = Clock().apply(9, 60).add("fulfill", 20).add("update_status", 20, status={"calendar": 660, "business": 660})
    assert_row(clock.target(), outcome="achieved", breached_at=None, overdue_seconds=None, overdue_clock_seconds=None)


def test_b2_breach_counts_from_its_second_on_and_not_before_as_of():
    clock = Clock().apply(9, 60).add("breach", 10)
    assert_row(clock.target(as_of=at(10)), outcome="active", breach_events=0, last_event_at=at(9))
    assert_row(clock.target(as_of=at(10) + 1), outcome="breached_open", overdue_seconds=1)


def test_b3_breach_after_the_fulfil_of_its_cycle_is_stale():
    assert_row(Clock().apply(9, 60).add("fulfill", 10).add("breach", 11).target(), outcome="achieved", breach_events=0)


def test_b3_breach_in_the_second_of_the_fulfil_counts():
    assert_row(Clock().apply(9, 60).add("fulfill", 10).add("breach", 10).target(), outcome="breached", overdue_seconds=0)


def test_b4_target_breaches_once_with_the_policy_then_in_force():
    clock = Clock().apply(9, 60).add("breach", 10).apply(11, 90, 12).add("breach", 12).add("fulfill", 13)
    clock.add("activate", 30).add("breach", 31)
    assert_row(
        clock.target(), breached_at=at(10), breach_policy_id="11", policy_id="12", breach_events=2, breach_events_on_day=2
    )
    assert_row(clock.target(NEXT), breached_at=at(10), outcome="breached_open", breach_events=3, breach_events_on_day=1)


def test_b4_reopened_target_that_breached_before_is_breached_and_open():
    clock = Clock().apply(9, 60).add("breach", 10).add("fulfill", 11).add("activate", 12)
    assert_row(clock.target(), outcome="breached_open", overdue_seconds=(1 + 12) * 3600, breach_events=1)


def superseded_clock(*, target=90, status=None, business_hours=False):
    clock = Clock().apply(9, 60).add("breach", 10).apply(10.25, target, business_hours=business_hours).add("fulfill", 10.5)
    return clock if status is None else clock.add("update_status", 10.5, status=status)


def test_b5_changed_target_that_is_met_supersedes_the_breach():
    assert_row(
        superseded_clock(status={"calendar": 90, "business": 0}).target(),
        outcome="achieved",
        superseded=True,
        breached_at=at(10),
        overdue_seconds=None,
        overdue_clock_seconds=None,
    )


def test_b5_changed_target_that_is_missed_does_not_supersede_the_breach():
    row = superseded_clock(status={"calendar": 91, "business": 0}).target()
    assert_row(row, outcome="breached", superseded=False, overdue_seconds=1800, overdue_clock_seconds=60)


def test_b5_business_minutes_hold_for_a_business_hours_target():
    status = {"calendar": 900, "business": 90}
    assert_row(superseded_clock(business_hours=True, status=status).target(), outcome="achieved", superseded=True)


def test_b5_without_update_status_the_target_stays_breached():
    assert_row(superseded_clock().target(), outcome="breached", superseded=False, overdue_clock_seconds=None)


def test_b5_unchanged_target_supersedes_nothing():
    row = superseded_clock(target=60, status={"calendar": 30, "business": 30}).target()
    assert_row(row, outcome="breached", target_changes=0, overdue_clock_seconds=-1800)


def test_b5_first_apply_after_a_discovered_breach_is_a_change():
    clock = Clock().add("breach", 9).apply(10, 60).add("fulfill", 11).add("update_status", 11, status={"calendar": 60})
    assert_row(clock.target(), outcome="achieved", superseded=True, target_changes=0, entered_by="breach")


def test_b5_a_repeat_across_a_null_is_no_change_after_a_breach():
    clock = Clock().apply(8, 60).add("apply_sla", 8.5, sla=None).add("breach", 9).apply(10, 60).add("fulfill", 11)
    assert_row(clock.add("update_status", 11, status={"calendar": 1}).target(), outcome="breached", superseded=False)


def test_b5_needs_a_policy_in_force_at_the_fulfil():
    clock = Clock().apply(8, 60).add("breach", 9).apply(10, 90).add("apply_sla", 10.5, sla=None).add("fulfill", 11)
    assert_row(clock.add("update_status", 11, status={"calendar": 1}).target(), outcome="breached", target_changes=1)


def test_b5_reopened_target_is_no_longer_superseded():
    clock = superseded_clock(status={"calendar": 90}).add("activate", 11)
    assert_row(clock.target(), outcome="breached_open", superseded=False)


def test_b5_a_duration_from_before_the_fulfil_is_no_evidence():
    clock = Clock().apply(9, 60).add("breach", 10).add("fulfill", 11).add("update_status", 11, status={"calendar": 80})
    clock.add("activate", 12).apply(12, 90).add("fulfill", 13)
    assert_row(clock.target(), outcome="breached", superseded=False, overdue_clock_seconds=None, is_contradicted=False)


@pytest.mark.parametrize("minutes", [-1, -(2**62)])
def test_b5_a_negative_duration_is_no_evidence(minutes):
    row = superseded_clock(status={"calendar": minutes}).target()
    assert_row(row, outcome="breached", superseded=False, overdue_clock_seconds=None, is_contradicted=False)


def test_b6_deleted_breach_is_withdrawn_while_the_target_is_open():
    clock = Clock().add("breach", 8, deleted=True).apply(9, 60).add("breach", 10, deleted=True).add("fulfill", 11)
    clock.add("breach", 12, deleted=True)
    assert_row(clock.target(), outcome="achieved", withdrawn_breaches=1, withdrawn_breaches_on_day=1, breach_events=0)


def test_overdue_is_the_time_in_which_the_target_was_open():
    """The clock was stopped while the ticket was solved, from 11 to 30."""
    clock = Clock().apply(9, 60).add("breach", 10).add("fulfill", 11).add("activate", 30).add("fulfill", 31)
    assert_row(clock.target(), outcome="breached", overdue_seconds=3600)
    assert_row(clock.target(NEXT), outcome="breached", overdue_seconds=2 * 3600)


def test_rule_9_a_deletion_closes_open_targets_and_keeps_their_breaches():
    clock = Clock().apply(9, 60).add("breach", 10).ticket(12, "deleted")
    assert_row(
        clock.target(),
        outcome="deleted",
        closed_at=at(12),
        fulfilled_at=None,
        overdue_seconds=2 * 3600,
        breach_events=1,
        due_at=None,
    )
    _, [summary] = clock.tables()
    assert_row(
        summary, breaches=1, targets_deleted=1, targets_cancelled=0, active_eod=0, breached_open_eod=0, completed_breached=0
    )
    assert clock.target(NEXT) is None


def test_rule_9_a_deletion_on_a_later_day_is_counted_there():
    clock = Clock().apply(9, 60).ticket(33, "deleted")
    assert_row(clock.target(), outcome="active")
    assert_row(clock.target(NEXT), outcome="deleted", was_open_at_start=True, closed_at=at(33))
    _, [summary] = clock.tables(NEXT)
    assert_row(summary, targets_deleted=1, achieved=0, breaches=0)


def test_rule_9_a_restored_ticket_reopens_what_was_open():
    clock = Clock().apply(9, 60).add("breach", 10).ticket(12, "deleted").ticket(20, "open")
    assert_row(clock.target(), outcome="breached_open", reopen_count=1, closed_at=None, overdue_seconds=(2 + 4) * 3600)


def test_rule_9_a_restoration_on_the_next_day_reopens_there():
    clock = Clock().apply(9, 60).ticket(12, "deleted").ticket(30, "pending")
    assert_row(clock.target(), outcome="deleted")
    assert_row(clock.target(NEXT), outcome="active", was_open_at_start=False, reopened_on_day=True)
    _, [summary] = clock.tables(NEXT)
    assert_row(summary, targets_reopened=1, active_eod=1, targets_deleted=0)


def test_rule_9_while_a_ticket_is_deleted_nothing_opens_or_breaches():
    clock = Clock().ticket(8, "deleted").apply(9, 60).add("breach", 10).add("breach", 11, deleted=True)
    assert clock.target() is None
    assert_row(clock.ticket(12, "new").target(), outcome="active", entered_at=at(12), breach_events=0, withdrawn_breaches=0)


def test_rule_9_a_clock_that_starts_after_the_deletion_is_deleted_too():
    clock = Clock().ticket(8, "deleted").apply(33, 60)
    assert clock.target(NEXT) is None
    assert_row(clock.ticket(40, "open").target(NEXT), entered_at=at(40))


def test_rule_9_a_fulfil_while_deleted_keeps_the_outcome_until_an_activate():
    clock = Clock().apply(9, 60).ticket(12, "deleted").add("fulfill", 13)
    assert_row(clock.target(), outcome="deleted", fulfilled_at=None, closed_at=at(12))
    assert_row(clock.ticket(14, "open").target(), outcome="deleted", closed_at=at(12), reopen_count=0)
    assert_row(clock.add("activate", 15).target(), outcome="active", reopen_count=1)


def test_rule_9_an_activate_while_deleted_changes_no_outcome():
    """The waiting policy comes into force, but the target, fulfilled under the old one, doesn't re-open."""
    late = Clock().apply(8, 60).add("breach", 9).add("fulfill", 9.5).add("update_status", 9.5, status={"calendar": 90})
    late.apply(10, 120, 12).ticket(10.5, "deleted").add("activate", 11)
    assert_row(late.target(), outcome="breached", superseded=False, policy_id="11", target_seconds=3600)
    assert_row(late.ticket(12, "open").target(), outcome="breached_open", policy_id="12")
    met = Clock().apply(8, 60).add("fulfill", 8.5).add("update_status", 8.5, status={"calendar": 30}).apply(9, 10, 12)
    assert_row(met.ticket(9.5, "deleted").add("activate", 10).target(), outcome="achieved", is_contradicted=False)


def test_rule_9_an_apply_while_deleted_changes_the_policy_in_force():
    clock = Clock().apply(9, 60).ticket(12, "deleted").apply(13, 90, 12).ticket(14, "open")
    assert_row(clock.target(), outcome="active", policy_id="12", target_changes=1)


def test_rule_9_a_cancelled_target_of_a_deleted_ticket_stays_cancelled():
    clock = Clock().apply(9, 60).add("apply_sla", 10, sla=None).ticket(12, "deleted")
    assert_row(clock.target(), outcome="cancelled", closed_at=at(10))


def test_rule_9_in_one_second_metric_events_come_first():
    assert_row(Clock().ticket(10, "deleted").apply(9, 60).add("fulfill", 10).target(), outcome="achieved")
    assert_row(
        Clock().ticket(10, "deleted").apply(9, 60).add("breach", 10).target(),
        outcome="deleted",
        breached_at=at(10),
        overdue_seconds=0,
    )


def test_rule_9_child_events_count_in_their_order_and_audits_by_id():
    assert_row(Clock().apply(9, 60).ticket(10, "deleted", "open").target(), outcome="active", reopen_count=1)
    assert_row(Clock().apply(9, 60).ticket(10, "open", "deleted").target(), outcome="deleted", reopen_count=0)
    clock = Clock().apply(9, 60).ticket(10, "open").ticket(10, "deleted")
    assert_row(clock.target(), outcome="deleted")
    clock.audits.reverse()
    assert_row(clock.target(), outcome="deleted")


@pytest.mark.parametrize("statuses", [(None,), (7,), ({"name": "deleted"},)])
def test_rule_9_only_a_text_is_a_status(statuses):
    assert_row(Clock().apply(9, 60).ticket(10, *statuses).target(), outcome="active")
    assert_row(Clock().apply(9, 60).ticket(10, "deleted").ticket(11, *statuses).target(), outcome="deleted")


@pytest.mark.parametrize(("kind", "outcome"), [("Create", "deleted"), ("Change", "deleted"), ("Comment", "active")])
def test_rule_9_a_create_or_change_sets_the_status(kind, outcome):
    assert_row(Clock().apply(9, 60).ticket(10, "deleted", kind=kind).target(), outcome=outcome)


def test_rule_9_every_clock_of_the_ticket_is_closed_and_none_of_another():
    first, second = Clock().apply(9, 60).ticket(10, "deleted"), Clock(metric="reply_time", first_id=11).apply(9, 60)
    other = Clock(ticket_id=2, first_id=21).apply(9, 60)
    events = [event for clock in (first, second, other) for event in clock.events]
    rows, _ = tables_of(clocks_by_day(events, DAY, DAY, audits=first.audits)[DAY], DAY)
    assert [(row["ticket_id"], row["outcome"]) for row in rows] == [(1, "deleted"), (1, "deleted"), (2, "active")]


def test_a_deletion_is_kept_for_thirty_days():
    """Even for a ticket without clocks: a clock that starts within that time belongs to a deleted ticket."""
    for days, expected in ((29, None), (31, "active")):
        clock = Clock().ticket(12, "deleted").apply(12 + 24 * days, 60)
        row = clock.target(DAY.plus(days))
        assert (row and row["outcome"]) == expected


def test_a_deleted_ticket_is_dropped_after_thirty_days_even_if_unsolved():
    clock = Clock(metric="resolution_time").add("activate", 9).apply(9, 60).ticket(12, "deleted")
    by_day = clocks_by_day(clock.events, DAY, DAY.plus(31), audits=clock.audits)
    assert by_day[DAY.plus(29)].num_rows > 0
    assert by_day[DAY.plus(31)].num_rows == 0


def fulfilled(target, minutes, *, late=False):
    clock = Clock().apply(9, target)
    return (
        (clock.add("breach", 10) if late else clock).add("fulfill", 11).add("update_status", 11, status={"calendar": minutes})
    )


@pytest.mark.parametrize(
    ("late", "minutes", "expected"),
    [(True, 59, True), (True, 60, False), (True, 61, False), (False, 60, False), (False, 61, True), (False, 5000, True)],
)
def test_rule_10_a_duration_that_speaks_against_the_outcome_contradicts_it(late, minutes, expected):
    clock = fulfilled(60, minutes, late=late)
    assert_row(clock.target(), outcome="breached" if late else "achieved", is_contradicted=expected)
    _, [summary] = clock.tables()
    assert_row(summary, contradicted=int(expected))


def test_rule_10_less_than_a_minute_beyond_the_target_is_rounding():
    clock = Clock().add("apply_sla", 9, sla={"target_in_seconds": 90, "policy": {"id": 11}})
    clock.add("fulfill", 11).add("update_status", 11, status={"calendar": 2})
    assert_row(clock.target(), outcome="achieved", is_contradicted=False)


def test_rule_10_without_a_target_or_a_duration_there_is_no_contradiction():
    assert_row(
        Clock().apply(9, None).add("fulfill", 11).add("update_status", 11, status={"calendar": 9}).target(),
        is_contradicted=False,
    )
    assert_row(Clock().apply(9, 60).add("fulfill", 11).target(), is_contradicted=False)
    assert_row(superseded_clock(status={"calendar": 80}).target(), outcome="achieved", is_contradicted=False)


def test_rule_10_concerns_fulfilled_targets_only():
    clock = Clock().apply(9, 60).add("update_status", 12, status={"calendar": 180})
    assert_row(clock.target(), outcome="active", is_contradicted=False)
    assert_row(clock.add("apply_sla", 13, sla=None).target(), outcome="cancelled", is_contradicted=False)


def test_the_title_is_that_of_the_newest_apply_of_the_days_targets():
    old, new = Clock().apply(9, 60, title="Zeta"), Clock(ticket_id=2, first_id=11).apply(10, 60, title="Alpha")
    untitled = Clock(ticket_id=3, first_id=21).apply(11, 60, title=None)
    events = [event for clock in (new, old, untitled) for event in clock.events]
    rows, [summary] = tables_of(clocks_by_day(events, DAY, DAY)[DAY], DAY)
    assert [row["policy_title"] for row in rows] == ["Alpha"] * 3
    assert [row["entry_policy_title"] for row in rows] == ["Alpha"] * 3
    assert summary["policy_title"] == "Alpha"


@pytest.mark.parametrize("minutes", [2**63 - 1, (2**63 - 1) // 60 + 1, -(2**63)])
def test_no_number_that_leaves_int64_wraps(minutes):
    assert_row(Clock().add("activate", 9).apply(9, minutes).target(), outcome="active", target_seconds=None, due_at=None)
    row = (
        Clock()
        .apply(9, 60)
        .add("breach", 10)
        .add("fulfill", 11)
        .add("update_status", 11, status={"calendar": minutes})
        .target()
    )
    assert_row(row, outcome="breached", elapsed_seconds=None, overdue_clock_seconds=None, is_contradicted=False)
    seconds = {"target_in_seconds": minutes, "policy": {"id": 11}}
    assert_row(Clock().add("activate", 9).add("apply_sla", 9, sla=seconds).target(), target_seconds=minutes, due_at=None)


@pytest.mark.parametrize(
    ("spelled", "counts"), [(0, 1), ("0", 1), ("false", 1), (None, 1), (1, 0), ("T", 0), ("TRUE", 0), ("no", 0)]
)
def test_rule_1_deleted_in_its_spellings(spelled, counts):
    assert_row(Clock().apply(9, 60).add("breach", 10, deleted=spelled).target(), breach_events=counts)


@pytest.mark.parametrize(("spelled", "withdrawn"), [(True, 1), ("1", 1), ("t", 1), ("no", 0), (2, 0), ("", 0)])
def test_rule_1_a_breach_with_unreadable_deleted_is_not_withdrawn(spelled, withdrawn):
    assert_row(Clock().apply(9, 60).add("breach", 10, deleted=spelled).target(), withdrawn_breaches=withdrawn, breach_events=0)


def test_last_event_at_is_that_of_the_last_event_not_deleted():
    assert_row(Clock().apply(9, 60).add("breach", 10, deleted=True).target(), last_event_at=at(9))


def test_midnight_belongs_to_the_day_that_begins():
    clock = Clock().add("breach", 24)
    assert clock.target() is None
    assert_row(clock.target(NEXT), entered_at=NEXT.start, was_open_at_start=False)


def test_target_open_for_no_longer_than_a_second_belongs_to_the_day():
    assert_row(Clock().apply(9, 60).add("fulfill", 9).target(), outcome="achieved", entered_at=at(9), closed_at=at(9))


def test_open_target_without_events_is_in_every_day():
    clock = Clock().apply(9, 60)
    assert_row(clock.target(DAY.plus(50)), outcome="active", was_open_at_start=True, as_of=DAY.plus(51).start)
    assert clock.add("fulfill", 30).target(DAY.plus(2)) is None


def test_as_of_past_the_end_of_the_day_is_refused():
    clocks = clocks_by_day(Clock().apply(9, 60).events, DAY, DAY)[DAY]
    with pytest.raises(ValueError, match="after the end of 2026-03-02"):
        tables_of(clocks, DAY, as_of=DAY.end + 1)
