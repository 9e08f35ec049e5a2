# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever writes a tag looks at its condition before every send, and says what the tag is after a failure."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    Refused,
    RegistryError,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.module_utils._registry.placeholder import make_placeholder
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.targets import Sought, look_up
from ansible_collections.ocikit.registry.plugins.modules import (
    registry_append,
    registry_copy,
    registry_promote,
    registry_push,
    registry_tag,
)
from tests.hostile import HostileRegistry, Request
from tests.registries import images
from tests.unit.copying import Mover
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, t.Any]]
Result = t.Dict[str, t.Any]
ONE, TWO, OTHER = (images.image({"file": name}) for name in ("one", "two", "other"))
PUT = "^PUT .*/manifests/live$"
WRITES = "^(PUT|POST|PATCH|DELETE) "


class Way:
    """One way to let the tag ``live`` of a/b, or of c/d, be what a/b:new is."""

    def __init__(self, connect: Connect, mover: Mover, folder: pathlib.Path, name: str) -> None:
        self._connect = connect
        self._mover = mover
        self._folder = folder
        self.name = name
        self.options: dict[str, t.Any] = {}
        self.repository = "c/d" if name in ("tag elsewhere", "copy", "promote elsewhere") else "a/b"

    def prepare(self, server: HostileRegistry) -> None:
        """Read what is pushed from disk, and forget the requests."""
        if self.name == "push":
            self._mover.pull(server.url, "a/b:new", self._folder / "layout", options=self.options)
        server.requests.clear()

    def run(self, server: HostileRegistry, retries: int = 2, **params: t.Any) -> Result:
        """Write the tag. ``if_digest`` and ``overwrite`` may be given where the module has them."""
        clients, _client = self._connect(server.url, retries=retries, **self.options)
        target = f"{self.repository}:live"
        if self.name.startswith("tag"):
            return task(registry_tag, clients, image="a/b:new", to=[target], **params)
        if self.name == "copy":
            return task(registry_copy, clients, image="a/b:new", to=target, **params)
        if self.name == "push":
            layout = str(self._folder / "layout")
            return task(registry_push, clients, src=layout, image=target, **params)
        if self.name == "append":
            return task(registry_append, clients, image="a/b:new", tags=["live"], labels={"a": "b"}, **params)
        return task(registry_promote, clients, images=[{"image": "a/b:new", "to": [target], **params}])

    def conditions(self, server: HostileRegistry) -> list[Result]:
        """Return the conditions that the module has, which hold now."""
        before = server.repository(self.repository).tags.get("live")
        found: list[Result] = []
        if self.name != "copy":
            found.append({"if_digest": before or "absent"})
        if not self.name.startswith("promote") and before is None:
            found.append({"overwrite": False})
        return found


WAYS = ("tag", "tag elsewhere", "copy", "push", "append", "promote", "promote elsewhere")


@pytest.fixture(params=WAYS)
def way(
    request: pytest.FixtureRequest, connect: Connect, mover: Mover, tmp_path: pathlib.Path
) -> t.Iterator[Way]:
    yield Way(connect, mover, tmp_path, request.param)


def seeded(way: Way, old: images.Image | None = TWO, **behaviours: t.Any) -> HostileRegistry:
    """Return a registry with a/b:new, and live as ``old`` where it is to be written."""
    server = HostileRegistry(**behaviours)
    server.add("a/b", ONE, "new")
    if old:
        server.add(way.repository, old, "live")
    return server


# Conditions


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("old", [None, TWO], ids=["absent", "there"])
def test_a_condition_is_looked_at_again_before_a_retry(
    way: Way, status: int, old: images.Image | None
) -> None:
    """The registry refuses the first try, and in the pause that it asks for somebody else pushes."""
    for number in range(2):
        with seeded(way, old, fail_first=1, fail_on=PUT, fail_status=status) as server:
            way.prepare(server)
            conditions = way.conditions(server)
            if number >= len(conditions):
                continue

            def before(request: Request, server: HostileRegistry = server) -> None:
                if server.count(PUT):
                    server.before = None
                    server.add(way.repository, OTHER, "live")

            server.before = before
            with pytest.raises(Refused, match=f"live moved from .* to {OTHER.digest} meanwhile") as caught:
                way.run(server, **conditions[number])
            assert server.repository(way.repository).tags["live"] == OTHER.digest
            assert server.count(PUT) == 1
            (target,) = caught.value.result["targets"]
            assert target["digest"] == OTHER.digest


