# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""References and endpoints: what is read, what is refused, and what a registry is called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import (
    Endpoint,
    Reference,
    endpoint,
    is_digest,
    is_loopback,
    is_repository,
    is_tag,
    parse,
    parse_repository,
)

HEX = "0123456789abcdef" * 4
SHA256 = f"sha256:{HEX}"
SHA512 = f"sha512:{HEX * 2}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("busybox", Reference("docker.io", "library/busybox")),
        ("busybox:1.36", Reference("docker.io", "library/busybox", "1.36")),
        ("team/app", Reference("docker.io", "team/app")),
        ("docker.io/busybox", Reference("docker.io", "library/busybox")),
        ("index.docker.io/busybox", Reference("docker.io", "library/busybox")),
        ("registry-1.docker.io/library/busybox:x", Reference("docker.io", "library/busybox", "x")),
        ("registry.hub.docker.com/team/app", Reference("docker.io", "team/app")),
        # A bare name with a dot is a repository: only a slash makes a host of it.
        ("example.com", Reference("docker.io", "library/example.com")),
        ("localhost", Reference("docker.io", "library/localhost")),
        ("localhost/app", Reference("localhost", "app")),
        ("example.com/app", Reference("example.com", "app")),
        ("Registry.Example.com/app", Reference("registry.example.com", "app")),
        ("host:5000/a/b/c:Tag_1.2-x", Reference("host:5000", "a/b/c", "Tag_1.2-x")),
        ("127.0.0.1:5000/app", Reference("127.0.0.1:5000", "app")),
        ("[::1]:5000/app:1", Reference("[::1]:5000", "app", "1")),
        ("[2001:DB8::1]/app", Reference("[2001:db8::1]", "app")),
        (f"x.y/app@{SHA256}", Reference("x.y", "app", None, SHA256)),
        (f"x.y/app:1@{SHA256}", Reference("x.y", "app", "1", SHA256)),
        (f"x.y/app@{SHA512}", Reference("x.y", "app", None, SHA512)),
        ("x.y/a__b/c--d", Reference("x.y", "a__b/c--d")),
        (f"x.y/{HEX}", Reference("x.y", HEX)),
        ("  x.y/app:1\n", Reference("x.y", "app", "1")),
        ("x.y/app:" + "t" * 128, Reference("x.y", "app", "t" * 128)),
        ("x.y/" + "a" * 255, Reference("x.y", "a" * 255)),
    ],
)
def test_references_that_are_read(text: str, expected: Reference) -> None:
    assert parse(text) == expected
    assert parse(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("https://x.y/app", "leave out the part up to '://'"),
        ("docker://x.y/app", "leave out the part up to '://'"),
        ("Busybox", "names are lower case"),
        ("x.y/Team/app", "names are lower case"),
        ("Team/app", "names are lower case"),
        (HEX, "looks like an image ID"),
        ("x.y/", "is not a valid image reference"),
        ("/app", "is not a valid image reference"),
        ("x.y//app", "is not a valid image reference"),
        ("x.y/app/", "is not a valid image reference"),
        ("x.y/../app", "is not a valid image reference"),
        ("x.y/a..b", "is not a valid image reference"),
        ("x.y/a___b", "is not a valid image reference"),
        ("x.y/-app", "is not a valid image reference"),
        ("x.y/app name", "is not a valid image reference"),
        ("x.y/app%2f", "is not a valid image reference"),
        ("x.y/äpp", "is not a valid image reference"),
        ("x.y/" + "a" * 256, "is longer than 255 characters"),
        ("x.y/app:", "'' is not a valid tag"),
        ("x.y/app:.1", "is not a valid tag"),
        ("x.y/app:" + "t" * 129, "is not a valid tag"),
        ("x.y/app:a b", "is not a valid tag"),
        ("x.y/app:1/2", "is not a valid tag"),
        ("x.y/app@", "'' is not a valid digest"),
        ("x.y/app@sha256:12", "is not a valid digest"),
        (f"x.y/app@md5:{HEX[:32]}", "is not a valid digest"),
        (f"x.y/app@{SHA256.upper()}", "is not a valid digest"),
        (f"x.y/app@{SHA256}@{SHA256}", "has more than one @"),
        ("x.y:0/app", "ports go from 1 to 65535"),
        ("x.y:65536/app", "ports go from 1 to 65535"),
        ("x.y:http/app", "has no valid host"),
        ("x..y/app", "has no valid host"),
        ("-x.y/app", "has no valid host"),
        ("x.y_z/app", "has no valid host"),
        ("[::1/app", "has no valid host"),
        ("[1:2:3]:5000/app", "has no valid host"),
        ("a" * 64 + ".y/app", "has no valid host"),
    ],
)
def test_references_that_are_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 700 and "\n" not in str(caught.value)
    assert caught.value.to_dict()["kind"] == "invalid_input"


