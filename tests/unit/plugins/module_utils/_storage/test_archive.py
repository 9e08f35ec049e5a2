# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives: the same bytes each time, loaded by other tools, read from them; hostile ones are refused in a sentence."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pathlib
import tarfile
import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, RegistryError
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor
from ansible_collections.ocikit.registry.plugins.module_utils._oci.verified_reader import read_blob
from ansible_collections.ocikit.registry.plugins.module_utils._storage import compression, tar_members
from ansible_collections.ocikit.registry.plugins.module_utils._storage.archive import ArchiveSource
from tests.hostile import HostileRegistry
from tests.registries import Registry, images, stored
from tests.unit.copying import (
    Mover,
    assert_layout,
    assert_whole,
    digest,
    index_of,
    skopeo,
    tree,
    umoci_unpack,
)

BASE = images.layer({"base": "base\n"})
ONE = images.image([BASE, images.layer({"one/file": "1\n"})])
TWO = images.image([BASE, images.layer({"two": "2\n"}, compression="")], media="oci")
DOCKER = images.image([BASE, BASE, images.layer({"docker": "d\n"})], media="docker")
INDEX = images.index([ONE, images.image([BASE], architecture="arm64", variant="v8")])
ARCHIVES = ("oci-archive", "docker-archive")


@pytest.fixture(scope="module", autouse=True)
def seeded(registry: Registry) -> None:
    for tag, image in {"1": ONE, "2": TWO, "docker": DOCKER, "multi": INDEX}.items():
        if stored(image):
            images.push(registry.url, "app", image, tag)


@pytest.mark.registry_does("docker")
@pytest.mark.parametrize("form", ARCHIVES)
def test_the_same_images_give_the_same_bytes(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, form: str
) -> None:
    names = ["app:1", "app:2", "app:docker"]
    for dest in ("a.tar", "b.tar"):
        mover.pull(registry.url, names, tmp_path / dest, format=form)
    mover.pull(registry.url, "app:2", tmp_path / "c.tar", format=form)
    mover.pull(registry.url, names, tmp_path / "c.tar", format=form, options={"concurrency": 1})
    raw = (tmp_path / "a.tar").read_bytes()
    assert raw == (tmp_path / "b.tar").read_bytes() == (tmp_path / "c.tar").read_bytes()
    assert len(raw) % tarfile.RECORDSIZE == 0
    assert sorted(tree(tmp_path)) == ["a.tar", "b.tar", "c.tar"]
    with tarfile.open(tmp_path / "a.tar") as archive:
        members = archive.getmembers()
    assert [one.name for one in members] == sorted({one.name for one in members})
    assert {(one.mtime, one.uid, one.gid) for one in members} == {(0, 0, 0)}
    assert {one.mode for one in members if one.isfile()} == {0o644}
    # Others unpack it with these modes, and as another user than root they could not enter a directory that has none.
    assert {one.name: one.mode for one in members if one.isdir()} == dict.fromkeys(
        ("blobs", "blobs/sha256"), 0o755
    )


def test_what_an_archive_has_is_not_fetched_again(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path
) -> None:
    mover.pull(registry.url, "app:1", tmp_path / "a.tar", format="oci-archive")
    added = mover.pull(registry.url, ["app:1", "app:2"], tmp_path / "a.tar", format="oci-archive")
    assert (added["blobs"]["missing"], added["blobs"]["present"]) == (2, 3)
    less = mover.pull(registry.url, "app:2", tmp_path / "a.tar", format="oci-archive")
    assert less["changed"] and less["blobs"]["missing"] == 0
    assert index_of(tmp_path / "a.tar") == {"2": TWO.digest}
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert len([member for member in archive if member.isfile()]) == 4 + 2


