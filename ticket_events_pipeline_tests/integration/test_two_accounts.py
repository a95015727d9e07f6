"""Two accounts from YAML, side by side in one code location: neither touches the other's files, days, runs or quota."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from dataclasses import replace

import dagster as dg
import pytest

from ticket_events_pipeline.alerts.settings import alert_settings
from ticket_events_pipeline.component import ZendeskTicketEvents
from ticket_events_pipeline.day import Day, Instant, wall_clock
from ticket_events_pipeline.defs.run_marks import Mark
from ticket_events_pipeline.defs.run_tags import PROCESS_TAG
from ticket_events_pipeline.defs.runs import range_tags
from ticket_events_pipeline.defs.sensors.dead_runs import started_runs
from ticket_events_pipeline.errors import SettingsError
from ticket_events_pipeline.process import host_name, this_process
from ticket_events_pipeline.sandbox.credentials import DEMO_CREDENTIALS
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.zendesk.shared_rate_limit import read_state
from ticket_events_pipeline_tests.support.checkout import CHECKOUT, DAGSTER_YAML
from ticket_events_pipeline_tests.support.events import event
from ticket_events_pipeline_tests.support.fetches import Moment

EXAMPLE = CHECKOUT / "deploy" / "two_accounts"
ACME, GLOBEX = "acme", "globex_support"
QUOTAS = {ACME: 40, GLOBEX: 70}
FIRST, LAST = "2026-03-02", "2026-03-04"
SPAN = range_tags(Day.parse(FIRST), Day.parse(LAST))
NOW = Day.parse("2026-03-20").start


class Location:
    """The example project with a server for each account, and an instance of its own."""

    def __init__(self, stack, folder, monkeypatch):
        shutil.copytree(EXAMPLE, folder / "project")
        self.root, self.accounts, self.servers = folder / "data", {}, {}
        for name, first_id in ((ACME, 1000), (GLOBEX, 2000)):
            self.accounts[name] = RecordedAccount()
            rows = [event(first_id + hour, f"{FIRST[:-1]}{2 + hour % 3}T{hour:02}:00:00Z") for hour in range(24)]
            self.accounts[name].deliver("ticket_metric_events", rows)
            credentials = replace(
                DEMO_CREDENTIALS, bearer_token=f"{name}-token", client_id=name, client_secret=f"{name}-secret"
            )
            world = {"requests_per_minute": QUOTAS[name], "credentials": credentials, "page_limit": 6}
            self.servers[name] = stack.enter_context(SandboxServer(self.accounts[name], clock=Moment(NOW), **world))
            self._point_to_server(folder, name)
        variables = {
            "TICKET_EVENTS_ROOT": str(self.root),
            "ACME_CLIENT_ID": ACME,
            "ACME_CLIENT_SECRET": "acme-secret",
            "GLOBEX_CLIENT_ID": GLOBEX,
            "GLOBEX_CLIENT_SECRET": f"{GLOBEX}-secret",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.syspath_prepend(str(folder / "project"))
        for module in [module for module in sys.modules if module.partition(".")[0] == "two_accounts"]:
            monkeypatch.delitem(sys.modules, module)
        from two_accounts.definitions import defs

        self.defs = defs()
        self.repository = self.defs.get_repository_def()
        self.instance = stack.enter_context(dg.DagsterInstance.ephemeral())

    def _point_to_server(self, folder, name):
        (path,) = (folder / "project").glob(f"two_accounts/defs/{name.partition('_')[0]}/defs.yaml")
        path.write_text(path.read_text() + f"  base_url: {self.servers[name].base_url}\n")

    def run(self, job, **tags):
        return self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance, tags={**SPAN, **tags}, raise_on_error=False
        )

    def tick(self, name):
        sensor = self.repository.get_sensor_def(f"{name}_new_event_partitions_sensor")
        result = sensor(dg.build_sensor_context(instance=self.instance, repository_def=self.repository))
        return [request.tags["dagster/asset_partition_range_start"] for request in result.run_requests]

    def ids(self, name, day):
        table = read_partition(FolderStore(self.root / name), "ticket_metric_events", Day.parse(day))
        return set(table["id"].to_pylist())


@pytest.fixture
def location(tmp_path, monkeypatch):
    with ExitStack() as stack:
        yield Location(stack, tmp_path, monkeypatch)


def files(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_assets_jobs_and_sensors_of_an_account_have_its_name(location):
    named = {ACME: f"{ACME}_", GLOBEX: f"{GLOBEX}_"}
    repository = location.repository
    names = [job.name for job in repository.get_all_jobs() if not job.name.startswith("__")]
    names += [sensor.name for sensor in repository.sensor_defs] + [schedule.name for schedule in repository.schedule_defs]
    counts = {account: sum(name.startswith(prefix) for name in names) for account, prefix in named.items()}
    assert counts[ACME] == counts[GLOBEX] == len(names) / 2
    graph = repository.asset_graph
    prefixes = {key.path[0] for key in graph.get_all_asset_keys()}
    assert prefixes == {ACME, GLOBEX}
    assert {dg.AssetKey([account, "zendesk_api"]) for account in named} <= graph.get_all_asset_keys()
    pools = {pool for key in graph.get_all_asset_keys() for pool in graph.get(key).pools or ()}
    assert pools == {f"{ACME}_zendesk_api", f"{GLOBEX}_zendesk_api"}
    partitions = {key: graph.get(key).partitions_def for key in graph.materializable_asset_keys}
    assert {key.path[-1] for key, days in partitions.items() if days is None} == {"zendesk_names"}
    zones = {key.path[0]: days.timezone for key, days in partitions.items() if days is not None}
    assert zones == {ACME: "Europe/Berlin", GLOBEX: "UTC"}


def test_each_account_fetches_its_own_events_into_its_own_folder_on_its_own_quota(location):
    assert location.run(f"{ACME}_fetch_ticket_events").success
    assert location.servers[GLOBEX].requests == []
    assert not (location.root / GLOBEX).exists()
    acme, requests_before = files(location.root / ACME), len(location.servers[ACME].requests)
    assert location.run(f"{GLOBEX}_fetch_ticket_events").success
    assert files(location.root / ACME) == acme
    assert len(location.servers[ACME].requests) == requests_before
    for name, first_id in ((ACME, 1000), (GLOBEX, 2000)):
        assert {number // 1000 * 1000 for day in (FIRST, LAST) for number in location.ids(name, day)} == {first_id}
        (quota,) = [path for path in files(location.root / name) if re.fullmatch(r"_inflight/quota-.*\.json", path)]
        assert read_state(files(location.root / name)[quota], Instant.exactly(wall_clock())).bucket.total == QUOTAS[name]


def test_each_sensor_requests_only_its_own_accounts_days(location):
    assert location.run(f"{ACME}_fetch_ticket_events").success
    assert location.tick(GLOBEX) == []
    assert location.tick(ACME) == [FIRST]
    assert location.run(f"{ACME}_summarize_sla_breaches").success
    assert location.tick(ACME) == []
    assert list((location.root / GLOBEX).glob("*/date=*")) == []
    summaries = {key.path[0] for key in location.instance.all_asset_keys()}
    assert summaries == {ACME}


def test_wrong_credentials_of_one_account_do_not_affect_the_other(location, monkeypatch):
    monkeypatch.setenv("GLOBEX_CLIENT_SECRET", "wrong")
    failed = location.run(f"{GLOBEX}_fetch_ticket_events")
    assert not failed.success
    assert location.run(f"{ACME}_fetch_ticket_events").success
    assert {request.status for request in location.servers[ACME].requests} == {200}


def test_a_missing_credential_is_named_as_the_yaml_names_it(location, monkeypatch):
    monkeypatch.delenv("GLOBEX_CLIENT_ID")
    monkeypatch.delenv("GLOBEX_CLIENT_SECRET")
    failed = location.run(f"{GLOBEX}_fetch_ticket_events")
    (text, *_) = [event.step_failure_data.user_failure_data.description for event in failed.all_events if event.is_step_failure]
    assert "account globex_support: no credentials are set: set GLOBEX_CLIENT_ID and GLOBEX_CLIENT_SECRET, of an OAuth" in text
    assert "or, for a trial, credentials.oauth_token; or" in text
    assert "ZENDESK_OAUTH" not in text


def test_each_account_ends_the_dead_runs_over_its_own_assets(location):
    runs = {}
    for name in (ACME, GLOBEX):
        job_def = location.repository.get_job(f"{name}_fetch_ticket_events")
        run = location.instance.create_run_for_job(job_def=job_def, status=dg.DagsterRunStatus.STARTED)
        dead = replace(this_process(), pid=2**22 + 1)  # no process has such a number
        location.instance.add_run_tags(run.run_id, {PROCESS_TAG: str(Mark(run.run_id, host_name(), dead))})
        runs[name] = run.run_id
    for name in (ACME, GLOBEX):
        found = started_runs(location.instance, location.repository, key_prefix=[name])
        assert [run.run_id for run in found] == [runs[name]]


@pytest.mark.parametrize("given", ["s3cr3t-token", "abc123", "ACME TOKEN", "9LIVES"])
def test_a_credential_in_the_yaml_is_refused_and_never_quoted(given):
    yaml = f"credentials:\n  oauth_token: {given!r}\nsubdomain: acme\n"
    with pytest.raises(Exception, match="name of the environment variable") as refused:
        ZendeskTicketEvents.resolve_from_yaml(yaml)
    assert given not in str(refused.value).partition("input_value")[0]


def test_an_account_needs_a_name_and_a_day_that_is_one():
    with pytest.raises(ValueError, match="give a name, or a subdomain"):
        ZendeskTicketEvents(base_url="https://help.example.com").scope()
    with pytest.raises(SettingsError, match="account acme: start_date: 'soon' is not a date"):
        ZendeskTicketEvents(subdomain="acme", start_date="soon").scope()
    with pytest.raises(ValueError, match="'a/b' is not a name"):
        ZendeskTicketEvents(name="a/b")
    with pytest.raises(ValueError, match=r"'9lives' is not a name.*give a name in addition to that subdomain"):
        ZendeskTicketEvents(subdomain="9lives").scope()
    assert ZendeskTicketEvents(subdomain="9lives", name="lives").scope().name == "lives"


def test_variables_of_the_single_account_are_not_taken_for_this_one(monkeypatch, tmp_path):
    others = {
        "ZENDESK_SANDBOX": "1",
        "ZENDESK_BASE_URL": "https://other.example.com",
        "ZENDESK_EMAIL": "other@example.com",
        "ZENDESK_API_TOKEN": "other",
        "TICKET_EVENTS_TIMEZONE": "Asia/Tokyo",
    }
    for name, value in others.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ZENDESK_TIMEOUT_SECONDS", "7")
    monkeypatch.setenv("ACME_TOKEN", "t")
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(tmp_path))
    scope = ZendeskTicketEvents(subdomain="acme", credentials={"oauth_token": "ACME_TOKEN"}).scope()
    settings = scope.pipeline().settings
    assert (settings.account, settings.is_sandbox, settings.timezone, settings.root) == (
        "acme",
        False,
        "UTC",
        f"{tmp_path}/acme",
    )
    assert (settings.base_url, settings.credentials.token) == ("https://acme.zendesk.com", "t")
    assert settings.timeout_seconds == 7
    assert "'t'" not in repr(scope)


def test_the_support_type_scope_is_the_yamls_or_the_environments(monkeypatch):
    monkeypatch.setenv("ZENDESK_SUPPORT_TYPE_SCOPE", "all")
    yaml = "subdomain: acme\nsandbox: true\n"
    assert ZendeskTicketEvents.resolve_from_yaml(yaml).scope().pipeline().settings.support_type_scope == "all"
    own = ZendeskTicketEvents.resolve_from_yaml(yaml + "support_type_scope: ai_agent\n")
    assert own.scope().pipeline().settings.support_type_scope == "ai_agent"
    with pytest.raises(Exception, match="'agent', 'all' or 'ai_agent'"):
        ZendeskTicketEvents.resolve_from_yaml(yaml + "support_type_scope: everybody\n")
    monkeypatch.setenv("ZENDESK_SUPPORT_TYPE_SCOPE", "robots")
    with pytest.raises(SettingsError, match="account acme: support_type_scope: 'robots' is none of agent, all, ai_agent"):
        ZendeskTicketEvents.resolve_from_yaml(yaml).scope().pipeline().checked()


def urls(account):
    return [destination.url for destination in account.scope().read(alert_settings).destinations]


def test_alerts_go_to_the_common_webhook_or_to_the_accounts_own(monkeypatch):
    monkeypatch.setenv("TICKET_EVENTS_ALERT_WEBHOOK", "https://chat.example.com/all")
    monkeypatch.setenv("ACME_WEBHOOK", "https://chat.example.com/acme")
    common, own = ZendeskTicketEvents(subdomain="acme"), ZendeskTicketEvents(subdomain="acme", alert_webhook="ACME_WEBHOOK")
    assert urls(common) == ["https://chat.example.com/all"]
    assert urls(own) == ["https://chat.example.com/acme"]
    monkeypatch.setenv("TICKET_EVENTS_NOTIFY_URLS", "https://hooks.slack.com/services/all")
    monkeypatch.setenv("ACME_URLS", "https://hooks.slack.com/services/acme")
    both = ZendeskTicketEvents(subdomain="acme", alert_webhook="ACME_WEBHOOK", notify_urls="ACME_URLS")
    assert urls(common) == ["https://chat.example.com/all", "https://hooks.slack.com/services/all"]
    assert urls(both) == ["https://chat.example.com/acme", "https://hooks.slack.com/services/acme"]
    monkeypatch.setenv("ACME_URLS", "nothing")
    (problem,) = both.scope().read(alert_settings).problems
    assert both.scope().as_spelled(problem).startswith("ACME_URLS: URL 1 is no URL")
    monkeypatch.setenv("ACME_WEBHOOK", "nowhere")
    with pytest.raises(SettingsError, match="account acme: ACME_URLS: URL 1 is no URL"):
        both.scope().read(alert_settings)
    assert own.scope().read(alert_settings).problems[0].startswith("TICKET_EVENTS_ALERT_WEBHOOK: is not a URL")
    monkeypatch.delenv("TICKET_EVENTS_NOTIFY_URLS")
    with pytest.raises(SettingsError, match="account acme: ACME_WEBHOOK"):
        own.scope().read(alert_settings)


def test_the_yaml_of_the_docs_is_an_account():
    (yaml,) = re.findall(r"```yaml\n(.*?)```", (CHECKOUT / "docs/how-to/several-accounts.md").read_text(), re.DOTALL)
    kind, _, attributes = yaml.partition("attributes:\n")
    assert kind.strip() == f"type: {ZendeskTicketEvents.__module__}.{ZendeskTicketEvents.__name__}"
    account = ZendeskTicketEvents.resolve_from_yaml(textwrap.dedent(attributes))
    assert (account.account_name(), account.credentials.oauth_client_id) == ("acme", "ACME_CLIENT_ID")


@pytest.mark.slow
def test_a_copy_under_another_name_loads_without_a_warning(tmp_path):
    """Dagster takes a folder's name for the location's where the project doesn't name it."""
    project, home = tmp_path / "our_accounts", tmp_path / "home"
    shutil.copytree(EXAMPLE, project)
    home.mkdir()
    shutil.copy(DAGSTER_YAML, home)
    machine = {"PATH": os.defpath, "HOME": str(tmp_path), "PYTHONPATH": str(CHECKOUT), "DAGSTER_HOME": str(home)}
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    checked = subprocess.run(command, cwd=project, env=machine, capture_output=True, text=True, timeout=300, check=False)
    printed = checked.stdout + checked.stderr
    assert checked.returncode == 0, printed
    assert "does not match" not in printed
    assert "Validation successful for code location two_accounts." in printed
