# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_catalog_info on the real registry, and where a registry pages oddly or has no catalog."""

from __future__ import annotations

import typing as t

import pytest
import requests

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    ProtocolError,
    Unauthorized,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import registry_catalog_info
from tests.hostile import HostileRegistry
from tests.registries import Registry, images
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]
NAMES = ["cache/one", "team/app", "team/app/cache", "team/lib", "zoo"]
IMAGE = images.image({"a": "1"})


def catalog(
    connect: Connect, url: str, options: dict[str, t.Any] | None = None, **params: t.Any
) -> dict[str, t.Any]:
    clients, _client = connect(url, **{"retries": 0, **(options or {})})
    return task(registry_catalog_info, clients, **params)


def names(result: dict[str, t.Any]) -> list[str]:
    return [entry["name"] for entry in result["repositories"]]


@pytest.fixture(scope="module")
def paged() -> t.Iterator[Registry]:
    with Registry(catalog_max=2) as server:
        for name in NAMES:
            images.push(server.url, name, IMAGE, "1")
        images.push(server.url, "team/lib", IMAGE, "2")
        yield server


def test_all_pages(connect: Connect, paged: Registry) -> None:
    result = catalog(connect, paged.url)
    assert result == {
        "changed": False,
        "registry": paged.host,
        "repositories": [{"name": name, "repository": f"{paged.host}/{name}"} for name in NAMES],
        "truncated": False,
    }


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["team/*"], [], ["team/app", "team/app/cache", "team/lib"]),
        (["team/*", "z?o"], ["*/cache"], ["team/app", "team/lib", "zoo"]),
        ([], ["*[!o]"], ["zoo"]),
        (["app"], [], []),
        (["*ap*"], [], ["team/app", "team/app/cache"]),
        (["regex:.*ap.*"], [], ["team/app", "team/app/cache"]),
        (["regex:team/(app|lib)"], ["regex:.*b"], ["team/app"]),
    ],
)
def test_patterns(
    connect: Connect, paged: Registry, include: list[str], exclude: list[str], expected: list[str]
) -> None:
    assert names(catalog(connect, paged.url, include=include, exclude=exclude)) == expected


@pytest.mark.parametrize("option", ["include", "exclude"])
def test_patterns_that_match_no_repository_are_refused(connect: Connect, option: str) -> None:
    with HostileRegistry() as server:
        with pytest.raises(
            InvalidInput, match=f"'TEAM/\\*' in {option} can match no repository.*in lower case"
        ):
            catalog(connect, server.url, None, **{option: ["TEAM/*"]})
        assert not server.requests


def test_limit_reads_no_more_pages_than_it_takes(connect: Connect, paged: Registry) -> None:
    paged.clear_requests()
    result = catalog(connect, paged.url, limit=1)
    assert (names(result), result["truncated"]) == (["cache/one"], True)
    # The page of 1000 that is refused, and the first of those that are served.
    assert [status for _method, uri, status in paged.requests() if "_catalog" in uri] == [400, 200]


@pytest.mark.parametrize(("limit", "truncated"), [(4, True), (5, False), (6, False)])
def test_limit_at_the_end(connect: Connect, paged: Registry, limit: int, truncated: bool) -> None:
    result = catalog(connect, paged.url, limit=limit)
    assert (names(result), result["truncated"]) == (NAMES[:limit], truncated)


def test_limit_counts_what_matches(connect: Connect, paged: Registry) -> None:
    result = catalog(connect, paged.url, include=["team/*"], limit=2)
    assert (names(result), result["truncated"]) == (["team/app", "team/app/cache"], True)


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_must_be_positive(connect: Connect, limit: int) -> None:
    with pytest.raises(InvalidInput, match="limit must be at least 1"):
        catalog(connect, "http://127.0.0.1:1", limit=limit)


@pytest.mark.parametrize("link", ["relative", "absolute", "token", "foreign", "last-page", "wrong-prefix"])
def test_links(connect: Connect, link: str) -> None:
    with HostileRegistry(page_size=2, link=link) as server:
        for name in NAMES:
            server.add(name, IMAGE, "1")
        assert names(catalog(connect, server.url)) == NAMES
        assert {request.origin for request in server.requests} == {"registry"}


