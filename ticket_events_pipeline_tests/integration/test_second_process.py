"""Locks and changes of a store, tried from a second process: refused while they are held here, and seen by both."""

import pytest

from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.mounts import Lock, mount_at
from ticket_events_pipeline.storage.object_store import ObjectStore
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.second_process import exchange_problem, lock_problem, tried_lock
from ticket_events_pipeline_tests.support.lock_share import KIND, lock_share


@pytest.mark.parametrize("lock", Lock)
def test_a_second_process_is_refused_the_lock_that_this_one_holds(tmp_path, lock):
    assert lock_problem(tmp_path, lock) == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lock", Lock)
def test_a_second_process_that_gets_its_lock_is_a_problem(tmp_path, lock):
    held, other = tmp_path / "held", tmp_path / "other"
    held.touch()
    other.touch()
    assert tried_lock(held, other, lock) == "a second process got the lock that this one held"
    assert tried_lock(held, held, lock) == ""


@pytest.mark.parametrize("lock", Lock)
@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("granted", "a second process got the lock that this one held"),
        ("ENOLCK", "the file system can't lock files (ENOLCK: No locks available)"),
        ("ENOSYS", "the file system can't lock files (ENOSYS: Function not implemented)"),
    ],
)
def test_a_share_without_real_locks_is_refused(tmp_path, lock, answer, problem):
    with lock_share(tmp_path / "share", answer):
        assert lock_problem(tmp_path / "share", lock) == problem
        assert list((tmp_path / "share").iterdir()) == []


def test_a_root_on_a_share_without_real_locks_is_refused_with_what_to_do(tmp_path):
    with lock_share(tmp_path / "share", "granted"), pytest.raises(UsageError) as refused:
        FolderStore(tmp_path / "share" / "lake").check()
    assert "don't keep two fetches apart: a second process got the lock that this one held." in str(refused.value)
    assert "(NFS, SMB)" in str(refused.value)


def test_a_share_is_known_by_its_mount(tmp_path):
    with lock_share(tmp_path / "share", "granted"):
        mount = mount_at(tmp_path / "share" / "lake")
        assert mount is not None
        assert (mount.kind, mount.point, mount.is_network) == (KIND, str(tmp_path / "share"), True)


def test_a_folder_is_checked_and_left_as_it_was(tmp_path):
    store = FolderStore(tmp_path)
    store.check()
    assert store.paths("") == []


def test_two_processes_see_each_others_changes_of_a_folder(tmp_path):
    assert exchange_problem(FolderStore(tmp_path), str(tmp_path)) == ""
    assert FolderStore(tmp_path).paths("") == []


def test_a_second_process_that_sees_another_folder_is_a_problem(tmp_path):
    """As if each host had a folder of its own at that path."""
    problem = exchange_problem(FolderStore(tmp_path / "here"), str(tmp_path / "there"))
    assert problem == "this process doesn't see what a second one has written there"


def test_two_processes_see_each_others_changes_of_a_bucket(bucket_root):
    store = open_store(bucket_root)
    assert isinstance(store, ObjectStore)
    assert exchange_problem(store, bucket_root) == ""
    assert store.paths("") == []
