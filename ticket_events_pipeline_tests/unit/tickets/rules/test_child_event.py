"""What one child event sets, rule by rule."""

from __future__ import annotations

import json

import pytest

from ticket_events_pipeline.tickets.rules.child_event import FieldChange, fields_set, tags_text, value_text

HEAD = {"id": 5, "via": "Web form", "via_reference_id": None, "created_at": "2026-03-09T10:00:00Z"}


def test_a_create_sets_a_field_without_a_previous_value():
    child = {**HEAD, "status": "new", "event_type": "Create"}
    assert fields_set(child) == [FieldChange("status", "new", False, None, is_create=True)]


def test_a_change_keeps_the_previous_value():
    child = {**HEAD, "group_id": 8, "event_type": "Change", "previous_value": 7}
    assert fields_set(child) == [FieldChange("group_id", "8", True, "7")]


def test_a_previous_value_of_null_is_known_to_be_empty():
    child = {**HEAD, "assignee_id": 8, "event_type": "Change", "previous_value": None}
    assert fields_set(child) == [FieldChange("assignee_id", "8", True, None)]


def test_every_name_but_those_of_the_event_itself_is_a_field():
    child = {**HEAD, "odd name": 1, "subject": "Hello", "event_type": "Change", "added_tags": [], "removed_tags": []}
    assert [change.field for change in fields_set(child)] == ["odd name", "subject"]


@pytest.mark.parametrize("ticket_type", ["question", "incident", "problem", "task", None])
def test_type_is_the_tickets_where_it_is_a_type_of_tickets(ticket_type):
    child = {"type": ticket_type, "event_type": "Change", "previous_value": "task"}
    assert fields_set(child) == [FieldChange("type", ticket_type, True, "task")]


def test_type_is_no_field_where_it_names_the_kind_of_event():
    child = {"type": "Change", "status": "open", "event_type": "Change"}
    assert [change.field for change in fields_set(child)] == ["status"]


@pytest.mark.parametrize("kind", ["Comment", "Notification", "create", None, ["Create"]])
def test_other_events_set_nothing(kind):
    assert fields_set({"status": "open", "event_type": kind}) == []


@pytest.mark.parametrize("child", [None, 5, "Create", ["Create"]])
def test_what_is_no_object_sets_nothing(child):
    assert fields_set(child) == []


def test_each_custom_field_is_a_field_with_its_previous_value_by_id():
    child = {"custom_ticket_fields": {"2": "b", "1": True}, "event_type": "Change", "previous_value": {"1": False}}
    first, second = fields_set(child)
    assert first == FieldChange("custom_field:1", "true", True, "false")
    assert second == FieldChange("custom_field:2", "b", True, None)


def test_a_custom_fields_previous_value_may_stand_alone():
    child = {"custom_ticket_fields": {"1": "b"}, "event_type": "Change", "previous_value": "a"}
    assert fields_set(child) == [FieldChange("custom_field:1", "b", True, "a")]


def test_tags_are_sorted_and_keep_what_was_added_and_removed():
    child = {"tags": ["b", "a", "B"], "added_tags": ["b"], "removed_tags": ["z", "c"], "event_type": "Change"}
    assert fields_set(child) == [FieldChange("tags", '["B","a","b"]', False, None, ["b"], ["z", "c"])]


def test_a_change_that_only_says_which_tags_came_and_went_is_one_of_tags():
    assert fields_set({"added_tags": ["b"], "event_type": "Change"}) == [FieldChange("tags", None, False, None, ["b"], None)]


def test_a_schedule_assignment_sets_the_schedule():
    child = {**HEAD, "event_type": "ScheduleAssignment", "previous_schedule_id": None, "new_schedule_id": 360}
    assert fields_set(child) == [FieldChange("schedule_id", "360", True, None)]
    assert fields_set({"event_type": "ScheduleAssignment", "new_schedule_id": 3}) == [
        FieldChange("schedule_id", "3", False, None)
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("", ""),
        ("null", "null"),
        (True, "true"),
        (False, "false"),
        (-7, "-7"),
        (2**80, "1208925819614629174706176"),
        (1.5, "1.5"),
        (60.0, "60"),
        (1e22, "10000000000000000000000"),
        (1e-7, "0.0000001"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        ("a\ud800", "a\ufffd"),
        (["\ud800"], '["\\ud800"]'),
    ],
)
def test_values_are_text(value, text):
    assert value_text(value) == text


def test_tags_are_sorted_by_code_point_and_odd_ones_kept_as_they_are():
    assert tags_text(["\U0001f600", "\uffee", "z"]) == '["z","\\uffee","\\ud83d\\ude00"]'


def test_a_tag_that_is_no_unicode_is_the_same_tag_in_the_list_and_where_it_is_removed():
    child = {"id": 1, "event_type": "Change", "tags": ["\ud83d"], "removed_tags": ["\ud83d"]}
    (change,) = fields_set(child)
    assert json.loads(change.value) == change.tags_removed == ["\ufffd"]
    assert tags_text(["b", 1, "a"]) == '["b",1,"a"]'
    assert tags_text("a b") == "a b"
    assert tags_text([]) == "[]"
