# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What moves images and tags in chaos: what there is before each operation, how it is called, what may have become of it."""

from __future__ import annotations

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
from ansible_collections.ocikit.registry.plugins.modules import (
    registry_copy,
    registry_promote,
    registry_pull,
    registry_push,
    registry_tag,
)
from tests.registries import images
from tests.unit.task import task

from .proxy import Proxy
from .state import INGEST, Plain, Tags, Wrong, check_held, read_local, whole, write_archive, write_layout

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
OUTER = images.index([INDEX_NEW, CHILD])
SBOM_OLD, SBOM_NEW = sbom(OLDEST), sbom(NEWEST)
SIGNED_OLD, SIGNED_NEW = signature("oldest"), signature("newest")
CANDIDATES = {
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
GONE = [OLDEST, TWIN, INDEX_OLD, CHILD, SBOM_OLD, SIGNED_OLD, CANDIDATES[images.referrers_tag(OLDEST)]]
RULES = [
    {"match": {"tags": ["b-*"]}, "delete": True, "keep_last": 2},
    {"match": {"tags": ["m-*"]}, "delete": True},
]

EVERY = {
    part.digest: part
    for thing in (A, B, C, MULTI, SBOM, SBOM_OLD, SBOM_NEW, OUTER, *CANDIDATES.values(), *KEPT.values())
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

    module: types.ModuleType
    # Whether success changes anything.
    changes = True

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
            return task(self.module, connection, **self.params)
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

    def check_recovered(self) -> None:
        if (self.dest / INGEST).exists():
            raise Wrong(f"{INGEST} in {self.dest.name} was left behind by a task that did not fail")

    def check_between(self, now: dict[str, str], error: RegistryError) -> None:
        raise Wrong(f"{self.dest.name} lists {now}")
