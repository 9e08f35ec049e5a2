# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The everyday round, at the profile of every vendor and at the registry that runs."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils import _parallel
from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    Denied,
    NotFound,
    Unauthorized,
    Unsupported,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Manifest
from ansible_collections.ocikit.registry.plugins.modules import registry_pull, registry_push
from tests.hostile import HostileRegistry
from tests.hostile.profiles import OPERATIONS, PROFILES
from tests.registries import Registry
from tests.unit.task import task
from tests.unit.vendors import APP, EXPECTED, MULTI, ONE, REAL, SBOM, TAGS, TWO, Played, Real, Round, table

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"
READING, WRITING = OPERATIONS[:7], OPERATIONS[7:]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parallel, "_PAUSES", (0, 0.001, 0.001, 0.001))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("vendor", PROFILES)
def test_simulated(
    vendor: str, operation: str, connect: t.Callable[..., t.Any], tmp_path: pathlib.Path
) -> None:
    with HostileRegistry.vendor(vendor) as server:
        place = Played(server)
        assert Round(place, connect, tmp_path).run(operation) == EXPECTED[vendor][operation]
        place.assert_safe()


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one not in ("sign-in", "limits")])
def test_real(
    operation: str, registry: Registry, connect: t.Callable[..., t.Any], tmp_path: pathlib.Path
) -> None:
    found = Round(Real(registry), connect, tmp_path, f"vendors/{operation}").run(operation)
    assert found == EXPECTED[registry.kind.name][operation]


def test_real_sign_in(registry: Registry, connect: t.Callable[..., t.Any], tmp_path: pathlib.Path) -> None:
    with type(registry)(users={"alice": "secret"}) as guarded:
        found = Round(Real(guarded), connect, tmp_path).run("sign-in")
    assert found == EXPECTED[registry.kind.name]["sign-in"]


@pytest.mark.parametrize("vendor", ["docker-hub", "quay"])
def test_a_hidden_repository(vendor: str, connect: t.Callable[..., t.Any]) -> None:
    with HostileRegistry.vendor(vendor) as server:
        place = Played(server)
        place.fill("hidden/app", TAGS)
        _connection, client = connect(server.url, **place.options)
        with pytest.raises(Unauthorized, match="does not exist, or the credentials from .* have no right"):
            client.tags("hidden/app")
        place.assert_safe()


def test_a_push_makes_no_repository_at_ecr(connect: t.Callable[..., t.Any], tmp_path: pathlib.Path) -> None:
    with HostileRegistry() as other:
        other.add("x/y", MULTI, "multi")
        connection, _client = connect(other.url)
        task(registry_pull, connection, image=["x/y:multi"], dest=str(tmp_path / "layout"))
    with HostileRegistry.vendor("ecr") as server:
        place = Played(server)
        connection, _client = connect(server.url, **place.options)
        with pytest.raises(NotFound, match="NAME_UNKNOWN"):
            task(registry_push, connection, src=str(tmp_path / "layout"), image=f"{APP}:multi")
        assert not server.repositories
        place.assert_safe()


def test_docker_hub_shows_late_that_it_deletes_no_tag(
    connect: t.Callable[..., t.Any], tmp_path: pathlib.Path
) -> None:
    with HostileRegistry.vendor("docker-hub") as server:
        place = Played(server)
        place.fill(APP, TAGS)
        before = set(server.repositories[APP].manifests)
        place.expect(["1"])
        with pytest.raises(Denied, match="all tags were put back and verified"):
            Round(place, connect, tmp_path).remove(["1"])
        (placeholder,) = set(server.repositories[APP].manifests) - before
        assert server.state(APP) == {name: image.digest for name, image in TAGS.items()}
        assert placeholder not in server.state(APP).values()
        place.assert_safe()


def test_a_referrer_without_a_tag_stays_on_quay(
    connect: t.Callable[..., t.Any], tmp_path: pathlib.Path
) -> None:
    with HostileRegistry.vendor("quay") as server:
        place = Played(server)
        place.fill(APP, {"1": ONE, "2": TWO})
        _connection, client = connect(server.url, **place.options)
        server.add(APP, SBOM)
        assert client.put_manifest(APP, SBOM.digest, Manifest.parse(SBOM.raw, SBOM.media_type))
        place.expect(["1", "2"])
        with pytest.raises(Unsupported, match=f"still serves or lists {SBOM.digest}"):
            Round(place, connect, tmp_path).remove_all()
        assert [one for one in (ONE, TWO, SBOM) if place.serves(APP, one.digest)] == [SBOM]
        place.assert_safe()


def test_an_image_of_an_index_that_has_lost_its_tags_stays_on_the_newest_zot(
    connect: t.Callable[..., t.Any], tmp_path: pathlib.Path
) -> None:
    with HostileRegistry.vendor("zot-newest") as server:
        place = Played(server)
        place.fill(APP, TAGS)
        place.expect(["multi", "1", "1.0", "latest"])
        Round(place, connect, tmp_path).remove(["multi"])
        assert place.serves(APP, MULTI.digest)
        with pytest.raises(Unsupported, match="HTTP 405 DENIED: The manifest is referenced by an index"):
            Round(place, connect, tmp_path).remove(["1", "1.0", "latest"], "manifest")
        assert place.serves(APP, ONE.digest)
        assert server.state(APP) == {"2": TWO.digest, "2.0": TWO.digest}
        place.assert_safe()


def test_every_vendor_has_its_expectations() -> None:
    assert set(EXPECTED) == {*REAL, *PROFILES}
    assert all(set(outcomes) == set(OPERATIONS) for outcomes in EXPECTED.values())


@pytest.mark.parametrize("operations", [READING, WRITING], ids=["reading", "writing"])
def test_the_document_says_what_is_tested(operations: t.Sequence[str]) -> None:
    assert table(operations) in DOCUMENT.read_text(encoding="utf-8"), table(operations)
