"""The README tells the truth: its variables, commands, names and queries exist and work."""

import re

import duckdb
import pytest

from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline.tables.registry import RAW_STREAMS, TABLES
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.deployment import ASSETS, REPORT, REPOSITORY, deployed

TOP = CHECKOUT
README = (TOP / "README.md").read_text()
VARIABLE = re.compile(r"\b(?:ZENDESK|TICKET_EVENTS)_[A-Z_]+\b")


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return found


def test_readme_code_and_env_example_name_the_same_variables():
    source = "".join(
        (TOP / "ticket_events_pipeline" / name).read_text()
        for name in ("settings.py", "account.py", "alerts/alert_settings.py")
    )
    known = set(VARIABLE.findall((TOP / ".env.example").read_text()))
    assert set(VARIABLE.findall(README)) == known
    assert set(VARIABLE.findall(source)) == known


def test_every_asset_job_schedule_and_sensor_has_its_name_in_the_readme():
    jobs = {"fetch_ticket_events", "summarize_sla_breaches"}
    names = {*ASSETS, REPORT, *(schedule.name for schedule in REPOSITORY.schedule_defs)}
    names |= {sensor.name for sensor in REPOSITORY.sensor_defs}
    assert {name for name in names if name not in README} == set()
    assert {job.name for job in REPOSITORY.get_all_jobs()} - {"__ASSET_JOB"} == jobs


def test_the_columns_that_the_readme_names_exist():
    schemas = {
        **{stream: TABLES[stream].schema for stream in RAW_STREAMS},
        "sla_targets": SLA_TARGETS_TABLE.schema,
        "daily_sla_breach_summary": DAILY_SLA_BREACH_SUMMARY_TABLE.schema,
    }
    lines = re.findall(r"^\| `(\w+)` \| .* \| `([^`]+), …` \|$", README, re.MULTILINE)
    assert {asset for asset, _ in lines} == set(schemas)
    for asset, columns in lines:
        assert set(columns.split(", ")) <= set(schemas[asset].names)


@pytest.mark.parametrize("target", re.findall(r"^(?:\w+=\w+ )?make ([\w-]+)", README, re.MULTILINE))
def test_every_make_target_of_the_readme_exists(target):
    assert re.search(rf"^{target}:", (TOP / "Makefile").read_text(), re.MULTILINE)


def test_every_command_of_the_readme_exists():
    assert set(re.findall(r"ticket-events ([a-z]+)", README)) <= set(commands.commands)


def test_the_queries_of_the_readme_run_as_they_stand(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with deployed(tmp_path / "data", now=Day.parse("2026-03-20").start) as deployment:
        breach = {
            "id": 1,
            "ticket_id": 7,
            "metric": "reply_time",
            "instance_id": 1,
            "type": "breach",
            "time": "2026-03-02T09:00:00Z",
        }
        deployment.account.deliver("ticket_metric_events", [breach])
        deployment.fetch("2026-03-02", "2026-03-03")
        deployment.settle()
    week = duckdb.sql(block("sql")).fetchall()
    assert [(str(row[0]), *row[1:4]) for row in week] == [
        ("2026-03-03", "first_reply_time", 0, 0),
        ("2026-03-02", "first_reply_time", 1, 0),
    ]
    exec(block("python"), {})  # noqa: S102  # our own README
    assert re.search(r"7 +first_reply_time", capsys.readouterr().out)
