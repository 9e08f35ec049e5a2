# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Large contents, written as distribution 2.8 itself would store them, at the speed of the disk."""

from __future__ import annotations

import gzip
import json
import pathlib
import random
import typing as t

from tests.registries import images

MEBIBYTE = 1 << 20


class Storage:
    """The storage of a registry that does not run yet, or does not know these repositories."""

    def __init__(self, path: pathlib.Path) -> None:
        self._root = path / "docker" / "registry" / "v2"

    def add(self, repository: str, image: images.Image, tags: t.Iterable[str]) -> None:
        """Store an image of tests.registries with its tags."""
        for digest, data in image.blobs.items():
            self._blob(repository, digest, data)
        self._manifest(repository, image.raw, tags)

    def add_large(self, repository: str, tag: str, mebibytes: int, layers: int) -> None:
        """Store an image of layers that no compression makes smaller."""
        chance = random.Random(20261125)
        descriptors = []
        for _number in range(layers):
            # skopeo compresses what is not compressed.
            data = gzip.compress(chance.randbytes(mebibytes * MEBIBYTE // layers), compresslevel=0, mtime=0)
            descriptors.append(images.descriptor(data, "application/vnd.oci.image.layer.v1.tar+gzip"))
            self._blob(repository, descriptors[-1]["digest"], data)
        rootfs = {"type": "layers", "diff_ids": [one["digest"] for one in descriptors]}
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
        described = images.descriptor(config, "application/vnd.oci.image.config.v1+json")
        self._blob(repository, described["digest"], config)
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": described,
            "layers": descriptors,
        }
        self._manifest(repository, json.dumps(manifest).encode(), [tag])

    def _blob(self, repository: str, digest: str, data: bytes) -> None:
        self._data(digest, data)
        self._link(repository, f"_layers/{digest.replace(':', '/')}", digest)

    def _manifest(self, repository: str, raw: bytes, tags: t.Iterable[str]) -> None:
        digest = images.digest(raw)
        path = digest.replace(":", "/")
        self._data(digest, raw)
        self._link(repository, f"_manifests/revisions/{path}", digest)
        for tag in tags:
            for place in ("current", f"index/{path}"):
                self._link(repository, f"_manifests/tags/{tag}/{place}", digest)

    def _data(self, digest: str, data: bytes) -> None:
        encoded = digest.partition(":")[2]
        folder = self._root / "blobs" / "sha256" / encoded[:2] / encoded
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "data").write_bytes(data)

    def _link(self, repository: str, place: str, digest: str) -> None:
        folder = self._root / "repositories" / repository / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "link").write_text(digest, encoding="ascii")


def small_images(count: int) -> list[images.Image]:
    """Return so many images with a layer in common, of different ages."""
    layer = images.layer({"etc/motd": "hello\n"})
    return [
        images.image(
            [layer], labels={"number": str(number)}, created=f"2026-{1 + number % 12:02}-01T00:00:00Z"
        )
        for number in range(count)
    ]
