"""A run whose beat stands still is ended wherever its process was; one that beats never is, whatever happens around it."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import dagster as dg
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.definitions import defs
from ticket_events_pipeline.defs.digest import SEND_DIGEST
from ticket_events_pipeline.defs.run_marks import Mark, mark_of, mark_run
from ticket_events_pipeline.defs.run_tags import PROCESS_TAG
from ticket_events_pipeline.defs.runs import WILL_RETRY_TAG
from ticket_events_pipeline.process import host_name, this_process
from ticket_events_pipeline.root import is_object_store
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.run_beats import PATH, RunBeat, end_all, read_beats
from ticket_events_pipeline_tests.support.deployment import deployed, launched_from
from ticket_events_pipeline_tests.support.fetches import Moment
from ticket_events_pipeline_tests.support.gated_account import GatedAccount
from ticket_events_pipeline_tests.support.hosts import Host, has_namespaces
from ticket_events_pipeline_tests.support.run_looks import BEATING, NOTHING, BeatingProcess, Looks

STARTED = dg.DagsterRunStatus.STARTED
OURS, JOB = "ticket_events_pipeline", "fetch_ticket_events"


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(tmp_path / "root"))
    return str(tmp_path / "root")


@pytest.fixture(params=["folder", "s3"])
def any_root(request, monkeypatch, root):
    if request.param == "folder":
        return root
    monkeypatch.setenv("TICKET_EVENTS_ROOT", found := request.getfixturevalue("s3_root"))
    return found


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def a_run(instance, job=JOB):
    job_def, origin = defs.resolve_job_def(job), launched_from(OURS, job)
    return instance.create_run_for_job(job_def=job_def, status=STARTED, tags=job_def.tags, remote_job_origin=origin)


def begun(instance, root):
    """A run that has marked itself and beaten once, and its beat; this process executes it, which certainly lives."""
    run = a_run(instance)
    beat = RunBeat(open_store(root), run.run_id)
    beat.beat()
    mark_run(instance, run.run_id, beat)
    return run, beat


def status_of(instance, run):
    return instance.get_run_by_id(run.run_id).status.value


def message_of(instance, run):
    return instance.all_logs(run.run_id)[-1].dagster_event.message


def test_a_run_that_beats_no_more_is_ended_and_one_that_beats_beside_it_is_not(instance, any_root):
    (dead, _), (alive, beat) = begun(instance, any_root), begun(instance, any_root)
    looks = Looks(instance)
    for expected in [NOTHING] * 4 + [f"Ended: {dead.run_id}."] + [NOTHING] * 10:
        beat.beat()
        assert looks.look() == expected
    assert [status_of(instance, run) for run in (dead, alive)] == ["FAILURE", "STARTED"]
    assert set(read_beats(open_store(any_root))) == {alive.run_id}
    assert message_of(instance, dead) == (
        "This run has given no sign of life for 80 s: its process was killed or stopped, or its machine went down or lost its "
        f"connection to {any_root} (process {os.getpid()} on {host_name()}). Every finished day is stored. The run is ended "
        "here so that nothing waits for it; run_retries in dagster.yaml let Dagster start it again, and then it resumes where "
        "this one stopped."
    )
    assert not beat.was_ended


def test_a_healthy_run_is_never_ended_in_hours_of_looks(instance, root):
    """At times it beats once between two looks, at times thrice, and at times not at all."""
    _, beat = begun(instance, root)
    looks = Looks(instance)
    for number in range(360):
        for _ in range((2, 1, 0, 3)[number % 4]):
            beat.beat()
        assert looks.look() == NOTHING
    assert not beat.was_ended


@pytest.mark.parametrize("hours", [0.02, 1, 24])
def test_a_machine_that_slept_ends_no_run(instance, root, hours):
    """Both slept, and the sensor wakes up first; and the sensor's code server slept alone."""
    _, beat = begun(instance, root)
    looks = Looks(instance)
    assert looks.looks(2) == [NOTHING] * 2
    assert looks.look(after=hours * 3600) == NOTHING
    beat.beat()
    assert looks.look() == NOTHING
    assert looks.look(after=hours * 3600) == NOTHING


def test_a_code_server_that_starts_again_or_moves_costs_only_time(instance, root):
    run, _ = begun(instance, root)
    looks = Looks(instance)
    looks.looks(4)
    looks.boot, looks.seconds = "another machine", 3.0
    assert looks.look(after=0) == f"Ended: {run.run_id}."
    run, _ = begun(instance, root)
    looks.looks(4)
    looks.cursor = "something else"
    assert looks.looks(4) == [NOTHING] * 4
    assert looks.look() == f"Ended: {run.run_id}."


