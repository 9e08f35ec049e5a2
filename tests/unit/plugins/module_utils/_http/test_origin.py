# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a server may send a request on to. No connection is made here: only addresses are judged."""

from __future__ import annotations

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import UnsafeTarget
from ansible_collections.ocikit.registry.plugins.module_utils._http.origin import (
    Origin,
    check_hop,
    origin_of,
    resolve,
    safe_url,
)

PUBLIC = Origin("https", "registry.example.com", 443)
LOOPBACK = Origin("http", "127.0.0.1", 5000)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://x.y/a", Origin("https", "x.y", 443)),
        ("https://X.Y:443", Origin("https", "x.y", 443)),
        ("http://x.y", Origin("http", "x.y", 80)),
        ("http://[::1]:5000/v2/", Origin("http", "::1", 5000)),
    ],
)
def test_origins_have_the_port_that_is_used(url: str, expected: Origin) -> None:
    assert origin_of(url) == expected


@pytest.mark.parametrize(
    "url", ["", "/v2/", "ftp://x.y", "file:///etc/passwd", "https://", "http://x:y", "http://[::1"]
)
def test_what_is_no_http_address(url: str) -> None:
    with pytest.raises(UnsafeTarget, match="no http or https URL"):
        origin_of(url)


def test_a_url_is_shown_without_query_and_user() -> None:
    assert safe_url("https://alice:s3cret@x.y/a?X-Amz-Signature=s3cret#s3cret") == "https://x.y/a"
    assert safe_url("https://x.y/a\x1b[31m") == "https://x.y/a [31m"


@pytest.mark.parametrize(
    "url",
    [
        "https://registry.example.com/b",
        "https://storage.example.net:8443/x?sig=1",
        "https://8.8.8.8/x",
        "https://x_y.z/",
    ],
)
def test_steps_that_are_taken(url: str) -> None:
    assert check_hop(PUBLIC, url, "redirect") == origin_of(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://2130706433/",
        "https://localhost/",
        "https://localhost./",
        "https://127.0.0.1./",
        "https://x.localhost/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://0.0.0.0/",
        "https://[::]/",
        "https://10.0.0.5/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://100.100.100.200/",
        "https://[fd00:ec2::254]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
    ],
)
def test_a_public_registry_cannot_lead_inside(url: str) -> None:
    with pytest.raises(UnsafeTarget, match="an address on the local host or in a private network"):
        check_hop(PUBLIC, url, "redirect")


@pytest.mark.parametrize("url", ["http://169.254.169.254/", "http://0.0.0.0:5000/", "http://[fe80::1]/"])
def test_not_even_a_registry_on_loopback_leads_to_link_local_addresses(url: str) -> None:
    with pytest.raises(UnsafeTarget, match="an address on the local host"):
        check_hop(LOOPBACK, url, "redirect")


def test_a_private_registry_has_private_storage() -> None:
    private = Origin("https", "10.0.0.5", 443)
    assert check_hop(private, "https://10.0.0.6/x", "redirect").host == "10.0.0.6"
    with pytest.raises(UnsafeTarget):
        check_hop(private, "https://127.0.0.1/x", "redirect")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://registry.example.com/", "from https to plain http"),
        ("https://user@x.y/", "user information"),
        ("https://registry.example.com@evil.example.net/", "user information"),
        ("https://x.y/a b", "characters that no URL has"),
        ("https://x.y/a\r\nHost: evil", "characters that no URL has"),
        ("https://x.y\\@evil.example.net/", "characters that no URL has"),
        ("https://127.0.0.%31/", "in a form that is not plain"),
        ("https://\uff11\uff12\uff17.0.0.1/", "in a form that is not plain"),
        ("https://127\u30020.0.1/", "in a form that is not plain"),
        ("https://[fe80::1%25eth0]/", "in a form that is not plain"),
        ("gopher://x.y/", "no http or https URL"),
    ],
)
def test_other_steps_that_are_refused(url: str, says: str) -> None:
    with pytest.raises(UnsafeTarget, match=says) as caught:
        check_hop(PUBLIC, url, "redirect")
    assert "\n" not in str(caught.value) and "redirect" in str(caught.value) or "no http" in says


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/v2/x", "https://registry.example.com/v2/x"),
        ("?_state=a%2fb%3D", "https://registry.example.com/p/q?_state=a%2fb%3D"),
        ("//cdn.example.net/x", "https://cdn.example.net/x"),
        ("https://cdn.example.net/x?a=%7e", "https://cdn.example.net/x?a=%7e"),
    ],
)
def test_relative_addresses(target: str, expected: str) -> None:
    assert resolve("https://registry.example.com/p/q?r", target, "redirect") == expected


@pytest.mark.parametrize("target", ["http://[", "//[x]/", "javascript:alert(1)", "http:///x"])
def test_targets_that_are_no_address(target: str) -> None:
    with pytest.raises(UnsafeTarget):
        resolve("https://registry.example.com/", target, "redirect")
