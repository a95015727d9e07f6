"""What a mountinfo file says of a folder: its file system, and whether locks there reach other machines."""

import pytest

from ticket_events_pipeline.storage.mounts import Lock, Mount, mount_at, mount_of, parse_mounts

MOUNTINFO = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard,resuid=65534
28 27 0:25 / /mnt rw,nosuid,nodev,relatime - tmpfs none rw,size=4k,mode=755
91 28 0:44 / /mnt/share\040of\040acme rw,relatime shared:30 - nfs4 nas:/export/acme rw,vers=4.2,hard,proto=tcp,local_lock=none
92 28 0:45 / /mnt/old rw,relatime - nfs nas:/export/old rw,vers=3,nolock,proto=tcp,mountvers=3,local_lock=all,addr=10.0.0.9
93 28 0:46 / /mnt/flock rw,relatime - nfs nas:/export/flock rw,vers=3,hard,local_lock=flock,addr=10.0.0.9
94 28 0:47 / /mnt/posix rw,relatime - nfs nas:/export/posix rw,vers=3,hard,local_lock=posix,addr=10.0.0.9
95 28 0:48 / /mnt/windows rw,relatime - cifs //nas/acme rw,vers=3.1.1,cache=strict,username=acme,nobrl,soft
96 28 0:49 / /mnt/ssh rw,nosuid,nodev,relatime shared:9 - fuse.sshfs acme@nas:/srv rw,user_id=0,group_id=0
97 28 8:17 / /mnt/usb rw,relatime - fuseblk /dev/sdb1 rw,user_id=0,group_id=0,allow_other,blksize=4096
98 28 0:50 / /mnt/cluster rw,relatime - lustre 10.0.0.8@tcp:/lake rw,localflock,lazystatfs
99 28 0:51 / /mnt/efs rw,relatime - nfs4 127.0.0.1:/ rw,vers=4.1,rsize=1048576,noresvport,port=20449,local_lock=none
"""


@pytest.mark.parametrize(
    ("folder", "kind", "is_network", "flock", "lockf"),
    [
        ("/srv/lake", "ext4", False, "", ""),
        ("/mnt/share of acme/lake", "nfs4", True, "", ""),
        ("/mnt/share of acme2", "tmpfs", False, "", ""),
        ("/mnt/old/lake", "nfs", True, "local_lock=all", "local_lock=all"),
        ("/mnt/flock", "nfs", True, "local_lock=flock", ""),
        ("/mnt/posix/a/b", "nfs", True, "", "local_lock=posix"),
        ("/mnt/windows/lake", "cifs", True, "nobrl", "nobrl"),
        ("/mnt/ssh/lake", "fuse.sshfs", True, "", ""),
        ("/mnt/usb/lake", "fuseblk", False, "", ""),
        ("/mnt/cluster/lake", "lustre", True, "localflock", ""),
        ("/mnt/efs", "nfs4", True, "", ""),
    ],
)
def test_a_folder_has_the_file_system_and_the_locks_of_the_nearest_mount_above_it(folder, kind, is_network, flock, lockf):
    mount = mount_of(folder, parse_mounts(MOUNTINFO))
    assert mount is not None
    assert (mount.kind, mount.is_network) == (kind, is_network)
    assert (mount.local_option(Lock.FLOCK), mount.local_option(Lock.LOCKF)) == (flock, lockf)


def test_of_two_mounts_on_one_point_the_later_one_hides_the_earlier():
    lines = "25 24 0:23 / /mnt/shm rw - tmpfs tmpfs rw\n30 25 0:27 / /mnt/shm rw - nfs nas:/shm rw\n"
    assert mount_of("/mnt/shm/x", parse_mounts(lines)) == Mount("/mnt/shm", "nfs", frozenset({"rw"}))


def test_lines_of_another_form_are_left_out():
    assert parse_mounts("\nnonsense\n1 2 3 - \n22 27 0:21 / /proc\n") == []
    assert mount_of("/srv", []) is None


def test_this_machine_says_where_a_folder_is_mounted(tmp_path):
    """Of a folder that doesn't exist yet, too."""
    found = mount_at(tmp_path / "to" / "come")
    assert found is not None
    assert str(tmp_path).startswith(found.point)
