"""What is specific to buckets: how few requests it takes, what errors mean, which credentials are used."""

import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
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
from ticket_events_pipeline_tests.support.object_server import AZURE_KEY, KEY_ID, SECRET, exported

DAY = Day.parse("2026-03-02")


@pytest.fixture
def store(bucket_root):
    return open_store(bucket_root)


def one_more(before):
    return str(int(before or 0) + 1).encode()


def verbs(bucket):
    """What was requested; a batch of deletes, which only Azure has, counts as a DELETE."""
    lines = [line.partition(" ") for line in bucket.requests()]
    return ["DELETE" if "comp=batch" in rest else method for method, _, rest in lines]


def key_of(store, path):
    """The key of a path in the bucket."""
    return store.url(path).partition("://")[2].partition("/")[2]


def reading(bucket, *more):
    """The requests that read a file whose end has everything."""
    return [*(["HEAD"] if bucket.kind == "azure" else []), "GET", *more]


@pytest.mark.parametrize(("note_bytes", "most"), [(10, 1), (300_000, 2)])
def test_a_footer_takes_one_request_and_a_large_one_two(bucket, store, note_bytes, most):
    table = pa.table({"id": pa.array(range(50_000)), "text": [os.urandom(40).hex() for _ in range(50_000)]})
    assert write_partition(store, "asset", DAY, table, {"note": "x" * note_bytes}) > 2_000_000
    bucket.heal()
    assert read_metadata(store, "asset", DAY) == {"note": "x" * note_bytes}
    assert verbs(bucket) == reading(bucket, *["GET"] * (most - 1))
    gets = [line for line in bucket.requests() if line.startswith("GET")]
    assert all("bytes=" in line for line in gets)
    assert (" bytes=-65536 " in gets[0]) == (bucket.kind != "azure")


def test_a_day_of_some_megabytes_takes_two_requests(bucket, store):
    table = pa.table({"id": pa.array(range(50_000)), "text": [os.urandom(40).hex() for _ in range(50_000)]})
    write_partition(store, "asset", DAY, table, {})
    bucket.heal()
    assert read_partition(store, "asset", DAY) == table
    assert verbs(bucket) == reading(bucket, "GET")


def test_many_small_reads_share_a_request(bucket, store):
    put(store, "file", bytes(9 * 2**20))
    bucket.heal()
    with store.reader("file") as file:
        assert sum(len(file.read(10_000)) for _ in range(1000)) == 9 * 2**20
    assert verbs(bucket) == reading(bucket, *["GET"] * 3)  # three windows of 4 MiB


def test_writing_listing_reading_and_deleting_take_one_request_each(bucket, store):
    path = "asset/date=2026-03-02/asset.parquet"
    put(store, path)
    store.paths("asset")
    read(store, path)
    store.delete(path)
    assert verbs(bucket) == ["PUT", "GET", *reading(bucket), "DELETE"]


def test_a_page_has_the_content_type_of_a_page(bucket, store):
    for path in ("report/latest.html", "asset/date=2026-03-02/asset.parquet"):
        put(store, path)
    kinds = {path: bucket.head(key_of(store, path))["Content-Type"] for path in store.paths("")}
    unknown = "binary/octet-stream" if bucket.kind == "s3" else "application/octet-stream"
    assert kinds == {"report/latest.html": "text/html", "asset/date=2026-03-02/asset.parquet": unknown}


@pytest.mark.slow
def test_five_years_of_days_are_listed_with_two_requests_at_most(bucket, store):
    days = [f"asset/date={DAY.plus(-number)}/asset.parquet" for number in range(1826)]
    for path in days:
        put(store, path)
    bucket.heal()
    assert store.paths("asset") == sorted(days)
    assert verbs(bucket) == ["GET"] * (1 if bucket.kind == "azure" else 2)  # pages of 5,000 or 1,000


def test_a_refused_part_leaves_nothing_behind(bucket, store):
    put(store, "big", b"what lay there")
    bucket.fail(bucket.part, 403, code="AccessDenied")
    with pytest.raises(UsageError, match="403: AccessDenied"):
        put(store, "big", bytes(20 * 2**20))
    assert any(bucket.part in line for line in bucket.requests())
    assert bucket.unfinished_uploads() == []
    assert read(store, "big") == b"what lay there"