@pytest.mark.registry_does("docker")
def test_other_tools_read_what_we_write(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    mover.pull(registry.url, "app:multi", tmp_path / "oci.tar", format="oci-archive")
    assert (
        digest(skopeo("inspect", "--raw", f"oci-archive:{tmp_path}/oci.tar:multi").encode()) == INDEX.digest
    )
    skopeo("copy", "--all", f"oci-archive:{tmp_path}/oci.tar", f"oci:{tmp_path}/layout:multi")
    assert_layout(tmp_path / "layout")
    for tag, image in {"1": ONE, "2": TWO, "docker": DOCKER}.items():
        dest = tmp_path / f"{tag}.tar"
        mover.pull(registry.url, f"app:{tag}", dest, format="docker-archive")
        # One file for both ways; by the second one the digest stays.
        config = image.blobs[image.manifest["config"]["digest"]]
        assert skopeo("inspect", "--config", "--raw", f"docker-archive:{dest}").encode() == config
        assert skopeo("inspect", "--config", "--raw", f"docker-archive:{dest}:{registry.host}/app:{tag}")
        # By a name this skopeo finds only what has OCI's own media types.
        raw = skopeo("inspect", "--raw", f"oci-archive:{dest}" + (f":{tag}" if image is not DOCKER else ""))
        assert digest(raw.encode()) == image.digest
        skopeo("copy", f"docker-archive:{dest}", f"oci:{tmp_path}/loaded:{tag}")
    root = umoci_unpack(tmp_path / "loaded", "2", tmp_path / "bundle")
    assert sorted(one.name for one in root.iterdir()) == ["base", "two"]


def test_several_images_in_one_docker_archive(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path
) -> None:
    dest = tmp_path / "all.tar"
    mover.pull(registry.url, ["app:1", "app:2"], dest, format="docker-archive")
    for tag, image in {"1": ONE, "2": TWO}.items():
        config = image.blobs[image.manifest["config"]["digest"]]
        source = f"docker-archive:{dest}:{registry.host}/app:{tag}"
        assert skopeo("inspect", "--config", "--raw", source).encode() == config


def test_the_tag_latest_is_written_where_none_is(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path
) -> None:
    images.push(registry.url, "untagged", ONE, "latest")
    for dest, name in (("a.tar", "untagged"), ("b.tar", f"untagged@{ONE.digest}")):
        mover.pull(registry.url, name, tmp_path / dest, format="docker-archive")
        with tarfile.open(tmp_path / dest) as archive:
            member = archive.extractfile("manifest.json")
            assert member
            tags = json.loads(member.read())[0]["RepoTags"]
        assert tags == ([f"{registry.host}/untagged:latest"] if dest == "a.tar" else None)


@pytest.mark.parametrize("check_mode", [True, False])
def test_docker_archives_of_what_cannot_be_loaded(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, check_mode: bool
) -> None:
    far = images.image(
        [images.foreign_layer(["http://127.0.0.1:9/layer"], {"far": "far\n"}), BASE], media="docker"
    )
    images.push(registry.url, "app", far, "far")
    images.push(registry.url, "app", images.samples()["signature"], "artifact")
    for tag, sentence in {
        "multi": "is not a single image, which docker-archive needs",
        "artifact": "is not a single image, which docker-archive needs",
        "far": "docker-archive needs all: set foreign_layers",
    }.items():
        with pytest.raises(InvalidInput, match=sentence):
            mover.pull(
                registry.url, f"app:{tag}", tmp_path / "a.tar", format="docker-archive", check_mode=check_mode
            )
    assert tree(tmp_path) == {}


@pytest.mark.registry_does("docker")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_we_read_what_other_tools_write(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, kind: str, packed: bool
) -> None:
    dest = tmp_path / "skopeo.tar"
    skopeo(
        "copy", "--src-tls-verify=false", f"docker://{registry.host}/app:docker", f"{kind}:{dest}:tools/app:1"
    )
    seen = skopeo("inspect", "--raw", f"{kind}:{dest}")
    config = skopeo("inspect", "--raw", "--config", f"{kind}:{dest}").encode()
    if packed:
        (tmp_path / "skopeo.tar.gz").write_bytes(gzip.compress(dest.read_bytes()))
        dest = tmp_path / "skopeo.tar.gz"
    repository = f"skopeo-{kind}-{packed}".lower()
    pushed = mover.push(registry.url, dest, f"{repository}:1")
    assert mover.push(registry.url, dest, f"{repository}:1", name="1")["changed"] is False
    if kind == "oci-archive":
        assert pushed["images"][0]["digest"] == digest(seen.encode())
    # A docker-archive has no manifest: skopeo makes one that calls its plain layers compressed, and we do not.
    raw, _type = images.get_manifest(registry.url, repository, "1")
    ours, theirs = json.loads(raw), json.loads(seen)
    assert ours["config"] == theirs["config"]
    assert [one["digest"] for one in ours["layers"]] == [one["digest"] for one in theirs["layers"]]
    assert images.get_blob(registry.url, repository, ours["config"]["digest"]) == config
    skopeo(
        "copy", "--src-tls-verify=false", f"docker://{registry.host}/{repository}:1", f"oci:{tmp_path}/back:1"
    )
    root = umoci_unpack(tmp_path / "back", "1", tmp_path / "bundle")
    assert sorted(one.name for one in root.iterdir()) == ["base", "docker"]


@pytest.mark.registry_does("docker")
def test_docker_save_of_old(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    """Before version 25: a folder for each layer, and links for those that repeat."""
    plain = gzip.decompress(BASE.data)
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": [digest(plain)] * 2}}
    ).encode()
    name = f"{digest(config)[7:]}.json"
    listing = [
        {"Config": name, "RepoTags": ["old/app:1", "old/app:2"], "Layers": ["a/layer.tar", "b/layer.tar"]}
    ]
    path = write_tar(
        tmp_path / "old.tar",
        ("a/", None),
        ("a/VERSION", b"1.0"),
        ("a/layer.tar", plain),
        ("b/layer.tar", "../a/layer.tar"),
        (name, config),
        ("manifest.json", json.dumps(listing).encode()),
        ("repositories", b"{}"),
    )
    pushed = mover.push(registry.url, path, "old:1")
    for choice in ("old/app:1", "old/app:2", "2", "0"):
        assert not mover.push(registry.url, path, "old:1", name=choice)["changed"]
    raw, media_type = images.get_manifest(registry.url, "old", "1")
    assert media_type == images.DOCKER_MANIFEST and digest(raw) == pushed["images"][0]["digest"]
    assert [one["digest"] for one in json.loads(raw)["layers"]] == [digest(plain)] * 2
    assert images.get_blob(registry.url, "old", digest(plain)) == plain


Content = t.Union[bytes, str, None, tarfile.TarInfo]


def write_tar(path: pathlib.Path, *members: tuple[str, Content]) -> pathlib.Path:
    """Write a tar: bytes are a file, text is the target of a symbolic link, None a directory, a TarInfo itself."""
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = content if isinstance(content, bytes) else b""
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            elif content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, bytes):
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def special(name: str, kind: bytes, target: str = "") -> tuple[str, tarfile.TarInfo]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return name, info


