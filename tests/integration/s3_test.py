# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the S3 backend does (what every backend does: test_store.c): parts and their resuming, signatures,
pages, encryption headers, what it says of refusals."""
import hashlib
import os
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))
from harness import s3  # noqa: E402

BUILD = os.environ["NAVETTE_BUILD"]
TOOL = os.environ["STORE_TOOL"]
PART = 8 << 20


@pytest.fixture
def server(tmp_path, request):
    made = s3.S3(str(tmp_path / "s3"), os.path.join(BUILD, "tests/s3/node_modules"), **getattr(request, "param", {}))
    yield made
    made.close()


def run(server, *args, **more):
    env = {"S3_URL": server.url, "S3_BUCKET": s3.BUCKET, "S3_REGION": s3.REGION, "S3_PREFIX": "navette",
           "S3_KEY": s3.KEY, "S3_SECRET": s3.SECRET, **more}
    return subprocess.run([TOOL, *map(str, args)], env={**os.environ, **env}, capture_output=True, text=True,
                          timeout=120, check=False)


def good(server, *args, **more):
    done = run(server, *args, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def bad(server, reason, *args, **more):
    done = run(server, *args, **more)
    assert done.returncode == 1 and done.stderr.startswith(f"{reason}: "), done.stderr
    return done.stderr


def file_of(tmp_path, size, name="file"):
    path = tmp_path / name
    path.write_bytes(os.urandom(size))
    return path


def parts(server):
    return [s.query["partNumber"] for s in server.requests("PUT", partNumber=None) if s.status == 200]


def test_a_large_object_goes_in_parts_and_comes_back(server, tmp_path):
    sent = file_of(tmp_path, 2 * PART + 12345)
    good(server, "put", "a/large-one", sent)
    assert parts(server) == ["1", "2", "3"] and not server.uploads
    assert good(server, "head", "a/large-one") == f"1 {2 * PART + 12345}\n"
    good(server, "get", "a/large-one", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == sent.read_bytes()
    # Whoever signs it wrongly gets nothing: the front of the server checks each request.
    assert {s.status for s in server.seen} == {200}


def test_an_upload_that_broke_off_goes_on_at_the_part_that_was_missing(server, tmp_path):
    sent = file_of(tmp_path, 5 * PART)
    server.add("PUT", "partNumber=4", times=3, drop=True)
    bad(server, "store_unavailable", "put", "a/broken", sent)
    assert parts(server) == ["1", "2", "3"] and len(server.uploads) == 1
    assert good(server, "head", "a/broken").startswith("0")
    good(server, "put", "a/broken", sent)
    assert parts(server) == ["1", "2", "3", "4", "5"] and not server.uploads
    good(server, "get", "a/broken", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == sent.read_bytes()


def test_parts_go_at_once_as_many_as_there_are_transfers(server, tmp_path):
    sent = file_of(tmp_path, 8 * PART + 1)
    # Each three wait for one another: a part that came alone would be refused in the end.
    server.add("PUT", "partNumber=", times=9, together=threading.Barrier(3, timeout=20))
    good(server, "put", "a/at-once", sent, S3_TRANSFERS="3")
    assert sorted(parts(server)) == [str(n) for n in range(1, 10)] and not server.uploads
    good(server, "get", "a/at-once", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == sent.read_bytes()


def test_an_upload_of_parts_at_once_goes_on_with_those_that_were_missing(server, tmp_path):
    sent = file_of(tmp_path, 9 * PART)
    server.add("PUT", "partNumber=4", times=3, drop=True)
    bad(server, "store_unavailable", "put", "a/broken", sent, S3_TRANSFERS="3")
    before = parts(server)
    assert {"1", "2", "3"} <= set(before) and "4" not in before and len(server.uploads) == 1
    good(server, "put", "a/broken", sent, S3_TRANSFERS="3")
    assert sorted(parts(server)) == [str(n) for n in range(1, 10)], "each once"
    good(server, "get", "a/broken", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == sent.read_bytes()


@pytest.mark.parametrize("transfers", [1, 3])
def test_an_upload_whose_parts_are_refused_ends(server, tmp_path, transfers):
    # After the first refusal no part is begun: whoever waits for the memory of one that was not would wait for ever.
    server.add("PUT", "partNumber=", times=9, status=403, code="AccessDenied")
    bad(server, "store_denied", "put", "a/refused", file_of(tmp_path, 9 * PART), S3_TRANSFERS=str(transfers))
    assert not parts(server)


def test_parts_of_other_bytes_are_sent_again(server, tmp_path):
    first, second = file_of(tmp_path, 3 * PART, "first"), file_of(tmp_path, 3 * PART, "second")
    server.add("PUT", "partNumber=3", times=3, drop=True)
    bad(server, "store_unavailable", "put", "a/changed", first)
    good(server, "put", "a/changed", second)
    assert parts(server) == ["1", "2", "1", "2", "3"]
    good(server, "get", "a/changed", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == second.read_bytes()


def test_a_part_is_tried_again_when_its_connection_breaks(server, tmp_path):
    server.add("PUT", "partNumber=2", drop=True)
    good(server, "put", "a/shaky", file_of(tmp_path, 2 * PART))
    assert parts(server) == ["1", "2"]


def test_an_object_with_the_wrong_content_never_appears_and_its_parts_go(server, tmp_path):
    wrong = hashlib.sha256(b"another").hexdigest()
    bad(server, "archive_corrupt", "put", "a/wrong", file_of(tmp_path, 2 * PART), wrong)
    assert good(server, "head", "a/wrong").startswith("0") and not server.uploads


@pytest.mark.parametrize("status, code", [(501, "NotImplemented"), (403, "AccessDenied")])
def test_a_server_that_does_not_list_uploads_gets_new_ones(server, tmp_path, status, code):
    server.add("GET", "uploads", times=1, status=status, code=code)
    good(server, "put", "a/anew", file_of(tmp_path, 2 * PART))
    server.add("GET", "uploads", times=1, status=501, code="NotImplemented")
    good(server, "sweep")


def test_uploads_that_nobody_goes_on_with_are_swept_and_others_are_not(server, tmp_path):
    sent = file_of(tmp_path, 2 * PART)
    for key in ("a/old", "a/new"):
        server.add("PUT", "partNumber=2", times=3, drop=True)
        bad(server, "store_unavailable", "put", key, sent)
    next(u for u in server.uploads.values() if u["key"].endswith("old"))["at"] = \
        time.strftime(s3.DATE, time.gmtime(time.time() - 7200))
    server.uploads["strange"] = {"key": "elsewhere/x", "at": "2020-01-01T00:00:00.000Z", "parts": {}}
    good(server, "sweep")
    assert {u["key"] for u in server.uploads.values()} == {"navette/a/new", "elsewhere/x"}


def test_a_listing_of_more_than_a_page(server, tmp_path):
    server.fill((f"navette/many/o-{n:04}" for n in range(1003)), b"x")
    found = [line.split() for line in good(server, "list", "many/").splitlines()]
    assert [f[0] for f in found] == [f"many/o-{n:04}" for n in range(1003)]
    assert {f[1] for f in found} == {"1"} and all(int(f[2]) > 1_700_000_000_000 for f in found)
    assert len(server.requests("GET", **{"list-type": "2"})) == 2


def test_a_wrong_secret_is_refused_with_the_servers_words(server, tmp_path):
    text = bad(server, "store_denied", "put", "a/b", file_of(tmp_path, 10), S3_SECRET="wrong")
    assert text == "store_denied: store: put a/b: 403 SignatureDoesNotMatch: the signature is another\n"
    assert "SignatureDoesNotMatch" in bad(server, "store_denied", "list", "", S3_SECRET="wrong")


@pytest.mark.parametrize("status, code, reason", [
    (403, "RequestTimeTooSkewed", "store_denied"), (404, "NoSuchBucket", "store_denied"),
    (503, "SlowDown", "store_unavailable"), (507, "XMinioStorageFull", "store_full"), (400, "QuotaExceeded", "store_full")])
def test_refusals_say_what_they_are(server, tmp_path, status, code, reason):
    server.add("PUT", "/a/b", status=status, code=code)
    text = bad(server, reason, "put", "a/b", file_of(tmp_path, 10))
    assert f"{status} {code}: as the test wants it" in text
    assert ("set this machine's clock" in text) == (code == "RequestTimeTooSkewed")


# What kept a walk over libxml2's tree going for ever, what grows by entities, what is costly to parse.
HOSTILE = {
    "external": b'<!DOCTYPE Error [<!ENTITY a SYSTEM "file:///etc/passwd">]><Error><Code>&a;</Code></Error>',
    "internal": b'<!DOCTYPE e [<!ENTITY a "x">]><Error><Message>&a;</Message><Code>z</Code></Error>',
    "laughs": b'<!DOCTYPE e [<!ENTITY a "' + b"x" * 1000 + b'"><!ENTITY b "' + b"&a;" * 1000 + b'">]><Error><Code>'
              + b"&b;" * 300 + b"</Code></Error>",
    "attributes": b"<Error" + b"".join(b" a%d=''" % n for n in range(200000)) + b"/>",
    "nested": b"<a>" * 100000,
    "empty": b"",
    "bytes": bytes(range(256)) * 16,
}


def test_hostile_answers_are_errors_and_end(server, tmp_path):
    for body in HOSTILE.values():
        server.add("PUT", "/a/b", status=403, body=body)
        bad(server, "store_denied", "put", "a/b", file_of(tmp_path, 10))
        server.add("GET", "list-type=2", body=body)
        bad(server, "store_unavailable", "list", "")
    good(server, "list", "")


def test_an_answer_with_endless_headers_is_an_error(server):
    server.add("GET", "list-type=2", body=b"", headers=[(f"X-{n}", "x" * 1000) for n in range(280)])
    assert "more than 262144 bytes of headers" in bad(server, "store_unavailable", "list", "")


def test_too_large_an_answer_and_a_listing_in_a_circle_are_errors(server):
    server.add("GET", "list-type=2", body=b"<a>" + b" " * (9 << 20) + b"</a>")
    assert "larger than 8388608 bytes" in bad(server, "store_unavailable", "list", "")

    page = b"<a><Contents><Key>navette/x</Key></Contents><NextContinuationToken>t</NextContinuationToken></a>"
    server.add("GET", "list-type=2", times=3, body=page)
    assert "the same page" in bad(server, "store_unavailable", "list", "")


@pytest.mark.parametrize("server", [{"token": "the session's token"}], indirect=True)
def test_temporary_credentials_are_signed_as_well(server, tmp_path):
    good(server, "put", "a/b", file_of(tmp_path, 10), S3_TOKEN="the session's token")
    good(server, "put", "a/c", file_of(tmp_path, PART + 1), S3_TOKEN="the session's token")
    assert "InvalidToken" in bad(server, "store_denied", "put", "a/b", file_of(tmp_path, 10))


@pytest.mark.parametrize("server", [{"tls": True}], indirect=True)
def test_over_https_a_parts_bytes_are_not_signed_as_well(server, tmp_path):
    sent = file_of(tmp_path, 2 * PART)
    good(server, "put", "a/b", sent, S3_CA=server.ca_file)
    good(server, "put", "a/c", file_of(tmp_path, 10, "small"), S3_CA=server.ca_file)
    good(server, "get", "a/b", tmp_path / "back", S3_CA=server.ca_file)
    assert (tmp_path / "back").read_bytes() == sent.read_bytes()
    assert {s.headers["x-amz-content-sha256"] for s in server.requests("PUT", partNumber=None)} == {"UNSIGNED-PAYLOAD"}
    assert "certificate" in bad(server, "store_unavailable", "head", "a/b")


def test_encryption_is_asked_of_every_new_object(server, tmp_path):
    good(server, "put", "a/small", file_of(tmp_path, 10), S3_ENCRYPTION="aws:kms")
    good(server, "put", "a/large", file_of(tmp_path, PART + 1), S3_ENCRYPTION="aws:kms")
    whole, = server.requests("PUT")[:1]
    begun, = server.requests("POST", uploads=None)
    for s in (whole, begun):
        assert s.headers["x-amz-server-side-encryption"] == "aws:kms"


def test_the_bucket_may_stand_before_the_hosts_name(server, tmp_path):
    # staging.localhost: resolved to this machine by libcurl itself (RFC 6761).
    url = server.url.replace("127.0.0.1", "localhost")
    done = run(server, "put", "a/b", file_of(tmp_path, 10), S3_URL=url, S3_BY_HOST="1")
    seen = server.seen[-1]
    assert seen.headers["Host"].startswith(f"{s3.BUCKET}.localhost:") and seen.path == "/navette/a/b", done.stderr


@pytest.mark.parametrize("more, text", [
    ({"S3_BUCKET": "no/bucket"}, "store.bucket"), ({"S3_PREFIX": "/x"}, "store.prefix"),
    ({"S3_URL": "http://store.example.org"}, "store.url is not encrypted")])
def test_what_cannot_be_is_said_when_it_is_opened(server, more, text):
    assert text in bad(server, "config", "list", "", **more)