def test_a_promotion_looks_again_before_a_retry_without_a_condition_too(
    connect: Connect, mover: Mover, tmp_path: pathlib.Path
) -> None:
    for name in ("promote", "promote elsewhere"):
        way = Way(connect, mover, tmp_path, name)
        with seeded(way, fail_first=1, fail_on=PUT) as server:

            def before(request: Request, server: HostileRegistry = server, way: Way = way) -> None:
                if server.count(PUT):
                    server.before = None
                    server.add(way.repository, OTHER, "live")

            server.before = before
            with pytest.raises(Refused, match="moved from .* meanwhile"):
                way.run(server)
            assert server.repository(way.repository).tags["live"] == OTHER.digest


@pytest.mark.parametrize("old", [None, TWO], ids=["absent", "there"])
def test_an_own_write_whose_answer_was_lost_is_not_taken_for_that_of_another(
    way: Way, old: images.Image | None
) -> None:
    """The look before the retry finds what was to be written: it is done."""
    with seeded(way, old) as probe:
        conditions = [{}, *way.conditions(probe)]
    for condition in conditions:
        with seeded(way, old, drop_first=1, drop_on=PUT, drop_when="after") as server:
            way.prepare(server)
            result = way.run(server, **condition)
            digest = server.repository(way.repository).tags["live"]
            assert result["changed"] is True
            assert [target["digest"] for target in result["targets"]] == [digest]
            assert digest not in (TWO.digest, OTHER.digest)
            if condition:
                assert server.count(PUT) == 1


def test_a_hotfix_after_a_lost_answer_is_not_overwritten(way: Way) -> None:
    """Our write was carried out, its answer was lost, and somebody else pushed before the retry."""
    with seeded(way) as probe:
        conditions = way.conditions(probe)
    for condition in conditions:
        with seeded(way, drop_first=1, drop_on=PUT, drop_when="after") as server:
            way.prepare(server)

            def before(request: Request, server: HostileRegistry = server) -> None:
                if server.count(PUT) and request.method != "PUT":
                    server.before = None
                    server.add(way.repository, OTHER, "live")

            server.before = before
            with pytest.raises(Refused, match=f"to {OTHER.digest} meanwhile"):
                way.run(server, **condition)
            assert server.repository(way.repository).tags["live"] == OTHER.digest


# Answers that are lost, and reads that lag


def test_a_write_that_was_carried_out_although_its_answer_was_lost_is_told(way: Way) -> None:
    """Reads show what was before for a while: the result must not say so."""
    if way.name.startswith("promote"):
        pytest.skip("a promotion takes the write back")
    with seeded(way, drop_first=1, drop_on=PUT, drop_when="after", read_lag=2) as server:
        way.prepare(server)
        with pytest.raises(RegistryError) as caught:
            way.run(server, retries=0)
        assert caught.value.kind == "unreachable"
        (target,) = caught.value.result["targets"]
        assert target["digest"] == server.repository(way.repository).tags["live"] != TWO.digest
        assert caught.value.result["changed"] is True


def test_a_write_that_was_acknowledged_is_told_however_reads_lag(way: Way) -> None:
    with seeded(way, read_lag=2) as server:
        way.prepare(server)
        result = way.run(server)
        assert [one["digest"] for one in result["targets"]] == [
            server.repository(way.repository).tags["live"]
        ]


def test_a_write_that_was_refused_is_looked_up_once(way: Way) -> None:
    """Nothing is waited for where it is certain that nothing happened."""
    with seeded(way, fail_first=-1, fail_status=403, fail_on=PUT) as server:
        way.prepare(server)
        with pytest.raises(RegistryError) as caught:
            way.run(server)
        assert caught.value.kind == "denied"
        assert [one["digest"] for one in caught.value.result["targets"]] == [TWO.digest]
        after = [request for request in server.requests if request.path.endswith("/live")]
        puts = [number for number, request in enumerate(after) if request.method == "PUT"]
        assert len(after) - 1 - puts[0] == 1


# Registries that delete an image with its last tag


TREE = images.index([TWO, OTHER])


@pytest.mark.parametrize("old", [TWO, TREE], ids=["child of an index", "index"])
def test_what_the_tag_had_stays_where_registries_drop_images_with_their_last_tag(
    way: Way, events: t.Any, old: images.Image
) -> None:
    with seeded(way, old, last_tag="drop") as server:
        if old is TWO:
            server.add(way.repository, TREE, "tree")
        way.prepare(server)
        assert way.run(server)["changed"] is True
        assert {TREE.digest, TWO.digest, OTHER.digest} <= set(server.repository(way.repository).manifests)
        assert events.warnings == []