def test_a_transient_failure_is_retried(bucket, store):
    bucket.fail("PUT", 503, times=2)
    put(store, "file")
    bucket.fail("GET", 500, times=1)
    assert read(store, "file") == b"content"
    assert verbs(bucket) == ["PUT", "PUT", "PUT", *reading(bucket, "GET")]


def test_a_file_replaced_while_it_is_read_is_never_mixed(bucket, store):
    put(store, "file", b"1" * 200_000)
    with store.reader("file") as file:
        file.read(10)
        put(store, "file", b"2" * 200_000)
        file.seek(0)
        file.read(10)  # read before the replacement
    with store.reader("file") as file:
        put(store, "file", b"3" * 200_000)
        with pytest.raises(TransientError, match=r"://lake/tests/.*/file was replaced while it was read"):
            file.read()
        store.delete("file")
        with pytest.raises(TransientError, match="was replaced"):
            file.read()


def test_a_table_replaced_while_it_is_read_is_not_damaged(bucket, store):
    table = pa.table({"text": [os.urandom(40).hex() for _ in range(50_000)]})
    write_partition(store, "asset", DAY, table, {})
    bucket.fail("bytes=0-", 412, code="PreconditionFailed")
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


def test_a_file_is_collected_in_private(s3, s3_root, tmp_path, monkeypatch):
    """In memory, then in an unnamed file that only its owner can read; nothing is left, however the process ends."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_store(s3_root).writer("big") as file:
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


def test_a_missing_file_within_a_block_is_not_mistaken_for_a_full_disk(bucket, store):
    with pytest.raises(FileNotFoundError), store.writer("file") as file:
        file.write(store.reader("nothing").read())
    assert store.paths("") == []


def test_no_path_leads_outside_the_prefix(bucket, store):
    for path in ("../out", "a/../../out", "a//out"):
        with pytest.raises(ValueError, match="path"):
            put(store, path)
    for path in ("%2e%2e/out", "/out"):
        put(store, path)
    assert bucket.keys("out") == []
    assert len(store.paths("")) == 2


@pytest.mark.parametrize("prefix", ["", "deep/er"])
def test_a_root_may_be_a_bucket_or_a_deep_prefix(bucket, prefix):
    store = open_store(bucket.root(prefix))
    put(store, "whole/file")
    assert store.paths("whole") == ["whole/file"]
    assert bucket.head(f"{prefix}/whole/file".lstrip("/"))["Content-Length"] == "7"


def assert_right(clock):
    """The server runs on this machine: its clock is the machine's."""
    before, now, after = wall_clock(), clock(), wall_clock()
    assert before <= now.latest
    assert now.earliest <= after
    assert now.latest - now.earliest < 3


def test_the_stores_clock_takes_one_request_and_then_none(bucket, store):
    """It is read from the trial of conditional puts, and from the objects that updates read and put anyway."""
    store.update("count", one_more)
    assert verbs(bucket) == ["PUT", "HEAD", "PUT", "PUT", "DELETE", "GET", "PUT"]
    bucket.heal()
    for _ in range(3):
        store.update("count", one_more)
        assert_right(store.clock)
    assert verbs(bucket) == ["GET", "PUT"] * 3


def test_the_stores_clock_can_be_asked_for_without_an_update(bucket, store):
    """Nothing is left behind."""
    assert_right(store.clock)
    assert store.paths("") == []


def test_without_permission_to_write_the_machines_clock_has_to_do(bucket, store):
    bucket.fail("PUT", 403, code="AccessDenied")
    before = wall_clock()
    now = store.clock()
    assert before <= now.earliest == now.latest <= wall_clock()


@pytest.mark.parametrize("gives_up", [False, True])
def test_an_update_whose_answer_is_lost_is_made_once(bucket, store, gives_up):
    """The put succeeds, but the answer is an error: once, or every time."""
    store.update("count", one_more)
    calls = []
    bucket.fail("PUT", 500, code="InternalError", after=True, times=100 if gives_up else 1)
    store.update("count", lambda before: calls.append(before) or one_more(before))
    assert read(store, "count") == b"2"
    assert calls == [b"1"]


