# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API of a registry: what is asked, what is believed of the answers, and what errors say."""

from __future__ import annotations

import json
import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    Denied,
    DigestMismatch,
    NotFound,
    ProtocolError,
    RegistryError,
    ServerFault,
    UnsafeTarget,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import (
    Descriptor,
    Manifest,
    digest_of,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import Fetched, RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.listings import next_query
from tests.hostile import HostileRegistry
from tests.registries import Registry, images, samples
from tests.unit.stub import Stub

IMAGE = images.image({"a": "1"})
OTHER = images.image({"a": "2"})
BLOB, CONTENT = next(iter(IMAGE.blobs.items()))
ABSENT = "sha256:" + "0" * 64
MANIFEST = Manifest.parse(IMAGE.raw, IMAGE.media_type)


def methods(server: HostileRegistry) -> list[str]:
    return [request.method for request in server.requests]


# Manifests


@pytest.mark.parametrize("name", sorted(images.samples()))
def test_one_head_resolves_a_tag(connect: t.Any, registry: Registry, name: str) -> None:
    sample = images.samples()[name]
    images.push(registry.url, f"client/{name}", sample, "x")
    registry.clear_requests()
    _connection, client = connect(registry.url)
    assert client.resolve(f"client/{name}", "x") == Descriptor(
        sample.media_type, sample.digest, len(sample.raw)
    )
    assert registry.requests() == [("HEAD", f"/v2/client/{name}/manifests/x", 200)]
    assert client.manifest(f"client/{name}", sample.digest).raw == sample.raw


@pytest.mark.parametrize(
    "behaviour",
    [
        {"head": "404"},
        {"head": "405"},
        {"digest_header": "missing"},
        {"digest_header": "missing-head"},
        {"content_type": "application/json"},
        {"content_type": "none"},
    ],
)
def test_a_get_where_head_does_not_tell(connect: t.Any, behaviour: dict[str, t.Any]) -> None:
    with HostileRegistry(**behaviour) as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        expected = Descriptor(IMAGE.media_type, IMAGE.digest, len(IMAGE.raw))
        assert client.resolve("a/b", "x") == expected
        assert methods(server) == ["HEAD", "GET"]
        assert client.resolve("a/b", "x") == expected
        # Where HEAD is not served at all it is not tried again.
        assert methods(server)[2:] == (["GET"] if "head" in behaviour else ["HEAD", "GET"])


def test_what_does_not_exist(connect: t.Any) -> None:
    with HostileRegistry() as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        assert client.resolve("a/b", "nope") is None
        assert methods(server) == ["HEAD", "GET"]
        assert client.resolve("a/b", "x") is not None
        # This registry serves HEAD, so its word is enough from now on.
        server.requests.clear()
        assert client.resolve("a/b", "nope") is None and client.resolve("c/d", "x") is None
        assert methods(server) == ["HEAD", "HEAD"]
        assert client.find_manifest("a/b", "nope") is None
        with pytest.raises(NotFound, match=f"{server.host}/a/b:nope does not exist"):
            client.manifest("a/b", "nope")
        with pytest.raises(NotFound, match=f"a/b@{ABSENT} does not exist"):
            client.manifest("a/b", ABSENT)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>404</html>", "text/html"),
        (b"404 page not found\n", "text/plain"),
        (b"", ""),
        (b"{}", "application/json"),
    ],
)
def test_a_404_of_another_server_is_an_error(connect: t.Any, body: bytes, content_type: str) -> None:
    with Stub(lambda server: server.reply(404, body, Content_Type=content_type)) as stub:
        _connection, client = connect(stub.url)
        with pytest.raises(
            ProtocolError,
            match="this address is not that of a registry's API: check the option registry|a web page of the type text/html",
        ):
            client.resolve("a/b", "x")
        assert [method for method, _path, _headers, _port in stub.seen] == ["HEAD", "GET"]