def test_what_the_tag_had_and_cannot_be_put_back_is_warned_about(way: Way, events: t.Any) -> None:
    with seeded(
        way, last_tag="drop", fail_first=-1, fail_status=403, fail_on=f"PUT .*{TWO.digest}"
    ) as server:
        way.prepare(server)
        assert way.run(server)["changed"] is True
        (warning,) = events.warnings
        assert f"/{way.repository}@{TWO.digest} is gone with its last tag" in warning


def test_whether_the_old_image_stays_is_warned_about_where_it_cannot_be_looked_up(
    way: Way, events: t.Any
) -> None:
    """The tag has moved, and that is what the task is about."""
    with seeded(way) as server:
        way.prepare(server)

        def before(request: Request) -> None:
            if request.method == "PUT" and request.path.endswith("/live"):
                server.behaviour.fail_on = f"(HEAD|GET) .*{TWO.digest}"
                server.behaviour.fail_first, server.behaviour.fail_status = -1, 403

        server.before = before
        assert way.run(server)["changed"] is True
        (warning,) = events.warnings
        assert f"It could not be looked up whether {TWO.digest} is still in" in warning


# Looks


def test_absence_is_certain_where_it_matters(connect: Connect) -> None:
    """A HEAD that is answered with 404 is believed of a registry that served another one in the same round."""
    with HostileRegistry() as server:
        server.add("a/b", ONE, "new")
        for certain, names, expected in (
            (True, ["absent"], ["HEAD", "GET"]),
            (False, ["absent"], ["HEAD"]),
            (True, ["absent", "new"], ["HEAD", "HEAD"]),
        ):
            clients, _client = connect(server.url)
            server.requests.clear()
            references = [clients.reference(f"a/b:{name}") for name in names]
            sought = [Sought(clients.repository_of(one), one, certain) for one in references]
            found = look_up(sought, 8)
            assert [one.digest if one else None for one in found] == [None, ONE.digest][: len(names)]
            assert [request.method for request in server.requests] == expected
    with HostileRegistry(head="404") as server:
        server.add("a/b", ONE, "new")
        clients, _client = connect(server.url)
        reference = clients.reference("a/b:new")
        (descriptor,) = look_up([Sought(clients.repository_of(reference), reference)], 8)
        assert descriptor and descriptor.digest == ONE.digest


# Placeholders


@pytest.mark.parametrize("docker", [False, True])
@pytest.mark.parametrize("check_mode", [False, True])
def test_a_placeholder_is_not_carried_on(
    connect: Connect, mover: Mover, tmp_path: pathlib.Path, docker: bool, check_mode: bool
) -> None:
    """Neither to a new tag nor to one that is the placeholder already; the message says what it is."""
    placeholder = make_placeholder({"new": ONE.digest}, docker)
    image = images.Image(
        placeholder.manifest.raw,
        placeholder.manifest.media_type,
        {descriptor.digest: content for descriptor, content in placeholder.blobs.items()},
    )
    for name in WAYS:
        for old in (None, image):
            with HostileRegistry() as server:
                way = Way(connect, mover, tmp_path / name, name)
                server.add("a/b", image, "new")
                if old:
                    server.add(way.repository, old, "live")
                way.prepare(server)
                with pytest.raises(
                    RegistryError, match="is no image but the placeholder of an interrupted"
                ) as caught:
                    way.run(server)
                assert caught.value.kind == "refused"
                assert server.count(WRITES) == 0


def test_an_image_that_inherited_the_label_of_a_placeholder_is_an_image(way: Way) -> None:
    label = {"ocikit.registry.removed": '{"new": "sha256:' + "0" * 64 + '"}'}
    image = images.image({"file": "app"}, labels=label)
    with HostileRegistry() as server:
        server.add("a/b", image, "new")
        way.prepare(server)
        assert way.run(server)["changed"] is True


# Secrets


@pytest.mark.parametrize("secret", ["live", ONE.digest[20:25], TWO.digest[20:25]], ids=["name", "new", "old"])
def test_a_secret_that_is_part_of_a_name_or_digest_is_told(way: Way, events: t.Any, secret: str) -> None:
    """Ansible masks it there. A promotion, whose result is used for lock files and undos, is refused."""
    with seeded(way, auth="basic", user=("deployer", secret)) as server:
        way.options = {"username": "deployer", "password": secret}
        way.prepare(server)
        if way.name.startswith("promote"):
            with pytest.raises(
                InvalidInput, match="use another password or token. Nothing was changed."
            ) as caught:
                way.run(server)
            assert secret not in str(caught.value)
            assert server.count(WRITES) == 0
        elif way.name != "append" or secret != ONE.digest[20:25]:
            assert way.run(server)["changed"] is True
            (warning,) = events.warnings
            assert "occurs in the name or the digest of an image" in warning and secret not in warning
