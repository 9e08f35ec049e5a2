# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two plays at the same time: what one does while the other waits at a certain request, before a real registry.

Each play has a proxy of its own before the same registry, so that one of them can be held. No registry writes or
deletes on a condition; where a lost update cannot be noticed, the test says so, and docs/safety.md does.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import types
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils import _parallel
from ansible_collections.ocikit.registry.plugins.module_utils._errors import Refused, RegistryError
from ansible_collections.ocikit.registry.plugins.module_utils._registry import fallback_tag as _fallback_tag
from ansible_collections.ocikit.registry.plugins.modules import registry_promote, registry_rmtag, registry_tag
from tests.chaos.proxy import Hold, Proxy
from tests.chaos.state import Plain, check_held, read_local, whole, write_layout
from tests.registries import Registry, images
from tests.unit.copying import Mover
from tests.unit.pruning import Pruner
from tests.unit.task import task

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = 30
Result = t.Dict[str, t.Any]
Connect = t.Callable[..., t.Any]

ONE, TWO, THREE = (images.image({"file": name}) for name in ("one", "two", "three"))
INDEX = images.index([ONE, TWO])
SBOMS = [
    images.artifact("application/vnd.example.sbom", name.encode(), "text/plain", subject=ONE)
    for name in ("a", "b")
]
CANDIDATE_RULES = [{"match": {"tags": ["old-*"]}, "delete": True}]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parallel, "_PAUSES", (0, 0.01))
    monkeypatch.setattr(_fallback_tag, "_PAUSE", 0.001)


@pytest.fixture(name="ways")
def fixture_ways(registry: Registry) -> t.Iterator[tuple[Proxy, Proxy]]:
    """Two ways to the same registry."""
    with Proxy(registry.url) as first, Proxy(registry.url) as second:
        yield first, second


@pytest.fixture(name="plain")
def fixture_plain(registry: Registry) -> t.Iterator[Plain]:
    with contextlib.closing(Plain(registry.url)) as plain:
        yield plain


class Play:
    """One function, carried out in a thread of its own."""

    def __init__(self, function: t.Callable[[], Result]) -> None:
        self._function = function
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:
            self._error = error

    def result(self) -> Result:
        """Wait for the end, and return the result or raise the error."""
        self._thread.join(SECONDS)
        assert not self._thread.is_alive(), "it does not end"
        if self._error:
            raise self._error
        assert self._result is not None
        return self._result


def held(hold: Hold, function: t.Callable[[], Result], meanwhile: t.Callable[[], object]) -> Play:
    """Start ``function``, do ``meanwhile`` while it is held, and let it go on."""
    play = Play(function)
    assert hold.reached.wait(SECONDS), "it never comes to the request that is held"
    try:
        meanwhile()
    finally:
        hold.release()
    assert not hold.expired, "it was not held long enough"
    return play


class Modules:
    """The modules' functions, each for references at one way to the registry."""

    def __init__(self, connect: Connect, mover: Mover) -> None:
        self._connect = connect
        self._mover = mover

    def tag(self, way: Proxy, image: str, to: str, **params: t.Any) -> Result:
        return self._run(registry_tag, way, image=image, to=[to], **params)

    def promote(self, way: Proxy, image: str, to: str) -> Result:
        return self._run(registry_promote, way, images=[{"image": image, "to": [to]}])

    def rmtag(self, way: Proxy, repository: str, *tags: str) -> Result:
        # The way that takes longest; some registries know a shorter one.
        return self._run(registry_rmtag, way, image=repository, tags=list(tags), strategy="placeholder")

    def prune(self, way: Proxy, *repositories: str, **params: t.Any) -> Result:
        rules = CANDIDATE_RULES if repositories else []
        return Pruner(self._connect)(
            way.url, *repositories, **{"rules": rules, "max_delete_percent": 100.0, **params}
        )

    def push(self, way: Proxy, layout: pathlib.Path, image: str, **params: t.Any) -> Result:
        return self._mover.push(way.url, layout, image, **params)

    def copy(self, way: Proxy, image: str, to: str, **params: t.Any) -> Result:
        return self._mover.copy(way.url, image, to, **params)

    def _run(self, module: types.ModuleType, way: Proxy, **params: t.Any) -> Result:
        connection, _client = self._connect(way.url, retries=0)
        return task(module, connection, **params)


