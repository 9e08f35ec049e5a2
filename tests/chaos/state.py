# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a registry and on disk, seen without the collection: all bytes are read, and all digests computed."""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
import tarfile
import typing as t
import urllib.parse

import requests

from tests.registries import images

Tags = t.Dict[str, t.Any]
FALLBACK = re.compile(r"sha256-[0-9a-f]{64}")
REF_NAME = "org.opencontainers.image.ref.name"
# Where layouts and directories keep what arrives, until it is complete.
INGEST = ".ocikit-ingest"
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class Wrong(Exception):
    """What was found may not be."""


def digest(data: bytes) -> str:
    """Return the digest of ``data``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def whole(thing: images.Image) -> t.Iterator[images.Image]:
    """Yield an image, and what it consists of at any depth."""
    yield thing
    for child in getattr(thing, "children", ()):
        yield from whole(child)


class Plain:
    """A plain client of the registry at ``url``, which keeps its connection. It gets no fault."""

    STORE = "chaos/store"

    def __init__(self, url: str) -> None:
        self._base = f"{url}/v2"
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self._stored: set[str] = set()

    def close(self) -> None:
        """End the connection."""
        self._session.close()

    def put(self, repository: str, thing: images.Image, *tags: str) -> None:
        """Store an image with all it needs, under tags or by its digest. Blobs come from a repository that keeps all."""
        if thing.digest not in self._stored:
            images.push(self._url, self.STORE, thing, "a" + thing.digest[7:])
            self._stored.add(thing.digest)
        for part in whole(thing):
            for blob in part.blobs:
                url = f"{self._base}/{repository}/blobs/uploads/"
                answer = self._session.post(url, params={"mount": blob, "from": self.STORE})
                if answer.status_code == 202:
                    # No mount: the blob is sent.
                    place = urllib.parse.urljoin(url, answer.headers["Location"])
                    answer = self._session.put(place, params={"digest": blob}, data=part.blobs[blob])
                self._good(answer, 201)
        for part in [*list(whole(thing))[:0:-1], thing]:
            for reference in (tags or [part.digest]) if part is thing else [part.digest]:
                url = f"{self._base}/{repository}/manifests/{reference}"
                answer = self._session.put(url, data=part.raw, headers={"Content-Type": part.media_type})
                self._good(answer, 201)

    def manifest(self, repository: str, reference: str) -> bytes | None:
        """Return the bytes of a manifest, or None where there is none."""
        url = f"{self._base}/{repository}/manifests/{reference}"
        answer = self._session.get(url, headers={"Accept": images.ACCEPT})
        return None if answer.status_code == 404 else self._good(answer, 200)

    def blob(self, repository: str, name: str) -> bytes | None:
        """Return the bytes of a blob, or None where there is none."""
        answer = self._session.get(f"{self._base}/{repository}/blobs/{name}")
        return None if answer.status_code == 404 else self._good(answer, 200)

    def tags(self, repository: str) -> Tags:
        """Return the digest of each tag; of tags that list referrers, the digests that they list."""
        answer = self._session.get(f"{self._base}/{repository}/tags/list")
        if answer.status_code == 404:
            return {}
        found: Tags = {}
        for tag in json.loads(self._good(answer, 200))["tags"] or []:
            raw = self.manifest(repository, tag)
            if raw is None:
                raise Wrong(f"{repository}:{tag} is listed, and is not there")
            found[tag] = listed(raw) if FALLBACK.fullmatch(tag) else digest(raw)
        return found

    def check_whole(self, repository: str, *things: images.Image) -> None:
        """Raise Wrong unless all bytes of all images are there."""
        parts = {part.digest: part for thing in things for part in whole(thing)}
        for part in parts.values():
            if self.manifest(repository, part.digest) != part.raw:
                raise Wrong(f"the manifest {repository}@{part.digest} is not there, or is another")
        for name, data in {
            name: data for part in parts.values() for name, data in part.blobs.items()
        }.items():
            if self.blob(repository, name) != data:
                raise Wrong(f"the blob {name} of {repository} is not there, or is another")

    @staticmethod
    def _good(answer: requests.Response, status: int) -> bytes:
        if answer.status_code != status:
            raise RuntimeError(
                f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:300]}"
            )
        return answer.content


def listed(raw: bytes) -> list[str]:
    """Return the digests that an index lists."""
    return sorted(entry["digest"] for entry in json.loads(raw)["manifests"])


def write_layout(path: pathlib.Path, named: t.Mapping[str, images.Image]) -> None:
    """Write an image layout."""
    (path / "blobs/sha256").mkdir(parents=True)
    (path / "oci-layout").write_bytes(LAYOUT)
    entries = []
    for name, thing in named.items():
        entries.append({**images.descriptor(thing.raw, thing.media_type), "annotations": {REF_NAME: name}})
        for part in whole(thing):
            for data in (part.raw, *part.blobs.values()):
                (path / "blobs" / digest(data).replace(":", "/")).write_bytes(data)
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}), encoding="utf-8")


def write_archive(path: pathlib.Path, layout: pathlib.Path) -> None:
    """Write an archive of the layout at ``layout``."""
    with tarfile.open(path, "w") as archive:
        for name in ("oci-layout", "index.json", "blobs"):
            archive.add(layout / name, name)


def read_local(path: pathlib.Path) -> tuple[dict[str, str], dict[str, bytes]]:
    """Return the names of the images at ``path``, each with its digest, and all blobs there by their digests.

    A plain directory has one image, without a name. Raises Wrong for anything that is not what its name says, and
    for files that do not belong there.
    """
    files = _files(path)
    images_there: dict[str, str] = {}
    blobs: dict[str, bytes] = {}
    for name, data in files.items():
        found = re.fullmatch(r"(?:blobs/)?sha256[:/]([0-9a-f]{64})", name)
        if found:
            blobs[f"sha256:{found[1]}"] = data
            if digest(data) != f"sha256:{found[1]}":
                raise Wrong(f"{name} in {path.name} has other bytes")
        elif name == "index.json":
            entries = json.loads(data)["manifests"]
            images_there.update(
                {one.get("annotations", {}).get(REF_NAME, ""): one["digest"] for one in entries}
            )
        elif name == "manifest.json" and path.is_dir():
            images_there[""] = digest(data)
        elif name not in ("oci-layout", "manifest.json"):
            raise Wrong(f"{name} in {path.name} was left behind")
    return images_there, blobs


def check_held(blobs: t.Mapping[str, bytes], thing: images.Image) -> None:
    """Raise Wrong unless ``blobs`` has all of an image."""
    for part in whole(thing):
        for name in (part.digest, *part.blobs):
            if name not in blobs:
                raise Wrong(f"{name} of {thing.digest} is missing")


def _files(path: pathlib.Path) -> dict[str, bytes]:
    if path.is_dir():
        left = [one.name for one in path.rglob(".*") if one.name != INGEST]
        if left:
            raise Wrong(f"{left[0]} in {path.name} was left behind")
        # What a task that failed has received in part stays for the next one.
        kept = [one for one in path.rglob("*") if INGEST not in one.parts and not one.is_dir()]
        return {str(one.relative_to(path)): one.read_bytes() for one in kept}
    with tarfile.open(path) as archive:
        found = {}
        for member in archive:
            file = archive.extractfile(member)
            if file:
                found[member.name] = file.read()
        return found
