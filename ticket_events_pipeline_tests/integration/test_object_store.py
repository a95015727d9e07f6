"""What is a bucket's alone: how few requests it takes, what its errors mean, whose credentials are used."""

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

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import TransientError, UsageError
from ticket_events_pipeline.root import ObjectRoot
from ticket_events_pipeline.storage.conditional_put import ConditionalPuts
from ticket_events_pipeline.storage.object_connection import Patience, connect
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.partition_file import read_metadata, read_partition, write_partition
from ticket_events_pipeline_tests.integration.test_stores import put, read
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


def test_a_file_read_bit_by_bit_takes_a_request_for_many(s3, store):
    put(store, "file", bytes(9 * 2**20))
    s3.heal()
    with store.reader("file") as file:
        assert sum(len(file.read(10_000)) for _ in range(1000)) == 9 * 2**20
    assert len(s3.requests()) == 4  # the end, and three windows of 4 MiB


def test_writing_listing_reading_and_removing_a_small_file_take_a_request_each(s3, store):
    path = "asset/date=2026-03-02/asset.parquet"
    put(store, path)
    store.paths("asset")
    read(store, path)
    store.delete(path)
    assert verbs(s3) == ["PUT", "GET", "GET", "DELETE"]


def test_a_page_is_given_to_browsers_as_one(s3, store):
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


def test_a_part_that_is_refused_leaves_nothing_behind(s3, store):
    put(store, "big", b"what lay there")
    s3.fail(PART, 403, code="AccessDenied")
    with pytest.raises(UsageError, match="403: AccessDenied"):
        put(store, "big", bytes(20 * 2**20))
    assert any(PART in line for line in s3.requests())
    assert s3.unfinished_uploads() == []
    assert read(store, "big") == b"what lay there"


def test_what_fails_for_a_moment_is_tried_again(s3, store):
    s3.fail("PUT", 503, times=2)
    put(store, "file")
    s3.fail("GET", 500, times=1)
    assert read(store, "file") == b"content"
    assert verbs(s3) == ["PUT", "PUT", "PUT", "GET", "GET"]


def test_a_file_replaced_while_it_is_read_is_no_mixture(s3, store):
    put(store, "file", b"1" * 200_000)
    with store.reader("file") as file:
        file.read(10)
        put(store, "file", b"2" * 200_000)
        file.seek(0)
        file.read(10)  # read ahead of the replacement
    with store.reader("file") as file:
        put(store, "file", b"3" * 200_000)
        with pytest.raises(TransientError, match=r"s3://lake/tests/.*/file was replaced while it was read"):
            file.read()
        store.delete("file")
        with pytest.raises(TransientError, match="was replaced"):
            file.read()


def test_a_table_replaced_while_it_is_read_is_not_called_damaged(s3, store):
    table = pa.table({"text": [os.urandom(40).hex() for _ in range(50_000)]})
    write_partition(store, "asset", DAY, table, {})
    s3.fail("bytes=0-", 412, code="PreconditionFailed")
    with pytest.raises(TransientError, match="was replaced while it was read"):
        read_partition(store, "asset", DAY)


def open_below(folder):
    """The numbers of this process's open files below `folder`, nameless ones included."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the listing's own is closed by now
            if os.readlink(f"/proc/self/fd/{number}").startswith(f"{folder}/"):
                found.append(int(number))
    return found


def test_a_file_is_collected_where_nobody_can_look(s3, store, tmp_path, monkeypatch):
    """In memory, then in a file of its owner's alone that has no name; nothing stays of it, however the process ends."""
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
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
try:
    with open_store(sys.argv[1]).writer("big") as file:
        for _ in range(40):
            file.write(bytes(2**20))
except UsageError as error:
    print(error)