@pytest.fixture(name="modules")
def fixture_modules(connect: Connect, mover: Mover) -> Modules:
    return Modules(connect, mover)


# One tag, two writers

WRITERS = ["tag", "tag elsewhere", "push", "copy"]


def writer(modules: Modules, way: Proxy, plain: Plain, place: pathlib.Path, kind: str) -> tuple[str, t.Any]:
    """Return a repository, and a function that lets its tag ``stable`` point to ONE through ``way``; to a new image by a push."""
    name = f"{kind.replace(' ', '-')}/{place.name.replace('_', '-').lower()}"
    plain.put(name, ONE, "one")
    plain.put(name, TWO, "two")
    plain.put(f"{name}/source", ONE, "one")
    # No repository of the registry has its blobs.
    write_layout(place / "layout", {"app": images.image({"file": name})})
    to = f"{name}:stable"
    functions: dict[str, t.Any] = {
        "tag": lambda **params: modules.tag(way, f"{name}:one", to, **params),
        "tag elsewhere": lambda **params: modules.tag(way, f"{name}/source:one", to, **params),
        "push": lambda **params: modules.push(way, place / "layout", to, **params),
        "copy": lambda **params: modules.copy(way, f"{name}/source:one", to, **params),
    }
    return name, functions[kind]


def after_the_checks(kind: str) -> str:
    """Return a pattern for the first request of a writer after all conditions were checked."""
    return "^POST .*/blobs/uploads/" if kind == "push" else "^GET .*/manifests/(one|sha256)"


def overtaken(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain, place: pathlib.Path, at: str, kind: str = "tag"
) -> tuple[str, Play]:
    """Write ``stable`` by the first way if it is THREE, held at a request while the second way makes it TWO."""
    first, second = ways
    name, write = writer(modules, first, plain, place, kind)
    plain.put(name, THREE, "stable")
    play = held(
        first.hold(at),
        lambda: write(if_digest=THREE.digest),
        lambda: modules.tag(second, f"{name}:two", f"{name}:stable", if_digest=THREE.digest),
    )
    return name, play


@pytest.mark.parametrize("kind", WRITERS)
def test_a_tag_made_after_the_first_look_is_not_overwritten(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain, tmp_path: pathlib.Path, kind: str
) -> None:
    """A copy takes its time after all conditions were checked, so they are once more before the tag is written."""
    first, second = ways
    name, write = writer(modules, first, plain, tmp_path, kind)
    hold = first.hold(after_the_checks(kind))
    play = held(
        hold, lambda: write(overwrite=False), lambda: modules.tag(second, f"{name}:two", f"{name}:stable")
    )
    with pytest.raises(RegistryError, match="is left alone|overwrite is false") as caught:
        play.result()
    assert caught.value.kind == "refused"
    assert plain.tags(name)["stable"] == TWO.digest


@pytest.mark.parametrize("kind", ["tag", "tag elsewhere", "push"])
def test_a_tag_that_moves_after_the_first_look_is_noticed_by_if_digest(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain, tmp_path: pathlib.Path, kind: str
) -> None:
    name, play = overtaken(modules, ways, plain, tmp_path, after_the_checks(kind), kind)
    with pytest.raises(RegistryError, match=f"moved from {THREE.digest} to {TWO.digest} meanwhile") as caught:
        play.result()
    assert caught.value.kind == "refused"
    assert caught.value.result["targets"][0]["digest"] == TWO.digest
    assert plain.tags(name)["stable"] == TWO.digest


def test_a_tag_that_moves_before_the_first_look_is_refused(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain, tmp_path: pathlib.Path
) -> None:
    name, play = overtaken(modules, ways, plain, tmp_path, "^HEAD .*/manifests/stable")
    with pytest.raises(RegistryError, match="as if_digest demands"):
        play.result()
    assert plain.tags(name)["stable"] == TWO.digest