@pytest.mark.slow
def test_an_object_that_takes_one_put_a_second_is_waited_for(object_servers):
    """Google's limit for an object: https://docs.cloud.google.com/storage/quotas."""
    server = object_servers("google")
    server.fail("PUT", 429, code="SlowDown", pace=1.0)
    with server.exported(), ThreadPoolExecutor(2) as threads:
        stores = [open_store(server.root("paced")) for _ in range(2)]
        list(threads.map(lambda store: [store.update("count", one_more) for _ in range(2)], stores))
        assert read(stores[0], "count") == b"4"
        put(stores[0], "fenced", b"1")
        put(stores[0], "fenced", b"2")


def test_an_update_that_loses_the_race_is_retried_on_the_new_content(bucket, bucket_root, store):
    other, seen = open_store(bucket_root), []

    def change(before):
        if not seen:
            other.update("list", lambda _: b"the other's")
        seen.append(before)
        return (before or b"") + b", mine"

    store.update("list", change)
    assert (seen, read(store, "list")) == ([None, b"the other's"], b"the other's, mine")


def test_an_update_that_always_loses_the_race_ends(bucket, bucket_root, store):
    store.update("count", one_more)
    parsed = ObjectRoot.parse(bucket_root)
    exchanges = ConditionalPuts(parsed, connect(parsed).prompt, attempts=3)
    exchanges.update("other", one_more, trial="trial")
    bucket.fail("PUT", 412, code="PreconditionFailed")
    with pytest.raises(TransientError, match=r"count was changed by others 3 times in between\. Run it again"):
        exchanges.update("count", one_more, trial="trial")
    bucket.heal()
    assert read(store, "count") == b"1"


@pytest.mark.parametrize("how", [{"drop": True}, {"status": 501, "code": "NotImplemented"}])
def test_a_store_that_ignores_preconditions_is_refused(bucket, store, how):
    """Before anything is changed: a store that ignores preconditions, and one that rejects them."""
    put(store, "shared", b"as it was")
    bucket.fail("PUT", **how)
    for attempt in (store.check if how.get("drop") else lambda: store.update("other", one_more),) * 2:
        with pytest.raises(UsageError, match=r"conditional puts|\(If-Match, If-None-Match\) \(501: NotImplemented"):
            attempt()
    with pytest.raises(UsageError):
        store.update("shared", one_more)
    bucket.heal()
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


REFUSALS = {
    "s3": [
        (403, "AccessDenied", r"\(403: AccessDenied: Injected\.\)\. Check the credentials \(AWS_PROFILE, or AWS_ACCESS_KEY_ID"),
        (401, "", r"\(401: Injected\.\)\. Check the credentials"),
        (400, "ExpiredToken", r"\(400: ExpiredToken.* Check the credentials"),
        (404, "NoSuchBucket", r"\(404: NoSuchBucket.* There is no bucket lake there: create it, or correct the root"),
        (400, "AuthorizationHeaderMalformed", r"\(400: .* another region: set AWS_REGION to it"),
        (418, "Odd", r"\(418: Odd: Injected\.\)\. Check the root, AWS_ENDPOINT_URL and the bucket's settings"),
    ],
    "azure": [
        (403, "AuthenticationFailed", r"\(403.*\)\. Check the credentials \(AZURE_STORAGE_ACCOUNT_NAME and AZURE_"),
        (404, "ContainerNotFound", r"\(404: ContainerNotFound.* There is no bucket lake there: create it, or correct the root"),
        (418, "Odd", r"\(418.*\)\. Check the root, AZURE_STORAGE_ENDPOINT and the bucket's settings"),
    ],
    "google": [
        (403, "AccessDenied", r"\(403: AccessDenied: Injected\.\)\. Check the credentials \(GOOGLE_APPLICATION_CREDENTIALS"),
        (401, "AuthenticationRequired", r"\(401: AuthenticationRequired.* Check the credentials"),
        (404, "NoSuchBucket", r"\(404: NoSuchBucket.* There is no bucket lake there: create it, or correct the root"),
        (418, "Odd", r"\(418: Odd: Injected\.\)\. Check the root, GOOGLE_BASE_URL and the bucket's settings"),
    ],
}


@pytest.mark.parametrize("attempt", EVERYTHING.values(), ids=EVERYTHING)
def test_a_refusal_says_what_was_tried_and_what_to_fix(bucket, store, attempt):
    for status, code, words in REFUSALS[bucket.kind]:
        bucket.heal()
        bucket.fail("/lake", status, code=code)
        with pytest.raises(UsageError, match=rf"TICKET_EVENTS_ROOT: can't \w+ \w+://lake/tests/\S+ .*{words}") as caught:
            attempt(store)
        assert_shows_no_secret(caught)


