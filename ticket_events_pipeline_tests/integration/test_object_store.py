"""What is specific to buckets: how few requests it takes, what errors mean, which credentials are used."""

import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress

import pyarrow as pa
import pytest

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.errors import TransientError, UsageError
from ticket_events_pipeline.root import ObjectRoot
from ticket_events_pipeline.storage.conditional_put import ConditionalPuts
from ticket_events_pipeline.storage.object_connection import Patience, connect
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.partition_file import read_metadata, read_partition, write_partition
from ticket_events_pipeline_tests.support.file_contents import put, read
from ticket_events_pipeline_tests.support.object_server import BUCKET, KEY_ID, SECRET, client, exported

DAY = Day.parse("2026-03-02")
PART = "partNumber=2"


@pytest.fixture
def store(s3_root):
    return open_store(s3_root)


def one_more(before):
    return str(int(before or 0) + 1).encode()


def verbs(s3):
    return [line.partition(" ")[0] for line in s3.requests()]


@pytest.mark.parametrize(("note_bytes", "most"), [(10, 1), (300_000, 2)])
def test_a_footer_takes_one_request_and_a_large_one_two(s3, store, note_bytes, most):
    table = pa.table({"id": pa.array(range(50_000)), "text": [os.urandom(40).hex() for _ in range(50_000)]})
    assert write_partition(store, "asset", DAY, table, {"note": "x" * note_bytes}) > 2_000_000
    s3.heal()
    assert read_metadata(store, "asset", DAY) == {"note": "x" * note_bytes}
    assert [line.partition("bytes=")[2].partition(" ")[0] != "" for line in s3.requests()] == [True] * most
    assert " bytes=-65536 " in s3.requests()[0]


def test_a_day_of_some_megabytes_takes_two_requests(s3, store):
    table = pa.table({"id": pa.array(range(50_000)), "text": [os.urandom(40).hex() for _ in range(50_000)]})
    write_partition(store, "asset", DAY, table, {})
    s3.heal()
    assert read_partition(store, "asset", DAY) == table
    assert verbs(s3) == ["GET", "GET"]


def test_many_small_reads_share_a_request(s3, store):
    put(store, "file", bytes(9 * 2**20))
    s3.heal()
    with store.reader("file") as file:
        assert sum(len(file.read(10_000)) for _ in range(1000)) == 9 * 2**20
    assert len(s3.requests()) == 4  # the end, and three windows of 4 MiB


def test_writing_listing_reading_and_deleting_take_one_request_each(s3, store):
    path = "asset/date=2026-03-02/asset.parquet"
    put(store, path)
    store.paths("asset")
    read(store, path)
    store.delete(path)
    assert verbs(s3) == ["PUT", "GET", "GET", "DELETE"]


def test_a_page_has_the_content_type_of_a_page(s3, store):
    for path in ("report/latest.html", "asset/date=2026-03-02/asset.parquet"):
        put(store, path)
    heads = {
        path: client(s3).head_object(Bucket=BUCKET, Key=f"{store.location.partition(BUCKET)[2]}/{path}".lstrip("/"))
        for path in store.paths("")
    }
    kinds = {path: head["ContentType"] for path, head in heads.items()}
    assert kinds == {"report/latest.html": "text/html", "asset/date=2026-03-02/asset.parquet": "binary/octet-stream"}


@pytest.mark.slow
def test_five_years_of_days_are_listed_with_two_requests(s3, store):
    days = [f"asset/date={DAY.plus(-number)}/asset.parquet" for number in range(1826)]
    for path in days:
        put(store, path)
    s3.heal()
    assert store.paths("asset") == sorted(days)
    assert verbs(s3) == ["GET", "GET"]


def test_a_refused_part_leaves_nothing_behind(s3, store):
    put(store, "big", b"what lay there")
    s3.fail(PART, 403, code="AccessDenied")
    with pytest.raises(UsageError, match="403: AccessDenied"):
        put(store, "big", bytes(20 * 2**20))
    assert any(PART in line for line in s3.requests())
    assert s3.unfinished_uploads() == []
    assert read(store, "big") == b"what lay there"