def test_between_the_last_look_and_the_write_nobody_can_tell(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain, tmp_path: pathlib.Path
) -> None:
    """What docs/safety.md says: there is a moment in which the one who writes last is right."""
    name, play = overtaken(modules, ways, plain, tmp_path, "^PUT .*/manifests/stable")
    assert play.result()["changed"] is True
    assert plain.tags(name)["stable"] == ONE.digest


# Promotions


def promoting(modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain, name: str, hold: Hold) -> Play:
    """Promote ONE by the first way, and TWO by the second while the first is held."""
    first, second = ways
    plain.put(f"{name}/dev", ONE, "one")
    plain.put(f"{name}/dev", TWO, "two")
    plain.put(f"{name}/prod", THREE, "stable")
    return held(
        hold,
        lambda: modules.promote(first, f"{name}/dev:one", f"{name}/prod:stable"),
        lambda: modules.promote(second, f"{name}/dev:two", f"{name}/prod:stable"),
    )


def test_a_promotion_sees_another_before_it_moves_a_tag(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain
) -> None:
    play = promoting(modules, ways, plain, "promote/early", ways[0].hold("^GET .*/manifests/sha256"))
    # zot drops what has no tag any more, and with that what a roll-back would need.
    with pytest.raises(RegistryError, match=f"moved from {THREE.digest} to {TWO.digest} meanwhile|not exist"):
        play.result()
    assert plain.tags("promote/early/prod") == {"stable": TWO.digest}


def test_a_promotion_sees_another_after_it_moved_a_tag(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain
) -> None:
    hold = ways[0].hold("^PUT .*/manifests/stable", after=True)
    play = promoting(modules, ways, plain, "promote/late", hold)
    with pytest.raises(RegistryError, match="something else moves it.*left alone") as caught:
        play.result()
    assert caught.value.result["targets"][0]["digest"] == TWO.digest
    assert plain.tags("promote/late/prod") == {"stable": TWO.digest}


# Places on disk


@contextlib.contextmanager
def playing(what: str, way: Proxy, **arguments: t.Any) -> t.Iterator[subprocess.Popen[str]]:
    """Pull or push in a process of its own."""
    given = {"what": what, "url": way.url, **arguments}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.unit.interruption", json.dumps(given, default=str)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / ".cache" / "dev"), str(ROOT)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def end(process: subprocess.Popen[str]) -> None:
    """Wait for the end of a process, which must be a good one."""
    said, _nothing = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said


@pytest.mark.parametrize("form", ["oci", "dir", "oci-archive", "docker-archive"])
def test_two_pulls_to_one_place(
    ways: tuple[Proxy, Proxy], plain: Plain, tmp_path: pathlib.Path, form: str
) -> None:
    """The second waits for the first. A layout has both images then, each other place the one that came last."""
    name, dest = f"pulls/{form}", tmp_path / "place" / "app"
    dest.parent.mkdir()
    plain.put(name, ONE, "one")
    plain.put(name, TWO, "two")
    hold, look = ways[0].hold("^GET .*/blobs/"), ways[1].hold("^GET .*/manifests/")
    with playing("pull", ways[0], image=f"{name}:one", dest=dest, format=form) as one:
        assert hold.reached.wait(SECONDS)
        with playing("pull", ways[1], image=f"{name}:two", dest=dest, format=form) as two:
            assert look.reached.wait(SECONDS)
            look.release()
            hold.release()
            end(one)
            end(two)
    found, blobs = read_local(dest)
    expected = {"oci": {"one": ONE.digest, "two": TWO.digest}, "dir": {"": TWO.digest}}
    assert found == expected.get(form, {"two": TWO.digest})
    for digest in found.values():
        check_held(blobs, {ONE.digest: ONE, TWO.digest: TWO}[digest])
    record = [] if form.endswith("archive") else [f".{dest.name}.ocikit-verified"]
    assert sorted(path.name for path in dest.parent.iterdir()) == [*record, dest.name]