def layout_members(image: images.Image, **more: t.Any) -> list[tuple[str, Content]]:
    entry = {**images.descriptor(image.raw, image.media_type), **more}
    contents = [image.raw, *image.blobs.values()]
    members: list[tuple[str, Content]] = [(f"blobs/sha256/{digest(one)[7:]}", one) for one in contents]
    return [*members, ("oci-layout", b"{}"), ("index.json", json.dumps({"manifests": [entry]}).encode())]


def saved(config: t.Any = "c.json", layers: t.Any = ("l.tar",), tags: t.Any = ("a:1",)) -> tuple[str, bytes]:
    return "manifest.json", json.dumps([{"Config": config, "Layers": layers, "RepoTags": tags}]).encode()


HOSTILE: dict[str, tuple[list[tuple[str, Content]], str]] = {
    "traversal": ([("../../evil", b"x")], "leads out of it"),
    "traversal inside": ([("blobs/../../evil", b"x")], "leads out of it"),
    "absolute": ([("/etc/evil", b"x")], "leads out of it"),
    "link out": ([("blobs/sha256/a", "../../../etc/passwd")], "leads out of it"),
    "absolute link": ([("index.json", "/etc/passwd")], "leads out of it"),
    "hard link out": ([special("index.json", tarfile.LNKTYPE, "../etc/passwd")], "leads out of it"),
    "link to nothing": ([("index.json", "nothing")], "holds no image"),
    "link to itself": ([("index.json", "index.json")], "holds no image"),
    "device": ([special("index.json", tarfile.CHRTYPE)], "neither a file nor a directory"),
    "pipe": ([special("index.json", tarfile.FIFOTYPE)], "neither a file nor a directory"),
    "nothing of ours": ([("readme", b"x")], "holds no image"),
    "huge index": ([("index.json", b" " * ((8 << 20) + 1))], "larger than"),
    "index no JSON": ([("index.json", b"\xff")], "not valid JSON"),
    "index a list": ([("index.json", b"[]")], "not a JSON object"),
    "manifests a number": ([("index.json", b'{"manifests": 5}')], "no list of images"),
    "huge docker manifest": ([("manifest.json", b" " * ((8 << 20) + 1))], "larger than"),
    "docker manifest deep": ([("manifest.json", b"[" * 100000)], "not valid JSON"),
    "docker manifest an object": ([("manifest.json", b'{"a": 1}')], "not that of docker save"),
    "docker manifest empty": ([("manifest.json", b"[]")], "there are none"),
    "config out": ([saved("../../etc/passwd")], "leads out of it"),
    "config a number": ([saved(5)], "not that of docker save"),
    "config absent": ([saved()], "lacks the image config c.json"),
    "huge config": ([("c.json", b" " * ((8 << 20) + 1)), saved()], "larger than"),
    "layer absent": ([("c.json", b"{}"), saved()], "lacks l.tar"),
    "layer out": ([("c.json", b"{}"), saved(layers=["/etc/passwd"])], "leads out of it"),
    "layers a number": ([("c.json", b"{}"), saved(layers=5)], "not that of docker save"),
    "huge manifest": (layout_members(ONE, size=9 << 20)[1:], "does not hold"),
    "digest wrong": (
        [*layout_members(ONE)[1:], (layout_members(ONE)[0][0], TWO.raw)],
        "is damaged: its content is not that of",
    ),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archives(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, kind: str, packed: bool
) -> None:
    members, sentence = HOSTILE[kind]
    path = write_tar(tmp_path / "hostile.tar", *members)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes(), 1))
    before = tree(tmp_path)
    registry.clear_requests()
    with pytest.raises(RegistryError, match=sentence):
        mover.push(registry.url, path, "hostile:1")
    with pytest.raises(RegistryError):
        mover.pull(registry.url, "absent:1", path, format="oci-archive")
    assert tree(tmp_path) == before
    assert [one for one in registry.requests() if "/hostile/" in one[1]] == []


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.type = kind
    raw = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    # Base 256 is the form that takes any number, also a negative one.
    raw[124:136] = (b"\x80" if size >= 0 else b"\xff") + size.to_bytes(11, "big", signed=True)
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


