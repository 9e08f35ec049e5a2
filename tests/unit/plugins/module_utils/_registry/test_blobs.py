# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blobs on their way in both directions, with everything that can happen to them."""

from __future__ import annotations

import hashlib
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    Denied,
    DigestMismatch,
    NotFound,
    ProtocolError,
    RegistryError,
    ServerFault,
    Unauthorized,
    Unreachable,
)
from ansible_collections.ocikit.registry.plugins.module_utils._http.transport import Body
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor
from ansible_collections.ocikit.registry.plugins.module_utils._oci.verified_reader import (
    BytesReader,
    VerifiedReader,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry import blobs as _blobs
from ansible_collections.ocikit.registry.plugins.module_utils._registry.blobs import (
    BlobDownload,
    blob_body,
    upload,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from tests.hostile import HostileRegistry
from tests.registries import Registry, images, samples

CONTENT = bytes(range(256)) * 40
BLOB = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
DESCRIPTOR = Descriptor("application/octet-stream", BLOB, len(CONTENT))
EMPTY = Descriptor("application/octet-stream", "sha256:" + hashlib.sha256(b"").hexdigest(), 0)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_blobs, "CHUNK", 4000)


def download(client: RegistryClient, descriptor: Descriptor = DESCRIPTOR, block: int = 1000) -> bytes:
    reader, found = VerifiedReader(BlobDownload(client, "a/b", descriptor), descriptor), b""
    buffer = bytearray(block)
    try:
        while True:
            count = reader.readinto(memoryview(buffer))
            if not count:
                return found
            found += buffer[:count]
    finally:
        reader.close()


def ranges(server: HostileRegistry) -> list[str | None]:
    return [request.headers["Range"] for request in server.requests]


def holding(server: HostileRegistry, content: bytes = CONTENT) -> HostileRegistry:
    server.repository("a/b").blobs[BLOB] = content
    return server


# Downloads


def test_a_download(connect: t.Any, registry: Registry) -> None:
    for sample in samples().values():
        images.push(registry.url, "a/b", sample)
        for digest, content in sample.blobs.items():
            _connection, client = connect(registry.url)
            assert download(client, Descriptor("x", digest, len(content))) == content


@pytest.mark.parametrize("block", [1, 999, 1 << 20])
def test_blocks_of_any_size(connect: t.Any, block: int) -> None:
    with HostileRegistry() as server:
        _connection, client = connect(holding(server).url)
        assert download(client, block=block) == CONTENT


def test_an_interrupted_download_goes_on_where_it_was(connect: t.Any) -> None:
    with HostileRegistry(cut_first=3, cut_after=2500) as server:
        _connection, client = connect(holding(server).url)
        assert download(client) == CONTENT
        assert ranges(server) == [None, "bytes=2500-", "bytes=5000-", "bytes=7500-"]


def test_ranges_that_a_registry_ignores(connect: t.Any) -> None:
    with HostileRegistry(cut_first=1, cut_after=2500, ranges="ignored") as server:
        _connection, client = connect(holding(server).url)
        assert download(client) == CONTENT
        assert ranges(server) == [None, "bytes=2500-"]


def test_a_slow_trickle_is_no_fault(connect: t.Any) -> None:
    """The time-out is for each read: the whole may take longer."""
    with HostileRegistry(trickle=0.1) as server:
        _connection, client = connect(holding(server).url, read_timeout=0.5)
        assert download(client) == CONTENT


def test_a_trickle_that_dries_up_is_taken_up_again(connect: t.Any) -> None:
    with HostileRegistry(trickle=600) as server:
        _connection, client = connect(holding(server).url, read_timeout=0.2)
        assert download(client, block=1024) == CONTENT
        assert ranges(server)[:3] == [None, "bytes=1024-", "bytes=2048-"]


def test_a_registry_that_never_gets_further(connect: t.Any) -> None:
    with HostileRegistry(cut_first=-1, cut_after=2500, ranges="ignored") as server:
        _connection, client = connect(holding(server).url)
        with pytest.raises(Unreachable):
            download(client)
        assert len(server.requests) == 6


def test_a_registry_that_dies_is_not_tried_by_two_layers(connect: t.Any) -> None:
    with HostileRegistry(cut_first=1, cut_after=2500, drop_on="GET", drop_first=0) as server:
        _connection, client = connect(holding(server).url, retries=2)
        server.before = lambda request: setattr(
            server.behaviour, "drop_first", -1 if request.headers["Range"] else 0
        )
        with pytest.raises(Unreachable):
            download(client)
        assert ranges(server) == [None] + ["bytes=2500-"] * 3


def test_a_range_that_begins_elsewhere(connect: t.Any) -> None:
    with HostileRegistry(cut_first=1, cut_after=2500, ranges="shifted") as server:
        _connection, client = connect(holding(server).url)
        with pytest.raises(ProtocolError, match="serves another part of .* than the one from byte 2500 on"):
            download(client)


def test_storage_that_has_moved_on(connect: t.Any) -> None:
    """The redirect is asked for anew, as its signature may have expired."""
    with HostileRegistry(cut_first=1, cut_after=2500, blob_redirect="other") as server:
        _connection, client = connect(holding(server).url)
        assert download(client) == CONTENT
        assert [request.origin for request in server.requests] == ["registry", "other"] * 2


@pytest.mark.parametrize(
    "content",
    [CONTENT[:-1] + b"x", b"x" + CONTENT[1:], CONTENT + b"x", CONTENT * 2, CONTENT[:-1], b""],
    ids=["last", "first", "longer", "twice", "shorter", "nothing"],
)
def test_other_content_is_never_taken(connect: t.Any, content: bytes) -> None:
    with HostileRegistry() as server:
        _connection, client = connect(holding(server, content).url)
        with pytest.raises((DigestMismatch, RegistryError)) as caught:
            download(client)
        assert isinstance(caught.value, DigestMismatch) or len(content) < len(CONTENT)
        assert BLOB in str(caught.value)


def test_a_connection_that_breaks_after_the_last_byte(connect: t.Any) -> None:
    class Broken(BytesReader):
        status = 200

        def readinto(self, buffer: t.Any) -> int:
            count = super().readinto(buffer)
            if not count:
                raise Unreachable("broken")
            return count

        @property
        def stream(self) -> t.Any:
            return self

    with HostileRegistry() as server:
        _connection, client = connect(holding(server).url)
        reader = BlobDownload(client, "a/b", DESCRIPTOR)
        reader._response = t.cast(t.Any, Broken(CONTENT))
        buffer = memoryview(bytearray(1 << 20))
        assert (reader.readinto(buffer), reader.readinto(buffer)) == (len(CONTENT), 0)
        assert server.requests == []


def test_an_empty_blob(connect: t.Any, registry: Registry) -> None:
    _connection, client = connect(registry.url)
    upload(client, "a/b", EMPTY, Body.of(b""))
    assert images.get_blob(registry.url, "a/b", EMPTY.digest) == b""
    assert download(client, EMPTY) == b""


def test_a_blob_that_does_not_exist(connect: t.Any, registry: Registry) -> None:
    _connection, client = connect(registry.url)
    with pytest.raises(NotFound, match=f"The blob {BLOB} in a/b cannot be read"):
        download(client)


# Uploads


def test_an_upload_in_one_piece(connect: t.Any, registry: Registry) -> None:
    _connection, client = connect(registry.url)
    registry.clear_requests()
    upload(client, "a/one", DESCRIPTOR, Body.of(CONTENT))
    assert [method for method, _path, _status in registry.requests()] == ["POST", "PUT"]
    assert images.get_blob(registry.url, "a/one", BLOB) == CONTENT


def test_a_large_upload(connect: t.Any, registry: Registry) -> None:
    content = bytes(1 << 20) * 9 + b"end"
    descriptor = Descriptor("x", "sha256:" + hashlib.sha256(content).hexdigest(), len(content))
    _connection, client = connect(registry.url)
    upload(client, "a/large", descriptor, blob_body(descriptor, lambda: BytesReader(content)))
    assert images.get_blob(registry.url, "a/large", descriptor.digest) == content


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b"x" + CONTENT[1:]])
def test_what_is_read_is_verified_before_it_counts(connect: t.Any, content: bytes) -> None:
    with HostileRegistry() as server:
        _connection, client = connect(server.url)
        with pytest.raises(DigestMismatch):
            upload(client, "a/b", DESCRIPTOR, blob_body(DESCRIPTOR, lambda: BytesReader(content)))
        assert BLOB not in server.repository("a/b").blobs and server.uploads == {}