@pytest.mark.parametrize("code", [[], {}, 3, None, "x"])
def test_codes_that_are_no_text(connect: t.Any, code: object) -> None:
    body = json.dumps({"errors": [{"code": code, "message": [], "detail": {"a": ["b"]}}]}).encode()
    with Stub(lambda server: server.reply(404, body, Content_Type="application/json")) as stub:
        _connection, client = connect(stub.url)
        with pytest.raises(ProtocolError, match="HTTP 404"):
            client.resolve("a/b", "x")


def test_wrong_bytes(connect: t.Any) -> None:
    with HostileRegistry(wrong_bytes="manifest") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        with pytest.raises(DigestMismatch, match=f"Other content was sent for {IMAGE.digest}"):
            client.manifest("a/b", IMAGE.digest)


def test_a_digest_header_that_contradicts_the_bytes(connect: t.Any) -> None:
    with HostileRegistry(digest_header="wrong-get") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        with pytest.raises(DigestMismatch, match="The registry contradicts itself on a/b:x"):
            client.manifest("a/b", "x")


def test_a_head_that_answers_with_another_digest_than_asked_for(connect: t.Any) -> None:
    with HostileRegistry(digest_header="wrong-head") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        found = client.resolve("a/b", IMAGE.digest)
        assert found is not None and found.digest == IMAGE.digest


@pytest.mark.parametrize("length", ["\xb2", "-5", "1e3", "9" * 5000, "0x10", ""])
def test_lengths_that_are_none(connect: t.Any, length: str) -> None:
    def answer(server: t.Any) -> None:
        if server.command == "HEAD":
            server.send_response(200)
            server.send_header("Content-Type", IMAGE.media_type)
            server.send_header("Docker-Content-Digest", IMAGE.digest)
            server.send_header("Content-Length", length)
            server.end_headers()
        else:
            server.reply(200, IMAGE.raw, Content_Type=IMAGE.media_type)

    with Stub(answer) as stub:
        _connection, client = connect(stub.url)
        found = client.resolve("a/b", "x")
        assert found is not None and found.size == len(IMAGE.raw)


def test_a_put_stores_the_bytes_as_they_are(connect: t.Any, registry: Registry) -> None:
    for name, sample in samples().items():
        images.push(registry.url, "client/put", sample)
        registry.clear_requests()
        _connection, client = connect(registry.url)
        manifest = Manifest.parse(sample.raw, sample.media_type)
        assert client.put_manifest("client/put", name, manifest).digest == sample.digest
        assert registry.requests() == [("PUT", f"/v2/client/put/manifests/{name}", 201)]
        assert images.get_manifest(registry.url, "client/put", name) == (sample.raw, sample.media_type)


@pytest.mark.parametrize(
    ("behaviour", "requests"),
    [
        ({}, ["PUT"]),
        ({"digest_header": "missing"}, ["PUT", "HEAD", "GET"]),
        ({"digest_header": "missing-put"}, ["PUT", "HEAD"]),
    ],
)
def test_a_put_is_checked(connect: t.Any, behaviour: dict[str, t.Any], requests: list[str]) -> None:
    with HostileRegistry(**behaviour) as server:
        server.add("a/b", IMAGE)
        _connection, client = connect(server.url)
        client.put_manifest("a/b", "x", MANIFEST)
        assert methods(server) == requests and server.repositories["a/b"].tags == {"x": IMAGE.digest}


@pytest.mark.parametrize("header", ["missing", "missing-put"])
def test_a_put_is_checked_where_reads_lag_behind_writes(connect: t.Any, header: str) -> None:
    with HostileRegistry(digest_header=header, read_lag=2) as server:
        server.add("a/b", IMAGE)
        server.add("a/b", images.image({"file": "before"}), "x")
        _connection, client = connect(server.url)
        assert client.put_manifest("a/b", "x", MANIFEST).digest == IMAGE.digest


@pytest.mark.parametrize(
    "behaviour", [{"digest_header": "wrong-put"}, {"manifest_put": "ignored", "digest_header": "missing"}]
)
def test_a_put_that_stored_something_else(connect: t.Any, behaviour: dict[str, t.Any]) -> None:
    with HostileRegistry(**behaviour) as server:
        server.add("a/b", IMAGE)
        _connection, client = connect(server.url)
        with pytest.raises(DigestMismatch, match=f"The registry stored .* under a/b:x, not {IMAGE.digest}"):
            client.put_manifest("a/b", "x", MANIFEST)