def test_a_link_to_itself_ends(connect: Connect) -> None:
    with HostileRegistry(page_size=2, link="loop") as server:
        for name in NAMES:
            server.add(name, IMAGE, "1")
        assert names(catalog(connect, server.url)) == NAMES[:2]
        assert server.count("_catalog") <= 3


def test_names_that_are_none_are_left_out(connect: Connect) -> None:
    with HostileRegistry() as server:
        for name in ("../../etc", "UPPER", "a\x1b[31m", "fine"):
            server.repository(name)
        assert names(catalog(connect, server.url, tag_counts=True)) == ["fine"]
        assert server.count("tags/list") == 1


def test_tag_counts(connect: Connect, paged: Registry) -> None:
    # One has no tags, and of the other everything was deleted: both are in the catalog.
    assert images.push(paged.url, "zzz", IMAGE) == IMAGE.digest
    images.push(paged.url, "emptied", IMAGE, "1")
    answer = requests.delete(f"{paged.url}/v2/emptied/manifests/{IMAGE.digest}", timeout=10)
    assert answer.status_code == 202
    result = catalog(connect, paged.url, tag_counts=True, exclude=["cache/*", "team/app*"])
    assert {entry["name"]: entry["tag_count"] for entry in result["repositories"]} == {
        "emptied": 0,
        "team/lib": 2,
        "zoo": 1,
        "zzz": 0,
    }


def test_tag_count_of_a_repository_that_vanishes(connect: Connect) -> None:
    with HostileRegistry() as server:
        server.add("gone", IMAGE, "1")
        server.add("stays", IMAGE, "1")
        server.before = lambda request: "tags" in request.path and server.repositories.pop("gone", None)
        result = catalog(connect, server.url, tag_counts=True)
        assert {entry["name"]: entry["tag_count"] for entry in result["repositories"]} == {
            "gone": 0,
            "stays": 1,
        }


def test_tag_count_without_the_right_to_it(connect: Connect) -> None:
    with HostileRegistry(fail_first=-1, fail_status=403, fail_on="GET /v2/secret/") as server:
        server.add("secret", IMAGE, "1")
        server.add("open", IMAGE, "1")
        result = catalog(connect, server.url, tag_counts=True)
        assert {entry["name"]: entry["tag_count"] for entry in result["repositories"]} == {
            "open": 1,
            "secret": None,
        }


@pytest.mark.parametrize("status", ["400", "404", "405", "501"])
def test_no_catalog(connect: Connect, status: str) -> None:
    with HostileRegistry(catalog=status) as server:
        with pytest.raises(Unsupported) as caught:
            catalog(connect, server.url)
        assert str(caught.value) == (
            f"{server.host} offers no catalog of its repositories: name the repositories that you need."
        )
        assert caught.value.status == int(status)
        assert caught.value.url == f"{server.url}/v2/_catalog"


def test_no_catalog_and_no_json(connect: Connect) -> None:
    with HostileRegistry(fail_first=-1, fail_status=404, fail_on="_catalog") as server:
        with pytest.raises(Unsupported, match="offers no catalog"):
            catalog(connect, server.url)


@pytest.mark.parametrize("status", ["401", "403"])
def test_hidden_catalog(connect: Connect, status: str) -> None:
    with HostileRegistry(catalog=status) as server:
        with pytest.raises(Unsupported, match="does not show its catalog to these credentials"):
            catalog(connect, server.url)


def test_catalog_that_tokens_do_not_reach(connect: Connect) -> None:
    """As on Docker Hub: anybody gets a token, but none for the catalog."""
    with HostileRegistry(auth="bearer", anonymous="pull", realm="same") as server:
        with pytest.raises(Unsupported, match="does not show its catalog to these credentials"):
            catalog(connect, server.url)


def test_wrong_credentials_are_no_matter_of_the_catalog(connect: Connect) -> None:
    with Registry(users={"alice": "secret"}) as server:
        with pytest.raises(Unauthorized, match="does not accept the user name and password"):
            catalog(connect, server.url, {"username": "alice", "password": "wrong"})
        assert names(catalog(connect, server.url, {"username": "alice", "password": "secret"})) == []


def test_wrong_address_is_no_matter_of_the_catalog(connect: Connect) -> None:
    with HostileRegistry(ping="404", fail_first=-1, fail_status=404, fail_on="_catalog") as server:
        with pytest.raises(ProtocolError, match="not that of a registry's API"):
            catalog(connect, server.url)
