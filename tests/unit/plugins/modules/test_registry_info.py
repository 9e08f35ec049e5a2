# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_info tells what is true of real registries and of odd ones, and changes nothing to find out."""

from __future__ import annotations

import json
import socket
import typing as t

import pytest
import requests

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    RegistryError,
    ServerFault,
    TlsFailure,
    Unauthorized,
    Unreachable,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import registry_info
from tests.hostile import HostileRegistry
from tests.registries import Registry, images, traits
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]
IMAGE = images.image({"a": "1"})
OTHER = images.image({"a": "2"})
PROBES: dict[str, t.Any] = {"repository": "a/b", "probe_deletion": True, "probe_mount": True}


def ask(
    connect: Connect,
    url: str,
    options: dict[str, t.Any] | None = None,
    check_mode: bool = False,
    **params: t.Any,
) -> dict[str, t.Any]:
    clients, _client = connect(url, **{"retries": 0, **(options or {})})
    return task(registry_info, clients, check_mode=check_mode, **params)


@pytest.fixture
def nowhere() -> t.Iterator[str]:
    """The address of a port that nobody listens at."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"


@pytest.fixture
def no_auth_files(monkeypatch: pytest.MonkeyPatch, tmp_path: t.Any) -> None:
    for name in (
        "REGISTRY_AUTH_FILE",
        "DOCKER_AUTH_CONFIG",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "DOCKER_CONFIG",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


pytestmark = pytest.mark.usefixtures("no_auth_files")


@pytest.mark.registry_does_not("delete_tag", "tag_pages")
def test_distribution(connect: Connect, registry: Registry) -> None:
    images.push(registry.url, "a/b", images.index([IMAGE, OTHER]), "1")
    images.push(registry.url, "a/b", OTHER, "2")
    before = images.state(registry.url, "a/b")
    registry.clear_requests()
    assert ask(connect, registry.url, **PROBES) == {
        "changed": False,
        "registry": registry.host,
        "url": registry.url,
        "reachable": True,
        "authenticated": False,
        "authentication": None,
        "username": None,
        "credentials_source": None,
        "api_version": "registry/2.0",
        "capabilities": {
            "catalog": True,
            "tag_pages": False,
            "head_digest": True,
            "referrers": False,
            "delete_manifest": True,
            "delete_tag": False,
            "mount": True,
        },
        "page_size": {"catalog": None, "tags": None},
        "rate_limit": None,
        "headers": {"docker-distribution-api-version": "registry/2.0"},
        "error": None,
    }
    assert images.state(registry.url, "a/b") == before
    assert [
        (method, status) for method, _uri, status in registry.requests() if method not in ("GET", "HEAD")
    ] == [
        ("DELETE", 404),
        ("DELETE", 400),
        ("POST", 201),
    ]


def test_any_registry(connect: Connect, registry: Registry) -> None:
    """What the module finds is what other code has found."""
    images.push(registry.url, "any/b", IMAGE, "1")
    images.push(registry.url, "any/b", OTHER, "2")
    before = images.state(registry.url, "any/b")
    result = ask(connect, registry.url, **{**PROBES, "repository": "any/b"})
    assert result["capabilities"] == {
        "catalog": True,
        "tag_pages": "tag_pages" in traits(),
        "head_digest": True,
        "referrers": "referrers" in traits(),
        "delete_manifest": True,
        "delete_tag": "delete_tag" in traits(),
        "mount": True,
    }
    assert images.state(registry.url, "any/b") == before


@pytest.mark.parametrize("check_mode", [False, True])
def test_nothing_that_could_write_is_sent_unless_asked_for(
    connect: Connect, registry: Registry, check_mode: bool
) -> None:
    images.push(registry.url, "a/b", IMAGE, "1")
    registry.clear_requests()
    found = ask(
        connect, registry.url, check_mode=check_mode, **(PROBES if check_mode else {"repository": "a/b"})
    )
    assert {method for method, _uri, _status in registry.requests()} == {"GET", "HEAD"}
    unknown = {name for name, value in found["capabilities"].items() if value is None}
    assert unknown >= {"delete_manifest", "delete_tag", "mount"}


def test_without_a_repository(connect: Connect, registry: Registry) -> None:
    registry.clear_requests()
    found = ask(connect, registry.url)
    assert {name for name, value in found["capabilities"].items() if value is not None} == {"catalog"}
    assert [uri for _method, uri, _status in registry.requests()] == ["/v2/", "/v2/_catalog"]


@pytest.mark.parametrize("option", ["probe_deletion", "probe_mount"])
def test_probes_need_a_repository(connect: Connect, registry: Registry, option: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{option} needs repository"):
        probes: dict[str, t.Any] = {option: True}
        ask(connect, registry.url, **probes)


def test_repository_that_does_not_exist(connect: Connect, registry: Registry) -> None:
    capabilities = ask(connect, registry.url, **{**PROBES, "repository": "no/such"})["capabilities"]
    assert (capabilities["head_digest"], capabilities["referrers"], capabilities["mount"]) == (
        None,
        None,
        None,
    )
    assert capabilities["delete_manifest"] is True


@pytest.mark.parametrize("options", [{"delete": False}, {"readonly": True}])
def test_deletion_switched_off(connect: Connect, options: dict[str, t.Any]) -> None:
    with Registry(**options) as server:
        capabilities = ask(connect, server.url, repository="a/b", probe_deletion=True)["capabilities"]
        assert (capabilities["delete_manifest"], capabilities["delete_tag"]) == (False, False)


def test_catalog_pages(connect: Connect) -> None:
    with Registry(catalog_max=2) as server:
        for name in ("a", "b", "c"):
            images.push(server.url, name, IMAGE, "1")
        found = ask(connect, server.url)
        assert (found["capabilities"]["catalog"], found["page_size"]["catalog"]) == (True, 2)


def test_a_registry_that_can_do_everything(connect: Connect) -> None:
    with HostileRegistry(referrers="on", page_size=2) as server:
        for tag in ("1", "2", "3"):
            server.add("a/b", IMAGE, tag)
        found = ask(connect, server.url, **PROBES)
        assert all(value is True for value in found["capabilities"].values())
        assert found["page_size"]["tags"] == 2
        assert set(server.repositories["a/b"].tags) == {"1", "2", "3"}
        assert not server.uploads


def test_a_registry_that_can_do_little(connect: Connect) -> None:
    with HostileRegistry(
        catalog="404", head="405", tag_delete="405", digest_delete="405", mount="202", max_n=0
    ) as server:
        server.add("a/b", IMAGE, "1")
        found = ask(connect, server.url, **PROBES)
        capabilities = found["capabilities"]
        assert capabilities.pop("tag_pages") is None
        # Without a digest of something that exists there is nothing to ask about.
        assert capabilities.pop("referrers") is None
        assert set(capabilities.values()) == {False}
        # The upload that the mount began was cancelled.
        assert server.uploads == {}


@pytest.mark.parametrize("mode", ["missing", "missing-head"])
def test_head_without_the_digest(connect: Connect, mode: str) -> None:
    with HostileRegistry(digest_header=mode) as server:
        server.add("a/b", IMAGE, "1")
        assert ask(connect, server.url, repository="a/b")["capabilities"]["head_digest"] is False


@pytest.mark.parametrize("status", ["401", "403", "405"])
def test_catalog_that_is_not_shown(connect: Connect, status: str) -> None:
    with HostileRegistry(catalog=status) as server:
        found = ask(connect, server.url)
        assert (found["reachable"], found["capabilities"]["catalog"]) == (True, False)


def test_faults_leave_capabilities_unknown(connect: Connect) -> None:
    with HostileRegistry(
        fail_first=-1, fail_status=500, fail_on="_catalog|tags|referrers|DELETE|POST"
    ) as server:
        server.add("a/b", IMAGE, "1")
        found = ask(connect, server.url, **PROBES)
        assert (found["reachable"], set(found["capabilities"].values())) == (True, {None})


def test_rights_that_are_missing(connect: Connect) -> None:
    with HostileRegistry(fail_first=-1, fail_status=403, fail_on="DELETE|POST") as server:
        server.add("a/b", IMAGE, "1")
        capabilities = ask(connect, server.url, **PROBES)["capabilities"]
        assert [capabilities[name] for name in ("delete_manifest", "delete_tag", "mount")] == [False] * 3


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {
                "ratelimit-limit": "100;w=21600",
                "ratelimit-remaining": "76;w=21600",
                "docker-ratelimit-source": "192.0.2.7",
            },
            {"limit": 100, "remaining": 76, "window": 21600, "reset": None, "source": "192.0.2.7"},
        ),
        (
            {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1700000000"},
            {"limit": 5000, "remaining": 0, "window": None, "reset": 1700000000, "source": None},
        ),
        (
            {"RateLimit-Remaining": "7;w=60"},
            {"limit": None, "remaining": 7, "window": 60, "reset": None, "source": None},
        ),
        ({"RateLimit-Limit": "many", "X-RateLimit-Remaining": "-1"}, None),
        ({"RateLimit-Limit": "9" * 5000}, {"limit": int("9" * 15)}),
    ],
)
def test_rate_limit(connect: Connect, headers: dict[str, str], expected: dict[str, t.Any] | None) -> None:
    with HostileRegistry(headers=headers) as server:
        found = ask(connect, server.url)["rate_limit"]
        assert found == expected or (expected and {**found, **expected} == found)


def test_headers_are_one_harmless_line(connect: Connect) -> None:
    with HostileRegistry(headers={"Via": "1.1 proxy\x1b[31m", "Set-Cookie": "session=secret"}) as server:
        found = ask(connect, server.url)
        assert found["headers"]["via"] == "1.1 proxy [31m"
        assert "secret" not in json.dumps(found)


@pytest.fixture(scope="module")
def closed() -> t.Iterator[Registry]:
    with Registry(users={"alice": "secret"}) as server:
        yield server


def test_credentials_given(connect: Connect, closed: Registry) -> None:
    found = ask(connect, closed.url, {"username": "alice", "password": "secret"})
    assert (found["authenticated"], found["authentication"], found["username"]) == (True, "basic", "alice")
    assert found["credentials_source"] == "the options username and password"
    assert "secret" not in json.dumps(found)


def test_credentials_of_a_file(connect: Connect, closed: Registry, tmp_path: t.Any) -> None:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"auths": {closed.host: {"auth": "YWxpY2U6c2VjcmV0"}}}))
    found = ask(connect, closed.url, {"auth_file": str(path)})
    assert (found["authenticated"], found["username"], found["credentials_source"]) == (
        True,
        "alice",
        str(path),
    )
    assert not [word for word in ("secret", "YWxpY2U6c2VjcmV0") if word in json.dumps(found)]


@pytest.mark.parametrize(
    ("options", "username", "sentence"),
    [
        ({}, None, "asks for a user name and password, and none were found"),
        ({"username": "alice", "password": "wrong"}, "alice", "does not accept the user name and password"),
    ],
)
def test_credentials_refused(
    connect: Connect, closed: Registry, options: dict[str, str], username: str | None, sentence: str
) -> None:
    with pytest.raises(Unauthorized, match=sentence):
        ask(connect, closed.url, options)
    found = ask(connect, closed.url, options, fail=False)
    assert (found["reachable"], found["authenticated"], found["username"]) == (True, False, username)
    assert found["error"]["kind"] == "unauthorized"
    assert sentence in found["msg"]


def test_credentials_that_nobody_asked_for(connect: Connect, registry: Registry) -> None:
    """Some registries offer a way to authenticate beside a success."""
    found = ask(connect, registry.url, {"username": "alice", "password": "secret"})
    offered = "WWW-Authenticate" in requests.get(f"{registry.url}/v2/", timeout=60).headers
    assert (found["authenticated"], found["authentication"]) == ((True, "basic") if offered else (None, None))


@pytest.mark.parametrize("anonymous", [False, True])
def test_tokens(connect: Connect, anonymous: bool) -> None:
    with HostileRegistry(auth="bearer", realm="same", anonymous="pull") as server:
        server.add("a/b", IMAGE, "1")
        options = {} if anonymous else {"username": "alice", "password": "secret"}
        found = ask(connect, server.url, options, repository="a/b", probe_deletion=True)
        assert (found["authenticated"], found["authentication"]) == (not anonymous, "bearer")
        assert found["capabilities"]["catalog"] is not anonymous
        assert found["capabilities"]["delete_manifest"] is not anonymous
        assert found["capabilities"]["head_digest"] is True


def test_unreachable(connect: Connect, nowhere: str) -> None:
    with pytest.raises(Unreachable):
        ask(connect, nowhere)
    found = ask(connect, nowhere, fail=False)
    assert (found["reachable"], found["authenticated"], found["error"]["kind"]) == (
        False,
        False,
        "unreachable",
    )
    assert set(found["capabilities"].values()) == {None}
    assert found["msg"].endswith(".")


def test_registry_that_is_not_ready(connect: Connect) -> None:
    with HostileRegistry(ping="503") as server:
        with pytest.raises(ServerFault):
            ask(connect, server.url)
        found = ask(connect, server.url, fail=False)
        assert (found["reachable"], found["error"]["status"]) == (False, 503)


def test_server_that_is_no_registry(connect: Connect) -> None:
    with HostileRegistry(ping="404") as server:
        with pytest.raises(RegistryError, match="not that of a registry's API"):
            ask(connect, server.url)


def test_tls(connect: Connect) -> None:
    with Registry(tls=True) as server:
        with pytest.raises(TlsFailure):
            ask(connect, server.url)
        assert ask(connect, server.url, fail=False)["error"]["kind"] == "tls"
        found = ask(connect, server.url, {"ca_path": server.ca})
        assert (found["reachable"], found["url"]) == (True, server.url)


def test_wrong_options_fail_in_any_case(connect: Connect, registry: Registry) -> None:
    with pytest.raises(InvalidInput):
        ask(connect, registry.url, {"auth_file": "/no/such/file"}, fail=False)
    with pytest.raises(InvalidInput):
        ask(connect, registry.url, repository="a/b:1", fail=False)