@pytest.mark.parametrize(
    "behaviour", [{}, {"range_stuck": True}, {"upload_location": "absolute"}, {"upload_location": "foreign"}]
)
def test_chunks_where_one_piece_is_refused(connect: t.Any, behaviour: dict[str, t.Any]) -> None:
    with HostileRegistry(monolithic="405", **behaviour) as server:
        _connection, client = connect(server.url)
        upload(client, "a/b", DESCRIPTOR, Body.of(CONTENT))
        assert server.repositories["a/b"].blobs == {BLOB: CONTENT} and server.uploads == {}
        sent = [request.headers["Content-Range"] for request in server.requests if request.method == "PATCH"]
        assert sent == ["0-3999", "4000-7999", "8000-10239"]


def test_chunks_to_a_real_registry(connect: t.Any, registry: Registry) -> None:
    _connection, client = connect(registry.url)
    _blobs._upload_chunks(client, "a/chunks", DESCRIPTOR, Body.of(CONTENT))
    assert images.get_blob(registry.url, "a/chunks", BLOB) == CONTENT
    _blobs._upload_chunks(client, "a/chunks", EMPTY, Body.of(b""))
    assert images.get_blob(registry.url, "a/chunks", EMPTY.digest) == b""


def test_the_least_size_of_a_chunk(connect: t.Any) -> None:
    # A chunk that is too short is the last one that this registry takes.
    with HostileRegistry(monolithic="405", chunk_min=5000) as server:
        _connection, client = connect(server.url)
        upload(client, "a/b", DESCRIPTOR, Body.of(CONTENT))
        assert server.repositories["a/b"].blobs == {BLOB: CONTENT}
        assert [request.size for request in server.requests if request.method == "PATCH"] == [5000, 5000, 240]