def test_many_pulls_to_one_layout(
    registry: Registry, mover: Mover, plain: Plain, tmp_path: pathlib.Path
) -> None:
    """However they come: none of the entries is lost."""
    wanted = {}
    for number in range(8):
        wanted[f"v{number}"] = images.image({"number": str(number)})
        plain.put("pulls/many", wanted[f"v{number}"], f"v{number}")
    dest = tmp_path / "layout"

    def pull(name: str) -> t.Callable[[], Result]:
        return lambda: mover.pull(registry.url, f"pulls/many:{name}", dest)

    plays = [Play(pull(name)) for name in wanted]
    assert all(play.result()["changed"] for play in plays)
    found, blobs = read_local(dest)
    assert found == {name: image.digest for name, image in wanted.items()}
    for image in wanted.values():
        check_held(blobs, image)


def test_a_push_from_a_layout_that_is_pulled_to(
    modules: Modules, mover: Mover, ways: tuple[Proxy, Proxy], plain: Plain, tmp_path: pathlib.Path
) -> None:
    first, second = ways
    plain.put("pulls/source", TWO, "two")
    write_layout(tmp_path / "layout", {"one": ONE})
    play = held(
        first.hold("^HEAD .*/sha256:"),
        lambda: modules.push(first, tmp_path / "layout", "pulls/target:one", name="one"),
        lambda: mover.pull(second.url, "pulls/source:two", tmp_path / "layout"),
    )
    assert play.result()["changed"] is True
    assert plain.tags("pulls/target") == {"one": ONE.digest}
    plain.check_whole("pulls/target", ONE)
    assert read_local(tmp_path / "layout")[0] == {"one": ONE.digest, "two": TWO.digest}


# Removal


def test_a_tag_that_is_pushed_before_its_removal_stays(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain
) -> None:
    first, second = ways
    plain.put("rm/early", ONE, "1", "1.0")
    plain.put("rm/early", TWO, "2")
    play = held(
        # The probe, after the first look at all tags.
        first.hold("^DELETE .*/manifests/sha256"),
        lambda: modules.rmtag(first, "rm/early", "1"),
        lambda: modules.tag(second, "rm/early:2", "rm/early:1"),
    )
    with pytest.raises(RegistryError, match="moved from .* while it was to be removed: it is left alone"):
        play.result()
    assert plain.tags("rm/early") == {"1": TWO.digest, "1.0": ONE.digest, "2": TWO.digest}


@pytest.mark.registry_does("digest_tags")
def test_a_tag_that_is_pushed_while_it_is_a_placeholder_stays(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain
) -> None:
    """The deletion does not take it along, and what was removed besides it comes back."""
    first, second = ways
    plain.put("rm/late", ONE, "1", "1.0", "3")
    plain.put("rm/late", TWO, "2")
    play = held(
        first.hold("^PUT .*/manifests/3", after=True),
        lambda: modules.rmtag(first, "rm/late", "1", "3"),
        lambda: modules.tag(second, "rm/late:2", "rm/late:1"),
    )
    with pytest.raises(RegistryError, match=f"rm/late:1 was pushed again, as {TWO.digest}, .*: it stays"):
        play.result()
    assert plain.tags("rm/late") == {"1": TWO.digest, "1.0": ONE.digest, "2": TWO.digest, "3": ONE.digest}
    plain.check_whole("rm/late", ONE, TWO)


@pytest.mark.registry_does("digest_tags")
def test_between_the_last_look_and_the_removal_a_push_loses_its_tag_and_nothing_else(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain
) -> None:
    """What docs/safety.md says: no registry deletes on a condition."""
    first, second = ways
    plain.put("rm/window", ONE, "1", "1.0")
    plain.put("rm/window", TWO, "2")
    play = held(
        first.hold("^PUT .*/manifests/1$"),
        lambda: modules.rmtag(first, "rm/window", "1"),
        lambda: modules.tag(second, "rm/window:2", "rm/window:1"),
    )
    assert play.result()["changed"] is True
    assert plain.tags("rm/window") == {"1.0": ONE.digest, "2": TWO.digest}
    plain.check_whole("rm/window", ONE, TWO)