REFUSED_IN_A_BATCH = """--batch_x\r
Content-Type: application/http\r
Content-ID: 0\r
\r
HTTP/1.1 403 This request is not authorized to perform this operation using this permission.\r
x-ms-error-code: AuthorizationPermissionMismatch\r
\r
--batch_x--\r
"""


def test_a_refused_delete_in_a_batch_names_the_credentials(object_servers):
    """Only Azure deletes in batches: the answer is 202, and contains those to the single requests."""
    server = object_servers("azure")
    server.fail("comp=batch", 202, body=REFUSED_IN_A_BATCH, content_type="multipart/mixed; boundary=batch_x")
    with server.exported(), pytest.raises(UsageError, match=r"can't remove \S+ \(403\)\. Check the credentials \(AZURE"):
        open_store(server.root("batch")).delete("file")


def assert_shows_no_secret(caught):
    """Neither in its message, nor in the chained errors that a log prints."""
    printed = "".join(str(line) for line in caught.getrepr(chain=True, style="value").__str__().splitlines())
    assert [secret for secret in (SECRET, AZURE_KEY, KEY_ID) if secret in printed] == []
    assert caught.value.__cause__ is None or caught.value.__suppress_context__


def test_an_error_names_a_missing_bucket(bucket):
    root = bucket.root().replace("lake", "nowhere")
    for name, attempt in EVERYTHING.items():
        if (bucket.kind, name) == ("azure", "delete"):
            continue  # Azure's answer to a batch of deletes says only that there is no such file
        with pytest.raises(UsageError, match="There is no bucket nowhere there"):
            attempt(open_store(root))


def test_an_error_names_the_wrong_region(s3, s3_root):
    s3.fail("/lake", 301, code="PermanentRedirect")
    with pytest.raises(UsageError, match="another region: set AWS_REGION"):
        open_store(s3_root).paths("")


@pytest.mark.parametrize(
    ("status", "words"),
    [(503, "was retried for a while"), (408, "was retried for a while"), (429, "takes no more requests for now")],
)
def test_retries_of_a_failing_store_end(bucket, store, status, words):
    bucket.fail("/lake", status)
    with pytest.raises(TransientError, match=rf"\({status}: SlowDown: Injected\.\)\. It {words}") as caught:
        store.delete("file")
    assert_shows_no_secret(caught)


def test_an_update_waits_only_so_long_for_a_store_that_takes_no_more_requests(bucket, bucket_root):
    parsed = ObjectRoot.parse(bucket_root)
    bucket.fail("PUT", 429)
    with pytest.raises(TransientError, match="takes no more requests for now"):
        ConditionalPuts(parsed, connect(parsed).prompt, throttled_seconds=0.1).update("file", one_more, trial="trial")


def test_an_unreachable_store_is_an_error_that_says_why(bucket, bucket_root):
    for url, words in (("http://127.0.0.1:9", "no connection to it"), ("https://nobody.invalid", "its name can't be resolved")):
        message = rf"\({words}\)\. .*Check the network and {bucket.endpoint_variable}"
        with bucket.exported(**{bucket.endpoint_variable: url}), pytest.raises(TransientError, match=message):
            open_store(bucket_root).check()


def test_a_hanging_store_times_out(bucket, bucket_root):
    parsed = ObjectRoot.parse(bucket_root)
    impatient = connect(parsed, prompt=Patience(request_seconds=0.2, retries=1, retry_seconds=5)).prompt
    bucket.fail("/lake", seconds=1)
    with pytest.raises(TransientError, match="it didn't answer in time"):
        ConditionalPuts(parsed, impatient).test_preconditions("trial")


HTTP_VARIABLES = {"s3": "AWS_ALLOW_HTTP", "azure": "AZURE_ALLOW_HTTP", "google": "GOOGLE_ALLOW_HTTP"}