@pytest.mark.parametrize("first", [1, 3])
def test_a_chunk_that_did_not_arrive_is_sent_again(connect: t.Any, first: int) -> None:
    with HostileRegistry(monolithic="405", drop_first=first, drop_on="^PATCH ") as server:
        _connection, client = connect(server.url)
        upload(client, "a/b", DESCRIPTOR, Body.of(CONTENT))
        assert server.repositories["a/b"].blobs == {BLOB: CONTENT}
        assert server.count("^PATCH ") == 3 + first


def test_a_registry_that_is_further_on_or_back(connect: t.Any) -> None:
    """2,000 bytes more arrived than were acknowledged, so the next chunk does not fit: 416 tells where it goes on."""
    with HostileRegistry(monolithic="405") as server:

        def half(request: t.Any) -> None:
            if request.method == "PATCH" and request.headers["Content-Range"] == "4000-7999":
                open_upload = next(iter(server.uploads.values()))
                if len(open_upload.data) == 4000:
                    open_upload.data += CONTENT[4000:6000]

        server.before = half
        _connection, client = connect(server.url)
        upload(client, "a/b", DESCRIPTOR, Body.of(CONTENT))
        assert server.repositories["a/b"].blobs == {BLOB: CONTENT}
        sent = [request.headers["Content-Range"] for request in server.requests if request.method == "PATCH"]
        assert sent == ["0-3999", "4000-7999", "6000-9999", "10000-10239"]


