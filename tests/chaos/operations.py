# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations that chaos meets: what there is before each, how it is called, and what may have become of it."""

from __future__ import annotations

import base64
import dataclasses
import json
import pathlib
import random
import types
import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import (
    OPTIONS,
    Events,
    RegistryClients,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.context import ModuleContext
from ansible_collections.ocikit.registry.plugins.modules import (
    registry_copy,
    registry_promote,
    registry_pull,
    registry_push,
    registry_tag,
)
from ansible_collections.ocikit.registry.plugins.modules.registry_prune import ARGUMENT_SPEC as PRUNE_SPEC
from ansible_collections.ocikit.registry.plugins.modules.registry_prune import prune
from ansible_collections.ocikit.registry.plugins.modules.registry_rmtag import remove_tags
from tests.registries import images
from tests.unit.task import task

from .proxy import Proxy
from .state import Plain, Tags, Wrong, check_held, digest, read_local, whole, write_archive, write_layout

Result = t.Dict[str, t.Any]
REMOVED = "ocikit.registry.removed"


def noise(name: str, size: int) -> images.Layer:
    """A layer that no compression makes smaller, the same each time."""
    return images.layer({name: random.Random(name).randbytes(size)})


def old(text: str, number: int = 1) -> images.Image:
    """An image from the year 2020; a higher number is a newer one."""
    return images.image({"file": text}, created=f"2020-01-{number:02}T00:00:00Z")


def signature(text: str) -> images.Image:
    """What cosign puts under the tag of a digest."""
    return images.artifact("application/vnd.example.cosign", text.encode(), "text/plain")


def sbom(subject: images.Image) -> images.Image:
    """What refers to an image."""
    return images.artifact("application/vnd.example.sbom", b"parts", "text/plain", subject=subject)


BASE = noise("base", 100_000)
A = images.image([BASE, noise("a", 3_000)])
B = images.image([BASE, noise("b", 200_000), images.layer({"small": "b"})])
C = images.image([noise("c", 50)])
MULTI = images.index([B, images.image([noise("arm", 20_000)], architecture="arm64", variant="v8")])
SBOM = sbom(B)

OLDEST, SHARED, TWIN, NEWER, NEWEST = (old(name, n) for n, name in enumerate(("1", "2", "3", "4", "5"), 1))
CHILD, COMMON, FRESH = old("child"), old("common"), old("fresh")
INDEX_OLD, INDEX_NEW = images.index([CHILD, COMMON]), images.index([COMMON, FRESH])
SBOM_OLD, SBOM_NEW = sbom(OLDEST), sbom(NEWEST)
SIGNED_OLD, SIGNED_NEW = signature("oldest"), signature("newest")
VICTIMS = {
    "b-1": OLDEST,
    "b-2": SHARED,
    "b-3": TWIN,
    "m-1": INDEX_OLD,
    images.referrers_tag(OLDEST): images.referrers_index([SBOM_OLD]),
    images.referrers_tag(OLDEST) + ".sig": SIGNED_OLD,
}
KEPT = {
    "b-4": NEWER,
    "b-5": NEWEST,
    "stable": SHARED,
    "release": INDEX_NEW,
    images.referrers_tag(NEWEST): images.referrers_index([SBOM_NEW]),
    images.referrers_tag(NEWEST) + ".sig": SIGNED_NEW,
}
GONE = [OLDEST, TWIN, INDEX_OLD, CHILD, SBOM_OLD, SIGNED_OLD, VICTIMS[images.referrers_tag(OLDEST)]]
RULES = [
    {"match": {"tags": ["b-*"]}, "delete": True, "keep_last": 2},
    {"match": {"tags": ["m-*"]}, "delete": True},
]

EVERY = {
    part.digest: part
    for thing in (A, B, C, MULTI, SBOM, SBOM_OLD, SBOM_NEW, *VICTIMS.values(), *KEPT.values())
    for part in whole(thing)
}
# Not sorted by digest: the same order each time.
KNOWN = [name for thing in EVERY.values() for name in (thing.digest, *thing.blobs)]


@dataclasses.dataclass
class Place:
    """Where runs happen: a registry behind the proxy, another one without, and a folder."""

    proxy: Proxy
    plain: Plain
    far_url: str
    far: Plain
    folder: pathlib.Path


class Operation:
    """One run of an operation. ``name`` is a repository, and a folder, of its own; ``chance`` chooses among its forms."""

    function: t.Callable[[ModuleContext], Result]
    module: types.ModuleType | None = None

    def __init__(self, place: Place, name: str, chance: random.Random) -> None:
        self.place = place
        self.name = name
        self.folder = place.folder / name
        self.folder.mkdir(parents=True)
        self.host = place.proxy.host
        self.options: dict[str, t.Any] = {
            "retries": chance.choice((4, 4, 1)),
            "concurrency": chance.choice((1, 4)),
        }
        self.params = self.prepare(chance)
        self.before = self.look()

    def prepare(self, chance: random.Random) -> dict[str, t.Any]:
        """Make what is there before, and return the parameters."""
        raise NotImplementedError

    def look(self) -> t.Any:
        """Return what is there now. Raises Wrong for what may be at no time."""
        raise NotImplementedError

    def wanted(self) -> t.Any:
        """Return what look() is to return in the end."""
        raise NotImplementedError

    def check_between(self, now: t.Any, error: RegistryError) -> None:
        """Raise Wrong unless ``now`` is a state that an error may leave behind."""
        raise NotImplementedError

    def left_out(self, result: Result) -> t.Any:
        """Return what success has left as it was if the task says that it did not do everything, else None."""
        return None

    def check_told(self, error: RegistryError, now: t.Any) -> None:
        """Raise Wrong where what a failed task says it did is not so."""

    def check_recovered(self) -> None:
        """Raise Wrong unless all is as it should be after a failed run was done again."""

    def act(self) -> Result:
        """Carry the operation out."""
        defaults = {name: spec.get("default") for name, spec in OPTIONS.items()}
        more = {"read_timeout": 5.0, "auth_file": "/dev/null", **self.options}
        connection = RegistryClients({**defaults, "registry": self.place.proxy.url, **more}, Events())
        try:
            if self.module:
                return task(self.module, connection, **self.params)
            return type(self).function(ModuleContext({**self.params, "registry": None}, False, connection))
        finally:
            connection.default()._transport.close()

    def check_tags(self, plain: Plain, repository: str) -> Tags:
        """Return the tags of a repository; all they lead to is complete."""
        tags = plain.tags(repository)
        leads_to = {
            one: name
            for name, found in tags.items()
            for one in (found if isinstance(found, list) else [found])
        }
        plain.check_whole(repository, *(EVERY[one] for one in leads_to if one in EVERY))
        for one, name in leads_to.items():
            if one not in EVERY and not self.placeholder(plain, repository, one):
                raise Wrong(f"{repository}:{name} points to {one}, which nobody pushed")
        return tags

    @staticmethod
    def placeholder(plain: Plain, repository: str, name: str) -> dict[str, str] | None:
        """Return what a placeholder says it stands for; None for other images."""
        raw = plain.manifest(repository, name)
        config = plain.blob(repository, json.loads(raw)["config"]["digest"]) if raw else None
        labels = json.loads(config or b"{}").get("config", {}).get("Labels", {})
        return json.loads(labels[REMOVED]) if REMOVED in labels else None


def each_old_or_new(before: Tags, after: Tags, now: Tags) -> None:
    """Raise Wrong unless each tag is as it was or as it is to be."""
    for name in {*before, *after, *now}:
        if now.get(name) not in (before.get(name), after.get(name)):
            raise Wrong(f"{name} is {now.get(name)}: neither {before.get(name)} nor {after.get(name)}")


def check_targets(error: RegistryError, now: Tags) -> None:
    """Raise Wrong where ``targets`` names another digest than a tag has, and the error does not say that it may."""
    unknown = str(error).partition(" What became of ")[2]
    for target in error.result.get("targets", ()):
        name = target["image"].partition("/")[2]
        if target["digest"] != now.get(name) and target["image"] not in unknown:
            raise Wrong(f"the task says that {name} is {target['digest']}, and it is {now.get(name)}")


class Tagging(Operation):
    """Operations whose state is the tags of some repositories, each of which moves or does not."""

    def repositories(self) -> list[tuple[Plain, str]]:
        """Return the repositories to be looked at."""
        return [(self.place.plain, self.name)]

    def moves(self) -> Tags:
        """Return the tags that are to have other digests, with their repositories."""
        raise NotImplementedError

    def look(self) -> Tags:
        return {
            f"{repository}:{name}": found
            for plain, repository in self.repositories()
            for name, found in self.check_tags(plain, repository).items()
        }

    def wanted(self) -> Tags:
        return {**self.before, **self.moves()}

    def check_between(self, now: Tags, error: RegistryError) -> None:
        each_old_or_new(self.before, self.wanted(), now)

    def check_told(self, error: RegistryError, now: Tags) -> None:
        check_targets(error, now)


class Retag(Tagging):
    """Tags move to another image, in two repositories."""

    module = registry_tag

    def prepare(self, chance: random.Random) -> dict[str, t.Any]:
        self.other = f"{self.name}-other"
        self.image = chance.choice((B, MULTI))
        for repository in (self.name, self.other):
            self.place.plain.put(repository, A, "stable", "old")
        self.place.plain.put(self.name, self.image, "new")
        stable = {"image": f"{self.host}/{self.name}:stable", "if_digest": A.digest}
        return {
            "image": f"{self.host}/{self.name}:new",
            "tags": ["fresh", "latest"],
            "to": [stable, *chance.choice(([], [f"{self.host}/{self.other}:stable"]))],
        }

    def repositories(self) -> list[tuple[Plain, str]]:
        return [(self.place.plain, self.name), (self.place.plain, self.other)]

    def moves(self) -> Tags:
        names = [f"{self.name}:{one}" for one in ("fresh", "latest", "stable")]
        if len(self.params["to"]) > 1:
            names.append(f"{self.other}:stable")
        return dict.fromkeys(names, self.image.digest)


class Promote(Tagging):
    """Tags of two repositories, new ones among them, move together or not at all."""

    module = registry_promote

    def prepare(self, chance: random.Random) -> dict[str, t.Any]:
        self.other = f"{self.name}-other"
        self.image = chance.choice((B, MULTI))
        self.referrers = chance.random() < 0.5
        for repository in (self.name, self.other):
            self.place.plain.put(repository, A, "stable", "old")
        self.place.plain.put(self.name, self.image, "new")
        self.place.plain.put(self.name, SBOM)
        self.place.plain.put(self.name, images.referrers_index([SBOM]), images.referrers_tag(B))
        image = f"{self.host}/{self.name}:new"
        known = {"if_digest": A.digest} if chance.random() < 0.5 else {}
        return {
            "images": [
                {"image": image, "to": [f"{self.host}/{self.name}:fresh", f"{self.host}/{self.other}:fresh"]},
                {"image": image, "to": [f"{self.host}/{self.other}:stable"], **known},
                {"image": image, "to": [f"{self.host}/{self.name}:stable"]},
            ],
            "referrers": self.referrers,
        }

    def repositories(self) -> list[tuple[Plain, str]]:
        return [(self.place.plain, self.name), (self.place.plain, self.other)]

    def moves(self) -> Tags:
        moves: Tags = {
            f"{repository}:{tag}": self.image.digest
            for repository in (self.name, self.other)
            for tag in ("fresh", "stable")
        }
        if self.referrers:
            moves[f"{self.other}:{images.referrers_tag(B)}"] = [SBOM.digest]
        return moves

    def check_between(self, now: Tags, error: RegistryError) -> None:
        """All tags are what they were, but for those that the error names."""
        listed = f"{self.other}:{images.referrers_tag(B)}"
        for name in {*self.before, *now} - {listed}:
            if now.get(name) == self.before.get(name):
                continue
            if f"{self.host}/{name} " not in str(error):
                raise Wrong(
                    f"{name} is {now.get(name)}, not {self.before.get(name)}, and the error does not tell"
                )

    def check_told(self, error: RegistryError, now: Tags) -> None:
        for target in error.result.get("targets", ()):
            name = target["image"].partition("/")[2]
            if target["digest"] != now.get(name) and not target["message"]:
                raise Wrong(f"the task says that {name} is {target['digest']}, and it is {now.get(name)}")


class Push(Tagging):
    """An image is pushed from a layout or an archive, under three tags."""

    module = registry_push

    def prepare(self, chance: random.Random) -> dict[str, t.Any]:
        self.image = chance.choice((B, MULTI))
        self.place.plain.put(self.name, A, "stable", "old")
        path = self.folder / "layout"
        write_layout(path, {"app": self.image, "other": C})
        if chance.random() < 0.5:
            write_archive(self.folder / "app.tar", path)
            path = self.folder / "app.tar"
        return {
            "src": str(path),
            "name": "app",
            "image": f"{self.host}/{self.name}:stable",
            "tags": ["new", "latest"],
            "mount_from": chance.choice(([], [Plain.STORE])),
        }

    def moves(self) -> Tags:
        return dict.fromkeys([f"{self.name}:{one}" for one in ("stable", "new", "latest")], self.image.digest)


class Copy(Tagging):
    """Two images and what refers to them are copied: within a registry, to another one, or from there."""

    module = registry_copy

    def prepare(self, chance: random.Random) -> dict[str, t.Any]:
        place = self.place
        self.far = chance.choice(("none", "source", "target"))
        self.target, source = f"{self.name}-target", f"{self.name}-source"
        self.there = place.far if self.far == "target" else place.plain
        from_there = place.far if self.far == "source" else place.plain
        self.referrers = chance.random() < 0.5
        self.there.put(self.target, A, "stable", "old")
        from_there.put(source, B, "new")
        from_there.put(source, MULTI, "multi")
        from_there.put(source, SBOM)
        from_there.put(source, images.referrers_index([SBOM]), images.referrers_tag(B))
        far = place.far_url.partition("//")[2]
        here = f"{far if self.far == 'source' else self.host}/{source}"
        to = f"{far if self.far == 'target' else self.host}/{self.target}"
        pairs = [
            {"image": f"{here}:new", "to": f"{to}:stable"},
            {"image": f"{here}:multi", "to": f"{to}:multi"},
        ]
        return {"images": pairs, "referrers": self.referrers}

    def repositories(self) -> list[tuple[Plain, str]]:
        return [(self.there, self.target)]

    def moves(self) -> Tags:
        moves: Tags = {f"{self.target}:stable": B.digest, f"{self.target}:multi": MULTI.digest}
        if self.referrers:
            moves[f"{self.target}:{images.referrers_tag(B)}"] = [SBOM.digest]
        return moves


class Rmtag(Tagging):
    """Two tags are removed; each has another tag with the same digest, or none."""

    function = staticmethod(remove_tags)
    NAMED = ("1", "2")

    def prepare(self, chance: random.Random) -> dict[str, t.Any]:
        self.place.plain.put(self.name, A, "1", "1.0", "latest")
        self.place.plain.put(self.name, C, "2")
        self.place.plain.put(self.name, MULTI, "3")
        return {"image": f"{self.host}/{self.name}", "tags": list(self.NAMED), "strategy": "auto"}

    def wanted(self) -> Tags:
        gone = {f"{self.name}:{one}" for one in self.NAMED}
        return {name: found for name, found in self.before.items() if name not in gone}

    def check_between(self, now: Tags, error: RegistryError) -> None:
        """A tag that was to go may point to the placeholder, if the error names it and the placeholder its digest."""
        told = {}
        for name, found in now.items():
            stands_for = None if found in EVERY else self.placeholder(self.place.plain, self.name, found)
            short, was = name.rpartition(":")[2], self.before.get(name)
            if stands_for is not None and stands_for.get(short) == was and f"{short} ({was})" in str(error):
                told[name] = was
        each_old_or_new(self.before, self.wanted(), {**now, **told})

    def check_told(self, error: RegistryError, now: Tags) -> None:
        for one in error.result.get("removed", ()):
            if one["method"] and f"{self.name}:{one['tag']}" in now:
                raise Wrong(f"the task says that it removed {one['tag']}, which is there")
        for name in self.wanted():
            if (
                f"{name.rpartition(':')[2]} ({self.before[name]})" in str(error)
                and now.get(name) == self.before[name]
            ):
                raise Wrong(f"the task says that {name} is lost, which is there")


class Pull(Operation):
    """An image is pulled to a place that is empty, or holds an older one."""

    module = registry_pull

    def prepare(self, chance: random.Random) -> dict[str, t.Any]:
        kind = chance.choice(("oci", "oci", "oci-archive", "docker-archive", "dir"))
        self.image = B if kind == "docker-archive" else chance.choice((B, MULTI))
        self.place.plain.put(self.name, A, "old")
        self.place.plain.put(self.name, self.image, "new")
        self.dest = self.folder / ("app.tar" if kind.endswith("archive") else "app")
        self.params = {
            "image": [f"{self.host}/{self.name}:old"],
            "dest": str(self.dest),
            "format": kind,
            "name": "app",
        }
        if chance.random() < 0.5:
            self.act()
        return {**self.params, "image": [f"{self.host}/{self.name}:new"]}

    def look(self) -> dict[str, str]:
        """Return the names and digests of what is complete; beside it there may be blobs, and they are right."""
        own = {self.dest.name, f".{self.dest.name}.ocikit-verified"}
        beside = {path.name for path in self.folder.iterdir()} - own
        if beside:
            raise Wrong(f"{sorted(beside)} were left behind")
        if not self.dest.exists():
            return {}
        found, blobs = read_local(self.dest)
        for one in found.values():
            if one not in EVERY:
                raise Wrong(f"{self.dest.name} lists {one}, which nobody pushed")
            check_held(blobs, EVERY[one])
        return found

    def wanted(self) -> dict[str, str]:
        return {"" if self.params["format"] == "dir" else "app": self.image.digest}

    def check_between(self, now: dict[str, str], error: RegistryError) -> None:
        raise Wrong(f"{self.dest.name} lists {now}")


class Prune(Tagging):
    """Tags and what nothing else needs are deleted: at once, with an undo file, or by a plan made before."""

    function = staticmethod(prune)

    def prepare(self, chance: random.Random) -> dict[str, t.Any]:
        for thing in (SBOM_OLD, SBOM_NEW):
            self.place.plain.put(self.name, thing)
        for name, thing in {**VICTIMS, **KEPT}.items():
            self.place.plain.put(self.name, thing, name)
        self.form = chance.choice(("at once", "undo", "plan"))
        self.undo = self.folder / "undo"
        plan = str(self.folder / "plan")
        self.params = {
            **{name: option.get("default") for name, option in PRUNE_SPEC.items()},
            "repositories": [f"{self.host}/{self.name}"],
            "rules": RULES,
            "max_delete_percent": 90.0,
            "plan": plan if self.form == "plan" else None,
            "undo": str(self.undo) if self.form == "undo" else None,
        }
        if self.form != "plan":
            return self.params
        self.act()
        return {**self.params, "repositories": [], "rules": [], "plan": None, "apply_plan": plan}

    def wanted(self) -> Tags:
        gone = {f"{self.name}:{one}" for one in VICTIMS}
        return {name: found for name, found in self.before.items() if name not in gone}

    def check_between(self, now: Tags, error: RegistryError) -> None:
        """Victims are there or gone; the tag of an image that stays may point to a placeholder."""
        told = {}
        for name, found in now.items():
            if isinstance(found, str) and found not in EVERY:
                stands_for = self.placeholder(self.place.plain, self.name, found) or {}
                if (
                    stands_for.get(name.rpartition(":")[2]) == self.before.get(name)
                    and name not in self.wanted()
                ):
                    told[name] = self.before[name]
        each_old_or_new(self.before, self.wanted(), {**now, **told})

    def left_out(self, result: Result) -> Tags | None:
        """What cannot be read is kept, and no digest is deleted then: an image may have lost all its tags."""
        (repository,) = result["repositories"]
        kept = {one["tag"]: one["digest"] for one in repository["keep"] if one["why"] == "it cannot be read"}
        if kept and repository["deleted_digests"]:
            raise Wrong("digests were deleted although something could not be read")
        left = {name: found for name, found in self.before.items() if name.rpartition(":")[2] in kept}
        return left or None

    def check_told(self, error: RegistryError, now: Tags) -> None:
        for one in error.result.get("repositories", ()):
            there = [name for name in one["deleted_tags"] if f"{self.name}:{name}" in now]
            there += [name for name in one["deleted_digests"] if self.place.plain.manifest(self.name, name)]
            if there:
                raise Wrong(f"the task says that it deleted {', '.join(there)}, which is there")
        if self.form == "undo":
            self._check_undo()

    def check_recovered(self) -> None:
        """Without a plan or an undo file, what has no tag is not found again."""
        left = [one.digest for one in GONE if self.place.plain.manifest(self.name, one.digest)]
        if left and self.form != "at once":
            raise Wrong(f"{', '.join(left)} should be gone")
        if self.form != "undo":
            return
        self._check_undo()
        self.params = {
            **self.params,
            "repositories": [],
            "rules": [],
            "undo": None,
            "restore": str(self.undo),
        }
        try:
            self.act()
        except RegistryError as error:
            raise Wrong(f"what undo holds does not bring everything back: {error}") from error
        if self.look() != self.before:
            raise Wrong("what undo holds does not bring everything back")

    def _check_undo(self) -> None:
        """Whatever is gone can be put back."""
        images_there = json.loads(self.undo.read_bytes())["images"] if self.undo.exists() else []
        held = {one["digest"]: base64.b64decode(one["manifest"]) for one in images_there}
        for name, raw in held.items():
            if digest(raw) != name:
                raise Wrong(f"the undo file has other bytes for {name}")
        for one in GONE:
            if one.digest not in held and not self.place.plain.manifest(self.name, one.digest):
                raise Wrong(f"{one.digest} is gone, and not in the undo file")


OPERATIONS: dict[str, type[Operation]] = {
    "retag": Retag,
    "promote": Promote,
    "pull": Pull,
    "push": Push,
    "copy": Copy,
    "rmtag": Rmtag,
    "prune": Prune,
}