@pytest.mark.parametrize(
    "text",
    [
        "https://alice:s3cret@x.y/app",
        "alice:s3cret@x.y/app",
        "alice:a@s3cret@x.y/app",
        "alice:a@s3cret@x.y:5000/app:1@sha256:" + "1" * 64,
        "https://alice:a@s3cret@x.y/app",
    ],
)
def test_a_password_in_a_reference_is_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    assert "s3cret" not in str(caught.value)


@given(st.text(alphabet="abzA0:/@._-[] \n", max_size=40))
def test_what_a_reference_prints_is_read_as_the_same(text: str) -> None:
    for registry in (None, "myhost", "http://myhost", "x.y:5000", "https://localhost/prefix"):
        try:
            found = parse(text, registry)
        except InvalidInput:
            continue
        assert parse(str(found)) == found
        assert is_repository(found.repository)
        assert found.tag is None or is_tag(found.tag)


@given(st.text(max_size=60))
def test_any_text_is_a_registry_or_refused(text: str) -> None:
    try:
        found = endpoint(text)
    except InvalidInput as error:
        assert "\n" not in str(error)
    else:
        assert found.base.endswith("/v2/") and 0 < found.port < 65536 and found.base.isascii()


@pytest.mark.parametrize(
    ("registry", "text", "expected"),
    [
        ("x.y", "app", Reference("x.y", "app")),
        ("https://x.y:8443/prefix", "team/app:1", Reference("x.y:8443", "team/app", "1")),
        ("x.y", "quay.io/team/app", Reference("quay.io", "team/app")),
        ("docker.io", "app", Reference("docker.io", "library/app")),
        ("https://index.docker.io/v1/", "app", Reference("docker.io", "library/app")),
        ("http://myhost", "app", Reference("myhost:80", "app")),
        ("myhost", "app", Reference("myhost:443", "app")),
        ("localhost", "app", Reference("localhost", "app")),
    ],
)
def test_references_without_a_host_belong_to_the_registry(
    registry: str, text: str, expected: Reference
) -> None:
    assert parse(text, registry) == expected
    assert endpoint(registry).name == expected.registry or "quay" in text


def test_repositories() -> None:
    assert parse_repository("x.y/team/app") == Reference("x.y", "team/app")
    for text in ("x.y/app:1", f"x.y/app@{SHA256}"):
        with pytest.raises(InvalidInput, match="leave out the tag and the digest"):
            parse_repository(text)


def test_target_and_forms_of_a_reference() -> None:
    both = parse(f"x.y/app:1@{SHA256}")
    assert both.target == SHA256
    assert both.with_tag("2") == Reference("x.y", "app", "2")
    assert both.pinned(SHA512) == f"x.y/app@{SHA512}"
    assert parse("x.y/app").target == "latest"
    with pytest.raises(InvalidInput, match="is not a valid tag"):
        both.with_tag("../x")


