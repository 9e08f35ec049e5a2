# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept on disk: believed once it was read, and contradictions told."""

from __future__ import annotations

import io
import json
import pathlib
import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    DigestMismatch,
    InvalidInput,
    NotFound,
)
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor, digest_of
from ansible_collections.ocikit.registry.plugins.module_utils._oci.stores import CopyPlan
from ansible_collections.ocikit.registry.plugins.module_utils._oci.verified_reader import (
    BytesReader,
    blocks_of,
)
from ansible_collections.ocikit.registry.plugins.module_utils._progress import Progress, Transfer
from ansible_collections.ocikit.registry.plugins.module_utils._registry.blobs import blob_body
from ansible_collections.ocikit.registry.plugins.module_utils._storage.contents import (
    LocalContents,
    contradiction,
    listed_layers,
)
from ansible_collections.ocikit.registry.plugins.module_utils._storage.listing import (
    Entry,
    ImageName,
    entry_of,
)
from ansible_collections.ocikit.registry.plugins.module_utils._storage.oci_layout import LayoutStore
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.metered import MeteredSource
from tests.registries import images
from tests.unit.copying import parsed, source_of

ONE = images.image({"file": "one"})


class Memory(LocalContents):
    """Contents in memory."""

    path = "memory"

    def __init__(self, *several: images.Image) -> None:
        self.blobs = {image.digest: image.raw for image in several}
        for image in several:
            self.blobs.update(image.blobs)
        self._entries = [
            entry_of(parsed(image), ImageName(f"{number}")) for number, image in enumerate(several)
        ]

    def entries(self) -> list[Entry]:
        return self._entries

    def size_of(self, digest: str) -> int | None:
        return len(self.blobs[digest]) if digest in self.blobs else None

    def open_digest(self, digest: str) -> io.RawIOBase | None:
        return t.cast(io.RawIOBase, io.BytesIO(self.blobs[digest])) if digest in self.blobs else None


def test_images_are_found_by_name_and_digest() -> None:
    contents = Memory(ONE)
    for name in ("0", ONE.digest):
        descriptor = contents.resolve(name)
        assert descriptor and contents.fetch_manifest(descriptor).raw == ONE.raw
    assert contents.resolve("1") is None


def test_what_is_damaged_is_told_by_its_name() -> None:
    contents = Memory(ONE)
    descriptor = parsed(ONE).descriptor
    contents.blobs[ONE.digest] = ONE.raw[:-1] + b" "
    with pytest.raises(DigestMismatch, match=f"{ONE.digest} is damaged: its content is not that of"):
        contents.fetch_manifest(descriptor)
    contents.blobs[ONE.digest] = ONE.raw + b" "
    with pytest.raises(DigestMismatch, match=f"has {len(ONE.raw) + 1} bytes instead of {len(ONE.raw)}"):
        contents.holds(descriptor)


def test_what_is_missing() -> None:
    contents = Memory()
    descriptor = parsed(ONE).descriptor
    assert contents.holds(descriptor) is False
    with pytest.raises(NotFound, match=f"memory does not hold {ONE.digest}"):
        contents.open_blob(descriptor)


def test_a_configuration_about_other_layers_is_a_contradiction() -> None:
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": []}}).encode()
    manifest = ONE.manifest
    manifest["config"] = {**manifest["config"], "digest": images.digest(config), "size": len(config)}
    wrong = images.Image(json.dumps(manifest).encode(), ONE.media_type, {images.digest(config): config})
    assert contradiction(Memory(ONE), parsed(ONE)) is None
    assert contradiction(Memory(wrong), parsed(wrong)) == "its manifest has 1 and its configuration 0 layers"
    # What is not here, and what is no image with a file system, contradicts nothing.
    assert contradiction(Memory(), parsed(wrong)) is None
    artifact = images.artifact("application/vnd.example", b"x", "text/plain")
    assert contradiction(Memory(artifact), parsed(artifact)) is None


@pytest.mark.parametrize(
    ("config", "count"),
    [({}, 0), ({"rootfs": 1}, 0), ({"rootfs": {"diff_ids": "x"}}, 0), ({"rootfs": {"diff_ids": [1]}}, 1)],
)
def test_layers_that_a_configuration_lists(config: dict[str, t.Any], count: int) -> None:
    assert len(listed_layers(json.dumps(config).encode(), "image config")) == count