@pytest.mark.parametrize("status", [429, 416])
def test_a_chunk_that_was_refused_is_read_once_more(connect: t.Any, status: int) -> None:
    """Nothing of a source is kept in memory, so it is read again up to where the registry is."""
    opened = []

    def source() -> BytesReader:
        opened.append(1)
        return BytesReader(CONTENT)

    with HostileRegistry(monolithic="405") as server:

        def refuse_the_second(request: t.Any) -> None:
            second = request.method == "PATCH" and request.headers["Content-Range"] == "4000-7999"
            server.behaviour.fail_first = 1 if second else 0

        server.before, server.behaviour.fail_status = refuse_the_second, status
        _connection, client = connect(server.url)
        _blobs._upload_chunks(client, "a/b", DESCRIPTOR, blob_body(DESCRIPTOR, source))
        assert server.repositories["a/b"].blobs == {BLOB: CONTENT}
        assert len(opened) == 2 and server.count("^PATCH ") == 4


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b"x" + CONTENT[1:]])
def test_chunks_of_what_is_wrong_are_not_completed(connect: t.Any, content: bytes) -> None:
    with HostileRegistry(monolithic="405") as server:
        _connection, client = connect(server.url)
        with pytest.raises(DigestMismatch):
            _blobs._upload_chunks(
                client, "a/b", DESCRIPTOR, blob_body(DESCRIPTOR, lambda: BytesReader(content))
            )
        assert server.count("^PUT ") == 0 and server.uploads == {}


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (Unreachable("The source is gone."), "The source is gone."),
        (OSError(5, "I/O error"), "broke: OSError"),
    ],
)
def test_a_source_that_breaks_is_no_fault_of_the_registry(
    connect: t.Any, error: Exception, says: str
) -> None:
    class Broken(BytesReader):
        def readinto(self, buffer: t.Any) -> int:
            count = super().readinto(memoryview(buffer)[:3000])
            if not count or bytes(buffer[:1]) != CONTENT[:1]:
                raise error
            return count

    with HostileRegistry(monolithic="405") as server:
        _connection, client = connect(server.url)
        with pytest.raises(Unreachable, match=says):
            _blobs._upload_chunks(client, "a/b", DESCRIPTOR, blob_body(DESCRIPTOR, lambda: Broken(CONTENT)))
        assert server.uploads == {} and server.count("^GET ") == 0


def test_a_registry_that_takes_no_chunk_at_all(connect: t.Any) -> None:
    with HostileRegistry(monolithic="405", fail_first=-1, fail_status=416, fail_on="^PATCH ") as server:
        _connection, client = connect(server.url)
        with pytest.raises(RegistryError, match=f"The blob {BLOB} cannot be stored in a/b"):
            upload(client, "a/b", DESCRIPTOR, Body.of(CONTENT))
        assert server.count("^PATCH ") <= 6 and server.uploads == {}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_that_breaks_during_the_upload(connect: t.Any, when: str) -> None:
    with HostileRegistry(drop_first=1, drop_on="^PUT ", drop_when=when) as server:
        _connection, client = connect(server.url)
        upload(client, "a/b", DESCRIPTOR, Body.of(CONTENT))
        assert server.repositories["a/b"].blobs == {BLOB: CONTENT} and server.uploads == {}


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Unauthorized), (403, Denied), (503, ServerFault), (400, ProtocolError)]
)
def test_an_upload_that_fails_leaves_nothing_open(
    connect: t.Any, status: int, kind: type[RegistryError]
) -> None:
    with HostileRegistry(fail_first=-1, fail_status=status, fail_on="^(PUT|PATCH) ") as server:
        _connection, client = connect(server.url, token="t")
        with pytest.raises((kind, Unauthorized)):
            upload(client, "a/b", DESCRIPTOR, Body.of(CONTENT))
        assert server.uploads == {} and server.repository("a/b").blobs == {}
        # Rights do not come by asking in smaller pieces.
        assert server.count("^PATCH ") == (0 if status in (401, 403) else 1)


def test_too_many_requests_is_no_reason_for_chunks(connect: t.Any) -> None:
    with HostileRegistry(fail_first=2, fail_status=429, fail_on="^PUT ") as server:
        _connection, client = connect(server.url)
        upload(client, "a/b", DESCRIPTOR, Body.of(CONTENT))
        assert server.repositories["a/b"].blobs == {BLOB: CONTENT} and server.count("^PATCH ") == 0


def test_content_that_the_registry_finds_wrong(connect: t.Any) -> None:
    with HostileRegistry() as server:
        _connection, client = connect(server.url)
        with pytest.raises(RegistryError, match="DIGEST_INVALID") as caught:
            upload(client, "a/b", DESCRIPTOR, Body.of(b"x" + CONTENT[1:]))
        assert caught.value.code == "DIGEST_INVALID"
        assert server.count("^PUT ") == 1 and server.count("^PATCH ") == 0 and server.uploads == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0-0", 0),
        ("0-9", 10),
        ("bytes=0-9", 10),
        ("bytes=0--1", 0),
        ("", 0),
        ("5-9", 0),
        ("0-" + "9" * 5000, 0),
        ("0-\xb2", 0),
    ],
)
def test_how_much_arrived(value: str, expected: int) -> None:
    class Answer:
        headers = {"Range": value}

    assert _blobs._arrived(t.cast(t.Any, Answer())) == expected