def test_a_media_type_that_is_not_taken(connect: t.Any) -> None:
    with HostileRegistry(fail_first=-1, fail_status=415, fail_on="PUT .*/manifests/") as server:
        server.add("a/b", IMAGE)
        _connection, client = connect(server.url)
        with pytest.raises(Unsupported, match="HTTP 415.*does not take this media type"):
            client.put_manifest("a/b", "x", MANIFEST)
        assert server.repositories["a/b"].tags == {}


@pytest.mark.registry_does_not("docker")
def test_docker_media_types_that_are_not_taken(connect: t.Any, registry: Registry) -> None:
    sample = images.samples()["docker"]
    with pytest.raises(images.NotStored, match="HTTP 415"):
        images.push(registry.url, "client/docker", sample)
    _connection, client = connect(registry.url)
    with pytest.raises(Unsupported, match="does not take this media type"):
        client.put_manifest("client/docker", "x", Manifest.parse(sample.raw, sample.media_type))


def test_a_manifest_known_by_sha512(connect: t.Any) -> None:
    long = Manifest.parse(IMAGE.raw, IMAGE.media_type, digest_of(IMAGE.raw, "sha512:"))
    with HostileRegistry() as server:
        server.add("a/b", IMAGE)
        _connection, client = connect(server.url)
        assert client.put_manifest("a/b", "x", long).digest == long.digest
        server.behaviour.digest_header = "wrong-put"
        with pytest.raises(DigestMismatch):
            client.put_manifest("a/b", "x", long)


@pytest.mark.parametrize("is_right", [True, False])
def test_a_digest_of_another_algorithm_is_believed_if_it_is_right(is_right: bool) -> None:
    """Whether a tag is read by HEAD or GET, its digest is the same."""
    manifest = Manifest.parse(IMAGE.raw, IMAGE.media_type)
    long = digest_of(IMAGE.raw if is_right else b"x", "sha512:")
    fetched = Fetched(manifest, {"Docker-Content-Digest": long})
    assert fetched.descriptor.digest == (long if is_right else manifest.digest)
    assert Fetched(manifest, {}).descriptor == manifest.descriptor


def test_manifests_that_are_not_even_sent(connect: t.Any) -> None:
    with HostileRegistry() as server:
        _connection, client = connect(server.url)
        old = Manifest.parse(b'{"fsLayers": []}', "application/vnd.docker.distribution.manifest.v1+json")
        with pytest.raises(Unsupported, match="is a schema 1 manifest"):
            client.put_manifest("a/b", "x", old)
        huge = Manifest.parse(IMAGE.raw + b" " * (4 << 20), IMAGE.media_type)
        with pytest.raises(ProtocolError, match="is larger than the 4194304 bytes"):
            client.put_manifest("a/b", "x", huge)
        assert server.requests == []


@pytest.mark.parametrize("repository", ["", "../x", "A", "a//b", "a?b", "a/../b", "a" * 256])
def test_no_url_is_made_of_what_is_no_name(connect: t.Any, repository: str) -> None:
    with HostileRegistry() as server:
        _connection, client = connect(server.url)
        with pytest.raises(ProtocolError, match="is not a valid repository name"):
            client.resolve(repository, "x")
        for reference in ("", "../x", "a b", "sha256:../x", "x?y"):
            with pytest.raises(ProtocolError, match="is neither a tag nor a digest"):
                client.resolve("a/b", reference)
        assert server.requests == []


# Deletion


def test_deletions(connect: t.Any) -> None:
    with HostileRegistry() as server:
        server.add("a/b", IMAGE, "x")
        server.add("a/b", OTHER, "y")
        _connection, client = connect(server.url)
        assert client.delete_manifest("a/b", "x").outcome == "deleted"
        assert client.delete_manifest("a/b", "x").outcome == "absent"
        assert client.delete_manifest("a/b", OTHER.digest).outcome == "deleted"


