# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulls, pushes and copies as the modules do, and looks at what came of it without the collection."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pathlib
import subprocess
import tarfile
import types
import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Manifest
from ansible_collections.ocikit.registry.plugins.module_utils._oci.verified_reader import BytesReader
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.image_change import Overlay
from ansible_collections.ocikit.registry.plugins.modules import registry_copy, registry_pull, registry_push
from tests.registries import Registry, find_tool, images
from tests.unit.task import task

Result = t.Dict[str, t.Any]


class Mover:
    """The three modules' functions. References without a host belong to the registry at ``url``."""

    def __init__(self, connect: t.Callable[..., t.Any]) -> None:
        self._connect = connect

    def pull(self, url: str, image: str | list[str], dest: t.Any, **params: t.Any) -> Result:
        return self._task(registry_pull, url, image=image, dest=str(dest), **params)

    def push(self, url: str, src: t.Any, image: str, **params: t.Any) -> Result:
        return self._task(registry_push, url, src=str(src), image=image, **params)

    def copy(self, url: str, image: str | None = None, to: str | None = None, **params: t.Any) -> Result:
        return self._task(registry_copy, url, image=image, to=to, **params)

    def _task(self, module: types.ModuleType, url: str, **params: t.Any) -> Result:
        connection, _client = self._connect(url, **{"retries": 0, **params.pop("options", {})})
        return task(module, connection, **params)


def parsed(image: images.Image) -> Manifest:
    """Return the manifest of an image as the collection reads it."""
    return Manifest.parse(image.raw, image.media_type)


def source_of(*several: images.Image) -> Overlay:
    """Return a source in memory that has these manifests and their own blobs."""
    source = Overlay(None)
    for image in several:
        source.add_manifest(parsed(image))
        for name, content in image.blobs.items():
            source.add_blob(name, functools.partial(BytesReader, content))
    return source


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def blobs_of(image: images.Image) -> dict[str, bytes]:
    """All blobs that an image and its children bring along."""
    found = dict(image.blobs)
    for child in getattr(image, "children", ()):
        found.update(blobs_of(child))
    return found


def assert_whole(url: str, repository: str, reference: str, image: images.Image) -> None:
    """Assert that ``reference`` is ``image``, and that everything it consists of is there as well."""
    assert images.head(url, repository, reference) == image.digest
    assert images.get_manifest(url, repository, image.digest) == (image.raw, image.media_type)
    for name, data in image.blobs.items():
        assert images.get_blob(url, repository, name) == data
    for child in getattr(image, "children", ()):
        assert_whole(url, repository, child.digest, child)


def writes(registry: Registry) -> list[str]:
    """The requests since the last clear_requests() that change something: method and path."""
    return [
        f"{method} {uri.partition('?')[0]}"
        for method, uri, _status in registry.requests()
        if method not in ("GET", "HEAD")
    ]


def tree(path: pathlib.Path) -> dict[str, bytes | None]:
    """Every file below ``path``, or the file itself, with its bytes; None for directories."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {
        str(one.relative_to(path)): one.read_bytes() if one.is_file() else None for one in path.rglob("*")
    }


def index_of(path: pathlib.Path) -> dict[str, str]:
    """The images that the index of a layout or archive lists: name and digest."""
    if path.is_dir():
        raw = (path / "index.json").read_bytes()
    else:
        with tarfile.open(path) as archive:
            member = archive.extractfile("index.json")
            assert member
            raw = member.read()
    return {
        entry.get("annotations", {}).get("org.opencontainers.image.ref.name", ""): entry["digest"]
        for entry in json.loads(raw)["manifests"]
    }


def record_as_verified(layout: pathlib.Path, digest: str) -> pathlib.Path:
    """Let the record beside ``layout`` say that a blob, as it is now, was verified. Returns the path of the record."""
    record = layout.parent / f".{layout.name}.ocikit-verified"
    status, data = (layout / "blobs/sha256" / digest[7:]).stat(), json.loads(record.read_bytes())
    data["files"][digest] = [
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        status.st_dev,
    ]
    record.write_text(json.dumps(data), encoding="utf-8")
    return record


def assert_layout(path: pathlib.Path) -> None:
    """Assert that every blob of a layout is what its name says, and that what the index lists is complete."""
    held = {f"{one.parent.name}:{one.name}": one.read_bytes() for one in (path / "blobs").glob("*/*")}
    assert all(digest(data) == name for name, data in held.items())
    entries = (
        json.loads((path / "index.json").read_bytes())["manifests"] if (path / "index.json").exists() else []
    )
    while entries:
        manifest = json.loads(held[entries.pop()["digest"]])
        entries += manifest.get("manifests", [])
        blobs = [manifest["config"], *manifest["layers"]] if "config" in manifest else []
        assert all(blob["digest"] in held or "urls" in blob for blob in blobs)


def skopeo(*arguments: t.Any) -> str:
    """Run skopeo and return what it prints."""
    return _tool("skopeo", *arguments)


def umoci_unpack(layout: pathlib.Path, name: str, to: pathlib.Path) -> pathlib.Path:
    """Unpack an image of a layout and return the root of its file system."""
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    _tool("umoci", "unpack", *rootless, "--image", f"{layout}:{name}", to)
    return to / "rootfs"


def _tool(name: str, *arguments: t.Any) -> str:
    command = [find_tool(name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
