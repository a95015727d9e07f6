"""`ticket-events report` as a user runs it: without credentials, the path and nothing else on the standard output."""

import http.client
import re
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.files import report_path
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline_tests.support.commands import BIN, new_place
from ticket_events_pipeline_tests.support.html_page import parsed
from ticket_events_pipeline_tests.support.object_server import object_server
from ticket_events_pipeline_tests.support.sla_roots import sla_root

FIRST, CLOSED, TODAY = (Day.parse(f"2026-03-0{number}") for number in (2, 3, 4))
LATEST = "sla_breach_report/latest.html"


def events():
    """A ticket a day that breaches an hour after its policy was applied, and stays late."""
    sla = {"target": 60, "business_hours": False, "policy": {"id": 11, "title": "Standard"}}
    events = []
    for number, day in enumerate((FIRST, CLOSED, TODAY), start=1):
        base = {"ticket_id": 100 + number, "metric": "reply_time", "instance_id": 1, "deleted": False}
        events.append({**base, "id": 10 * number, "type": "apply_sla", "time": day.start + 3600, "sla": sla})
        events.append({**base, "id": 10 * number + 1, "type": "breach", "time": day.start + 7200})
    return events


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three SLA days, of which the last is open."""
    root = tmp_path_factory.mktemp("made") / "root"
    sla_root(root, events(), FIRST, TODAY, now=TODAY.start + 43_200)
    return root


@pytest.fixture
def place(tmp_path, made):
    shutil.copytree(made, tmp_path / "root")
    return new_place(tmp_path)


def page_at(path):
    return parsed(Path(path).read_text(encoding="utf-8"))


def test_the_newest_complete_day_is_made_and_only_its_path_is_printed(place):
    ended = place.ticket_events("report")
    path = place.root / report_path(CLOSED)
    assert (ended.code, ended.output) == (0, f"{path}\n")
    page = page_at(path)
    assert page.one("h1").text == "Tuesday, 3 March 2026"
    assert page.figure("late_tickets") == "2 tickets"
    assert "recorded" in page.one("header").text  # no variable names the account: the raw files do
    assert page_at(place.root / LATEST).one("h1").text == "Tuesday, 3 March 2026"


def test_a_requested_day_is_made_and_the_newest_stays_the_latest(place):
    assert place.ticket_events("report", "--date", str(TODAY)).code == 0
    ended = place.ticket_events("report", "--date", str(FIRST), ZENDESK_SUBDOMAIN="acme")
    assert (ended.code, ended.output) == (0, f"{place.root / report_path(FIRST)}\n")
    page = page_at(place.root / report_path(FIRST))
    assert "acme" in page.one("header").text
    assert page.one("table", id="late-new-table").one("a").attributes["href"] == "https://acme.zendesk.com/agent/tickets/101"
    assert page_at(place.root / LATEST).one("h1").text == "Wednesday, 4 March 2026"
    assert page_at(place.root / LATEST).figure("state") == "Day still open"


@pytest.mark.parametrize("options", [(), ("--week", str(CLOSED))])
def test_days_of_another_timezone_are_refused_and_their_page_is_left(place, options):
    path = place.ticket_events("report", *options).output.strip()
    before = Path(path).read_bytes()
    ended = place.ticket_events("report", *options, TICKET_EVENTS_TIMEZONE="America/New_York")
    assert ended.code == 1
    assert "Set TICKET_EVENTS_TIMEZONE to the timezone that the days were fetched with." in ended.output
    assert Path(path).read_bytes() == before


@pytest.mark.parametrize("output", ["s3://bucket/reports", ""])
def test_output_that_is_no_folder_is_refused_and_nothing_is_written(place, output):
    ended = place.ticket_events("report", "--output", output)
    assert (ended.code, f"--output {output!r} is no folder." in ended.output) == (2, True)
    assert not (place.folder / "s3:").exists()
    assert not (place.folder / "sla_breach_report").exists()


def test_where_no_day_is_complete_the_newest_is_taken(place):
    for day in (FIRST, CLOSED):
        shutil.rmtree(place.root / f"daily_sla_breach_summary/date={day}")
    ended = place.ticket_events("report")
    assert (ended.code, ended.output) == (0, f"{place.root / report_path(TODAY)}\n")


def test_a_report_outlives_the_tables_that_it_was_made_of(place):
    place.ticket_events("report")
    before = (place.root / report_path(CLOSED)).read_bytes()
    for table in ("daily_sla_breach_summary", "sla_targets"):
        shutil.rmtree(place.root / table)
    command = [BIN / "ticket-events", "report"]
    ended = subprocess.run(command, cwd=place.folder, env=place.env(), capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == f"{place.root / report_path(CLOSED)}\n"
    assert ended.stderr == "The SLA tables of 2026-03-03 are no longer stored: this report was made before.\n"
    assert (place.root / report_path(CLOSED)).read_bytes() == before


def test_a_day_without_a_summary_is_an_error_that_says_what_to_run(place):
    ended = place.ticket_events("report", "--date", "2026-03-05")
    assert ended.code == 1
    assert ended.output == (
        f"There is no summary of 2026-03-05 with its targets below {place.root}. "
        "To make it: ticket-events backfill 2026-03-05\n"
    )
    assert not (place.root / "sla_breach_report").exists()


def test_a_root_without_a_summary_is_an_error_that_mentions_the_sandbox(tmp_path, made):
    place = new_place(tmp_path)
    ended = place.ticket_events("report")
    assert ended.code == 1
    assert f"There is no summary of any day below {place.root}." in ended.output
    assert "Traceback" not in ended.output
    assert "sandbox" not in ended.output
    shutil.copytree(made, place.root / "sandbox")
    assert "The sandbox's reports need ZENDESK_SANDBOX=1." in place.ticket_events("report").output
    printed = place.ticket_events("report", ZENDESK_SANDBOX="1").output
    assert printed.startswith(f"{place.root}/sandbox/{report_path(CLOSED)}\n")
    assert "the sandbox has no tickets to open" in printed


def test_an_invalid_date_is_wrong_usage(place):
    ended = place.ticket_events("report", "--date", "2026-3-4")
    assert ended.code == 2
    assert "'2026-3-4' is not a date of the form YYYY-MM-DD." in ended.output
    assert "Traceback" not in ended.output


def recording_browser(folder):
    """The value of BROWSER for a program that writes down what it was to open."""
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {folder}/opened\n')
    browser.chmod(0o700)
    return f"{browser} %s"


def opened_path(folder):
    url = urlsplit((folder / "opened").read_text())
    assert url.scheme == "file"
    return Path(unquote(url.path))


def test_open_opens_the_page_in_the_browser(place):
    ended = place.ticket_events("report", "--open", BROWSER=recording_browser(place.folder))
    assert (ended.code, ended.output) == (0, f"{place.root / report_path(CLOSED)}\n")
    assert opened_path(place.folder) == place.root / report_path(CLOSED)


@pytest.mark.slow
def test_open_opens_a_private_copy_of_a_page_in_a_bucket(tmp_path, made):
    """With the pages that it links to; and a page that was found, too."""
    with object_server() as server:
        with server.exported():
            bucket = open_store(server.root("prefix"))
            for path in FolderStore(made).paths(""):
                with bucket.writer(path) as file:
                    file.write((made / path).read_bytes())
        place = new_place(tmp_path, **server.env, TMPDIR=str(tmp_path / "tmp"))
        (tmp_path / "tmp").mkdir()
        place.variables["TICKET_EVENTS_ROOT"] = server.root("prefix")
        for words in ("Opening a copy", "no longer stored"):
            ended = place.ticket_events("report", "--open", BROWSER=recording_browser(tmp_path))
            assert ended.code == 0, ended.output
            assert f"{server.root('prefix')}/{report_path(CLOSED)}" in ended.output.splitlines()
            assert words in ended.output
            copy = opened_path(tmp_path)
            assert page_at(copy).one("h1").text == "Tuesday, 3 March 2026"
            assert copy.is_relative_to(tmp_path / "tmp")
            assert copy.stat().st_mode & 0o777 == 0o600
            with server.exported():
                for path in [path for path in bucket.paths("") if path.startswith(("daily_sla", "sla_targets"))]:
                    bucket.delete(path)


def test_the_week_of_a_day_is_made_beside_the_days(place):
    """Without a day, the newest week that is over."""
    path = place.root / "sla_breach_report/weeks/2026-W10.html"
    for arguments in (["--week"], [str(CLOSED), "--week"]):
        ended = place.ticket_events("report", *arguments)
        assert (ended.code, ended.output) == (0, f"{path}\n")
    page = page_at(path)
    assert page.one("h1").text == "Week 10: 2 to 8 March 2026"
    assert page.figure("all_breaches") == "3"
    assert page.figure("late_tickets") == "3 tickets"
    ended = place.ticket_events("report", "2026-03-20", "--week")
    assert ended.code == 1
    assert ended.output == (
        "No summary is stored of any day of 2026-W12, 2026-03-16 to 2026-03-22. "
        "To make it: ticket-events backfill 2026-03-16..2026-03-22\n"
    )


def test_a_page_is_written_to_another_folder_with_what_it_links_to_and_nothing_else(place):
    before = place.files()
    for arguments in ([str(CLOSED)], ["--week"]):
        ended = place.ticket_events("report", *arguments, "--output", "out")
        assert ended.code == 0, ended.output
        assert Path(ended.output.strip()).is_relative_to(place.folder / "out")
    out = place.folder / "out"
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()) == [
        f"sla_breach_report/date={CLOSED}/sla_breach_report.html",
        "sla_breach_report/explained.html",
        "sla_breach_report/latest.html",
        "sla_breach_report/weeks/2026-W10.html",
    ]
    assert [path.name for path in out.iterdir()] == ["sla_breach_report"]
    assert place.files() == before
    (place.folder / "file").write_text("")
    ended = place.ticket_events("report", "--output", "file/out")
    assert ended.code == 1
    assert ended.output.startswith("--output: can't ")


def test_serve_prints_its_address_and_serves_until_it_is_ended(place):
    command = [BIN / "ticket-events", "report", "--serve", "0"]
    with subprocess.Popen(
        command, cwd=place.folder, env=place.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        lines = []
        while not lines or not lines[-1].startswith("Ctrl-C"):
            lines.append(process.stderr.readline())
        url = re.search(r"TICKET_EVENTS_REPORT_URL=(\S+)", "".join(lines))[1]
        address, port = url.removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(address, int(port), timeout=30)
        connection.request("GET", f"/date={CLOSED}/sla_breach_report.html")
        answer = connection.getresponse()
        assert answer.read() == (place.root / report_path(CLOSED)).read_bytes()
        connection.close()
        taken = place.ticket_events("report", "--serve", port)
        assert taken.code == 1
        assert f"Port {port} of 127.0.0.1 can't be used" in taken.output
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    assert address == "127.0.0.1"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["2026-03-02..2026-03-04"], "is more than one day"),
        (["2026-03-02", "--date", "2026-03-03"], "DAY and --date both name a day"),
        (["--output", "out", "--serve"], "--output and --serve exclude each other"),
    ],
)
def test_contradictions_are_wrong_usage(place, arguments, complaint):
    ended = place.ticket_events("report", *arguments)
    assert ended.code == 2
    assert complaint in ended.output
