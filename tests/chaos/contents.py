# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes images, packs them and judges them in chaos, and what may have become of it."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import random
import tarfile
import typing as t

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ansible_collections.ocikit.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.ocikit.registry.plugins.modules import registry_append, registry_verify
from tests.registries import images
from tests.signing import stored
from tests.signing.instance import public_pem

from .operations import MULTI, A, B, C, Pull, Push, Result, Tagging, sbom
from .state import Plain, Tags, Wrong, digest, write_archive, write_layout

RELEASE = images.image({"app": "release"}, labels={"stage": "release"})
RELEASE_ARM = images.image({"app": "arm"}, labels={"stage": "release"}, architecture="arm64")
DRAFT_ARM = images.image({"app": "arm"}, labels={"stage": "draft"}, architecture="arm64")
# Keys whose signatures are the same each time.
SIGNER, STRANGER = (Ed25519PrivateKey.from_private_bytes(letter * 32) for letter in (b"s", b"x"))
# The same in every run, as those of the other operations.
KNOWN = [name for thing in (RELEASE, RELEASE_ARM, DRAFT_ARM) for name in (thing.digest, *thing.blobs)]
APPENDED = "the base, and one layer more"


class Append(Tagging):
    """A layer is put on an image, or on all images of an index, under three tags."""

    module = registry_append

    def prepare(self, chance: random.Random) -> dict[str, t.Any]:
        self.image = chance.choice((A, B, MULTI))
        self.place.plain.put(self.name, C, "stable", "old")
        self.place.plain.put(self.name, self.image, "base")
        source = self.folder / "file"
        source.write_bytes(random.Random(self.name).randbytes(chance.choice((10, 150_000))))
        return {
            "image": f"{self.host}/{self.name}:base",
            "layers": [{"files": [{"src": str(source), "dest": "/opt/file"}]}],
            "created": "2026-01-01T00:00:00Z",
            "tags": ["new"],
            "to": [f"{self.host}/{self.name}:stable", f"{self.host}/{self.name}-to:new"],
        }

    def repositories(self) -> list[tuple[Plain, str]]:
        return [(self.place.plain, self.name), (self.place.plain, f"{self.name}-to")]

    def moves(self) -> Tags:
        names = [f"{self.name}:new", f"{self.name}:stable", f"{self.name}-to:new"]
        return dict.fromkeys(names, APPENDED)

    def check_tags(self, plain: Plain, repository: str) -> Tags:
        """Return the tags; one that has the layer besides those of the base says so, and is complete."""
        known = (A.digest, B.digest, C.digest, MULTI.digest)
        tags = plain.tags(repository)
        for name, found in tags.items():
            if found not in known:
                self._check_appended(plain, repository, found, self.image)
                tags[name] = APPENDED
        plain.check_whole(repository, *(one for one in (A, B, C, MULTI) if one.digest in tags.values()))
        return tags

    def check_told(self, error: RegistryError, now: Tags) -> None:
        for target in error.result.get("targets", ()):
            name = target["image"].partition("/")[2]
            there = now.get(name)
            if target["changed"] and there != APPENDED:
                raise Wrong(f"the task says that it wrote {name}, which is {there}")

    def _check_appended(self, plain: Plain, repository: str, name: str, base: images.Image) -> None:
        raw = plain.manifest(repository, name)
        if raw is None or digest(raw) != name:
            raise Wrong(f"{repository}@{name} is not there, or is another")
        data = json.loads(raw)
        children = getattr(base, "children", ())
        if children:
            if len(data["manifests"]) != len(children):
                raise Wrong(f"{name} has {len(data['manifests'])} images instead of {len(children)}")
            for entry, child in zip(data["manifests"], children):
                self._check_appended(plain, repository, entry["digest"], child)
            return
        blobs = [plain.blob(repository, entry["digest"]) for entry in (data["config"], *data["layers"])]
        for entry, content in zip((data["config"], *data["layers"]), blobs):
            if content is None or digest(content) != entry["digest"]:
                raise Wrong(f"the blob {entry['digest']} of {repository} is not there, or is another")
        old = [layer["digest"] for layer in json.loads(base.raw)["layers"]]
        if [layer["digest"] for layer in data["layers"]][:-1] != old:
            raise Wrong(f"{name} has other layers than its base below the new one")
        with tarfile.open(fileobj=io.BytesIO(blobs[-1] or b"")) as archive:
            member = archive.extractfile("opt/file")
            content = member.read() if member else b""
        if content != (self.folder / "file").read_bytes():
            raise Wrong(f"the new layer of {name} has another file")


