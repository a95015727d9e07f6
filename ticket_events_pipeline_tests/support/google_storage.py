"""The XML API of Google Cloud Storage in memory, as far as obstore uses it: objects, conditions, listings, multipart uploads.

Written from Google's description, because no emulator in the package registries has this API. `test_google_storage` compares
its conditions with those of fake-gcs-server, which has them in the JSON API. Not here: versioning, ACLs, signatures.
https://docs.cloud.google.com/storage/docs/xml-api/reference-headers
https://docs.cloud.google.com/storage/docs/request-preconditions
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from werkzeug.datastructures import Headers
from werkzeug.http import http_date
from werkzeug.wrappers import Request, Response

_PAGE = 1000
_MESSAGES = {
    "AuthenticationRequired": (401, "Authentication required."),
    "BucketAlreadyOwnedByYou": (409, "Your previous request to create the named bucket succeeded and you already own it."),
    "InvalidPart": (400, "One or more of the specified parts could not be found."),
    "InvalidRange": (416, "The requested range cannot be satisfied."),
    "NoSuchBucket": (404, "The specified bucket does not exist."),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NoSuchUpload": (404, "The requested upload was not found."),
    "NotImplemented": (501, "The stand-in has no such request."),
    "PreconditionFailed": (412, "At least one of the pre-conditions you specified did not hold."),
}


class _RefusedError(Exception):
    """An answer that is an error; its text is the code."""


@dataclass(frozen=True)
class _Object:
    content: bytes
    headers: Mapping[str, str]
    generation: int
    modified: float

    @property
    def e_tag(self) -> str:
        """The MD5 of the content, so that equal contents have equal ETags, whatever their generations are."""
        return f'"{hashlib.md5(self.content, usedforsecurity=False).hexdigest()}"'


@dataclass
class _Upload:
    key: str
    headers: Mapping[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


class GoogleStorage:
    """A WSGI application; who calls it shows the bearer token `token`."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._lock = threading.Lock()
        self._buckets: dict[str, dict[str, _Object]] = {}
        self._uploads: dict[str, _Upload] = {}
        self._numbers = itertools.count(1)
        self._newest = 0

    def __call__(self, environ: dict[str, object], start: Callable[..., object]) -> object:
        request = Request(environ)
        try:
            with self._lock:
                response = self._answered(request)
        except _RefusedError as error:
            status, message = _MESSAGES[str(error)]
            response = _xml(f"<Error><Code>{error}</Code><Message>{message}</Message></Error>", status)
        return response(environ, start)

    def _answered(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {self._token}":
            raise _RefusedError("AuthenticationRequired")
        bucket, _, key = request.path.lstrip("/").partition("/")
        if not key and request.method == "PUT":
            return self._create_bucket(bucket)
        if bucket not in self._buckets:
            raise _RefusedError("NoSuchBucket")
        objects = self._buckets[bucket]
        if not key:
            return self._list_uploads() if "uploads" in request.args else _listing(objects, request)
        if "uploads" in request.args or "uploadId" in request.args:
            return self._upload(objects, key, request)
        if request.method == "PUT":
            return self._put(objects, key, request.get_data(), request.headers)
        if key not in objects:
            raise _RefusedError("NoSuchKey")
        if request.method == "DELETE":
            _check_generation(objects.get(key), request.headers)
            del objects[key]
            return Response(status=204)
        if request.method in ("GET", "HEAD"):
            return _content(objects[key], request)
        raise _RefusedError("NotImplemented")

    def _create_bucket(self, bucket: str) -> Response:
        if bucket in self._buckets:
            raise _RefusedError("BucketAlreadyOwnedByYou")
        self._buckets[bucket] = {}
        return Response()

    def _put(self, objects: dict[str, _Object], key: str, content: bytes, headers: Mapping[str, str]) -> Response:
        _check_generation(objects.get(key), headers)
        now = time.time()
        self._newest = max(self._newest + 1, int(now * 1_000_000))  # generations only grow
        kept = {name: value for name, value in headers.items() if re.match("(?i)x-goog-meta-|content-type$", name)}
        objects[key] = _Object(content, kept, self._newest, now)
        return Response(headers={"ETag": objects[key].e_tag, "x-goog-generation": str(self._newest)})

    def _upload(self, objects: dict[str, _Object], key: str, request: Request) -> Response:
        """Multipart uploads: https://docs.cloud.google.com/storage/docs/multipart-uploads."""
        if request.method == "POST" and "uploads" in request.args:
            name = f"upload-{next(self._numbers)}"
            self._uploads[name] = _Upload(key, dict(request.headers))
            found = f"<Key>{escape(key)}</Key><UploadId>{name}</UploadId>"
            return _xml(f"<InitiateMultipartUploadResult>{found}</InitiateMultipartUploadResult>")
        name = request.args["uploadId"]
        upload = self._uploads.get(name)
        if upload is None or upload.key != key:
            raise _RefusedError("NoSuchUpload")
        if request.method == "PUT":
            content = upload.parts[int(request.args["partNumber"])] = request.get_data()
            return Response(headers={"ETag": f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'})
        if request.method == "DELETE":
            del self._uploads[name]
            return Response(status=204)
        wanted = [int(number) for number in re.findall(r"<PartNumber>(\d+)</PartNumber>", request.get_data(as_text=True))]
        if not wanted or set(wanted) != set(upload.parts):
            raise _RefusedError("InvalidPart")
        made = self._put(objects, key, b"".join(upload.parts[number] for number in sorted(wanted)), upload.headers)
        del self._uploads[name]
        e_tag = escape(objects[key].e_tag)
        answer = _xml(f"<CompleteMultipartUploadResult><ETag>{e_tag}</ETag></CompleteMultipartUploadResult>")
        answer.headers["x-goog-generation"] = made.headers["x-goog-generation"]
        return answer

    def _list_uploads(self) -> Response:
        found = "".join(f"<Upload><Key>{escape(upload.key)}</Key></Upload>" for upload in self._uploads.values())
        return _xml(f"<ListMultipartUploadsResult>{found}</ListMultipartUploadsResult>")


def _check_generation(found: _Object | None, headers: Mapping[str, str]) -> None:
    """The condition of a put or delete; If-Match and If-None-Match hold for reads only."""
    wanted = headers.get("x-goog-if-generation-match")
    if wanted is not None and int(wanted) != (found.generation if found else 0):
        raise _RefusedError("PreconditionFailed")


def _content(found: _Object, request: Request) -> Response:
    if request.if_match and not request.if_match.contains(found.e_tag.strip('"')):
        raise _RefusedError("PreconditionFailed")
    headers = Headers({"Content-Type": "application/octet-stream", **found.headers})
    headers.update({"ETag": found.e_tag, "x-goog-generation": str(found.generation)})
    headers.update({"Last-Modified": http_date(int(found.modified)), "Accept-Ranges": "bytes"})
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", ""))
    if asked is None:
        return Response(found.content, headers=headers)
    size = len(found.content)
    start = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))  # without a start, the last bytes
    end = min(size, int(asked[2]) + 1) if asked[1] and asked[2] else size
    if start >= end:
        raise _RefusedError("InvalidRange")
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return Response(found.content[start:end], status=206, headers=headers)


def _listing(objects: Mapping[str, _Object], request: Request) -> Response:
    """Version 2 of the listing: https://docs.cloud.google.com/storage/docs/xml-api/get-bucket-list."""
    prefix, after = request.args.get("prefix", ""), request.args.get("continuation-token", "")
    if request.args.get("list-type") != "2":
        raise _RefusedError("NotImplemented")
    delimiter = request.args.get("delimiter")
    names = {_up_to(delimiter, key, len(prefix)) for key in objects if key.startswith(prefix)}
    left = sorted(name for name in names if name > after)
    page = left[: int(request.args.get("max-keys", _PAGE))]
    more = len(page) < len(left)
    token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
    rows = "".join(_row(name, objects[name]) if name in objects else _folder(name) for name in page)
    return _xml(f"<ListBucketResult>{rows}<IsTruncated>{str(more).lower()}</IsTruncated>{token}</ListBucketResult>")


def _up_to(delimiter: str | None, key: str, start: int) -> str:
    """The key, or what it shares with others of the same folder."""
    end = key.find(delimiter, start) if delimiter else -1
    return key if end < 0 else key[: end + 1]


def _folder(name: str) -> str:
    return f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"


def _row(key: str, found: _Object) -> str:
    modified = dt.datetime.fromtimestamp(found.modified, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return (
        f"<Contents><Key>{escape(key)}</Key><Generation>{found.generation}</Generation><LastModified>{modified}</LastModified>"
        f"<ETag>{escape(found.e_tag)}</ETag><Size>{len(found.content)}</Size></Contents>"
    )


def _xml(body: str, status: int = 200) -> Response:
    return Response(f"<?xml version='1.0' encoding='UTF-8'?>{body}", status=status, content_type="application/xml")
