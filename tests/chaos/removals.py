# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What deletes tags, images and repositories in chaos, and what may have become of it."""

from __future__ import annotations

import base64
import json
import random
import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.ocikit.registry.plugins.modules import (
    registry_prune,
    registry_rmrepo,
    registry_rmtag,
)
from tests.registries import images

from .operations import (
    CANDIDATES,
    EVERY,
    GONE,
    KEPT,
    MULTI,
    OUTER,
    RULES,
    SBOM,
    SBOM_NEW,
    SBOM_OLD,
    SIGNED_OLD,
    A,
    B,
    C,
    Result,
    Tagging,
    each_old_or_new,
)
from .state import Plain, Tags, Wrong, digest, whole


class Rmtag(Tagging):
    """Tags are removed: two that have other tags with the same digest, or none; or all tags of two images, with these."""

    module = registry_rmtag

    def prepare(self, chance: random.Random) -> dict[str, t.Any]:
        self.place.plain.put(self.name, A, "1", "1.0", "latest")
        self.place.plain.put(self.name, C, "2")
        self.place.plain.put(self.name, MULTI, "3")
        strategy = chance.choice(("auto", "auto", "placeholder", "manifest"))
        named = ["1", "1.0", "latest", "2"] if strategy == "manifest" else ["1", "2"]
        return {"image": f"{self.host}/{self.name}", "tags": named, "strategy": strategy}

    def wanted(self) -> Tags:
        gone = {f"{self.name}:{one}" for one in self.params["tags"]}
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
            lost = f"{name.rpartition(':')[2]} ({self.before[name]})"
            if lost in str(error) and now.get(name) == self.before[name]:
                raise Wrong(f"the task says that {name} is lost, which is there")


class Rmrepo(Tagging):
    """A repository is deleted, with an index, shared images, referrers and signatures; another one stays."""

    module = registry_rmrepo
    TAGS = {
        "1": A,
        "latest": A,
        "multi": MULTI,
        "b": B,
        images.referrers_tag(B): images.referrers_index([SBOM]),
        images.referrers_tag(B) + ".sig": SIGNED_OLD,
        "outer": OUTER,
    }
    PARTS = {part.digest: part for image in (*TAGS.values(), SBOM) for part in whole(image)}

    def prepare(self, chance: random.Random) -> dict[str, t.Any]:
        self.other = f"{self.name}-other"
        self.place.plain.put(self.name, SBOM)
        for name, image in self.TAGS.items():
            self.place.plain.put(self.name, image, name)
        self.place.plain.put(self.other, MULTI, "multi")
        return {"repository": f"{self.host}/{self.name}", "confirm": self.name}

    def repositories(self) -> list[tuple[Plain, str]]:
        return [(self.place.plain, self.name), (self.place.plain, self.other)]

    def look(self) -> Tags:
        """Return also which manifests of the repository are there."""
        there = [name for name in self.PARTS if self.place.plain.manifest(self.name, name)]
        return {**super().look(), **{f"{self.name}@{name}": name for name in there}}

    def wanted(self) -> Tags:
        return {name: found for name, found in self.before.items() if name.startswith(f"{self.other}:")}

    def check_told(self, error: RegistryError, now: Tags) -> None:
        """What is said to be deleted is gone, and what is named leads to all that no tag leads to."""
        result = error.result
        told = {f"{self.name}:{one['tag']}": one for one in result.get("tags", ())}
        told.update({f"{self.name}@{one['digest']}": one for one in result.get("manifests", ())})
        for name, one in told.items():
            if one["deleted"] is (name in now):
                raise Wrong(f"the task says deleted: {one['deleted']} of {name}, and that is not so")
        stranded = result.get("stranded", [])
        prefix = f"{self.name}:"
        roots = [name[len(prefix) :] for name in now if name.startswith(prefix)]
        there = {name for name in self.PARTS if f"{self.name}@{name}" in now}
        lost = there - self._reached([*roots, *stranded])
        if lost:
            raise Wrong(f"no tag leads to {', '.join(lost)}, and the task does not name them")
        if result and not result["changed"] and now != self.before:
            raise Wrong("the task says that it changed nothing")
        self.params["digests"] = stranded

    def _reached(self, roots: t.Iterable[str]) -> set[str]:
        """Return the manifests that tags or digests lead to, through indexes and subjects."""
        waiting = [self._read(root) for root in roots]
        reached: set[str] = set()
        while waiting:
            raw = waiting.pop()
            if raw is None or digest(raw) in reached:
                continue
            reached.add(digest(raw))
            data = json.loads(raw)
            named = [*data.get("manifests", []), *filter(None, [data.get("subject")])]
            waiting += [self._read(entry["digest"]) for entry in named]
        return reached

    def _read(self, reference: str) -> bytes | None:
        return self.place.plain.manifest(self.name, reference)


class Prune(Tagging):
    """Tags and what nothing else needs are deleted: at once, with an undo file, or by a plan made before."""

    module = registry_prune

    def prepare(self, chance: random.Random) -> dict[str, t.Any]:
        for thing in (SBOM_OLD, SBOM_NEW):
            self.place.plain.put(self.name, thing)
        for name, thing in {**CANDIDATES, **KEPT}.items():
            self.place.plain.put(self.name, thing, name)
        self.form = chance.choice(("at once", "undo", "plan"))
        self.undo = self.folder / "undo"
        plan = str(self.folder / "plan")
        self.params = {
            "repositories": [f"{self.host}/{self.name}"],
            "rules": RULES,
            "max_delete_percent": 90.0,
        }
        if self.form == "undo":
            self.params["undo"] = str(self.undo)
        if self.form != "plan":
            return self.params
        self.params["plan"] = plan
        self.act()
        return {"max_delete_percent": 90.0, "apply_plan": plan}

    def wanted(self) -> Tags:
        gone = {f"{self.name}:{one}" for one in CANDIDATES}
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
        self.params = {"restore": str(self.undo)}
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
