"""An account that was renamed keeps its history: files made under a former name are its own, everywhere."""

import json
import shutil
from contextlib import contextmanager

import pytest

from ticket_events_pipeline.alerts.destinations import WEBHOOK
from ticket_events_pipeline.alerts.settings import alert_settings
from ticket_events_pipeline.cli.doctor import run_doctor
from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.component import ZendeskTicketEvents
from ticket_events_pipeline.credentials import AccountNames
from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.definitions import SCOPE
from ticket_events_pipeline.defs.sensors.alerts import _context
from ticket_events_pipeline.errors import ForbiddenError, ForeignRootError, SettingsError
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.quality.raw_day import owner_of, verify_days
from ticket_events_pipeline.report.files import report_path
from ticket_events_pipeline.sandbox.answers import json_answer
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.settings import load_settings, root_settings
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.checkout import SAMPLES
from ticket_events_pipeline_tests.support.deployment import deployed
from ticket_events_pipeline_tests.support.events import event
from ticket_events_pipeline_tests.support.fetches import Moment, client_at, stored_ids

CASE = json.loads((SAMPLES / "cases" / "subdomain-renamed.json").read_text())
METRIC = "ticket_metric_events"
FIRST, SECOND, THIRD = "2026-03-01", "2026-03-02", "2026-03-03"
DAYS = days_between(Day.parse(FIRST), Day.parse(THIRD))
LATER = Day.parse("2026-03-20").start
OLD, NEW = "acme", "acme-new"
FORMER = "ZENDESK_FORMER_SUBDOMAINS"
WAY_OUT = f"If {OLD} is this account's former name, set {FORMER}={OLD}: its files then belong to this account."


@contextmanager
def deployed_with_rows(root):
    """Nothing is fetched yet, and the account has no name."""
    with deployed(root, now=LATER) as running:
        for stream, rows in CASE["serve"].items():
            running.account.deliver(stream, rows)
        running.account.deliver(METRIC, [event(n, f"{day}T09:00:00Z", "breach") for n, day in enumerate((SECOND, THIRD), 10)])
        yield running