def test_two_sensors_that_look_at_once_end_a_run_once(instance, root):
    run, _ = begun(instance, root)
    one, other = Looks(instance), Looks(instance)
    for _ in range(4):
        assert (one.look(), other.look()) == (NOTHING, NOTHING)
    assert (one.look(), other.look()) == (f"Ended: {run.run_id}.", NOTHING)
    ends = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
    assert len(ends) == 1


def test_a_run_that_beats_again_at_the_last_moment_is_not_ended(instance, root):
    run, beat = begun(instance, root)
    looks = Looks(instance)
    assert looks.looks(4) == [NOTHING] * 4
    beat.beat()
    assert looks.looks(4) == [NOTHING] * 4
    assert status_of(instance, run) == "STARTED"
    assert looks.look() == f"Ended: {run.run_id}."


@pytest.mark.parametrize("damaged", [b"\x00" * 64, b"{}", None])
def test_a_lost_or_damaged_file_ends_no_living_run_and_saves_no_dead_one(instance, root, damaged):
    (dead, _), (_, beat) = begun(instance, root), begun(instance, root)
    looks = Looks(instance)
    assert looks.look() == NOTHING
    file = Path(root, PATH)
    file.unlink() if damaged is None else file.write_bytes(damaged)
    ended = []
    for number in range(12):
        if number % 2:
            beat.beat()
        if (message := looks.look()) != NOTHING:
            ended.append(message)
    assert ended == [f"Ended: {dead.run_id}."]
    assert not beat.was_ended


def test_while_the_root_can_not_be_written_no_run_is_ended_and_the_tick_says_so(instance, any_root, request):
    run, beat = begun(instance, any_root)
    looks = Looks(instance)
    assert looks.looks(3) == [NOTHING] * 3
    if is_object_store(any_root):
        server = request.getfixturevalue("s3")
        server.fail("PUT", status=403, code="AccessDenied")
        heal = server.heal
    else:
        folder, kept = Path(any_root, "_inflight"), Path(any_root, "kept")
        folder.rename(kept)
        folder.write_text("in the way")
        heal = lambda: (folder.unlink(), kept.rename(folder))  # noqa: E731
    messages = looks.looks(10)
    assert all(message.startswith(f"{NOTHING} 1 run in progress can't be watched now") for message in messages)
    assert all("TICKET_EVENTS_ROOT: can't" in message for message in messages)
    heal()
    assert looks.looks(4) == [NOTHING] * 4  # the count begins anew
    beat.beat()
    assert looks.looks(4) == [NOTHING] * 4
    assert status_of(instance, run) == "STARTED"


def test_a_root_that_is_set_wrong_for_the_code_server_ends_no_run(instance, root, monkeypatch):
    begun(instance, root)
    monkeypatch.setenv("TICKET_EVENTS_ROOT", "ftp://elsewhere")
    looks = Looks(instance)
    assert all("ftp:// can't hold the files" in message for message in looks.looks(8))


def test_a_run_that_beats_in_another_root_is_never_ended_and_the_tick_says_so(instance, root, monkeypatch):
    run, _ = begun(instance, root)
    monkeypatch.setenv("TICKET_EVENTS_ROOT", f"{root}-of-another")
    assert set(Looks(instance).looks(10)) == {
        f"{NOTHING} Run {run.run_id} on {host_name()} beats in another root than this code server's, so it is not ended if it "
        "dies: compare TICKET_EVENTS_ROOT of both."
    }
    assert not Path(f"{root}-of-another").exists()


def test_the_same_root_by_another_path_is_the_same(instance, root, monkeypatch, tmp_path):
    """As a volume that each container mounts elsewhere."""
    run, _ = begun(instance, root)
    (tmp_path / "mounted").symlink_to(root)
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(tmp_path / "mounted"))
    assert Looks(instance).looks_until_ended(run) == 5


def test_a_run_that_an_earlier_version_marked_is_never_ended_by_missing_beats(instance, root):
    run = a_run(instance)
    instance.add_run_tags(run.run_id, {PROCESS_TAG: str(Mark(run.run_id, "another-host", this_process()))})
    assert set(Looks(instance).looks(10)) == {NOTHING}


def test_a_run_whose_first_beat_could_not_be_stored_is_watched_from_its_next_one_on(instance, root):
    run = a_run(instance)
    beat = RunBeat(open_store(root), run.run_id)
    mark_run(instance, run.run_id, beat)
    assert mark_of(instance.get_run_by_id(run.run_id)).root == ""
    looks = Looks(instance)
    assert set(looks.looks(10)) == {NOTHING}
    beat.beat()
    assert looks.looks_until_ended(run) == 5