def test_a_transient_failure_is_retried(s3, store):
    s3.fail("PUT", 503, times=2)
    put(store, "file")
    s3.fail("GET", 500, times=1)
    assert read(store, "file") == b"content"
    assert verbs(s3) == ["PUT", "PUT", "PUT", "GET", "GET"]


def test_a_file_replaced_while_it_is_read_is_never_mixed(s3, store):
    put(store, "file", b"1" * 200_000)
    with store.reader("file") as file:
        file.read(10)
        put(store, "file", b"2" * 200_000)
        file.seek(0)
        file.read(10)  # read before the replacement
    with store.reader("file") as file:
        put(store, "file", b"3" * 200_000)
        with pytest.raises(TransientError, match=r"s3://lake/tests/.*/file was replaced while it was read"):
            file.read()
        store.delete("file")
        with pytest.raises(TransientError, match="was replaced"):
            file.read()


def test_a_table_replaced_while_it_is_read_is_not_damaged(s3, store):
    table = pa.table({"text": [os.urandom(40).hex() for _ in range(50_000)]})
    write_partition(store, "asset", DAY, table, {})
    s3.fail("bytes=0-", 412, code="PreconditionFailed")
    with pytest.raises(TransientError, match="was replaced while it was read"):
        read_partition(store, "asset", DAY)


def open_below(folder):
    """The descriptors of this process's open files below `folder`, including unnamed files."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the listing's own is closed by now
            if os.readlink(f"/proc/self/fd/{number}").startswith(f"{folder}/"):
                found.append(int(number))
    return found


def test_a_file_is_collected_in_private(s3, store, tmp_path, monkeypatch):
    """In memory, then in an unnamed file that only its owner can read; nothing is left, however the process ends."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with store.writer("big") as file:
        file.write(bytes(8 * 2**20))
        assert open_below(tmp_path) == []
        file.write(b"more")
        (number,) = open_below(tmp_path)
        assert stat.S_IMODE(os.fstat(number).st_mode) == 0o600
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import resource, sys
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.storage.open_store import open_store
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
try:
    with open_store(sys.argv[1]).writer("big") as file:
        for _ in range(40):
            file.write(bytes(2**20))
except UsageError as error:
    print(error)
"""


def test_a_full_disk_is_distinguished_from_a_store_error(s3, s3_root):
    ended = subprocess.run([sys.executable, "-c", FULL_DISK, s3_root], capture_output=True, text=True, check=True, timeout=60)
    message = (
        rf"{s3_root}/big can't be collected in \S+: File too large. Free disk space there, or set TMPDIR to another folder.\n"
    )
    assert re.fullmatch(message, ended.stdout), ended
    assert open_store(s3_root).paths("") == []


def test_a_missing_file_within_a_block_is_not_mistaken_for_a_full_disk(s3, store):
    with pytest.raises(FileNotFoundError), store.writer("file") as file:
        file.write(store.reader("nothing").read())
    assert store.paths("") == []


def test_no_path_leads_outside_the_prefix(s3, store):
    for path in ("../out", "a/../../out", "a//out"):
        with pytest.raises(ValueError, match="path"):
            put(store, path)
    for path in ("%2e%2e/out", "/out"):
        put(store, path)
    assert [found["Key"] for found in client(s3).list_objects_v2(Bucket="lake", Prefix="out").get("Contents", [])] == []
    assert len(store.paths("")) == 2


@pytest.mark.parametrize("prefix", ["", "deep/er"])
def test_a_root_may_be_a_bucket_or_a_deep_prefix(s3, prefix):
    store = open_store(s3.root(prefix))
    put(store, "whole/file")
    assert store.paths("whole") == ["whole/file"]
    assert client(s3).head_object(Bucket="lake", Key=f"{prefix}/whole/file".lstrip("/"))["ContentLength"] == 7


def assert_right(clock):
    """The server runs on this machine: its clock is the machine's."""
    before, now, after = wall_clock(), clock(), wall_clock()
    assert before <= now.latest
    assert now.earliest <= after
    assert now.latest - now.earliest < 3


