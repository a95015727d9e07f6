"""What an old dagster.yaml lacks compared with the shipped one."""

import pytest
import yaml

from ticket_events_pipeline.cli.dagster_yaml import old_dagster_yaml, postgres_address, unset_variables
from ticket_events_pipeline_tests.support.checkout import DAGSTER_YAML


@pytest.fixture
def path(tmp_path):
    return tmp_path / "dagster.yaml"


def without(*keys):
    values = yaml.safe_load(DAGSTER_YAML.read_text())
    section = values
    for key in keys[:-1]:
        section = section[key]
    del section[keys[-1]]
    return yaml.safe_dump(values)


def test_the_shipped_file_lacks_nothing(path):
    path.write_text(DAGSTER_YAML.read_text())
    assert old_dagster_yaml(path) == []


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        (["freshness"], "freshness.enabled"),
        (["run_retries"], "run_retries.enabled"),
        (["run_monitoring"], "run_monitoring.enabled"),
        (["concurrency", "pools"], "concurrency.pools"),
        (["telemetry"], "telemetry.enabled"),
    ],
)
def test_a_missing_section_is_named_with_what_happens_without_it(path, keys, named):
    path.write_text(without(*keys))
    (sentence,) = old_dagster_yaml(path)
    assert sentence.startswith(f"{path}: {named} is not as shipped, so ")


def test_a_switch_that_is_off_counts_as_missing(path):
    path.write_text(DAGSTER_YAML.read_text().replace("telemetry:\n  enabled: false", "telemetry:\n  enabled: true"))
    (sentence,) = old_dagster_yaml(path)
    assert "telemetry.enabled" in sentence


def test_own_limits_storage_and_other_sections_are_no_finding(path):
    own = yaml.safe_load(DAGSTER_YAML.read_text())
    own["concurrency"]["pools"] = {"default_limit": 1}
    own["run_retries"]["max_retries"] = 3
    own["storage"] = {"postgres": {"postgres_url": "postgresql://x"}}
    path.write_text(yaml.safe_dump(own))
    assert old_dagster_yaml(path) == []


@pytest.mark.parametrize("text", ["", "- a list", "telemetry: 1", None])
def test_an_empty_missing_or_odd_file_lacks_everything(path, text):
    if text is not None:
        path.write_text(text)
    assert len(old_dagster_yaml(path)) == 5


def test_a_file_that_is_no_yaml_is_named(path):
    path.write_text("a: [")
    assert old_dagster_yaml(path) == [f"{path}: it can't be read (ParserError)."]


POSTGRES = """
storage:
  postgres:
    postgres_db:
      hostname: {env: DAGSTER_PG_HOST}
      password: {env: DAGSTER_PG_PASSWORD}
      port: {env: DAGSTER_PG_PORT}
run_launcher: {module: dagster_celery.launcher, class: CeleryRunLauncher, config: {include: [{env: CELERY_INCLUDE}]}}
"""


def test_variables_that_the_file_refers_to_and_that_are_not_set_are_named(path):
    path.write_text(POSTGRES)
    variables = {"DAGSTER_PG_HOST": "db", "DAGSTER_PG_PORT": " "}
    assert unset_variables(path, variables) == ["CELERY_INCLUDE", "DAGSTER_PG_PASSWORD", "DAGSTER_PG_PORT"]


@pytest.mark.parametrize(
    ("content", "variables", "address"),
    [
        (POSTGRES, {"DAGSTER_PG_HOST": "db", "DAGSTER_PG_PORT": "6543"}, ("db", 6543)),
        (POSTGRES, {"DAGSTER_PG_HOST": "db"}, ("db", 5432)),
        (POSTGRES, {"DAGSTER_PG_HOST": "db", "DAGSTER_PG_PORT": "many"}, None),
        (POSTGRES, {"DAGSTER_PG_HOST": "/run/postgresql"}, None),
        (POSTGRES, {}, None),
        ("storage: {postgres: {postgres_db: {hostname: db, port: 55432}}}", {}, ("db", 55432)),
        ("storage: {postgres: {postgres_url: {env: URL}}}", {"URL": "postgresql+psycopg2://u:p%40@db:1/d"}, ("db", 1)),
        ("storage: {postgres: {postgres_url: 'postgresql://db/dagster'}}", {}, ("db", 5432)),
        ("storage: {sqlite: {base_dir: x}}", {}, None),
        ("storage: [", {}, None),
        ("", {}, None),
    ],
)
def test_the_address_of_postgres_is_read_without_opening_it(path, content, variables, address):
    path.write_text(content)
    assert postgres_address(path, variables) == address