def test_a_run_that_was_being_canceled_on_a_lost_host_is_canceled(instance, root):
    run, _ = begun(instance, root)
    canceling = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_CANCELING.value, job_name=JOB)
    instance.report_dagster_event(canceling, run.run_id)
    assert Looks(instance).looks_until_ended(run) == 5
    assert status_of(instance, run) == "CANCELED"
    assert WILL_RETRY_TAG not in instance.get_run_by_id(run.run_id).tags


def test_a_digest_on_a_lost_host_is_ended_too_and_not_sent_twice(instance, root):
    digest = a_run(instance, job=SEND_DIGEST)
    beat = RunBeat(open_store(root), digest.run_id)
    beat.beat()
    mark_run(instance, digest.run_id, beat)
    assert Looks(instance).looks_until_ended(digest) == 5
    assert message_of(instance, digest).endswith("so that nothing waits for it; it is not started again.")
    assert instance.get_run_by_id(digest.run_id).tags["dagster/max_retries"] == "0"


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").touch()
    return str(tmp_path / "home")


@pytest.fixture
def stored(home):
    """An instance that other processes share."""
    with dg.DagsterInstance.from_config(home) as opened:
        yield opened


def wait_for_beat(root, run):
    store, give_up_at = open_store(root), time.monotonic() + 60
    seen = read_beats(store)[run.run_id]
    while read_beats(store)[run.run_id] == seen:
        assert time.monotonic() < give_up_at, "it beats no more"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_process_that_was_stopped_finds_its_run_ended_when_it_goes_on(stored, home, root):
    run = a_run(stored)
    process = BeatingProcess(home, root, run, seconds=0.2)
    try:
        looks = Looks(stored)
        for _ in range(6):
            wait_for_beat(root, run)
            assert looks.look() == NOTHING
        process.signal(signal.SIGSTOP)
        assert looks.looks_until_ended(run) >= 4
        process.signal(signal.SIGCONT)
        time.sleep(3)
        assert process.ends() == "was ended"
        assert status_of(stored, run) == "FAILURE"
    finally:
        process.is_killed()


@pytest.mark.slow
@pytest.mark.skipif(not has_namespaces(), reason="this machine allows no namespaces")
def test_a_container_that_is_gone_with_all_that_it_had_is_noticed_by_its_beat_alone(stored, home, root, tmp_path):
    """Another host name, process space and boot: nothing that this machine could ask about the process."""
    run = a_run(stored)
    host = Host("container-1", tmp_path)
    program = BEATING.replace("sys.stdin.readline()", "__import__('time').sleep(600)")  # a host has no input
    host.start(sys.executable, "-c", program, home, root, run.run_id, "0.2", env=dict(os.environ))
    try:
        give_up_at = time.monotonic() + 60
        while b"marked" not in host.log.read_bytes():
            assert time.monotonic() < give_up_at, host.log.read_text()
            time.sleep(0.1)
        mark = mark_of(stored.get_run_by_id(run.run_id))
        assert (mark.host, mark.process.boot == this_process().boot) == ("container-1", False)
        looks = Looks(stored)
        for _ in range(6):
            wait_for_beat(root, run)
            assert looks.look() == NOTHING
        host.kill()
        assert not mark.process.is_gone  # as far as can be known here
        assert looks.looks_until_ended(run) in (4, 5)
        assert f"(process {mark.process.pid} on container-1)" in message_of(stored, run)
    finally:
        host.kill()


@pytest.mark.slow
def test_a_step_that_starts_after_its_run_was_ended_stops_and_says_so(tmp_path, monkeypatch):
    account, now = GatedAccount(), Day.parse("2026-03-20").start
    with SandboxServer(account, clock=Moment(now)) as server, deployed(tmp_path, now=now) as deployment:
        monkeypatch.setenv("ZENDESK_BASE_URL", server.base_url)
        account.close_gate_at(1)
        results = []
        thread = threading.Thread(target=lambda: results.append(deployment.run(JOB, "2026-03-02")))
        thread.start()
        assert account.reached.wait(60)
        (run_id,) = read_beats(deployment.store)
        end_all(deployment.store, [run_id])
        time.sleep(12)  # by then it has tried to beat again
        account.released.set()
        thread.join()
        assert read_beats(deployment.store) == {}
        failures = [event.step_failure_data.user_failure_data for event in results[0].all_events if event.is_step_failure]
        assert {failure.description.partition(":")[0] for failure in failures} == {"This run was ended while it ran"}
        first = [event for event in results[0].all_events if event.is_step_success]
        assert len(first) == 1  # the step that was at work