BROKEN: dict[str, bytes] = {
    "empty": b"",
    "text": b"hello\n" * 200,
    "zeros": b"\0" * 10240,
    "gzip of nothing": gzip.compress(b""),
    "gzip of text": gzip.compress(b"hello\n" * 200),
    "gzip cut": gzip.compress(os.urandom(5000))[:3000],
    "gzip broken": gzip.compress(b"x" * 5000)[:20] + b"\xff" * 50,
    "gzip invalid": gzip.compress(b"")[:10] + b"\xff" * 100,
    "gzip magic only": b"\x1f\x8b",
    "cut": header("index.json", 5000) + b"{}",
    "negative size": header("index.json", -512) + b"\0" * 1024,
    "negative extended header": header("x", -1024, tarfile.XHDTYPE) + b"\0" * 1024,
    "huge extended header": header("x", 1 << 40, tarfile.XHDTYPE) + b"\0" * 1024,
    "huge long name": header("x", 1 << 33, tarfile.GNUTYPE_LONGNAME) + b"\0" * 1024,
    "huge member": header("index.json", 1 << 60) + b"{}" * 512,
    "headers without end": (header("x", 12, tarfile.XHDTYPE) + b"12 a=b\n12 a=b"[:12].ljust(512, b"\0"))
    * 3000,
    "no checksum": b"index.json" + b"\0" * 502 + b"\0" * 512,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_archive(mover: Mover, registry: Registry, tmp_path: pathlib.Path, kind: str) -> None:
    path = tmp_path / "broken.tar"
    path.write_bytes(BROKEN[kind])
    with pytest.raises(
        InvalidInput, match="is not a tar archive|holds no image|is cut off|is not a complete gzip file"
    ):
        mover.push(registry.url, path, "broken:1")
    with pytest.raises(InvalidInput):
        mover.pull(registry.url, "app:1", path, format="docker-archive")
    assert path.read_bytes() == BROKEN[kind]


def test_too_many_members(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tar_members, "_MAX_MEMBERS", 50)
    path = write_tar(tmp_path / "many.tar", *((f"f{n}", b"") for n in range(50)), *layout_members(ONE))
    with pytest.raises(InvalidInput, match="has more than 50 members"):
        mover.push(registry.url, path, "many:1")


def test_links_within_an_archive_are_followed(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path
) -> None:
    members = layout_members(ONE)
    place, content = layout_members(ONE)[1]
    members[1] = ("elsewhere/blob", content)
    members.append((place, "../../elsewhere/blob"))
    members[0], members[1] = members[1], members[0]
    mover.push(registry.url, write_tar(tmp_path / "links.tar", *members), "links:1")
    assert_whole(registry.url, "links", "1", ONE)


def test_an_archive_that_is_replaced_is_read_to_its_end(tmp_path: pathlib.Path) -> None:
    path = write_tar(tmp_path / "a.tar", *layout_members(ONE))
    source = ArchiveSource(str(path))
    other = write_tar(tmp_path / "b.tar", *layout_members(TWO))
    os.replace(other, path)
    name = ONE.manifest["layers"][1]["digest"]
    descriptor = Descriptor(images.OCI_LAYER, name, len(ONE.blobs[name]))
    assert read_blob(source.open_blob(descriptor), descriptor, 1 << 20) == ONE.blobs[name]


def test_what_a_killed_run_left_is_used_up(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    (tmp_path / ".a.tar-0123abcd.ocikit-part").write_bytes(b"x" * 500000)
    mover.pull(registry.url, "app:1", tmp_path / "a.tar", format="oci-archive")
    mover.pull(registry.url, "app:1", tmp_path / "b.tar", format="oci-archive")
    assert sorted(tree(tmp_path)) == ["a.tar", "b.tar"]
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_two_writers_of_one_archive(mover: Mover, tmp_path: pathlib.Path) -> None:
    """The file is that of one of them, and complete."""
    dest = tmp_path / "a.tar"
    both_planned = threading.Barrier(2)
    with HostileRegistry(delay=0.1, delay_on="^GET .*/blobs/") as hostile:
        hostile.add("app", ONE, "1")
        hostile.add("app", TWO, "2")

        def meet(request: t.Any) -> None:
            if request.method == "GET" and "/manifests/" in request.path:
                both_planned.wait(20)

        hostile.before = meet
        with ThreadPoolExecutor() as pool:
            runs = [
                pool.submit(mover.pull, hostile.url, f"app:{tag}", dest, format="oci-archive") for tag in "12"
            ]
            assert all(run.result(60)["changed"] for run in runs)
        hostile.before = None
        found = index_of(dest)
        assert found in ({"1": ONE.digest}, {"2": TWO.digest})
        tag = next(iter(found))
        assert not mover.pull(hostile.url, f"app:{tag}", dest, format="oci-archive")["changed"]
    assert sorted(tree(tmp_path)) == ["a.tar"]


def test_an_archive_that_unpacks_to_too_much(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default it may unpack to a hundred times its size, and always to a GiB."""
    monkeypatch.setattr(compression, "_LEAST_LIMIT", 1 << 20)
    path = write_tar(tmp_path / "a.tar", ("filler", bytes(4 << 20)), *layout_members(ONE))
    packers: dict[str, t.Any] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    for name, pack in packers.items():
        packed = tmp_path / name
        packed.write_bytes(pack(path.read_bytes()))
        with pytest.raises(
            InvalidInput, match=f"{name} unpacks to more than 1048576 bytes.* Set max_unpacked_size"
        ):
            mover.push(registry.url, packed, f"bomb/{name}:1")
        mover.push(registry.url, packed, f"bomb/{name}:1", max_unpacked_size="8MiB")
        assert_whole(registry.url, f"bomb/{name}", "1", ONE)


def test_a_damaged_layer_in_a_compressed_archive_leaves_no_file(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    path = write_tar(tmp_path / "a.tar", *layout_members(ONE))
    raw = gzip.compress(path.read_bytes())
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(InvalidInput, match="is not a complete gzip file"):
        mover.push(registry.url, path, "cut:1")
    assert tree(tmp_path / "temporary") == {}
