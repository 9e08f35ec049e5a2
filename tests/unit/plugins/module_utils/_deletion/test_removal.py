# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One tag that is to be removed: what is shown of it, and the guards that look at it again."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._deletion.removal import TagMoved, TagRemoval
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.module_utils._registry.repository import Repository
from tests.hostile import HostileRegistry
from tests.unit.removing import ONE, STATE, TWO, seeded

Connect = t.Callable[..., t.Tuple[RegistryClients, t.Any]]


@pytest.fixture
def place(connect: Connect) -> t.Iterator[tuple[HostileRegistry, Repository]]:
    with HostileRegistry() as server:
        seeded(server)
        clients, _client = connect(server.url, retries=0)
        yield server, clients.repository_of(clients.repository("a/b"))


def removal(digest: str | None = ONE.digest, tag: str = "1") -> TagRemoval:
    return TagRemoval(tag, Descriptor(ONE.media_type, digest, 1) if digest else None, ["1.0"])


def test_results_show_what_was_done_or_would_be() -> None:
    one = removal()
    assert (one.to_dict(False)["changed"], one.to_dict(True)["changed"]) == (False, True)
    one.method = "placeholder"
    assert one.to_dict(False) == {
        "tag": "1",
        "digest": ONE.digest,
        "dangling": False,
        "siblings": ["1.0"],
        "method": "placeholder",
        "changed": True,
    }
    dangling = removal(None)
    assert (dangling.digest, dangling.former) == (None, "1 (dangling)")
    assert dangling.to_dict(False)["dangling"] is True


def test_a_tag_that_is_as_it_was_may_be_removed(place: tuple[HostileRegistry, Repository]) -> None:
    _server, repository = place
    removal().unmoved(repository)()
    removal(TWO.digest).unmoved(repository, ONE.digest)()
    removal(tag="gone").unmoved(repository, None)()


@pytest.mark.parametrize(
    ("tag", "digest", "sentence"),
    [
        ("1", TWO.digest, f"a/b:1 moved from {TWO.digest} to {ONE.digest} while it was to be removed"),
        ("1", None, f"a/b:1 moved from nothing to {ONE.digest}"),
        ("gone", ONE.digest, f"a/b:gone moved from {ONE.digest} to nothing"),
    ],
)
def test_a_tag_that_moved_is_left_alone(
    place: tuple[HostileRegistry, Repository], tag: str, digest: str | None, sentence: str
) -> None:
    server, repository = place
    one = removal(digest, tag)
    with pytest.raises(TagMoved, match=sentence):
        one.sending("name", one.unmoved(repository))()
    # What was not sent need not be looked for.
    assert one.attempt is None
    assert server.repositories["a/b"].tags == STATE


def test_a_request_that_may_be_sent_is_noted(place: tuple[HostileRegistry, Repository]) -> None:
    _server, repository = place
    one = removal()
    one.sending("manifest", one.unmoved(repository))()
    assert (one.attempt, one.method) == ("manifest", None)