def test_a_folder_store_keeps_what_arrived_whole(tmp_path: pathlib.Path) -> None:
    source, manifest = Memory(ONE), parsed(ONE)
    store = LayoutStore(str(tmp_path / "layout"))
    work = CopyPlan([[manifest]], blobs=manifest.successors(), sources={manifest.digest: source})
    with store.writing(work, {ONE.digest: ["1"]}):
        for blob in manifest.successors():
            assert store.put_blob(blob, source)
        store.put_manifest(manifest)
    again = LayoutStore(str(tmp_path / "layout"))
    assert all(again.exists(blob) for blob in [*manifest.successors(), manifest.descriptor])
    assert set(again.paths()) >= {again.path, f"{again.path}/index.json"}
    (layer,) = manifest.layers
    path = tmp_path / "layout" / "blobs" / "sha256" / layer.digest.partition(":")[2]
    path.write_bytes(b"x" * layer.size)
    assert not LayoutStore(str(tmp_path / "layout")).exists(layer)


def stored(folder: pathlib.Path, content: bytes) -> tuple[LayoutStore, Descriptor]:
    """Store ``content`` in a layout, which verifies it, and return both."""
    blob, image = Descriptor("text/plain", digest_of(content), len(content)), source_of()
    image.add_blob(blob.digest, lambda: BytesReader(content))
    store = LayoutStore(str(folder / "layout"))
    with store.writing(CopyPlan(blobs=[blob]), {}):
        store.put_blob(blob, image)
    return store, blob


@pytest.mark.parametrize("metered", [False, True])
@pytest.mark.parametrize("at", [0, 100_000, 200_000])
def test_a_file_that_changes_while_it_is_sent_is_noticed(
    tmp_path: pathlib.Path, metered: bool, at: int
) -> None:
    """Also where the record proves it when it is opened, so that it is not hashed, and its size and bytes stay."""
    content = bytes(200_000)
    store, blob = stored(tmp_path, content)
    again: t.Any = LayoutStore(store.path)
    if metered:
        again = MeteredSource(again, t.cast(Transfer, Progress(lambda line: None).transfer([blob.size])))
    body = blob_body(blob, lambda: t.cast(io.RawIOBase, again.open_blob(blob)))
    with body.open() as source:
        assert getattr(source, "proven", None) == blob
        assert b"".join(map(bytes, blocks_of(source))) == content
    with body.open() as source, pytest.raises(
        DigestMismatch, match="sha256/[0-9a-f]+ changed while it was read"
    ):
        left = at
        while left:
            left -= source.readinto(bytearray(min(left, 65536))) or 0
        (tmp_path / "layout" / store.name_of(blob.digest)).write_bytes(content)
        for _block in blocks_of(source):
            pass
    with body.open() as source:
        assert not hasattr(source, "proven"), "it is hashed"
        assert b"".join(map(bytes, blocks_of(source))) == content


def test_no_more_than_the_blob_is_sent_of_a_file_that_grows(tmp_path: pathlib.Path) -> None:
    """What would come after it on the connection could be taken for another request."""
    content = bytes(200_000)
    store, blob = stored(tmp_path, content)
    again, sent = LayoutStore(store.path), 0
    with blob_body(blob, lambda: again.open_blob(blob)).open() as source:
        assert getattr(source, "proven", None) == blob
        with open(tmp_path / "layout" / store.name_of(blob.digest), "ab") as file:
            file.write(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(DigestMismatch, match="changed while it was read"):
            for block in blocks_of(source):
                sent += len(block)
    assert sent == len(content)


@pytest.mark.parametrize(
    ("size", "options"), [(9, {}), (7, {"read_all_files": True})], ids=["another size", "all are read"]
)
def test_what_the_record_does_not_prove_is_hashed(
    tmp_path: pathlib.Path, size: int, options: dict[str, t.Any]
) -> None:
    content = b"content"
    store, blob = stored(tmp_path, content)
    assert getattr(LayoutStore(store.path).open_blob(blob), "proven", None) == blob
    asked = Descriptor("text/plain", blob.digest, size)
    with LayoutStore(store.path, **options).open_blob(asked) as source:
        assert not hasattr(source, "proven")


def test_a_directory_of_somebody_else_is_not_written_to(tmp_path: pathlib.Path) -> None:
    (tmp_path / "letters").write_text("x")
    with pytest.raises(InvalidInput, match="holds something else than an OCI image layout"):
        LayoutStore(str(tmp_path))