@pytest.mark.parametrize("mode", ["400", "405", "404text"])
def test_a_deletion_that_is_not_offered(connect: t.Any, mode: str) -> None:
    with HostileRegistry(tag_delete=mode) as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        outcome, error = client.delete_manifest("a/b", "x")
        assert outcome == "unsupported" and str(error).startswith(
            f"a/b:x cannot be deleted: {server.host} answered HTTP 40"
        )


def test_a_deletion_whose_answer_was_lost(connect: t.Any) -> None:
    with HostileRegistry(drop_first=1, drop_when="after") as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        assert client.delete_manifest("a/b", "x").outcome == "deleted"
        assert methods(server) == ["DELETE", "DELETE"] and server.repositories["a/b"].tags == {}


@pytest.mark.parametrize(("mode", "kind"), [("403tagged", Denied), ("500", ServerFault)])
def test_a_deletion_that_fails(connect: t.Any, mode: str, kind: type[RegistryError]) -> None:
    with HostileRegistry(digest_delete=mode) as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url, retries=0)
        with pytest.raises(kind):
            client.delete_manifest("a/b", IMAGE.digest)


# Blobs


def test_blobs_that_exist(connect: t.Any, registry: Registry) -> None:
    images.push(registry.url, "client/blobs", IMAGE)
    _connection, client = connect(registry.url)
    assert client.has_blob("client/blobs", BLOB) and not client.has_blob("client/blobs", ABSENT)
    assert client.blob_size("client/blobs", BLOB) == len(CONTENT)
    assert client.blob_size("client/blobs", ABSENT) is None
    with pytest.raises(NotFound):
        client.open_blob("client/blobs", ABSENT)


@pytest.mark.parametrize("redirect", ["same", "other"])
def test_blobs_in_storage(connect: t.Any, redirect: str) -> None:
    with HostileRegistry(blob_redirect=redirect) as server:
        server.add("a/b", IMAGE)
        _connection, client = connect(server.url)
        assert client.has_blob("a/b", BLOB)
        assert len(server.requests) == 1
        assert client.blob_size("a/b", BLOB) == len(CONTENT)


def test_mounts(connect: t.Any, registry: Registry) -> None:
    images.push(registry.url, "client/source", IMAGE)
    _connection, client = connect(registry.url)
    assert client.mount_blob("client/target", BLOB, "client/source") is None
    assert images.get_blob(registry.url, "client/target", BLOB) == CONTENT
    session = client.mount_blob("client/target", ABSENT, "client/source")
    assert session is not None and session.startswith(registry.url)
    client.cancel_upload("client/target", session)
    assert registry.requests()[-1][::2] == ("DELETE", 204)


@pytest.mark.parametrize(("mode", "posts"), [("201", 1), ("202", 1), ("404", 2)])
def test_mounts_that_registries_refuse(connect: t.Any, mode: str, posts: int) -> None:
    with HostileRegistry(mount=mode) as server:
        server.add("a/b", IMAGE)
        _connection, client = connect(server.url)
        session = client.mount_blob("c/d", BLOB, "a/b")
        assert (session is None) is (mode == "201")
        assert server.count("^POST ") == posts and len(server.uploads) == (0 if session is None else 1)


# Upload addresses


@pytest.mark.parametrize("relative", [True, False])
def test_uploads_below_a_prefix(connect: t.Any, relative: bool) -> None:
    with Registry(prefix="/nested/", relative_urls=relative) as server:
        _connection, client = connect(server.url)
        for digest, content in IMAGE.blobs.items():
            session = client.start_upload("a/b")
            assert session.startswith(f"{server.url}/v2/a/b/blobs/uploads/")
            assert client.upload_status("a/b", session).status == 204
            assert client.finish_upload("a/b", session, digest, content).status == 201
            assert images.get_blob(server.url, "a/b", digest) == content
            assert client.mount_blob("c/d", digest, "a/b") is None
        client.put_manifest("c/d", "x", MANIFEST)
        assert images.get_manifest(server.url, "c/d", "x") == (IMAGE.raw, IMAGE.media_type)
        page = client.tags("c/d")
        assert page is not None and page.names == ["x"]


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/nested/v2/x?_state=1", "/nested/v2/x?_state=1"),
        ("/v2/x?_state=1", "/nested/v2/x?_state=1"),
        ("/v2x", "/v2x"),
        ("y", "/nested/v2/a/b/blobs/uploads/y"),
    ],
)
def test_a_prefix_that_is_there_is_not_put_there_twice(connect: t.Any, location: str, expected: str) -> None:
    with Stub(lambda server: server.reply(202, Location=location)) as stub:
        _connection, client = connect(stub.url + "/nested")
        assert client.start_upload("a/b") == stub.url + expected