"""


def test_a_machine_without_room_is_told_apart_from_the_store(s3, s3_root):
    ended = subprocess.run([sys.executable, "-c", FULL_DISK, s3_root], capture_output=True, text=True, check=True, timeout=60)
    told = rf"{s3_root}/big can't be collected in \S+: File too large. Make room there, or set TMPDIR to another folder.\n"
    assert re.fullmatch(told, ended.stdout), ended
    assert open_store(s3_root).paths("") == []


def test_a_missing_file_within_a_block_is_not_mistaken_for_a_full_disk(s3, store):
    with pytest.raises(FileNotFoundError), store.writer("file") as file:
        file.write(store.reader("nothing").read())
    assert store.paths("") == []


def test_no_path_leads_out_of_the_prefix(s3, store):
    for path in ("../out", "a/../../out", "a//out"):
        with pytest.raises(ValueError, match="path"):
            put(store, path)
    for path in ("%2e%2e/out", "/out"):
        put(store, path)
    assert [found["Key"] for found in client(s3).list_objects_v2(Bucket="lake", Prefix="out").get("Contents", [])] == []
    assert len(store.paths("")) == 2


@pytest.mark.parametrize("prefix", ["", "deep/er"])
def test_a_root_may_be_a_bucket_or_lie_deep_in_one(s3, prefix):
    store = open_store(s3.root(prefix))
    put(store, "whole/file")
    assert store.paths("whole") == ["whole/file"]
    assert client(s3).head_object(Bucket="lake", Key=f"{prefix}/whole/file".lstrip("/"))["ContentLength"] == 7


@pytest.mark.parametrize("gives_up", [False, True])
def test_an_exchange_whose_answer_got_lost_is_made_once(s3, store, gives_up):
    """The put is carried out, the answer is an error: once, or for as long as anybody asks."""
    store.update("count", one_more)
    calls = []
    s3.fail("PUT", 500, code="InternalError", after=True, times=100 if gives_up else 1)
    store.update("count", lambda before: calls.append(before) or one_more(before))
    assert read(store, "count") == b"2"
    assert calls == [b"1"]


def test_an_exchange_that_was_overtaken_changes_what_the_other_put(s3, s3_root, store):
    other, seen = open_store(s3_root), []

    def change(before):
        if not seen:
            other.update("list", lambda _: b"the other's")
        seen.append(before)
        return (before or b"") + b", mine"

    store.update("list", change)
    assert (seen, read(store, "list")) == ([None, b"the other's"], b"the other's, mine")


def test_an_exchange_that_is_always_overtaken_ends(s3, s3_root, store):
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
def test_a_store_that_cannot_keep_passes_apart_is_refused(s3, store, how):
    """Before anything is changed: one that ignores conditions, and one that says it doesn't know them."""
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