def test_plain_http_is_allowed_only_to_this_machine(bucket, bucket_root):
    """The server of the other tests is on this machine."""
    endpoint, allowing = bucket.endpoint_variable, HTTP_VARIABLES[bucket.kind]
    elsewhere = {endpoint: "http://store.example:9000"}
    with (
        bucket.exported(**elsewhere),
        pytest.raises(UsageError, match=rf"^{endpoint} is plain http to store\.example: .*{allowing}=true if"),
    ):
        open_store(bucket_root)
    with bucket.exported(**elsewhere, **{allowing: "true"}):
        open_store(bucket_root)


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL_S3", "AZURE_ENDPOINT", "AZURITE_BLOB_STORAGE_URL"])
def test_every_variable_of_an_endpoint_is_looked_at(variable):
    root = "s3://lake" if variable.startswith("AWS") else "az://lake"
    emulator = {"AZURE_STORAGE_USE_EMULATOR": "true"} if variable.startswith("AZURITE") else {}
    variables = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AZURE_STORAGE_ACCOUNT_NAME": "a", **emulator}
    with (
        exported({**variables, variable: "http://store.example:9000"}),
        pytest.raises(UsageError, match=f"^{variable} is plain http to store"),
    ):
        open_store(root)


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


NOBODY = "http://127.0.0.1:9"
"""Where nothing answers."""


def test_the_variables_of_azurite_are_enough(object_servers):
    """AZURE_STORAGE_USE_EMULATOR brings plain http, the emulator's account and its path with it."""
    server = object_servers("azure")
    account = {name: value for name, value in server.env.items() if "ACCOUNT" in name}
    emulator = {"AZURE_STORAGE_USE_EMULATOR": "true", "AZURITE_BLOB_STORAGE_URL": server.url}
    with exported({**account, **emulator}):
        open_store(server.root("emulator")).check()


def test_a_root_may_name_the_account(object_servers):
    server = object_servers("azure")
    with server.exported():
        store = open_store(f"abfss://lake@{server.env['AZURE_STORAGE_ACCOUNT_NAME']}.dfs.core.windows.net/named")
        put(store, "file")
        assert store.paths("") == ["file"]
    assert server.keys("named") == ["named/file"]


def test_a_missing_account_is_named():
    named = (
        r"az://c/p can't be opened \(.*Account must be specified\)\. .*AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
    )
    with exported({}), pytest.raises(UsageError, match=named) as caught:
        open_store("az://c/p")
    assert "CONNECTION_STRING" not in str(caught.value)
    with (
        exported({"AZURE_STORAGE_CONNECTION_STRING": f"AccountName=madeup;AccountKey={SECRET}"}),
        pytest.raises(UsageError, match=rf"{named}.* AZURE_STORAGE_CONNECTION_STRING is not read: set the account's") as caught,
    ):
        open_store("az://c/p")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("root", "variables", "words"),
    [
        (
            "gs://c/p",
            {"GOOGLE_SKIP_SIGNATURE": "true"},
            "GOOGLE_APPLICATION_CREDENTIALS.* GOOGLE_SKIP_SIGNATURE is for reading",
        ),
        (
            "az://c/p",
            {"AZURE_STORAGE_ACCOUNT_NAME": "madeup"},
            "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or a role",
        ),
    ],
)
def test_without_credentials_the_error_names_them_and_not_the_network(root, variables, words):
    """The library then asks the machine's own service for a token, which only machines of the provider have."""
    metadata = {"GCE_METADATA_HOST": "127.0.0.1:9", "GCE_METADATA_IP": "127.0.0.1:9", "AZURE_MSI_ENDPOINT": NOBODY}
    with exported({**variables, **metadata}):
        hasty = connect(ObjectRoot.parse(root), prompt=Patience(request_seconds=2, retries=1, retry_seconds=2)).prompt
        with pytest.raises(
            TransientError, match=rf"\(the request for a token failed: no connection to it\)\. .*{words}"
        ) as caught:
            ConditionalPuts(ObjectRoot.parse(root), hasty).update("file", one_more, trial="trial")
    assert "network" not in str(caught.value)


def test_an_address_that_is_refused_is_not_blamed_on_the_network():
    """An address in the file of credentials is not among the variables that are checked first."""
    key = {"gcs_base_url": NOBODY, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    with (
        exported({"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(key)}),
        pytest.raises(UsageError, match=r"\(its address is plain http, or none\)\. Check GOOGLE_BASE_URL, and an address in"),
    ):
        open_store("gs://lake/p").check()
