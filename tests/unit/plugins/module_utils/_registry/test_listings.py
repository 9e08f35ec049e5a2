# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists end: after a number of pages, of bytes and of seconds."""

from __future__ import annotations

import json
import types
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import ProtocolError
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import OCI_INDEX
from ansible_collections.ocikit.registry.plugins.module_utils._registry import listings as _listings
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from tests.unit.stub import Stub

DIGEST = "sha256:" + "1" * 64


def endless() -> Stub:
    """A registry whose lists have a new name, and a Link to another page, on each page."""

    def answer(server: t.Any) -> None:
        number = len(stub.seen)
        link = f'<{server.path.partition("?")[0]}?last={number}>; rel="next"'
        entry = {"mediaType": OCI_INDEX, "digest": f"sha256:{number:064x}", "size": 1}
        listed = {
            "tags": [f"t{number}"],
            "repositories": [f"r{number}"],
            "manifests": [entry],
            "schemaVersion": 2,
        }
        kind = OCI_INDEX if "/referrers/" in server.path else "application/json"
        server.reply(200, json.dumps(listed).encode(), Link=link, Content_Type=kind)

    stub = Stub(answer)
    return stub


@pytest.mark.parametrize("entries", ["latest", {"latest": 1}, ["latest", 5], [["latest"]], 7, True])
@pytest.mark.parametrize("key", ["tags", "repositories"])
def test_what_is_no_list_of_names_is_no_absence(connect: t.Any, key: str, entries: t.Any) -> None:
    """What would be taken for an empty list could be deleted, or lose its protection."""
    with Stub(lambda server: server.reply(200, json.dumps({key: entries}).encode())) as stub:
        _connection, client = connect(stub.url)
        with pytest.raises(
            ProtocolError, match=f"The list of {key} at /v2/.* holds something else than names."
        ):
            client.tags("a/b") if key == "tags" else list(client.catalog())


LISTS: dict[str, t.Callable[[RegistryClient], t.Any]] = {
    "tags": lambda client: client.tags("a/b"),
    "catalog": lambda client: list(client.catalog()),
    "referrers": lambda client: client.referrers("a/b", DIGEST),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_has_a_number_of_pages(connect: t.Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(_listings, "MAX_PAGES", 7)
    with endless() as stub:
        _connection, client = connect(stub.url)
        with pytest.raises(ProtocolError, match="The list /v2/.* has more than 7 pages."):
            LISTS[name](client)
        assert len(stub.seen) == 7


@pytest.mark.parametrize("name", LISTS)
def test_a_list_has_a_size(connect: t.Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(_listings, "MAX_BYTES", 1000)
    with endless() as stub:
        _connection, client = connect(stub.url)
        with pytest.raises(ProtocolError, match="The list /v2/.* is larger than 1000 bytes in all."):
            LISTS[name](client)
        assert 3 < len(stub.seen) < 10


@pytest.mark.parametrize(("timeout", "pages", "allowed"), [(60.0, 30, "600"), (1.0, 1, "30")])
@pytest.mark.parametrize("name", LISTS)
def test_a_list_has_a_time(
    connect: t.Any, monkeypatch: pytest.MonkeyPatch, name: str, timeout: float, pages: int, allowed: str
) -> None:
    """Each page takes 20 seconds; what is done between pages does not count."""
    now = [0.0]

    def tick() -> float:
        now[0] += 20.0
        return now[0]

    monkeypatch.setattr(_listings, "time", types.SimpleNamespace(monotonic=tick))
    with endless() as stub:
        _connection, client = connect(stub.url, read_timeout=timeout)
        with pytest.raises(ProtocolError, match=f"takes longer than {allowed} seconds: raise read_timeout"):
            LISTS[name](client)
        assert len(stub.seen) == pages + 1
