"""The checks of `ticket-events doctor --fleet`: whether this host fits those that share root, database and queue.

They come after those checks of a single machine that don't wait for the quota. None of them hangs: what doesn't answer is given
up, so that the later ones come.
What they find of Dagster's storage and launcher is in `fleet_instance_checks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ticket_events_pipeline.cli.doctor_checks import Check, Deployment, Finding, Status
from ticket_events_pipeline.cli.fleet_instance_checks import INSTANCE_CHECKS
from ticket_events_pipeline.cli.waits import ANSWER_SECONDS
from ticket_events_pipeline.code_server import CodeServer, Difference, differences, fingerprint_of, read_code_server
from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.process import host_name
from ticket_events_pipeline.root import is_object_store
from ticket_events_pipeline.storage.mounts import Lock, Mount, mount_at
from ticket_events_pipeline.storage.second_process import exchange_problem, lock_problem
from ticket_events_pipeline.text import utc_text
from ticket_events_pipeline.zendesk.server_time import MAX_DIFFERENCE_SECONDS

NOTED_DIFFERENCE_SECONDS = 2.0
"""Clocks that NTP keeps differ by milliseconds; the Date header states whole seconds."""

_OBJECT_STORE = "Set TICKET_EVENTS_ROOT to an object store (s3://bucket/prefix), which every host can reach."


def check_code_server(deployment: Deployment) -> Iterator[Finding]:
    """Whether this process has the variables and versions of the code server."""
    if not deployment.are_settings_valid or deployment.root_problem is not None:
        return
    pipeline = deployment.pipeline
    if pipeline.settings.is_sandbox:
        text = "ZENDESK_SANDBOX: every process has a simulated account and a quota of its own, so hosts share neither"
        fix = "Set ZENDESK_BASE_URL on every host to one sandbox that runs as a service."
        yield Finding("code_server", Status.NOTE, text, fix)
    try:
        found = deployment.of_root(lambda: read_code_server(pipeline.store), seconds=ANSWER_SECONDS)
    except TicketEventsError as error:
        yield Finding.failed("code_server", str(error))
        return
    if found is None:
        text = f"code server: none has written its variables below {pipeline.store.location}, so none can be compared"
        fix = (
            "Start a code server of this version with this root and its new_event_partitions_sensor on: it writes them at the "
            "sensor's first tick. If one runs, its root is another one, or its variables are incomplete."
        )
        yield Finding("code_server", Status.NOTE, text, fix)
        return
    apart = differences(fingerprint_of(pipeline.settings), found.fingerprint)
    yield from (_difference(one, found) for one in apart)
    if not apart:
        text = f"code server: the same versions and variables as on {found.host}, as of {utc_text(found.written_at)}"
        yield Finding("code_server", Status.OK, text)


def _difference(one: Difference, found: CodeServer) -> Finding:
    is_variable = one.name.isupper()
    text = f"{one.name} is {one.here} here and {one.code_server} on the code server ({found.host})"
    if is_variable:
        fix = f"Set {one.name} to the same value in both environments, and restart the one that was wrong."
    else:
        fix = f"Install the same {one.name} on every host, the code server's first, and restart."
    return Finding("code_server", Status.FAILED, text, fix)


def clock_difference(sent_at: float, received_at: float, date: float) -> float:
    """By how many seconds this machine's clock is ahead of a server's for certain (negative: behind; 0: not for certain).

    Args:
        sent_at: before the request, by this machine's clock.
        received_at: after the answer.
        date: of the answer, in whole seconds.
    """
    least, most = sent_at - date - 1, received_at - date
    return least if least > 0 else min(most, 0.0)


def check_clock(deployment: Deployment) -> Iterator[Finding]:
    """The clock of this machine against that of Zendesk's servers."""
    if not deployment.are_settings_valid:
        return
    answers = deployment.answers
    found = [
        clock_difference(*answers.asked_at[name], page.server_time)
        for name, page in answers.pages.items()
        if page.server_time is not None
    ]
    if found:
        yield _clock_finding("clock", max(found, key=abs), "the account's server (Date)")