def test_conditions_that_are_switched_off_are_told(s3, s3_root):
    with (
        s3.exported(AWS_CONDITIONAL_PUT="disabled"),
        pytest.raises(
            UsageError,
            match=r"under a condition .*\(it is not supported\)\. The store doesn't know how to do that: use another one",
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
        (403, "AccessDenied", r"\(403: AccessDenied: As told\.\)\. Check the credentials \(AWS_PROFILE, or AWS_ACCESS_KEY_ID"),
        (401, "", r"\(401: As told\.\)\. Check the credentials"),
        (400, "ExpiredToken", r"\(400: ExpiredToken.* Check the credentials"),
        (404, "NoSuchBucket", r"\(404: NoSuchBucket.* There is no bucket lake there: create it, or correct the root"),
        (400, "AuthorizationHeaderMalformed", r"\(400: .* another region: set AWS_REGION to it"),
        (418, "Odd", r"\(418: Odd: As told\.\)\. Check the root, AWS_ENDPOINT_URL and the bucket's settings"),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_a_refusal_says_what_was_tried_and_what_to_mend(s3, store, attempt, status, code, words):
    s3.fail("/lake", status, code=code)
    with pytest.raises(UsageError, match=rf"TICKET_EVENTS_ROOT: can't \w+ s3://lake/tests/\S+ .*{words}") as caught:
        attempt(store)
    assert_tells_no_secret(caught)


def assert_tells_no_secret(caught):
    """Neither in its message, nor in what a log prints of the errors that led to it."""
    printed = "".join(str(line) for line in caught.getrepr(chain=True, style="value").__str__().splitlines())
    assert SECRET not in printed
    assert KEY_ID not in printed
    assert caught.value.__cause__ is None or caught.value.__suppress_context__


def test_a_bucket_that_is_not_there_is_named(s3):
    for attempt in EVERYTHING.values():
        with pytest.raises(UsageError, match="There is no bucket nowhere there"):
            attempt(open_store("s3://nowhere/prefix"))


def test_a_bucket_in_another_region_is_told(s3, store):
    s3.fail("/lake", 301, code="PermanentRedirect")
    with pytest.raises(UsageError, match="another region: set AWS_REGION"):
        store.paths("")


@pytest.mark.parametrize("status", [503, 429, 408])
def test_a_store_that_stays_out_of_order_is_not_waited_for_without_end(s3, store, status):
    s3.fail("/lake", status)
    with pytest.raises(TransientError, match=rf"\({status}: SlowDown: As told\.\)\. It was tried again for a while") as caught:
        store.update("file", one_more)
    assert_tells_no_secret(caught)


def test_a_store_that_cannot_be_reached_is_told(s3, s3_root):
    for url, words in (("http://127.0.0.1:9", "no connection to it"), ("https://nobody.invalid", "its name can't be resolved")):
        told = rf"\({words}\)\. .*Look at the network and at AWS_ENDPOINT_URL"
        with s3.exported(AWS_ENDPOINT_URL=url), pytest.raises(TransientError, match=told):
            open_store(s3_root).check()


def test_a_store_that_hangs_is_given_up(s3, s3_root):
    parsed = ObjectRoot.parse(s3_root)
    impatient = connect(parsed, prompt=Patience(request_seconds=1, retries=1, retry_seconds=5)).prompt
    s3.fail("/lake", seconds=3)
    with pytest.raises(TransientError, match="it didn't answer in time"):
        ConditionalPuts(parsed, impatient).try_out("trial")


def test_events_go_over_plain_http_only_within_the_machine(s3, s3_root):
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
    """The variables of a machine where only a profile leads to the store."""
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


def test_a_store_that_asks_for_no_signature_gets_none(s3, s3_root, tmp_path):
    with profiles(s3, tmp_path, "", AWS_SKIP_SIGNATURE="true"):
        put(open_store(s3_root), "file")
    assert s3.requests()[0].endswith(" by ")


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_a_region_that_is_set_goes_before_a_profiles(s3, s3_root, tmp_path, variable):
    with profiles(s3, tmp_path, PROFILE, AWS_PROFILE="lake", **{variable: "us-west-2"}):
        put(open_store(s3_root), "file")
    assert s3.requests()[0].endswith("/us-west-2/s3")


def test_credentials_that_cannot_be_found_are_told_before_anything_is_asked(s3, s3_root, tmp_path):
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


def test_credentials_that_cannot_be_renewed_are_told(s3, s3_root, tmp_path):
    (tmp_path / "login").write_text(EXPIRING.format(python=sys.executable, asked=tmp_path / "asked"))
    (tmp_path / "login").chmod(0o700)
    profile = f"[profile lake]\ncredential_process = {tmp_path}/login\n"
    told = r"\(CredentialRetrievalError: Error when .*: the session has expired: log in again\)\. Check the credentials"
    with profiles(s3, tmp_path, profile, AWS_PROFILE="lake"):
        store = open_store(s3_root)
        with pytest.raises(UsageError, match=told):
            put(store, "file")
        with pytest.raises(UsageError, match=r"log in again\)\. Check the profile"):
            open_store(s3_root)
    assert s3.requests() == []


WITHOUT = """
import json, sys
sys.modules.update({name: None for name in json.loads(sys.argv[2])})
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


@pytest.mark.parametrize(("root", "extra"), [("s3://b/p", "s3"), ("gs://b/p", "gcs"), ("abfss://c@a.dfs.x/p", "azure")])
def test_without_its_extra_a_root_says_what_to_install(root, extra):
    told = (
        f"TICKET_EVENTS_ROOT: {root[: root.index(':')]}:// needs more installed: pip install 'ticket_events_pipeline[{extra}]'"
    )
    assert open_without(root, "obstore") == told


def test_without_boto3_the_variables_are_enough(s3, s3_root):
    assert open_without(s3_root, "boto3", "botocore") == "works"


def test_a_folder_needs_no_extra(tmp_path):
    assert open_without(str(tmp_path), "obstore", "boto3") == "works"


def test_google_and_azure_are_opened_without_being_asked(tmp_path):
    """More is not known of them: there is no server of theirs to try."""
    with exported({"AZURE_STORAGE_ACCOUNT_NAME": "account", "GOOGLE_SERVICE_ACCOUNT_KEY": "{}"}):
        for root in ("az://container/p", "abfss://container@account.dfs.core.windows.net/p"):
            assert open_store(root).url("file") == f"{root}/file"
    with exported({}), pytest.raises(UsageError, match=r"az://container/p can't be opened \(.*Account must be specified"):
        open_store("az://container/p")
