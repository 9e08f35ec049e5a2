# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which proxy the environment names for a registry."""

from __future__ import annotations

import sys
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, RegistryError
from ansible_collections.ocikit.registry.plugins.module_utils._http.origin import Origin
from ansible_collections.ocikit.registry.plugins.module_utils._http.proxies import (
    check_proxy,
    environment_proxy,
)

REGISTRY = Origin("https", "registry.example.com", 443)
PROXY = "http://proxy.example.com:3128"


@pytest.mark.parametrize(
    ("no_proxy", "origin", "direct"),
    [
        ("*", REGISTRY, True),
        ("registry.example.com", REGISTRY, True),
        ("Registry.Example.COM", REGISTRY, True),
        ("example.com", REGISTRY, True),
        (".example.com", REGISTRY, True),
        ("*.example.com", REGISTRY, True),
        ("a, *.example.com ,b", REGISTRY, True),
        ("a *.example.com", REGISTRY, True),
        ("registry-*.example.com", Origin("https", "registry-1.example.com", 443), True),
        ("*.example.com", Origin("https", "example.com", 443), False),
        ("example.com", Origin("https", "badexample.com", 443), False),
        ("egistry.example.com", REGISTRY, False),
        ("registry.example.com:443", REGISTRY, True),
        ("registry.example.com:5000", REGISTRY, False),
        ("*.example.com:5000", Origin("http", "registry.example.com", 5000), True),
        ("*.example.com:443", Origin("https", "registry.example.com", 5000), False),
        ("10.0.0.0/8", Origin("https", "10.1.2.3", 443), True),
        ("10.0.0.0/8", REGISTRY, False),
        ("10.1.2.3", Origin("https", "10.1.2.3", 5000), True),
        ("10.1.2.3:5000", Origin("https", "10.1.2.3", 5000), True),
        ("fd00::5", Origin("https", "fd00::5", 443), True),
        ("[fd00::5]:5000", Origin("https", "fd00::5", 5000), True),
        ("[fd00::5]:5000", Origin("https", "fd00::5", 443), False),
        ("fd00::/8", Origin("https", "fd00::5", 443), True),
        ("fd00:0:0::0005", Origin("https", "fd00::5", 443), True),
        ("[FD00:0::5]:5000", Origin("https", "fd00::5", 5000), True),
        ("fd00::5", Origin("https", "fd00:0::0005", 443), True),
        ("fd00::6", Origin("https", "fd00::5", 443), False),
        ("example.com.", REGISTRY, True),
        ("registry.example.com.:443", REGISTRY, True),
        ("2.3, 3, 3., 1.10.", Origin("https", "10.1.2.3", 443), False),
        ("/, [, :, a:b, 1/99", REGISTRY, False),
        ("", REGISTRY, False),
    ],
)
def test_no_proxy(no_proxy: str, origin: Origin, direct: bool) -> None:
    environ = {"http": PROXY, "https": PROXY, "no": no_proxy}
    assert environment_proxy(origin, environ) == (None if direct else PROXY)


@pytest.mark.parametrize(
    ("environ", "origin", "expected"),
    [
        ({}, REGISTRY, None),
        ({"http": PROXY}, REGISTRY, None),
        ({"all": PROXY}, REGISTRY, PROXY),
        ({"all": "http://other:1", "https": PROXY}, REGISTRY, PROXY),
        ({"https": "proxy.example.com:3128"}, REGISTRY, PROXY),
        ({"http": PROXY, "https": PROXY}, Origin("http", "127.0.0.1", 5000), None),
        ({"https": PROXY}, Origin("https", "localhost", 5000), None),
    ],
)
def test_the_proxy_of_the_environment(environ: dict[str, str], origin: Origin, expected: str | None) -> None:
    assert environment_proxy(origin, environ) == expected


def test_the_variables_in_lower_case_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://other:1")
    monkeypatch.setenv("https_proxy", PROXY)
    assert environment_proxy(REGISTRY) == PROXY
    monkeypatch.setenv("NO_PROXY", "*.example.com:443")
    assert environment_proxy(REGISTRY) is None


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "socks5h://user:pw@proxy:1080", "SOCKS4://proxy"])
def test_socks_needs_a_library(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    checks: list[t.Callable[[], t.Any]] = [
        lambda: check_proxy(proxy, "proxy"),
        lambda: environment_proxy(REGISTRY, {"all": proxy}),
    ]
    for check in checks:
        with pytest.raises(
            InvalidInput, match="speaks SOCKS, which needs the Python library PySocks"
        ) as caught:
            check()
        assert "pw" not in str(caught.value)


def test_an_environment_that_names_no_proxy(connect: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "ftp://x.y")
    _connection, client = connect("https://registry.invalid")
    with pytest.raises(RegistryError, match="The proxy of the environment must be a URL such as"):
        client.ping()