def check_store_clock(deployment: Deployment) -> Iterator[Finding]:
    """The clock of this machine against that of the object store."""
    if not deployment.are_settings_valid or deployment.root_problem is not None:
        return
    pipeline = deployment.pipeline
    if not is_object_store(pipeline.root_settings.root):
        return
    try:
        earliest, latest = deployment.of_root(pipeline.store.clock, seconds=ANSWER_SECONDS)
    except TicketEventsError as error:
        yield Finding.failed("store_clock", str(error))
        return
    now = wall_clock()
    ahead = max(now - latest, 0.0) + min(now - earliest, 0.0)
    yield _clock_finding("store_clock", ahead, f"the clock of {pipeline.store.location}, by which hosts share the quota")


def _clock_finding(check: str, ahead: float, of: str) -> Finding:
    apart = abs(ahead)
    if apart < NOTED_DIFFERENCE_SECONDS:
        return Finding(check, Status.OK, f"{check.replace('_', ' ')}: agrees with {of}")
    side = "ahead of" if ahead > 0 else "behind"
    text = f"{check.replace('_', ' ')}: this machine is at least {apart:,.0f} s {side} {of}"
    fix = "Turn on NTP here (timedatectl set-ntp true; in a container, on its host)."
    return Finding(check, Status.FAILED if apart > MAX_DIFFERENCE_SECONDS else Status.NOTE, text, fix)


def check_shared_root(deployment: Deployment) -> Iterator[Finding]:
    """Whether other hosts and processes can share the root."""
    if not deployment.are_settings_valid or deployment.root_problem is not None:
        return
    pipeline = deployment.pipeline
    root = pipeline.root_settings.root
    try:
        problem = deployment.of_root(lambda: exchange_problem(pipeline.store, root))
    except TicketEventsError as error:
        yield Finding.failed("shared_root", str(error))
        return
    if problem:
        fix = "Use a store or file system whose changes other processes see at once." if "see" in problem else ""
        yield Finding("shared_root", Status.FAILED, f"shared root: {problem}", fix)
    elif is_object_store(root):
        yield Finding("shared_root", Status.OK, f"shared root: two processes see each other's changes of {root}")
    else:
        yield shared_folder_finding("shared_root", f"TICKET_EVENTS_ROOT {root}", mount_at(Path(root)), Lock.FLOCK)


def check_shared_home(deployment: Deployment) -> Iterator[Finding]:
    """Whether DAGSTER_HOME's file system keeps SQLite and the launchers' files apart, if it is a share."""
    if deployment.home_problem:
        return
    home = Path(deployment.home or "/")
    mount = mount_at(home)
    if str(home) == "/" or not home.is_dir() or mount is None or not mount.is_network:
        return
    try:
        problem = lock_problem(home, Lock.LOCKF)
    except OSError as error:
        problem = f"no file can be made there ({error.strerror})"
    fix = "Give every host a DAGSTER_HOME on its own disk; runs and events belong into Postgres."
    if problem:
        yield Finding("shared_home", Status.FAILED, f"DAGSTER_HOME {home} lies on {mount.kind}: {problem}", fix)
    else:
        text = (
            f"DAGSTER_HOME {home} lies on a network share ({mount.kind}, {mount.point}): SQLite there needs its server's locks"
        )
        yield Finding("shared_home", Status.NOTE, text, fix)


def shared_folder_finding(check: str, name: str, mount: Mount | None, lock: Lock) -> Finding:
    """What a folder's mount says of sharing it between hosts, where two processes of this one can."""
    if mount is None:
        text = f"{name}: this system doesn't say whether it is a share of the network."
        return Finding(check, Status.NOTE, text, _OBJECT_STORE)
    where = f"{name} lies on {mount.kind} ({mount.point})"
    if option := mount.local_option(lock):
        text = f"{where}, mounted with {option}: its locks stay on {host_name()}, so two hosts would damage each other's files"
        return Finding(check, Status.FAILED, text, f"Mount it without {option} on every host. Or: {_OBJECT_STORE}")
    if mount.is_network:
        text = (
            f"{where}, a network share: it works only if its server passes locks on to all hosts, which can't be tried from one"
        )
        return Finding(check, Status.NOTE, text, f"Better: {_OBJECT_STORE}")
    text = f"{where}, a disk of this machine: other hosts don't see it"
    return Finding(check, Status.NOTE, text, _OBJECT_STORE)


FLEET_CHECKS: tuple[Check, ...] = (
    check_code_server,
    check_store_clock,
    check_shared_root,
    check_shared_home,
    *INSTANCE_CHECKS,
)
"""In the order of their lines."""

FLEET_ACCOUNT_CHECKS: tuple[Check, ...] = (check_clock,)
"""They look at what the account has answered."""