def run_under_the_old_name(running):
    """Two days are fetched and summarised."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZENDESK_SUBDOMAIN", OLD)
        running.fetch(FIRST, SECOND)
        running.settle()


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """The files of two days under the old name."""
    root = tmp_path_factory.mktemp("history")
    with deployed_with_rows(root) as running:
        run_under_the_old_name(running)
    return root


@pytest.fixture
def deployment(history, tmp_path, monkeypatch):
    """The files of two days under the old name, and the account renamed; Dagster has no record of a run."""
    shutil.copytree(history, tmp_path / "root")
    with deployed_with_rows(tmp_path / "root") as running:
        monkeypatch.setenv("ZENDESK_SUBDOMAIN", NEW)
        yield running


@pytest.fixture
def running_deployment(tmp_path, monkeypatch):
    """The deployment that made those files, with its records of those runs; then the account is renamed."""
    with deployed_with_rows(tmp_path) as running:
        run_under_the_old_name(running)
        monkeypatch.setenv("ZENDESK_SUBDOMAIN", NEW)
        yield running


def failures(run):
    return {event.step_failure_data.user_failure_data.description for event in run.all_events if event.is_step_failure}


def verified(root, days=DAYS, *, account=None, former=(), stream=METRIC):
    store = FolderStore(root)
    owner = owner_of(store, stream, days, account=account, former=former, timezone="UTC")
    return list(verify_days(store, stream=STREAMS[stream], days=days, owner=owner, now=LATER))


def fetch(server, root, days, *, account, former=(), clock, log=lambda _: None):
    with client_at(server.base_url, clock=clock) as client:
        ownership = Ownership(account, "UTC", False, former_accounts=former)
        committed = fetch_days(
            client, FolderStore(root), stream=STREAMS[METRIC], days=days, ownership=ownership, clock=clock, log=log
        )
        return list(committed)


def test_a_fetch_and_the_doctor_name_the_way_out_and_send_no_request(running_deployment, capsys):
    deployment = running_deployment
    requests_before, files = len(deployment.server.requests), deployment.files()
    failed = deployment.run("fetch_ticket_events", THIRD)
    assert not failed.success
    messages = failures(failed)
    assert len(deployment.server.requests) == requests_before
    assert deployment.files() == files
    assert messages
    assert all(f"account {OLD}" in message and f"account {NEW}" in message and WAY_OUT in message for message in messages)
    assert not run_doctor()
    seen = capsys.readouterr().out
    assert f"its files have {OLD}, this fetch has {NEW}). {WAY_OUT}" in seen.replace("\n", "")
    assert f"account {NEW}" in seen


def test_with_its_former_name_the_account_keeps_its_history(running_deployment, monkeypatch, capsys):
    """No earlier day is fetched, written or evaluated again; new files have the new name."""
    deployment = running_deployment
    before = deployment.files()
    monkeypatch.setenv(FORMER, f" {OLD}-old , {OLD.upper()}")
    assert run_doctor(), capsys.readouterr().out
    run = deployment.run("fetch_ticket_events", THIRD)
    assert run.success, failures(run)
    assert {evaluation.check_name for evaluation in run.get_asset_check_evaluations() if not evaluation.passed} == set()
    assert deployment.settle() == [(THIRD, THIRD)]
    after = deployment.files()
    # Asked snapshots are merged into one file a day, and the newest page is linked.
    changing = ("latest", "ticket_snapshots")
    assert {
        path: content for path, content in after.items() if path in before and not any(map(path.__contains__, changing))
    } == {path: content for path, content in before.items() if not any(map(path.__contains__, changing))}
    assert [read_raw_footer(deployment.store, METRIC, day).account for day in DAYS] == [OLD, OLD, NEW]
    capsys.readouterr()
    commands(["verify", FIRST, THIRD], standalone_mode=False)
    assert "All 6 day files are complete and consistent so far" in capsys.readouterr().out
    assert _context(SCOPE, alert_settings({WEBHOOK: "https://chat.example/hook"}), []).account == NEW


def test_reports_link_to_the_new_host_also_those_of_days_before(deployment, monkeypatch, capsys):
    monkeypatch.setenv(FORMER, OLD)
    commands(["report", "--date", SECOND], standalone_mode=False)
    page = (deployment.root / report_path(Day.parse(SECOND))).read_text()
    assert f"https://{NEW}.zendesk.com/agent/tickets/" in page
    assert f"https://{OLD}.zendesk.com" not in page
    assert f" {NEW}</title>" in page
    capsys.readouterr()


def test_the_checks_of_a_range_over_both_names_are_green(deployment, monkeypatch):
    monkeypatch.setenv(FORMER, OLD)
    run = deployment.run("fetch_ticket_events", FIRST, THIRD)
    assert run.success, failures(run)
    assert {evaluation.check_name for evaluation in run.get_asset_check_evaluations() if not evaluation.passed} == set()
    assert {read_raw_footer(deployment.store, METRIC, day).account for day in DAYS} == {NEW}


def test_a_plan_takes_the_days_of_before_as_stored(deployment, monkeypatch, capsys):
    monkeypatch.setenv(FORMER, OLD)
    commands(["plan", FIRST, SECOND], standalone_mode=False)
    output = capsys.readouterr().out
    assert f"{NEW}, {FIRST} to {SECOND}" in output
    assert "Nothing is missing." in output


def test_an_open_day_of_before_is_resumed_where_it_ended(tmp_path):
    day = Day.parse(SECOND)
    clock = Moment(day.start + 12 * 3600)
    account = RecordedAccount({METRIC: [event(1, f"{SECOND}T08:00:00Z"), event(2, f"{SECOND}T20:00:00Z")]})
    with SandboxServer(account, clock=clock) as server:
        (opened,) = fetch(server, tmp_path, [day], account=OLD, clock=clock)
        clock.now, requests_before = day.end + 86_400, len(server.requests)
        (closed,) = fetch(server, tmp_path, [day], account=NEW, former=(OLD,), clock=clock)
        assert int(server.requests[requests_before].query["start_time"]) >= opened.footer.next_start_time - 300
    assert (closed.footer.account, closed.footer.complete, stored_ids(tmp_path, METRIC, day)) == (NEW, True, [1, 2])


def many_pages(server_options):
    rows = [event(number, f"2026-03-0{1 + number // 100}T{number % 24:02}:{number % 60:02}:00Z") for number in range(300)]
    return SandboxServer(RecordedAccount({METRIC: rows}), **server_options)


@pytest.mark.parametrize("former", [(OLD,), ("other", OLD)])
def test_a_fetch_that_failed_half_way_under_the_old_name_is_resumed(tmp_path, former):
    clock, log = Moment(LATER), []
    with many_pages({"clock": clock, "page_limit": 10}) as server:
        server.script(*[None] * 17, json_answer(403, {"error": "Forbidden", "description": "no"}))
        with pytest.raises(ForbiddenError):
            fetch(server, tmp_path, DAYS, account=OLD, clock=clock)
        requests_before = len(server.requests)
        done = fetch(server, tmp_path, DAYS, account=NEW, former=former, clock=clock, log=log.append)
        resumed = len(server.requests) - requests_before
    with many_pages({"clock": clock, "page_limit": 10}) as server:
        fresh = fetch(server, tmp_path / "fresh", DAYS, account=NEW, clock=clock)
        assert requests_before + resumed <= len(server.requests) + 12
    assert any("resuming where a fetch stopped" in line for line in log)
    assert [one.footer.content_hash for one in done] == [one.footer.content_hash for one in fresh]
    assert [one.footer.account for one in done] == [OLD, NEW, NEW]
    assert [finding.is_whole for finding in verified(tmp_path, account=NEW, former=former)] == [True] * 3


def test_a_fetch_of_another_account_is_not_resumed(tmp_path):
    """The root has only its journal, and no file that would be refused."""
    clock, log = Moment(LATER), []
    with many_pages({"clock": clock, "page_limit": 10}) as server:
        server.script(*[None] * 5, json_answer(403, {"error": "Forbidden", "description": "no"}))
        with pytest.raises(ForbiddenError):
            fetch(server, tmp_path, DAYS, account="globex", clock=clock)
        done = fetch(server, tmp_path, DAYS, account=NEW, former=(OLD,), clock=clock, log=log.append)
    assert not any("resuming where" in line for line in log)
    assert [one.footer.account for one in done] == [NEW] * 3


def test_a_third_accounts_files_stay_foreign(tmp_path):
    clock = Moment(LATER)
    with SandboxServer(RecordedAccount(), clock=clock) as server:
        fetch(server, tmp_path, DAYS[:1], account=OLD, clock=clock)
        fetch(server, tmp_path / "other", DAYS[1:2], account="globex", clock=clock)
        path = partition_path(METRIC, DAYS[1])
        (tmp_path / path).parent.mkdir()
        shutil.copy(tmp_path / "other" / path, tmp_path / path)
        requests_before = len(server.requests)
        with pytest.raises(
            ForeignRootError, match=rf"its files have globex, this fetch has {NEW}.* set {FORMER}={OLD},globex: "
        ):
            fetch(server, tmp_path, DAYS[2:], account=NEW, former=(OLD,), clock=clock)
        assert len(server.requests) == requests_before
    own, foreign, _ = verified(tmp_path, account=NEW, former=(OLD,))
    assert (own.is_whole, foreign.state) == (True, "foreign")
    assert f"ZENDESK_SUBDOMAIN globex, not {NEW}" in str(foreign.findings[0])
    assert f"set {FORMER}={OLD},globex:" in str(foreign.findings[0])


def test_where_no_variable_names_the_account_its_former_names_do_not_either(tmp_path):
    """There are more files of the old name, but those of the new name decide."""
    clock = Moment(LATER)
    with SandboxServer(RecordedAccount(), clock=clock) as server:
        fetch(server, tmp_path, DAYS[:2], account=OLD, clock=clock)
        fetch(server, tmp_path, DAYS[2:], account=NEW, former=(OLD,), clock=clock)
    assert [finding.state for finding in verified(tmp_path)] == ["complete", "complete", "foreign"]
    assert [finding.state for finding in verified(tmp_path, former=(OLD,))] == ["complete"] * 3
    assert owner_of(FolderStore(tmp_path), METRIC, DAYS, account=None, former=(OLD,), timezone="UTC").account == NEW


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ZENDESK_SUBDOMAIN": "globex"}, "ZENDESK_SUBDOMAIN: its files have acme-new, this fetch has globex"),
        ({"TICKET_EVENTS_TIMEZONE": "Asia/Kolkata"}, "TICKET_EVENTS_TIMEZONE: its files have UTC, this fetch has Asia/Kolkata"),
        ({"ZENDESK_INCLUDE_COMMENTS": "1"}, "ZENDESK_INCLUDE_COMMENTS: its files have 0, this fetch has 1"),
    ],
)
def test_the_doctor_checks_the_roots_owner(deployment, monkeypatch, capsys, variables, words):
    """Before the first run does; the credentials are checked all the same."""
    monkeypatch.setenv(FORMER, OLD)
    deployment.fetch(THIRD)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert not run_doctor()
    output = capsys.readouterr().out
    assert output.count("FAIL ") == 1
    assert words in output
    assert "credentials: " in output


def test_the_doctor_finds_nothing_in_an_empty_root(tmp_path, capsys):
    with deployed(tmp_path, now=LATER):
        assert run_doctor()
    assert "FAIL" not in capsys.readouterr().out


ACME = {"ZENDESK_SUBDOMAIN": NEW, "ZENDESK_OAUTH_TOKEN": "t"}


@pytest.mark.parametrize(
    ("text", "former"),
    [
        ("", ()),
        ("  ", ()),
        (" , ,", ()),
        ("acme", ("acme",)),
        (" ACME , acme-old,acme,", ("acme", "acme-old")),
        (f"acme,{NEW}", ("acme", NEW)),  # the present name is one of its own anyway
    ],
)
def test_former_names_are_read_from_a_list(text, former):
    env = {**ACME, FORMER: text}
    assert (load_settings(env).former_accounts, root_settings(env).former_accounts) == (former, former)
    sandbox = {"ZENDESK_SANDBOX": "1", FORMER: text}
    assert (load_settings(sandbox).former_accounts, root_settings(sandbox).former_accounts) == ((), ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("acme.zendesk.com", "name 1 of 1: give the first part of the host only"),
        ("acme,https://old.zendesk.com", "name 2 of 2: give the first part of the host only"),
        ("acme old", "name 1 of 1: "),
        ("a,b,-c", "name 3 of 3: "),
        ("a" * 64, "name 1 of 1: "),
    ],
)
@pytest.mark.parametrize("load", [load_settings, root_settings])
def test_a_former_name_that_is_none_is_an_error_that_names_the_variable(load, text, words):
    with pytest.raises(SettingsError) as caught:
        load({**ACME, FORMER: text})
    (problem,) = caught.value.problems
    assert problem.startswith(f"{FORMER}: {words}")


@pytest.mark.parametrize(
    ("current", "former", "name", "advice"),
    [
        (NEW, (), "acme", f"set {FORMER}=acme:"),
        (NEW, ("acme",), "old", f"set {FORMER}=acme,old:"),
        ("127.0.0.1", (), "acme", f"set {FORMER}=acme:"),
        (NEW, (), "proxy.example", ""),  # no subdomain: the variable takes none
        (NEW, (), "acme; rm", ""),
        (NEW, (), "sandbox", ""),
        ("sandbox", (), "acme", ""),
    ],
)
def test_a_way_out_is_named_where_there_is_one(current, former, name, advice):
    advised = AccountNames(current, former).how_to_include(name)
    assert advice in advised
    assert bool(advised) == bool(advice)


def test_in_yaml_former_names_are_one_accounts_own(monkeypatch, tmp_path):
    monkeypatch.setenv(FORMER, "globex")
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(tmp_path))
    renamed = ZendeskTicketEvents.resolve_from_yaml("subdomain: acme-new\nname: acme\nformer_subdomains: [acme, acme-old]\n")
    other = ZendeskTicketEvents(subdomain="initech")
    found = renamed.scope().pipeline().root_settings
    assert (found.account, found.former_accounts, found.root) == (NEW, ("acme", "acme-old"), f"{tmp_path}/acme")
    assert renamed.scope().key(METRIC).path == ["acme", METRIC]
    assert other.scope().pipeline().root_settings.former_accounts == ()
    with pytest.raises(SettingsError, match="account acme: former_subdomains: name 1 of 1: give the first part"):
        ZendeskTicketEvents(subdomain=NEW, name="acme", former_subdomains=["acme.zendesk.com"]).scope().read(root_settings)


def test_in_yaml_a_renamed_account_says_where_its_files_lie():
    """By default they would lie in a folder of its new name: an empty one."""
    with pytest.raises(
        ValueError, match=r"acme-new had another name before. Give the name .*\(name: acme_old\), or the folder"
    ):
        ZendeskTicketEvents(subdomain=NEW, former_subdomains=["acme-old"]).scope()
    moved = ZendeskTicketEvents(subdomain=NEW, former_subdomains=["acme"], root="/data/acme")
    assert (moved.account_name(), moved.scope().pipeline().root_settings.root) == ("acme_new", "/data/acme")
