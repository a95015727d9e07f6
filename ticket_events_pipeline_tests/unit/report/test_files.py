"""The stored pages: one per day, and a `latest.html` that never goes back, also with concurrent writers."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import TransientError
from ticket_events_pipeline.report.files import read_page, report_days, report_path
from ticket_events_pipeline.report.write import write_report
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline_tests.support.hand_made_reports import BERLIN, of_day
from ticket_events_pipeline_tests.support.html_page import parsed
from ticket_events_pipeline_tests.support.object_server import object_server

DAYS = [Day.parse(f"2026-11-{number}", BERLIN) for number in (20, 21, 22, 23)]
LATEST = "sla_breach_report/latest.html"


def shown_day(store):
    """The day that `latest.html` shows."""
    with store.reader(LATEST) as file:
        return parsed(file.read().decode()).one("h1").text


def heading(day):
    return f"{['Friday', 'Saturday', 'Sunday', 'Monday'][DAYS.index(day)]}, {day.date.day} November 2026"


def is_newest_shown(store):
    """Whether `latest.html` shows the newest day's page as stored now, except for its links."""
    newest = report_days(store, BERLIN)[-1]
    with store.reader(LATEST) as file:
        latest = file.read()
    return shown_day(store) == heading(newest) and latest == read_page(store, report_path(newest)).replace(b'"../', b'"')


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


def test_a_report_is_one_file_per_day_plus_the_newest_and_the_explanation(store, tmp_path):
    made = write_report(store, of_day(DAYS[0]))
    page = "sla_breach_report/date=2026-11-20/sla_breach_report.html"
    assert store.paths("sla_breach_report") == [page, "sla_breach_report/explained.html", LATEST]
    assert (made.day, made.url, made.latest_url) == (DAYS[0], str(tmp_path / page), str(tmp_path / LATEST))
    assert made.size_bytes == (tmp_path / page).stat().st_size
    assert parsed((tmp_path / page).read_text(encoding="utf-8")).one("h1").text == heading(DAYS[0])
    assert (tmp_path / page).stat().st_mode & 0o777 == 0o600


def test_the_same_figures_are_the_same_bytes_again(store, tmp_path):
    contents = []
    for _ in range(2):
        for day in DAYS[:2]:
            write_report(store, of_day(day))
        write_report(store, of_day(DAYS[0]))
        contents.append({path: (tmp_path / path).read_bytes() for path in store.paths("sla_breach_report")})
    assert contents[0] == contents[1]


def test_a_report_of_an_older_day_does_not_become_the_latest(store):
    for day in (DAYS[1], DAYS[3], DAYS[0], DAYS[2]):
        write_report(store, of_day(day))
    assert report_days(store, BERLIN) == DAYS
    assert shown_day(store) == heading(DAYS[3])
    write_report(store, of_day(DAYS[3], account="renamed"))
    assert is_newest_shown(store)


@settings(max_examples=10)
@given(order=st.lists(st.sampled_from(DAYS), min_size=1, max_size=4))
def test_the_newest_day_is_shown_for_any_order_of_writes(tmp_path_factory, order):
    store = FolderStore(tmp_path_factory.mktemp("root"))
    for place, day in enumerate(order):
        write_report(store, of_day(day, account=f"run {place}"))
    assert is_newest_shown(store)


def test_foreign_files_among_the_reports_are_no_reports(store):
    write_report(store, of_day(DAYS[0]))
    names = ["date=2026-12-24/notes.html", "date=2026-02-30/sla_breach_report.html"]
    names += ["date=2026-12-24/sla_breach_report.html.bak", "old/sla_breach_report/date=2026-12-01/sla_breach_report.html"]
    for name in names:
        with store.writer(f"sla_breach_report/{name}") as file:
            file.write(b"foreign")
    write_report(store, of_day(DAYS[0]))
    assert report_days(store, BERLIN) == [DAYS[0]]
    assert shown_day(store) == heading(DAYS[0])


def test_every_link_leads_to_a_file(store, tmp_path):
    for day in (DAYS[0], DAYS[1], DAYS[3], DAYS[2]):
        write_report(store, of_day(day))
    for path in store.paths("sla_breach_report"):
        page = parsed((tmp_path / path).read_text(encoding="utf-8"))
        links = [link.attributes["href"].partition("#")[0] for link in page.all("a")]
        near = [link for link in links if link and not link.startswith("https://")]
        assert near != []
        assert [link for link in near if not ((tmp_path / path).parent / link).is_file()] == []


def test_a_text_that_looks_like_a_link_of_the_page_is_not_changed(store, tmp_path):
    report = of_day(DAYS[0], account='see href="../latest.html"')
    write_report(store, report)
    assert 'see href="../latest.html"' in parsed((tmp_path / LATEST).read_text(encoding="utf-8")).text


class Interrupted(FolderStore):
    """A folder that runs a callback just before its n-th operation."""

    def __init__(self, root, at, other):
        super().__init__(root)
        self.asked, self._at, self._other = 0, at, other

    def _ask(self):
        self.asked += 1
        if self.asked == self._at:
            self._other()

    def reader(self, path):
        self._ask()
        return super().reader(path)

    def writer(self, path):
        self._ask()
        return super().writer(path)

    def paths(self, prefix):
        self._ask()
        return super().paths(prefix)


def asked_of_a_store(root, report):
    counting = Interrupted(root, 0, lambda: None)
    write_report(counting, report)
    return counting.asked


@pytest.mark.parametrize("other_day", [DAYS[0], DAYS[1], DAYS[3]])
def test_two_concurrent_writers_leave_the_newest_day_as_the_latest(tmp_path, other_day):
    """The other report is written completely before each step of the first one, in turn."""
    first, other = of_day(DAYS[1]), replace(of_day(other_day), account="the other one")
    write_report(FolderStore(tmp_path / "count"), of_day(DAYS[0]))
    steps = asked_of_a_store(tmp_path / "count", first)
    assert steps >= 8
    for step in range(1, steps + 1):
        root = tmp_path / str(step)
        write_report(FolderStore(root), of_day(DAYS[0]))
        interrupted = Interrupted(root, step, lambda root=root: write_report(FolderStore(root), other))
        write_report(interrupted, first)
        assert is_newest_shown(FolderStore(root)), step


def test_a_writer_that_is_always_overtaken_fails_instead_of_looping(tmp_path):
    """Another process stores a changed page each time after this one has written `latest.html`."""

    class Restless(FolderStore):
        stored = 0

        def writer(self, path):
            if path == LATEST:
                self.stored += 1
                write_report(FolderStore(tmp_path), of_day(DAYS[3], account=f"number {self.stored}"))
            return super().writer(path)

    with pytest.raises(TransientError, match=r"latest\.html: other processes stored newer pages 20 times"):
        write_report(Restless(tmp_path), of_day(DAYS[0]))


@pytest.mark.slow
def test_the_newest_day_is_shown_in_a_bucket_too():
    with object_server() as server, server.exported():
        store = open_store(server.root("prefix"))
        for day in (DAYS[1], DAYS[2], DAYS[0]):
            made = write_report(store, of_day(day))
        assert made.url == f"{server.root('prefix')}/sla_breach_report/date=2026-11-20/sla_breach_report.html"
        assert report_days(store, BERLIN) == DAYS[:3]
        assert is_newest_shown(store)