def test_an_upload_address_on_another_host_gets_no_credentials(connect: t.Any) -> None:
    with HostileRegistry(auth="basic", upload_location="foreign") as server:
        _connection, client = connect(server.url, username="alice", password="secret")
        session = client.start_upload("a/b")
        assert session.startswith(server.other_url)
        assert client.finish_upload("a/b", session, BLOB, CONTENT).status == 201
        there = [request for request in server.requests if request.origin == "other"]
        assert [(request.method, request.headers["Authorization"]) for request in there] == [("PUT", None)]
        assert server.repositories["a/b"].blobs == {BLOB: CONTENT}


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/x", "file:///x", "//user@127.0.0.1/x", "http://[::"]
)
def test_upload_addresses_that_are_refused(connect: t.Any, location: str) -> None:
    with Stub(lambda server: server.reply(202, Location=location)) as stub:
        _connection, client = connect(stub.url)
        with pytest.raises(UnsafeTarget, match="upload address|no http or https URL|not a URL"):
            client.start_upload("a/b")
        assert len(stub.seen) == 1


def test_an_upload_without_an_address(connect: t.Any) -> None:
    with Stub(lambda server: server.reply(202)) as stub:
        _connection, client = connect(stub.url)
        with pytest.raises(ProtocolError, match="without saying where"):
            client.start_upload("a/b")


def test_an_upload_address_that_forgot_tls(connect: t.Any) -> None:
    with Registry(tls=True) as tls:
        files = (tls.path("server.pem"), tls.path("server.key"))
        with HostileRegistry(upload_location="http", tls=files) as server:
            _connection, client = connect(server.url, ca_path=tls.ca)
            session = client.start_upload("a/b")
            assert session.startswith(f"{server.url}/v2/a/b/blobs/uploads/") and "_state=" in session
            assert client.finish_upload("a/b", session, BLOB, CONTENT).status == 201


# Lists


@pytest.mark.parametrize(
    "link", ["relative", "absolute", "token", "foreign", "loop", "last-page", "wrong-prefix", "none"]
)
def test_every_way_to_the_next_page(connect: t.Any, link: str) -> None:
    with HostileRegistry(link=link, max_n=999, page_size=3) as server:
        for number in range(8):
            server.add("a/b", IMAGE, f"v{number}")
        _connection, client = connect(server.url)
        page = client.tags("a/b")
        expected = [f"v{number}" for number in range(3 if link in ("loop", "none") else 8)]
        assert page is not None and page.names == expected
        assert {request.origin for request in server.requests} == {"registry"} and len(server.requests) < 8


def test_an_empty_page_is_not_the_end(connect: t.Any) -> None:
    pages = {"": ("b", "1"), "1": ("", "2"), "2": ("a", "3"), "3": ("", "")}

    def answer(server: t.Any) -> None:
        name, following = pages[server.path.partition("page=")[2]]
        link = {"Link": f"</v2/a/b/tags/list?page={following}>; rel=next"} if following else {}
        server.reply(200, json.dumps({"tags": [name] if name else []}).encode(), **link)

    with Stub(answer) as stub:
        _connection, client = connect(stub.url)
        page = client.tags("a/b")
        assert page is not None and page.names == ["a", "b"] and len(stub.seen) == 4