def test_the_stores_clock_takes_one_request_and_then_none(s3, store):
    """It is read from the trial of conditional puts, and from the objects that updates read and put anyway."""
    store.update("count", one_more)
    assert verbs(s3) == ["PUT", "HEAD", "PUT", "PUT", "DELETE", "GET", "PUT"]
    s3.heal()
    for _ in range(3):
        store.update("count", one_more)
        assert_right(store.clock)
    assert verbs(s3) == ["GET", "PUT"] * 3


def test_the_stores_clock_can_be_asked_for_without_an_update(s3, store):
    """Nothing is left behind."""
    assert_right(store.clock)
    assert store.paths("") == []


def test_without_permission_to_write_the_machines_clock_has_to_do(s3, store):
    s3.fail("PUT", 403, code="AccessDenied")
    before = wall_clock()
    now = store.clock()
    assert before <= now.earliest == now.latest <= wall_clock()


@pytest.mark.parametrize("gives_up", [False, True])
def test_an_update_whose_answer_is_lost_is_made_once(s3, store, gives_up):
    """The put succeeds, but the answer is an error: once, or every time."""
    store.update("count", one_more)
    calls = []
    s3.fail("PUT", 500, code="InternalError", after=True, times=100 if gives_up else 1)
    store.update("count", lambda before: calls.append(before) or one_more(before))
    assert read(store, "count") == b"2"
    assert calls == [b"1"]


def test_an_update_that_loses_the_race_is_retried_on_the_new_content(s3, s3_root, store):
    other, seen = open_store(s3_root), []

    def change(before):
        if not seen:
            other.update("list", lambda _: b"the other's")
        seen.append(before)
        return (before or b"") + b", mine"

    store.update("list", change)
    assert (seen, read(store, "list")) == ([None, b"the other's"], b"the other's, mine")


def test_an_update_that_always_loses_the_race_ends(s3, s3_root, store):
    store.update("count", one_more)
    parsed = ObjectRoot.parse(s3_root)
    exchanges = ConditionalPuts(parsed, connect(parsed).prompt, attempts=3)
    exchanges.update("other", one_more, trial="trial")
    s3.fail("PUT", 412, code="PreconditionFailed")
    with pytest.raises(TransientError, match=r"count was changed by others 3 times in between\. Run it again"):
        exchanges.update("count", one_more, trial="trial")
    s3.heal()
    assert read(store, "count") == b"1"


@pytest.mark.parametrize("how", [{"drop": True}, {"status": 501, "code": "NotImplemented"}])
def test_a_store_that_ignores_preconditions_is_refused(s3, store, how):
    """Before anything is changed: a store that ignores preconditions, and one that rejects them."""
    put(store, "shared", b"as it was")
    s3.fail("PUT", **how)
    for attempt in (store.check if how.get("drop") else lambda: store.update("other", one_more),) * 2:
        with pytest.raises(UsageError, match=r"conditional puts|\(If-Match, If-None-Match\) \(501: NotImplemented"):
            attempt()
    with pytest.raises(UsageError):
        store.update("shared", one_more)
    s3.heal()
    assert store.paths("") == ["shared"]
    assert read(store, "shared") == b"as it was"


def test_switched_off_preconditions_are_reported(s3, s3_root):
    with (
        s3.exported(AWS_CONDITIONAL_PUT="disabled"),
        pytest.raises(
            UsageError,
            match=r"under a condition .*\(it is not supported\)\. The store doesn't support that: use another one",
        ),
    ):
        open_store(s3_root).update("count", one_more)


EVERYTHING = {
    "writer": lambda store: put(store, "file"),
    "reader": lambda store: store.reader("file"),
    "paths": lambda store: store.paths("folder"),
    "delete": lambda store: store.delete("file"),
    "exchange": lambda store: store.update("file", one_more),
    "check": lambda store: store.check(),
}


