# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies on disk, fuzzed: auth files, archives, layers, layouts, directories, and files of registry_prune."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import pathlib
import tarfile
import tempfile
import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, RegistryError
from ansible_collections.ocikit.registry.plugins.module_utils._http.auth import (
    Answer,
    Send,
    Step,
    TokenRequest,
)
from ansible_collections.ocikit.registry.plugins.module_utils._http.credentials import find_credentials
from ansible_collections.ocikit.registry.plugins.module_utils._http.origin import Origin
from ansible_collections.ocikit.registry.plugins.module_utils._oci.stores import CopyPlan
from ansible_collections.ocikit.registry.plugins.module_utils._prune.plan import read_plans
from ansible_collections.ocikit.registry.plugins.module_utils._prune.undo import read_runs
from ansible_collections.ocikit.registry.plugins.module_utils._storage.listing import (
    MARKER,
    ImageName,
    entries_in,
    entry_of,
    index_json,
    listed,
    ref_name,
)
from ansible_collections.ocikit.registry.plugins.module_utils._storage.local import LocalSource, open_source
from ansible_collections.ocikit.registry.plugins.module_utils._storage.oci_layout import LayoutStore
from ansible_collections.ocikit.registry.plugins.module_utils._transfer.layer import (
    Layer,
    file_layer,
    tarball,
    text_member,
)
from tests.fuzz.answers import HOST, IMAGE, takes
from tests.fuzz.words import text_of
from tests.unit.auth_flow import auth_of, carry_out

# The most images of one place, and contents of one image, that are read: there may be a hundred thousand.
SOME = 4
_CHALLENGES = (f'Bearer realm="https://{HOST}/token"', "Basic")