@pytest.mark.parametrize("mode", ["list", "null", "absent", "with-null", "duplicates", "digests"])
def test_lists_of_tags(connect: t.Any, mode: str) -> None:
    with HostileRegistry(tags=mode) as server:
        server.add("a/b", IMAGE, "x")
        server.add("a/b", IMAGE, "y")
        _connection, client = connect(server.url)
        page = client.tags("a/b")
        assert page is not None and page.names == ([] if mode in ("null", "absent") else ["x", "y"])
        assert client.tags("c/d") is None


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b'{"tags": 3}', b'{"tags": {"a": 1}}', b'{"tags": ["a", 3, {}, "../x"]}']
)
def test_lists_that_are_none(connect: t.Any, body: bytes) -> None:
    with Stub(lambda server: server.reply(200, body)) as stub:
        _connection, client = connect(stub.url)
        try:
            page = client.tags("a/b")
        except ProtocolError as error:
            assert "list of tags" in str(error)
        else:
            assert page is not None and page.names in ([], ["a"])


@pytest.mark.parametrize("entries", ["3", '{"a": 1}', '"x"', "[3]", "[null]", '[{"digest": "../x"}]'])
def test_lists_of_referrers_that_are_none(connect: t.Any, entries: str) -> None:
    body = f'{{"manifests": {entries}}}'.encode()
    with Stub(
        lambda server: server.reply(200, body, Content_Type="application/vnd.oci.image.index.v1+json")
    ) as stub:
        _connection, client = connect(stub.url)
        with pytest.raises(ProtocolError):
            client.referrers("a/b", IMAGE.digest)


@pytest.mark.parametrize("part", ["<", '<x>;rel="next', "<x>;a", "<x> ;", '<x>;rel="', "<x>;a=b", "; "])
def test_a_link_header_is_read_in_linear_time(part: str) -> None:
    class Answer:
        def header_values(self, _name: str) -> list[str]:
            return [part * (3000000 // len(part))]

    # With a quadratic reader this would take hours.
    assert next_query(t.cast(t.Any, Answer())) is None


# Warnings and errors


def test_a_warning_is_passed_on_once(connect: t.Any, events: t.Any) -> None:
    with HostileRegistry(warning='Old \\"tags\\" go\x1b[31m soon') as server:
        server.add("a/b", IMAGE, "x")
        _connection, client = connect(server.url)
        for _turn in range(3):
            client.resolve("a/b", "x")
        assert events.warnings == [f'{server.host} warns: Old "tags" go [31m soon']


@pytest.mark.parametrize(
    "value",
    ["299 - text", '199 - "x"', '299 - "x', '299 host "x"', '299 - "x" "date"', '299 - "' + "x" * 5000 + '"'],
)
def test_other_warnings_are_passed_over(connect: t.Any, events: t.Any, value: str) -> None:
    with Stub(lambda server: server.reply(200, b"{}", Warning=value)) as stub:
        _connection, client = connect(stub.url)
        client.ping()
        assert events.warnings == []


def test_a_challenge_that_only_the_base_gives(connect: t.Any) -> None:
    def answer(server: t.Any) -> None:
        if server.headers["Authorization"] == "Basic YWxpY2U6czNjcmV0":
            server.reply(200, IMAGE.raw, Content_Type=IMAGE.media_type, Docker_Content_Digest=IMAGE.digest)
        else:
            server.reply(401, **({"WWW_Authenticate": 'Basic realm="x"'} if server.path == "/v2/" else {}))

    with Stub(answer) as stub:
        _connection, client = connect(stub.url, username="alice", password="s3cret")
        assert client.resolve("a/b", "x").digest == IMAGE.digest
        assert client.resolve("a/b", "x").digest == IMAGE.digest
        paths = [path for _method, path, _headers, _port in stub.seen]
        assert paths == ["/v2/", "/v2/a/b/manifests/x", "/v2/a/b/manifests/x"]


def test_clients_are_shared_by_threads(connect: t.Any, registry: Registry) -> None:
    images.push(registry.url, "client/threads", IMAGE, "x")
    _connection, client = connect(registry.url)

    def work(_number: int) -> str:
        found = t.cast(RegistryClient, client).resolve("client/threads", "x")
        return found.digest if found else ""

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(work, range(64))) == {IMAGE.digest}
