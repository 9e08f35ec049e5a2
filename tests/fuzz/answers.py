# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What servers answer, fuzzed: challenges, tokens, links, manifests, configurations, errors, header values, addresses."""

from __future__ import annotations

import contextlib
import io
import ipaddress
import json
import math
import re
import socket
import types
import typing as t
from urllib.parse import urlsplit

import requests
import urllib3

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    DigestMismatch,
    NotFound,
    RegistryError,
    UnsafeTarget,
    printable,
)
from ansible_collections.ocikit.registry.plugins.module_utils._http.auth import (
    Answer,
    Challenge,
    Send,
    Step,
    TokenRequest,
    parse_challenges,
)
from ansible_collections.ocikit.registry.plugins.module_utils._http.credentials import Credentials
from ansible_collections.ocikit.registry.plugins.module_utils._http.origin import (
    Origin,
    check_hop,
    origin_of,
    resolve,
    safe_url,
)
from ansible_collections.ocikit.registry.plugins.module_utils._http.transport import (
    Body,
    Response,
    number,
    retry_after,
)
from ansible_collections.ocikit.registry.plugins.module_utils._module import _encodable
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import (
    SCHEMA1_TYPES,
    Descriptor,
    Manifest,
    Platform,
    digest_of,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.documents import (
    IMAGE_CONFIG,
    parse_json_object,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import (
    is_digest,
    is_repository,
    is_tag,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.blobs import _arrived, upload
from ansible_collections.ocikit.registry.plugins.module_utils._registry.capabilities import _quota
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.failures import failure, is_absence
from ansible_collections.ocikit.registry.plugins.module_utils._registry.images import (
    ImagePicker,
    _config_facts,
    _schema1_config,
    created_time,
    image_config,
    manifest_facts,
    total_size,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.listings import next_query
from ansible_collections.ocikit.registry.plugins.module_utils._registry.placeholder import (
    make_placeholder,
    removed_tags,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.repository import Repository
from tests.fuzz.wire import Wire
from tests.unit.auth_flow import auth_of, carry_out

HOST = "registry.example.com"
ORIGIN = Origin("https", HOST, 443)
LIST = f"https://{HOST}/v2/team/app/tags/list"
# Two quotations of 500 characters, each written as an escape of ten.
_LONGEST = 12000
PASSWORD = Credentials("alice", "quite-secret", source="auth.json")
IDENTITY = Credentials("alice", "quite-secret", identity_token="identity-secret", source="auth.json")
IMAGE = Manifest.parse(
    b'{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"sha256:%s","size":2},"layers":[]}'
    % (b"0" * 64)
)
PLACEHOLDER = make_placeholder({"1": ""}, docker=False).manifest


def lines(data: bytes, count: int) -> tuple[list[str], bytes]:
    """Return the first ``count`` lines as header values arrive, and what follows them."""
    *first, rest = (data + b"\n" * count).split(b"\n", count)
    return [line.decode("latin-1").rstrip("\r") for line in first], rest[: max(0, len(rest) - count)]


def response(status: int, headers: t.Sequence[tuple[str, str]] = (), body: bytes = b"") -> Response:
    """Return an answer of the registry."""
    several = urllib3.HTTPHeaderDict()
    for name, value in headers:
        several.add(name, value)
    return Response(types.SimpleNamespace(status=status, headers=several), "GET", LIST, 1, body)


def takes(value: t.Any) -> None:
    """Check that a result can be handed over to Ansible."""
    json.dumps(_encodable(value)).encode()


def read_challenges(data: bytes) -> None:
    """Read ``WWW-Authenticate``: what was read is written as one header, and read as the same again."""
    found = parse_challenges(data.decode("latin-1").split("\n"))
    assert parse_challenges([", ".join(map(_written, found))]) == found


def _written(challenge: Challenge) -> str:
    escaped = {name: re.sub(r'(["\\])', r"\\\1", value) for name, value in challenge.parameters.items()}
    return f"{challenge.scheme} " + ", ".join(f'{name}="{value}"' for name, value in escaped.items())


def read_token(data: bytes) -> None:
    """Answer a challenge (line 1) with what a token service says (line 2: status, then the body)."""
    (challenge, status), said = lines(data, 2)
    code = int(status) if re.match(r"[1-5][0-9][0-9]\Z", status) else 200

    def answer(step: Step) -> Answer:
        if isinstance(step, TokenRequest):
            assert (step.body is None) == (step.method == "GET")
            where = check_hop(ORIGIN, step.url, "token service")
            assert f".{where.host}".endswith(".example.com") and where.scheme == "https"
            return Answer(code, said)
        known = isinstance(step, Send) and step.authorization
        return Answer(200 if known else 401, challenges=[challenge])

    for credentials in (IDENTITY, PASSWORD):
        auth = auth_of(ORIGIN)
        try:
            flow = auth.flow(["repository:team/app:pull"], credentials, 0.0)
            value, _answer = carry_out(flow, answer)
        except RegistryError as error:
            # A registry that knows it already may say it: AnsibleModule hides that.
            assert "secret" in challenge or not any(one in str(error) for one in credentials.secrets)
            if credentials is PASSWORD:
                raise
        else:
            assert value and re.match(r"(?:Basic|Bearer) [\x21-\x7e]+\Z", value)
            again, _answer = carry_out(auth.flow(["repository:team/app:pull"], credentials, 0.0), answer)
            assert again == value


def read_link(data: bytes) -> None:
    """Read ``Link`` headers, one on each line: where they lead is another page of the same list."""
    headers = [("Link", value) for value in data.decode("latin-1").split("\n")]
    query = next_query(response(200, headers))
    if query is not None:
        url = f"{LIST}?{query}"
        assert url.isascii() and check_hop(ORIGIN, url, "link") == ORIGIN
        assert urlsplit(url).path == urlsplit(LIST).path and not urlsplit(url).fragment


class Nothing:
    """A store that has nothing."""

    def fetch_manifest(self, descriptor: Descriptor) -> Manifest:
        raise NotFound(f"{descriptor.digest} does not exist.")

    def open_blob(self, descriptor: Descriptor) -> io.RawIOBase:
        raise NotFound(f"{descriptor.digest} does not exist.")


def read_manifest(data: bytes) -> None:
    """Read a manifest, served as line 1 says: it is what its bytes are, and all of it can be shown."""
    (content_type,), raw = lines(data, 1)
    found = Manifest.parse(raw, content_type)
    again = Manifest.parse(raw, found.media_type, found.digest)
    assert (again.digest, again.media_type) == (found.digest, found.media_type)
    assert found.media_type in SCHEMA1_TYPES or found.digest == digest_of(raw)
    with contextlib.suppress(DigestMismatch):
        Manifest.parse(raw, content_type, IMAGE.digest)
        raise AssertionError("other content was taken")
    takes(manifest_facts(found, {}))
    takes([one.to_dict() for one in found.successors()])
    assert all(is_digest(one.digest) and one.size >= 0 for one in found.successors())
    if found.is_schema1:
        takes(_schema1_config(found))
    if found.is_index:
        image = ImagePicker(Nothing(), found, "It").pick(Platform("linux", "amd64")).image
        assert image.platform and Platform("linux", "amd64").distance(image.platform) is not None


def read_config(data: bytes) -> None:
    """Read an image configuration: all of it can be shown, and its date can be reckoned with."""
    facts = _config_facts(parse_json_object(data, "image configuration", IMAGE_CONFIG))
    takes(facts)
    created = created_time(IMAGE, facts)
    assert created is None or math.isfinite(created)
    removed_tags(PLACEHOLDER, facts["full"])


def read_error(data: bytes) -> None:
    """Read an error (line 1: status, then the body): it makes one sentence and plain, bounded data."""
    (status,), body = lines(data, 1)
    answer = response(int(status) if re.match(r"[1-9][0-9]{2}\Z", status) else 404, [], body)
    is_absence(answer)
    sentence(failure(answer, "It cannot be read"))


def sentence(error: RegistryError) -> None:
    """Check that an error is one line of bounded length, and that its details can be shown."""
    text = str(error)
    assert text and text == printable(text, _LONGEST)
    takes(error.to_dict())


def read_retry_after(data: bytes) -> None:
    """Read ``Retry-After``: nothing, or a time to come."""
    seconds = retry_after(data.decode("latin-1"), 1_800_000_000.0)
    assert seconds is None or seconds >= 0
    assert seconds is None or f"{seconds:.0f}"


def read_header_values(data: bytes) -> None:
    """Read lengths, ranges and quotas: natural numbers that fit into 64 bits."""
    text = data.decode("latin-1")
    found = [number(text), _arrived(response(202, [("Range", text)])), *_quota(text)]
    assert all(one is None or 0 <= one < 1 << 63 for one in found)


def read_location(data: bytes) -> None:
    """Resolve where an answer leads: what is let through is connected to as it was checked."""
    target = data.decode("latin-1")
    for base in (LIST, f"http://{HOST}:5000/v2/team/app/blobs/", "http://127.0.0.1:5000/prefix/v2/"):
        try:
            url = resolve(base, target, "redirect")
        except UnsafeTarget as error:
            sentence(error)
            continue
        checked, source = origin_of(url), origin_of(base)
        shown = safe_url(url)
        assert "?" not in shown and "#" not in shown and shown == printable(shown)
        assert checked.scheme == source.scheme or checked.scheme == "https"
        with contextlib.suppress(requests.RequestException):
            prepared = urllib3.util.parse_url(requests.Request("GET", url).prepare().url or "")
            assert (prepared.host or "").strip("[]").lower() == checked.host
            assert prepared.port in (None, checked.port)
        if source.host == HOST and checked.host != HOST:
            assert _is_public(checked.host), checked.host


def _is_public(host: str) -> bool:
    """Tell whether a host is a name or a public address, by the C library's reading of addresses."""
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    try:
        address = ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        if ":" not in host:
            return host.rstrip(".") != "localhost" and not host.rstrip(".").endswith(".localhost")
        address = ipaddress.IPv6Address(host)
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_global)


def talk(data: bytes) -> None:
    """Let any bytes be the answers to a request (line 1 names it; lines of ``=====`` stand between answers).

    Nothing but a RegistryError comes of it, no credentials go elsewhere, and no private address is connected to.
    """
    (name,), rest = lines(data, 1)
    operation = OPERATIONS.get(name) or list(OPERATIONS.values())[len(name) % len(OPERATIONS)]
    wire = Wire(rest.split(b"\n=====\n"))
    client = wire.client(HOST, PASSWORD)
    try:
        takes(operation(client))
    except RegistryError as error:
        wire.shown.append(str(error))
        raise
    finally:
        for sent in wire.sent:
            home = f".{sent.host}".endswith(".example.com") and sent.scheme == "https"
            assert home or PASSWORD.basic.encode() not in sent.content
            assert sent.scheme == "https" and (sent.host == HOST or _is_public(sent.host.strip("[]")))
            assert PASSWORD.password.encode() not in sent.content
        for line in wire.shown:
            assert line == printable(line, _LONGEST)
            assert PASSWORD.password not in line and PASSWORD.basic not in line


_BLOB = Descriptor("a/b", digest_of(b"{}"), 2)


def _listing(client: RegistryClient) -> t.Any:
    page = client.tags("team/app")
    if page is None:
        return None
    assert page.names == sorted(set(page.names)) and all(map(is_tag, page.names))
    return page.names


def _part_of_listing(client: RegistryClient) -> t.Any:
    page = client.tags("team/app", 2, "a")
    if page is None:
        return None
    assert len(page.names) <= 2 and page.names == sorted(set(page.names)) and all(map(is_tag, page.names))
    return page.last


def _catalog(client: RegistryClient) -> t.Any:
    names = [name for page in client.catalog() for name in page]
    assert all(map(is_repository, names))
    return names


def _manifest(client: RegistryClient) -> t.Any:
    manifest = client.manifest("team/app", "latest")
    total_size(manifest, {})
    return image_config(Repository(client, "team/app"), manifest)


def _by_digest(client: RegistryClient) -> t.Any:
    assert client.manifest("team/app", IMAGE.digest).raw == IMAGE.raw


def _resolve(client: RegistryClient) -> t.Any:
    found = client.resolve("team/app", "latest")
    assert found is None or is_digest(found.digest) and found.size >= 0
    return found.to_dict() if found else None


def _referrers(client: RegistryClient) -> t.Any:
    found = client.referrers("team/app", IMAGE.digest, "a/b")
    return found and [one.to_dict() for one in found]


def _blob(client: RegistryClient) -> t.Any:
    response = client.open_blob("team/app", _BLOB.digest, 1)
    try:
        response.stream.read(100)
    finally:
        response.close()


def _upload(client: RegistryClient) -> t.Any:
    upload(client, "team/app", _BLOB, Body.of(b"{}"))


OPERATIONS: dict[str, t.Callable[[RegistryClient], t.Any]] = {
    "tags": _listing,
    "page": _part_of_listing,
    "catalog": _catalog,
    "manifest": _manifest,
    "digest": _by_digest,
    "resolve": _resolve,
    "referrers": _referrers,
    "size": lambda client: client.blob_size("team/app", _BLOB.digest),
    "exists": lambda client: client.has_blob("team/app", _BLOB.digest),
    "blob": _blob,
    "mount": lambda client: client.mount_blob("team/app", _BLOB.digest, "team/other"),
    "upload": _upload,
    "put": lambda client: client.put_manifest("team/app", "latest", IMAGE),
    "delete": lambda client: client.delete_manifest("team/app", "latest").outcome,
    "ping": lambda client: client.ping().status,
}