class Verify(Tagging):
    """Images are verified. A registry that fails must not let one pass that does not meet what is required."""

    module = registry_verify
    changes = False

    def prepare(self, chance: random.Random) -> dict[str, t.Any]:
        parts = [RELEASE, RELEASE_ARM]
        lacking = chance.choice(("nothing", "nothing", "label", "platform", "referrer", "signature"))
        if lacking == "label":
            parts = [RELEASE, DRAFT_ARM]
        elif lacking == "platform":
            parts = [RELEASE]
        self.good = lacking == "nothing"
        index = images.index(parts)
        for part in parts:
            self.place.plain.put(self.name, part)
        self.place.plain.put(self.name, index, "app")
        # A list may name what is about another image: that is no referrer.
        referrer = sbom(index if lacking != "referrer" else RELEASE)
        self.place.plain.put(self.name, referrer)
        self.place.plain.put(self.name, images.referrers_index([referrer]), images.referrers_tag(index))
        key = STRANGER if lacking == "signature" else SIGNER
        signature = stored.layers_image([stored.signature_layer(key, index.digest)])
        self.place.plain.put(self.name, signature, images.referrers_tag(index) + ".sig")
        return {
            "signatures": [{"key": public_pem(SIGNER)}],
            "images": [f"{self.host}/{self.name}:app"],
            "labels": {"stage": "release"},
            "platforms": ["linux/amd64", "linux/arm64"],
            "referrers": ["application/vnd.example.sbom"],
            "report_only": True,
        }

    def check_tags(self, plain: Plain, repository: str) -> Tags:
        return plain.tags(repository)

    def moves(self) -> Tags:
        return {}

    def act(self) -> Result:
        result = super().act()
        faultless = self.place.proxy.weather is None
        if result["passed"] and not self.good:
            raise Wrong("an image passes that does not meet what is required")
        if faultless and result["passed"] is not self.good:
            raise Wrong(f"without faults an image does not pass: {result['violations']}")
        return result


class PushArchive(Push):
    """An image is pushed from an archive: compressed or not, as docker save writes it or as a layout."""

    def prepare(self, chance: random.Random) -> dict[str, t.Any]:
        params = super().prepare(chance)
        layout, plain = self.folder / "archived", self.folder / "archive.tar"
        write_layout(layout, {"app": self.image, "other": C})
        write_archive(plain, layout)
        content = plain.read_bytes()
        kind = chance.choice(("gz", "xz", "plain"))
        pack: dict[str, t.Callable[[bytes], bytes]] = {
            "gz": gzip.compress,
            "xz": lzma.compress,
            "plain": bytes,
        }
        path = self.folder / f"packed.{kind}"
        path.write_bytes(pack[kind](content))
        return {**params, "src": str(path)}


class PullArchive(Pull):
    """Several images are pulled into one archive, which is absent, or holds an older image."""

    def prepare(self, chance: random.Random) -> dict[str, t.Any]:
        kind = chance.choice(("oci-archive", "docker-archive"))
        self.pulled = {"new": B, "other": A if kind == "docker-archive" else MULTI}
        self.place.plain.put(self.name, C, "old")
        for tag, image in self.pulled.items():
            self.place.plain.put(self.name, image, tag)
        self.dest = self.folder / "app.tar"
        self.params = {"image": [f"{self.host}/{self.name}:old"], "dest": str(self.dest), "format": kind}
        if chance.random() < 0.5:
            self.act()
        return {**self.params, "image": [f"{self.host}/{self.name}:{tag}" for tag in self.pulled]}

    def wanted(self) -> dict[str, str]:
        return {f"{self.host}/{self.name}:{tag}": image.digest for tag, image in self.pulled.items()}