@pytest.mark.parametrize("attempt", EVERYTHING.values(), ids=EVERYTHING)
@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (
            403,
            "AccessDenied",
            r"\(403: AccessDenied: Injected\.\)\. Check the credentials \(AWS_PROFILE, or AWS_ACCESS_KEY_ID",
        ),
        (401, "", r"\(401: Injected\.\)\. Check the credentials"),
        (400, "ExpiredToken", r"\(400: ExpiredToken.* Check the credentials"),
        (404, "NoSuchBucket", r"\(404: NoSuchBucket.* There is no bucket lake there: create it, or correct the root"),
        (400, "AuthorizationHeaderMalformed", r"\(400: .* another region: set AWS_REGION to it"),
        (418, "Odd", r"\(418: Odd: Injected\.\)\. Check the root, AWS_ENDPOINT_URL and the bucket's settings"),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_a_refusal_says_what_was_tried_and_what_to_fix(s3, store, attempt, status, code, words):
    s3.fail("/lake", status, code=code)
    with pytest.raises(UsageError, match=rf"TICKET_EVENTS_ROOT: can't \w+ s3://lake/tests/\S+ .*{words}") as caught:
        attempt(store)
    assert_shows_no_secret(caught)


def assert_shows_no_secret(caught):
    """Neither in its message, nor in the chained errors that a log prints."""
    printed = "".join(str(line) for line in caught.getrepr(chain=True, style="value").__str__().splitlines())
    assert SECRET not in printed
    assert KEY_ID not in printed
    assert caught.value.__cause__ is None or caught.value.__suppress_context__


def test_an_error_names_a_missing_bucket(s3):
    for attempt in EVERYTHING.values():
        with pytest.raises(UsageError, match="There is no bucket nowhere there"):
            attempt(open_store("s3://nowhere/prefix"))


def test_an_error_names_the_wrong_region(s3, store):
    s3.fail("/lake", 301, code="PermanentRedirect")
    with pytest.raises(UsageError, match="another region: set AWS_REGION"):
        store.paths("")


@pytest.mark.parametrize("status", [503, 429, 408])
def test_retries_of_a_failing_store_end(s3, store, status):
    s3.fail("/lake", status)
    with pytest.raises(TransientError, match=rf"\({status}: SlowDown: Injected\.\)\. It was retried for a while") as caught:
        store.update("file", one_more)
    assert_shows_no_secret(caught)


def test_an_unreachable_store_is_an_error_that_says_why(s3, s3_root):
    for url, words in (("http://127.0.0.1:9", "no connection to it"), ("https://nobody.invalid", "its name can't be resolved")):
        message = rf"\({words}\)\. .*Check the network and AWS_ENDPOINT_URL"
        with s3.exported(AWS_ENDPOINT_URL=url), pytest.raises(TransientError, match=message):
            open_store(s3_root).check()


def test_a_hanging_store_times_out(s3, s3_root):
    parsed = ObjectRoot.parse(s3_root)
    impatient = connect(parsed, prompt=Patience(request_seconds=1, retries=1, retry_seconds=5)).prompt
    s3.fail("/lake", seconds=3)
    with pytest.raises(TransientError, match="it didn't answer in time"):
        ConditionalPuts(parsed, impatient).test_preconditions("trial")


def test_plain_http_is_allowed_only_to_this_machine(s3, s3_root):
    with s3.exported(AWS_ENDPOINT_URL="http://minio.example:9000"):
        with pytest.raises(UsageError, match=r"AWS_ENDPOINT_URL is plain http to minio\.example.*AWS_ALLOW_HTTP=true"):
            open_store(s3_root)
        with exported({**os.environ, "AWS_ALLOW_HTTP": "true"}):
            open_store(s3_root)
    with (
        s3.exported(AWS_ENDPOINT_URL_S3="http://minio.example:9000"),
        pytest.raises(UsageError, match="AWS_ENDPOINT_URL_S3"),
    ):
        open_store(s3_root)


def profiles(s3, tmp_path, text, **more):
    """The variables of a machine where only a profile has credentials."""
    (tmp_path / "config").write_text(text)
    kept = {name: value for name, value in s3.env.items() if "KEY" not in name and name != "AWS_REGION"}
    return exported({**kept, "AWS_CONFIG_FILE": str(tmp_path / "config"), **more})


PROFILE = """
[profile lake]
region = eu-west-1
aws_access_key_id = AKIAOFTHEPROFILE
aws_secret_access_key = made-up
"""


def test_a_profile_brings_its_credentials_and_its_region(s3, s3_root, tmp_path):
    with profiles(s3, tmp_path, PROFILE, AWS_PROFILE="lake"):
        put(open_store(s3_root), "file")
    (line,) = s3.requests()
    assert re.search(r"by AKIAOFTHEPROFILE/\d{8}/eu-west-1/s3$", line)