@pytest.mark.parametrize(
    ("registry", "plain_http", "expected"),
    [
        ("x.y", None, Endpoint("x.y", "https", "x.y", 443)),
        ("x.y:5000", None, Endpoint("x.y:5000", "https", "x.y", 5000)),
        ("x.y:5000", True, Endpoint("x.y:5000", "http", "x.y", 5000)),
        ("X.Y", True, Endpoint("x.y", "http", "x.y", 80)),
        ("127.0.0.1:5000", None, Endpoint("127.0.0.1:5000", "http", "127.0.0.1", 5000)),
        ("127.0.0.1:5000", False, Endpoint("127.0.0.1:5000", "https", "127.0.0.1", 5000)),
        ("localhost", None, Endpoint("localhost", "http", "localhost", 80)),
        ("[::1]:5000", None, Endpoint("[::1]:5000", "http", "[::1]", 5000)),
        ("https://localhost:5000", None, Endpoint("localhost:5000", "https", "localhost", 5000)),
        ("https://x.y", False, Endpoint("x.y", "https", "x.y", 443)),
        ("http://x.y", True, Endpoint("x.y", "http", "x.y", 80)),
        ("HTTPS://x.y/", None, Endpoint("x.y", "https", "x.y", 443)),
        ("https://x.y/repository/docker/", None, Endpoint("x.y", "https", "x.y", 443, "/repository/docker")),
        ("x.y/nested", None, Endpoint("x.y", "https", "x.y", 443, "/nested")),
        ("https://x.y/v2/", None, Endpoint("x.y", "https", "x.y", 443)),
        ("https://x.y/nested/v2", None, Endpoint("x.y", "https", "x.y", 443, "/nested")),
        ("docker.io", None, Endpoint("docker.io", "https", "registry-1.docker.io", 443)),
        ("https://index.docker.io/v1/", None, Endpoint("docker.io", "https", "registry-1.docker.io", 443)),
    ],
)
def test_endpoints(registry: str, plain_http: bool | None, expected: Endpoint) -> None:
    assert endpoint(registry, plain_http) == expected


def test_urls_of_an_endpoint() -> None:
    assert endpoint("https://x.y:443/a/b").base == "https://x.y/a/b/v2/"
    assert endpoint("http://x.y:8080").base == "http://x.y:8080/v2/"
    assert endpoint("[::1]:5000").base == "http://[::1]:5000/v2/"
    assert str(endpoint("x.y/p/v2/")) == "https://x.y/p"


@pytest.mark.parametrize(
    ("registry", "plain_http", "says"),
    [
        ("", None, "is not a valid registry"),
        ("https://", None, "is not a valid registry"),
        ("ftp://x.y", None, "is not a valid registry"),
        ("x.y?a=b", None, "is not a valid registry"),
        ("x.y#a", None, "is not a valid registry"),
        ("x.y:port", None, "is not a valid registry"),
        ("x.\ny", None, "is not a valid registry"),
        ("[::1", None, "is not a valid registry"),
        ("[::1]x", None, "is not a valid registry"),
        ("[1.2.3.4]", None, "is not a valid registry"),
        ("https://x.y/a/../b", None, "is not a valid registry"),
        ("https://x.y/a b", None, "is not a valid registry"),
        ("https://x.y/%2e", None, "is not a valid registry"),
        ("https://x.y//a", None, "is not a valid registry"),
        ("x.y:0", None, "ports go from 1 to 65535"),
        ("x.y:70000", None, "ports go from 1 to 65535"),
        ("https://x.y", True, "plain_http contradicts the scheme"),
        ("http://x.y", False, "plain_http contradicts the scheme"),
        ("https://alice:s3cret@x.y", None, "must not contain credentials"),
        ("alice:s3cret@x.y", None, "must not contain credentials"),
    ],
)
def test_registries_that_are_refused(registry: str, plain_http: bool | None, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        endpoint(registry, plain_http)
    assert says in str(caught.value) and "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["localhost", "x.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "localhost."]
)
def test_loopback_hosts(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["localhost.example.com", "notlocalhost", "128.0.0.1", "127.0.0.1.nip.io", "[::2]"]
)
def test_other_hosts(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "value", [None, 3, b"x", ["sha256"], "", f"{SHA256}\n", f" {SHA256}", f"{SHA256}/../x"]
)
def test_what_is_no_digest_tag_or_repository(value: object) -> None:
    assert not is_digest(value) and not is_tag(value) and not is_repository(value)
