# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories that a policy names, by their names or by patterns over catalogs."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._prune.options import Policy, read_policies
from ansible_collections.ocikit.registry.plugins.module_utils._prune.repositories import Catalogs
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.module_utils._registry.context import ModuleContext
from tests.hostile import HostileRegistry

Connect = t.Callable[..., t.Tuple[RegistryClients, t.Any]]
RULES = [{"match": {"tags": ["*"]}, "delete": True}]


def policy(*entries: str) -> Policy:
    params = {"policies": [], "repositories": entries, "rules": RULES, "protect": [], "option_names": {}}
    limits = {"unknown_age": "keep", "max_delete": None, "max_delete_percent": None}
    (read,) = read_policies({**params, **limits})
    assert isinstance(read, Policy)
    return read


def catalogs(connect: Connect, server: HostileRegistry, registry: bool = True) -> Catalogs:
    clients, _client = connect(server.url, retries=0)
    return Catalogs(ModuleContext({"registry": server.url if registry else None}, False, clients))


@pytest.fixture
def server() -> t.Iterator[HostileRegistry]:
    with HostileRegistry() as server:
        for name in ("team/app", "team/lib", "other"):
            server.repository(name)
        yield server


def test_names_come_before_patterns_and_each_once(connect: Connect, server: HostileRegistry) -> None:
    named = policy("team/*", "unlisted", f"{server.host}/team/*", "regex:team/app|other", "other")
    found = catalogs(connect, server).repositories(named)
    assert [reference.repository for reference in found] == ["unlisted", "other", "team/app", "team/lib"]
    assert server.count("_catalog") == 1


def test_names_alone_need_no_catalog(connect: Connect, server: HostileRegistry) -> None:
    found = catalogs(connect, server, registry=False).repositories(policy("team/app"))
    assert [str(reference) for reference in found] == [f"{server.host}/team/app"]
    assert server.requests == []


def test_a_pattern_that_matches_nothing_is_warned_about(
    connect: Connect, server: HostileRegistry, events: t.Any
) -> None:
    assert catalogs(connect, server).repositories(policy("no/*")) == []
    (warning,) = events.warnings
    assert f"no/* in repositories matches no repository in the catalog of {server.host}" in warning


@pytest.mark.parametrize(
    ("entry", "registry", "sentence"),
    [
        ("team/*", False, "is a pattern over the catalog of a registry: write the registry before it"),
        ("regex:.*", False, "is a pattern over the catalog of a registry"),
        ("TEAM/*", True, "can match no repository"),
        ("team/app:1", True, "must be a repository: leave out the tag and the digest"),
    ],
)
def test_entries_that_are_refused_before_any_request(
    connect: Connect, server: HostileRegistry, entry: str, registry: bool, sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        catalogs(connect, server, registry).check(policy(entry))
    assert server.requests == []