def test_requests_can_be_unsigned(s3, s3_root, tmp_path):
    with profiles(s3, tmp_path, "", AWS_SKIP_SIGNATURE="true"):
        put(open_store(s3_root), "file")
    assert s3.requests()[0].endswith(" by ")


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_a_region_variable_wins_over_the_profiles(s3, s3_root, tmp_path, variable):
    with profiles(s3, tmp_path, PROFILE, AWS_PROFILE="lake", **{variable: "us-west-2"}):
        put(open_store(s3_root), "file")
    assert s3.requests()[0].endswith("/us-west-2/s3")


def test_missing_credentials_are_reported_before_any_request(s3, s3_root, tmp_path):
    with (
        profiles(s3, tmp_path, ""),
        pytest.raises(UsageError, match=r"no credentials for s3://lake.*Set AWS_PROFILE, or AWS_"),
    ):
        open_store(s3_root)
    with profiles(s3, tmp_path, "", AWS_PROFILE="typo"), pytest.raises(UsageError, match=r"profile \(typo\) could not be"):
        open_store(s3_root)
    assert s3.requests() == []


EXPIRING = """#!{python}
import datetime, json, pathlib, sys
if pathlib.Path("{asked}").exists():
    sys.exit("the session has expired: log in again")
pathlib.Path("{asked}").touch()
soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)
print(json.dumps(
    {{"Version": 1, "AccessKeyId": "AKIAX", "SecretAccessKey": "made-up", "SessionToken": "t", "Expiration": soon.isoformat()}}
))
"""


def test_credentials_that_cannot_be_renewed_are_reported(s3, s3_root, tmp_path):
    (tmp_path / "login").write_text(EXPIRING.format(python=sys.executable, asked=tmp_path / "asked"))
    (tmp_path / "login").chmod(0o700)
    profile = f"[profile lake]\ncredential_process = {tmp_path}/login\n"
    message = r"\(CredentialRetrievalError: Error when .*: the session has expired: log in again\)\. Check the credentials"
    with profiles(s3, tmp_path, profile, AWS_PROFILE="lake"):
        store = open_store(s3_root)
        with pytest.raises(UsageError, match=message):
            put(store, "file")
        with pytest.raises(UsageError, match=r"log in again\)\. Check the profile"):
            open_store(s3_root)
    assert s3.requests() == []


WITHOUT = """
import json, sys
sys.modules.update({name: None for name in json.loads(sys.argv[2])})
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.storage.open_store import open_store
try:
    store = open_store(sys.argv[1])
except UsageError as error:
    print(error)
else:
    store.check()
    print("works")
"""


def open_without(root, *modules):
    command = [sys.executable, "-c", WITHOUT, root, json.dumps(modules)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


BOTO3 = " 'boto3<2,>=1.34'"


@pytest.mark.parametrize(("root", "more"), [("s3://b/p", BOTO3), ("gs://b/p", ""), ("abfss://c@a.dfs.x/p", "")])
def test_without_its_extra_a_root_says_what_to_install(root, more):
    """And not the package's own name, which no index has."""
    message = open_without(root, "obstore")
    assert message.startswith(f"TICKET_EVENTS_ROOT: {root[: root.index(':')]}:// needs more installed: ")
    assert message.endswith(f"-m pip install 'obstore<0.13,>=0.12'{more}")


def test_without_boto3_the_variables_are_enough(s3, s3_root):
    assert open_without(s3_root, "boto3", "botocore") == "works"


def test_a_folder_needs_no_extra(tmp_path):
    assert open_without(str(tmp_path), "obstore", "boto3") == "works"


def test_google_and_azure_can_be_opened(tmp_path):
    """No server of theirs is at hand to test more."""
    with exported({"AZURE_STORAGE_ACCOUNT_NAME": "account", "GOOGLE_SERVICE_ACCOUNT_KEY": "{}"}):
        for root in ("az://container/p", "abfss://container@account.dfs.core.windows.net/p"):
            assert open_store(root).url("file") == f"{root}/file"
    with exported({}), pytest.raises(UsageError, match=r"az://container/p can't be opened \(.*Account must be specified"):
        open_store("az://container/p")