@contextlib.contextmanager
def scratch() -> t.Iterator[pathlib.Path]:
    """Return an empty folder, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ocikit-fuzz-") as folder:
        yield pathlib.Path(folder)


def read_auth_file(data: bytes) -> None:
    """Read an auth file, the variable of the same content, and a legacy one: what they hold can be sent."""
    with scratch() as folder:
        (folder / "auth.json").write_bytes(data)
        (folder / ".dockercfg").write_bytes(data)
        nowhere = {"HOME": str(folder / "none"), "XDG_RUNTIME_DIR": str(folder / "none"), "PATH": ""}
        sources: list[tuple[str | None, dict[str, str]]] = [
            (str(folder / "auth.json"), nowhere),
            (None, {**nowhere, "HOME": str(folder)}),
            (None, {**nowhere, "DOCKER_AUTH_CONFIG": text_of(data)}),
        ]
        problem: RegistryError | None = None
        for path, environ in sources:
            for registry, repository in ((HOST, "team/app"), ("docker.io", "library/alpine")):
                try:
                    _use(registry, repository, path, environ)
                except RegistryError as error:
                    problem = error
        if problem:
            raise problem


def _use(registry: str, repository: str, path: str | None, environ: t.Mapping[str, str]) -> None:
    found = find_credentials(registry, repository, path, environ)
    assert not any(secret in repr(found) for secret in found.secrets if len(secret) > 20)
    for challenge in _CHALLENGES:

        def answer(step: Step, challenge: str = challenge) -> Answer:
            if isinstance(step, TokenRequest):
                return Answer(200, b'{"token":"t"}')
            known = isinstance(step, Send) and step.authorization
            return Answer(200 if known else 401, challenges=[challenge])

        flow = auth_of(Origin("https", HOST, 443)).flow([f"repository:{repository}:pull"], found, 0.0)
        sent, _answer = carry_out(flow, answer)
        assert sent and sent.isascii() and sent.isprintable()


def read_archive(data: bytes) -> None:
    """Read an archive and copy what is in it to a layout: nothing else appears, and nothing under a wrong digest."""
    with scratch() as folder:
        (folder / "archive").write_bytes(data)
        try:
            source = open_source(str(folder / "archive"))
            _look_around(source)
            _copy(source, folder / "layout")
        finally:
            _check_tree(folder)


def _look_around(source: LocalSource) -> None:
    entries = source.entries()
    takes(entries)
    for name in [None, "0", "latest", *map(ref_name, entries[:SOME])]:
        with contextlib.suppress(RegistryError):
            source.image(name)
    for entry in entries[:SOME]:
        source.resolve(entry["digest"])


def _copy(source: LocalSource, place: pathlib.Path) -> None:
    target = LayoutStore(str(place))
    problem: RegistryError | None = None
    with target.writing(CopyPlan(), {}):
        for entry in source.entries()[:SOME]:
            try:
                descriptor = source.resolve(entry["digest"])
                assert descriptor is not None
                manifest = source.fetch_manifest(descriptor)
                assert manifest.digest == descriptor.digest
                for one in manifest.successors()[:SOME]:
                    source.holds(one)
                    target.put_blob(one, source)
                target.put_manifest(manifest)
            except RegistryError as error:
                problem = error
    if problem:
        raise problem


def _check_tree(folder: pathlib.Path) -> None:
    assert set(os.listdir(folder)) <= {"archive", "layout", ".layout.ocikit-verified"}
    for path in folder.glob("layout/**/*"):
        if not path.is_dir() and path.name not in ("index.json", "oci-layout"):
            algorithm, encoded = path.relative_to(folder / "layout" / "blobs").parts
            assert hashlib.new(algorithm, path.read_bytes()).hexdigest() == encoded


def read_layer(data: bytes) -> None:
    """Read a tarball as a layer: its digests are those of its bytes, and reading it again gives the same."""
    with scratch() as folder:
        (folder / "layer").write_bytes(data)
        layer = tarball(str(folder / "layer"))
        content = _content(layer)
        assert layer.digest == f"sha256:{hashlib.sha256(content).hexdigest()}" and layer.size == len(content)
        if data == content:
            # Zeros at the end may be padding.
            (folder / "layer").write_bytes(data.rstrip(b"\0")[:-1])
            with contextlib.suppress(InvalidInput):
                tarball(str(folder / "layer"))
                raise AssertionError("a layer was taken without its last byte")
        if layer.compression == "gzip":
            assert layer.diff_id == f"sha256:{hashlib.sha256(gzip.decompress(content)).hexdigest()}"


def _content(layer: Layer) -> bytes:
    reader, buffer = layer.open(), memoryview(bytearray(1 << 16))
    blocks: list[bytes] = []
    while True:
        count = reader.readinto(buffer)
        if not count:
            reader.close()
            return b"".join(blocks)
        blocks.append(bytes(buffer[:count]))


def pack_layer(data: bytes) -> None:
    """Make a layer of files (lines of names before an empty one, then the content): Python's tarfile reads the same."""
    names, _empty, content = text_of(data).partition("\n\n")
    members = [text_member(content, name, None, 0, 0) for name in names.split("\n")]
    raw = _content(file_layer(members))
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(raw))) as tar:
        packed = {one.name: t.cast(t.IO[bytes], tar.extractfile(one)).read() for one in tar}
    assert packed == {one.name: one.source for one in members}
    assert not any(name.startswith("/") or ".." in name.split("/") for name in packed)
    with scratch() as folder:
        (folder / "layer").write_bytes(raw)
        assert _content(tarball(str(folder / "layer"))) == raw


def read_layout(data: bytes) -> None:
    """Read the index of a layout: it is written as it was read, and listing an image twice is listing it once."""
    with scratch() as folder:
        (folder / "oci-layout").write_bytes(MARKER)
        (folder / "index.json").write_bytes(data)
        source = open_source(str(folder))
        _look_around(source)
        entries = source.entries()
        assert index_json(entries_in(index_json(entries), "index")) == index_json(entries)
        once = listed(entries, entry_of(IMAGE, ImageName("latest")))
        assert index_json(listed(once, entry_of(IMAGE, ImageName("latest")))) == index_json(once)
        _copy(source, folder / "layout")


def read_directory(data: bytes) -> None:
    """Read a plain directory of one image."""
    with scratch() as folder:
        (folder / "manifest.json").write_bytes(data)
        source = open_source(str(folder))
        _look_around(source)
        _copy(source, folder / "layout")


def read_documents(data: bytes) -> None:
    """Read a plan or undo file of registry_prune: what it holds is checked, or it is not taken."""
    with scratch() as folder:
        (folder / "file").write_bytes(data)
        with contextlib.suppress(RegistryError):
            takes([plan.to_dict() for plan in read_plans(str(folder / "file"))])
        for run in read_runs(str(folder / "file")):
            for entry in run.entries.values():
                assert entry.original().digest == entry.digest