@pytest.mark.registry_does("digest_tags")
def test_no_tag_is_made_of_one_that_is_being_removed(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain
) -> None:
    """What docs/safety.md says: for a moment the tag is the placeholder, which is refused."""
    first, second = ways
    plain.put("rm/source", ONE, "1", "1.0")
    refused: list[Refused] = []

    def copy() -> None:
        with pytest.raises(
            Refused, match="is no image but the placeholder of an interrupted removal"
        ) as caught:
            modules.tag(second, "rm/source:1", "rm/source:new")
        refused.append(caught.value)

    play = held(
        first.hold("^PUT .*/manifests/1$", after=True), lambda: modules.rmtag(first, "rm/source", "1"), copy
    )
    assert refused
    assert play.result()["changed"] is True
    assert plain.tags("rm/source") == {"1.0": ONE.digest}
    plain.check_whole("rm/source", ONE)


@pytest.mark.registry_does("digest_tags")
def test_two_removals_of_the_same_tag(modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain) -> None:
    first, second = ways
    plain.put("rm/both", ONE, "1", "1.0")
    play = held(
        first.hold("^PUT .*/manifests/1$"),
        lambda: modules.rmtag(first, "rm/both", "1"),
        lambda: modules.rmtag(second, "rm/both", "1"),
    )
    assert play.result()["changed"] is True
    assert plain.tags("rm/both") == {"1.0": ONE.digest}
    plain.check_whole("rm/both", ONE)


# Pruning


def prunable(plain: Plain, name: str) -> None:
    plain.put(name, ONE, "old-1")
    plain.put(name, TWO, "old-2")
    plain.put(name, THREE, "stable")


def test_what_moves_between_plan_and_apply_stays(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain, tmp_path: pathlib.Path
) -> None:
    first, second = ways
    prunable(plain, "prune/plan")
    plan = str(tmp_path / "plan")
    modules.prune(first, "prune/plan", plan=plan)
    modules.tag(second, "prune/plan:stable", "prune/plan:old-1")
    with pytest.raises(RegistryError, match=f"it moved to {THREE.digest} since the plan was made"):
        modules.prune(first, apply_plan=plan)
    assert plain.tags("prune/plan") == {"old-1": THREE.digest, "stable": THREE.digest}
    plain.check_whole("prune/plan", THREE)
    assert plain.manifest("prune/plan", TWO.digest) is None


@pytest.mark.parametrize("request_held", ["^HEAD .*/manifests/old-1", "^DELETE .*/manifests/sha256"])
def test_a_candidate_that_moves_while_it_is_pruned_stays(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain, request_held: str, tmp_path: pathlib.Path
) -> None:
    first, second = ways
    name = f"prune/{tmp_path.name.replace('_', '-').lower().strip('-')}"
    prunable(plain, name)
    plan = str(tmp_path / "plan")
    modules.prune(second, name, plan=plan)
    play = held(
        first.hold(request_held),
        lambda: modules.prune(second_as(first, plan), apply_plan=plan),
        lambda: plain.put(name, THREE, "old-1"),
    )
    with contextlib.suppress(RegistryError):
        play.result()
    tags = plain.tags(name)
    assert tags == {"old-1": THREE.digest, "stable": THREE.digest}
    plain.check_whole(name, THREE)


def second_as(way: Proxy, plan: str) -> Proxy:
    """Let a plan be about the registry at ``way``."""
    document = json.loads(pathlib.Path(plan).read_bytes())
    for one in document["repositories"]:
        one["registry"] = way.host
    pathlib.Path(plan).write_text(json.dumps(document), encoding="utf-8")
    return way


def test_an_index_pushed_while_its_part_is_deleted_stays_whole(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain
) -> None:
    first, _second = ways
    prunable(plain, "prune/index")
    play = held(
        # The probe, and then what is held is the first deletion of an image.
        first.hold(f"^DELETE .*/manifests/({ONE.digest}|{TWO.digest})"),
        lambda: modules.prune(first, "prune/index"),
        lambda: plain.put("prune/index", INDEX, "release"),
    )
    with pytest.raises(RegistryError, match="release needs sha256:"):
        play.result()
    assert plain.tags("prune/index")["release"] == INDEX.digest
    plain.check_whole("prune/index", INDEX, THREE)


@pytest.mark.registry_does("digest_tags")
def test_a_kept_tag_that_goes_with_a_candidate_is_told(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain, events: t.Any
) -> None:
    """What docs/prune.md says: no registry deletes on a condition. That something is missing can be seen afterwards."""
    first, _second = ways
    prunable(plain, "prune/kept")
    play = held(
        first.hold(f"^DELETE .*/manifests/{ONE.digest}"),
        lambda: modules.prune(first, "prune/kept"),
        lambda: plain.put("prune/kept", ONE, "stable"),
    )
    assert play.result()["changed"] is True
    assert plain.tags("prune/kept") == {}
    assert [text.partition(" ")[0] for text in events.warnings] == [f"{first.host}/prune/kept:stable"]
    assert "went away while images were deleted" in events.warnings[0]


@pytest.mark.parametrize("request_held", ["^DELETE .*/manifests/", "^HEAD .*/manifests/sha256"])
def test_two_prunes_at_once(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain, request_held: str, tmp_path: pathlib.Path
) -> None:
    first, second = ways
    name = f"prunes/{tmp_path.name.replace('_', '-').lower().strip('-')}"
    prunable(plain, name)
    play = held(
        first.hold(request_held), lambda: modules.prune(first, name), lambda: modules.prune(second, name)
    )
    with contextlib.suppress(RegistryError):
        play.result()
    assert plain.tags(name) == {"stable": THREE.digest}
    plain.check_whole(name, THREE)
    assert modules.prune(first, name)["changed"] is False


def test_two_prunes_with_one_undo_file(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain, tmp_path: pathlib.Path
) -> None:
    """Each adds its run to the file, whenever the other has written it."""
    first, second = ways
    undo = str(tmp_path / "undo")
    for name in ("prunes/first", "prunes/second"):
        prunable(plain, name)
    play = held(
        first.hold("^HEAD .*/manifests/old-1"),
        lambda: modules.prune(first, "prunes/first", undo=undo),
        lambda: modules.prune(second, "prunes/second", undo=undo),
    )
    assert play.result()["changed"] is True
    for name in ("prunes/first", "prunes/second"):
        assert plain.tags(name) == {"stable": THREE.digest}
    modules.prune(second, restore=undo)
    for name in ("prunes/first", "prunes/second"):
        assert plain.tags(name) == {"old-1": ONE.digest, "old-2": TWO.digest, "stable": THREE.digest}


# Referrers


@pytest.mark.registry_does_not("subject")
def test_two_referrers_pushed_at_once_are_both_listed(
    modules: Modules, ways: tuple[Proxy, Proxy], plain: Plain, tmp_path: pathlib.Path
) -> None:
    """Distribution 2.8 keeps no list of referrers. Whoever finds that a list lost what it wrote writes it again."""
    first, second = ways
    plain.put("referrers/app", ONE, "one")
    for number, sbom in enumerate(SBOMS):
        write_layout(tmp_path / str(number), {"sbom": sbom})
    listing = images.referrers_tag(ONE)
    after = first.hold(f"^PUT .*/manifests/{listing}", after=True)
    before = second.hold(f"^PUT .*/manifests/{listing}")
    # Both have read that nothing is listed; the second writes last, and the first looks after that.
    with playing("push", second, src=tmp_path / "1", image="referrers/app:b") as other:
        assert before.reached.wait(SECONDS)

        def meanwhile() -> None:
            before.release()
            end(other)

        held(after, lambda: modules.push(first, tmp_path / "0", "referrers/app:a"), meanwhile).result()
    assert plain.tags("referrers/app")[listing] == sorted(one.digest for one in SBOMS)
    plain.check_whole("referrers/app", *SBOMS, *whole(ONE))
