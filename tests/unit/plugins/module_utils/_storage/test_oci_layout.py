# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OCI image layouts: other tools take ours and we take theirs; damage is repaired, other people's files are left alone."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    DigestMismatch,
    InvalidInput,
    LocalStorageError,
    NotFound,
    ProtocolError,
    RegistryError,
)
from tests.hostile import HostileRegistry
from tests.registries import Registry, images
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
ONE = images.image([BASE, images.layer({"one/file": "1\n", "bin/tool": "tool\n", "link": "-> one/file"})])
TWO = images.image([BASE, images.layer({"two": "2\n"})])
INDEX = images.index([ONE, images.image([BASE], architecture="arm64", variant="v8")])
FORMATS = ("oci", "oci-archive", "dir")


@pytest.fixture(scope="module", autouse=True)
def seeded(registry: Registry) -> None:
    images.push(registry.url, "app", ONE, "1")
    images.push(registry.url, "app", TWO, "2")
    images.push(registry.url, "app", INDEX, "multi")


def blob_path(layout: pathlib.Path, name: str) -> pathlib.Path:
    return layout / "blobs" / "sha256" / name.partition(":")[2]


def test_other_tools_read_what_we_write(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    layout = tmp_path / "layout"
    mover.pull(registry.url, "app:1", layout)
    mover.pull(registry.url, "app:multi", layout)
    assert digest(skopeo("inspect", "--raw", f"oci:{layout}:1").encode()) == ONE.digest
    assert digest(skopeo("inspect", "--raw", f"oci:{layout}:multi").encode()) == INDEX.digest
    skopeo("copy", "--all", f"oci:{layout}:multi", f"oci:{tmp_path}/copied:multi")
    assert_layout(tmp_path / "copied")
    root = umoci_unpack(layout, "1", tmp_path / "bundle")
    found = {str(one.relative_to(root)) for one in root.rglob("*")}
    assert found == {"base", "one", "one/file", "bin", "bin/tool", "link"}
    assert (root / "base").read_text() == "base\n" and (root / "one/file").read_text() == "1\n"
    assert os.readlink(root / "link") == "one/file"
    assert stat.S_IMODE((root / "bin/tool").stat().st_mode) == 0o755


def test_we_read_what_other_tools_write(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    source = f"docker://{registry.host}/app:multi"
    skopeo("copy", "--all", "--src-tls-verify=false", source, f"oci:{tmp_path}/named:tools/app:1")
    skopeo("copy", "--all", "--src-tls-verify=false", source, f"oci:{tmp_path}/nameless")
    mover.push(registry.url, tmp_path / "named", "from-skopeo:1")
    mover.push(registry.url, tmp_path / "nameless", "from-skopeo:2")
    assert_whole(registry.url, "from-skopeo", "1", INDEX)
    assert images.head(registry.url, "from-skopeo", "2") == INDEX.digest
    # umoci adds a tag to our layout, and we add one to it again.
    mover.pull(registry.url, "app:1", tmp_path / "layout")
    from tests.registries import find_tool

    subprocess.run(
        [find_tool("umoci"), "tag", "--image", f"{tmp_path}/layout:1", "again"], check=True, timeout=60
    )
    mover.pull(registry.url, "app:2", tmp_path / "layout")
    assert index_of(tmp_path / "layout") == {"1": ONE.digest, "again": ONE.digest, "2": TWO.digest}


def test_a_layout_keeps_other_images_and_shares_blobs(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path
) -> None:
    layout = tmp_path / "layout"
    mover.pull(registry.url, "app:1", layout)
    second = mover.pull(registry.url, "app:2", layout)
    assert second["blobs"] == {
        "missing": 2,
        "missing_bytes": sum(len(data) for name, data in TWO.blobs.items() if name not in ONE.blobs),
        "present": 1,
        "elsewhere": 0,
        "foreign": 0,
    }
    assert index_of(layout) == {"1": ONE.digest, "2": TWO.digest}
    moved = mover.pull(registry.url, "app:2", layout, name="1")
    assert moved["changed"] and moved["blobs"]["missing"] == 0
    assert moved["diff"] == {"before": f"{layout} 1 {ONE.digest}\n", "after": f"{layout} 1 {TWO.digest}\n"}
    assert index_of(layout) == {"1": TWO.digest, "2": TWO.digest}
    assert_layout(layout)
    assert stat.S_IMODE((layout / "index.json").stat().st_mode) == 0o666 & ~umask()
    assert [one.name for one in layout.iterdir() if one.name.startswith(".")] == []


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("form", ["oci", "oci-archive"])
def test_several_images_at_once(mover: Mover, registry: Registry, tmp_path: pathlib.Path, form: str) -> None:
    """Two of them are one image, and others come between: the result is listed in one order, and stays that way."""
    images.push(registry.url, "app", ONE, "1-again")
    names = ["app:1", "app:2", "app:1-again", "app:multi"]
    first = mover.pull(registry.url, names, tmp_path / "a", format=form)
    listed = index_of(tmp_path / "a")
    assert listed == {one["name"]: one["digest"] for one in first["images"]}
    assert list(listed) == [f"{registry.host}/{name}" for name in (names[0], names[2], names[1], names[3])]
    assert not mover.pull(registry.url, names, tmp_path / "a", format=form)["changed"]
    for name, choice in (("1", "1-again"), ("2", f"{registry.host}/app:2"), ("3", TWO.digest), ("4", "2")):
        pushed = mover.push(registry.url, tmp_path / "a", f"chosen-{form}:{name}", name=choice)
        assert pushed["images"][0]["digest"] == (ONE if name == "1" else TWO).digest
    with pytest.raises(
        InvalidInput, match="Say with name which image is meant: there are .*app:1, .*app:multi"
    ):
        mover.push(registry.url, tmp_path / "a", f"chosen-{form}:5")
    for choice in ("7", "²", "nothing", ""):
        with pytest.raises(InvalidInput, match="is not one image of"):
            mover.push(registry.url, tmp_path / "a", f"chosen-{form}:5", name=choice)


@pytest.mark.parametrize("damage", ["flipped", "truncated", "removed", "longer"])
@pytest.mark.parametrize("what", ["layer", "manifest", "child"])
@pytest.mark.parametrize("form", FORMATS)
def test_damage_is_repaired(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, form: str, what: str, damage: str
) -> None:
    dest = tmp_path / "dest"
    mover.pull(registry.url, "app:multi", dest, format=form)
    right = tree(dest)
    wanted = {"layer": digest(BASE.data), "manifest": INDEX.digest, "child": ONE.digest}[what]
    if form == "oci-archive":
        content = {"layer": BASE.data, "manifest": INDEX.raw, "child": ONE.raw}[what]
        raw = dest.read_bytes()
        place = raw.index(content)
        dest.write_bytes(
            {
                "flipped": raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :],
                "truncated": raw[: place + len(content) // 2],
                "removed": raw[: place - 512] + raw[place + -(-len(content) // 512) * 512 :],
                "longer": raw[:place] + b"\0" * 512 + raw[place:],
            }[damage]
        )
    else:
        path = blob_path(dest, wanted) if form == "oci" else dest / wanted
        raw = path.read_bytes()
        if damage == "removed":
            path.unlink()
        else:
            path.write_bytes(
                {
                    "flipped": bytes([raw[0] ^ 1]) + raw[1:],
                    "truncated": raw[:-1],
                    "longer": raw + b"x",
                }[damage]
            )
    assert mover.pull(registry.url, "app:multi", dest, format=form, check_mode=True)["changed"]
    assert mover.pull(registry.url, "app:multi", dest, format=form)["changed"]
    assert tree(dest) == right


def test_a_damaged_index_is_left_to_people(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    """It may list other images."""
    layout = tmp_path / "layout"
    mover.pull(registry.url, "app:1", layout)
    (layout / "index.json").write_text("{")
    with pytest.raises(ProtocolError, match="index.json is not valid JSON"):
        mover.pull(registry.url, "app:2", layout)
    assert (layout / "index.json").read_text() == "{"


def write_layout(path: pathlib.Path, index: t.Any, *contents: bytes) -> pathlib.Path:
    (path / "blobs/sha256").mkdir(parents=True)
    (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (path / "index.json").write_bytes(index if isinstance(index, bytes) else json.dumps(index).encode())
    for content in contents:
        blob_path(path, digest(content)).write_bytes(content)
    return path


def entry(raw: bytes, **more: t.Any) -> dict[str, t.Any]:
    return {**images.descriptor(raw, images.OCI_MANIFEST), **more}


TRAVERSAL = "sha256:../../../../../etc/passwd"
HOSTILE_INDEXES: dict[str, tuple[t.Any, str]] = {
    "no JSON": (b"\xff{", "not valid JSON"),
    "deep": (b"[" * 100000, "not valid JSON"),
    "a list": ([], "not a JSON object"),
    "manifests a number": ({"manifests": 5}, "no list of images"),
    "an entry that is none": ({"manifests": ["x"]}, "not an object"),
    "traversal": ({"manifests": [{**entry(b"x"), "digest": TRAVERSAL}]}, "without a valid digest"),
    "digest a list": ({"manifests": [{**entry(b"x"), "digest": ["a"]}]}, "without a valid digest"),
    "size a text": ({"manifests": [{**entry(b"x"), "size": "1"}]}, "no valid size"),
    "missing": ({"manifests": [entry(b"absent")]}, "does not hold sha256:"),
    "empty": ({"manifests": []}, "there are none"),
    "null": ({"manifests": None}, "there are none"),
    "huge": (b" " * ((8 << 20) + 1), "larger than"),
    "another type": ({"manifests": [{**entry(ONE.raw), "mediaType": images.OCI_INDEX}]}, "served as"),
}


@pytest.mark.parametrize("kind", HOSTILE_INDEXES)
def test_hostile_indexes(mover: Mover, registry: Registry, tmp_path: pathlib.Path, kind: str) -> None:
    index, sentence = HOSTILE_INDEXES[kind]
    layout = write_layout(tmp_path / "layout", index, ONE.raw)
    registry.clear_requests()
    with pytest.raises(RegistryError, match=sentence):
        mover.push(registry.url, layout, "hostile:1")
    assert registry.requests() == []


def test_a_control_character_in_a_name_is_not_shown(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path
) -> None:
    names = [{"org.opencontainers.image.ref.name": name} for name in ("\x1b[2Jone", "two\nthree")]
    entries = [entry(image.raw, annotations=name) for image, name in zip((ONE, TWO), names)]
    layout = write_layout(tmp_path / "layout", {"manifests": entries}, ONE.raw, TWO.raw)
    with pytest.raises(InvalidInput) as caught:
        mover.push(registry.url, layout, "hostile:1")
    assert str(caught.value).isprintable()


def test_hostile_contents(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    plain = images.image([BASE])
    config = plain.blobs[plain.manifest["config"]["digest"]]

    def manifest(layer: str, size: int = 4) -> bytes:
        data = dict(plain.manifest)
        data["layers"] = [{"mediaType": images.OCI_LAYER, "digest": layer, "size": size}]
        return json.dumps(data).encode()

    other = digest(b"evil")
    cases: list[tuple[bytes, type[Exception], str]] = [
        (manifest(TRAVERSAL), ProtocolError, "without a valid digest"),
        (manifest(other), DigestMismatch, f"{other[7:]} is damaged"),
        (manifest(other, 5), DigestMismatch, f"{other} in .* is damaged: it has 4 bytes instead of 5"),
        (manifest(digest(b"absent")), NotFound, "^Neither "),
        (b"{" * 100, ProtocolError, "not valid JSON"),
        (json.dumps({**plain.manifest, "manifests": []}).encode(), ProtocolError, "ambiguous"),
        (
            json.dumps({**plain.manifest, "layers": []}).encode(),
            InvalidInput,
            "has 0 and its config.* 1 layers",
        ),
    ]
    for number, (raw, kind, sentence) in enumerate(cases):
        layout = write_layout(tmp_path / str(number), {"manifests": [entry(raw)]}, raw, config)
        blob_path(layout, other).write_bytes(b"root")
        with pytest.raises(kind, match=sentence):
            mover.push(registry.url, layout, "hostile-contents:1")
        assert images.tags(registry.url, "hostile-contents") == []
    assert images.get_blob(registry.url, "hostile-contents", digest(b"root")) is None


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("blob", marks=pytest.mark.registry_does("own_blobs")),
        "blobs",
        "blobs/sha256",
        "index.json",
    ],
)
def test_links_in_a_layout_are_not_followed(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, place: str
) -> None:
    """Whoever may write to a layout must not get other files read, or written, by root."""
    layout, elsewhere = tmp_path / "layout", tmp_path / "elsewhere"
    mover.pull(registry.url, "app:1", layout)
    path = blob_path(layout, digest(BASE.data)) if place == "blob" else layout / place
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    before = tree(elsewhere)
    with pytest.raises(LocalStorageError, match="it is a symbolic link, which is not followed here"):
        mover.push(registry.url, layout, f"links/{place.replace('.', '-')}:1")
    if place == "blob":
        assert mover.pull(registry.url, "app:1", layout)["blobs"]["missing"] == 1
        assert path.read_bytes() == BASE.data and not path.is_symlink()
    else:
        with pytest.raises(LocalStorageError, match="it is a symbolic link, which is not followed here"):
            mover.pull(registry.url, "app:2", layout)
    assert tree(elsewhere) == before


def test_something_else_is_left_alone(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "manifest.json").write_text('{"name": "an app"}')
    (tmp_path / "page.tar").write_text("mine")
    before = tree(tmp_path)
    cases = [
        ("file", "oci", "is not a directory"),
        ("file", "dir", "is not a directory"),
        ("file", "oci-archive", "is not a tar archive"),
        ("page.tar", "docker-archive", "is not a tar archive"),
        ("folder", "oci", "holds something else"),
        ("folder", "dir", "holds something else than an image .notes.txt."),
        ("folder", "oci-archive", "is a directory"),
        ("web", "dir", "holds something else than an image .manifest.json."),
        ("web", "oci", "holds something else"),
        ("file/below", "oci", "cannot be used"),
        ("file/below.tar", "oci-archive", "cannot be used"),
    ]
    for name, form, sentence in cases:
        with pytest.raises((InvalidInput, LocalStorageError), match=sentence):
            mover.pull(registry.url, "app:1", tmp_path / name, format=form)
        assert tree(tmp_path) == before
    with pytest.raises(InvalidInput, match="is not a regular file"):
        mover.pull(registry.url, "app:1", "/dev/null", format="oci-archive")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("form", FORMATS)
def test_a_write_that_fails_leaves_nothing(registry: Registry, tmp_path: pathlib.Path, form: str) -> None:
    """The disk is full, as far as one process is concerned: it may not write files of more than 3000 bytes."""
    images.push(registry.url, "large", images.image([images.layer({"f": "x" * 9000}, compression="")]), "1")
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "from tests.unit.copying import Mover\n"
        "from tests.unit.interruption import connect\n"
        "try:\n"
        "    Mover(connect).pull(sys.argv[1], 'large:1', sys.argv[2], format=sys.argv[3])\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    command = [sys.executable, "-c", script, registry.url, str(tmp_path / "dest"), form]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(), check=False)
    assert done.stdout.startswith("LocalStorageError") and "File too large" in done.stdout, done.stderr
    left = [one for one in tmp_path.rglob("*") if one.is_file() and one.name != "oci-layout"]
    assert all(digest(one.read_bytes()).endswith(one.name.rpartition(":")[2]) for one in left)
    assert not [one for one in left if one.name in ("index.json", "manifest.json", "dest")]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_full_disk_is_told_before_anything_is_fetched(mover: Mover, tmp_path: pathlib.Path) -> None:
    image = images.image([images.layer({"f": "x"})])
    huge = image.manifest
    huge["layers"][0]["size"] = shutil.disk_usage(tmp_path).total + 1
    raw = json.dumps(huge).encode()
    with HostileRegistry() as hostile:
        store = hostile.repository("huge")
        store.manifests[digest(raw)] = (images.OCI_MANIFEST, raw)
        store.tags["1"] = digest(raw)
        for form in FORMATS:
            with pytest.raises(LocalStorageError, match="bytes are needed in .*: make room first"):
                mover.pull(hostile.url, "huge:1", tmp_path / form, format=form)
        assert hostile.count("^GET .*/blobs/") == 0
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
@pytest.mark.parametrize("form", FORMATS)
def test_a_disk_that_fills_up_on_the_way(mover: Mover, tmp_path: pathlib.Path, form: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this root may not mount anything")
    try:
        image = images.image([images.layer({"f": os.urandom(700_000)}, compression="")])
        with HostileRegistry() as hostile:
            hostile.add("filling", image, "1")

            def fill(request: t.Any) -> None:
                if request.method == "GET" and "/blobs/" in request.path and not (disk / "filler").exists():
                    (disk / "filler").write_bytes(b"x" * 1_500_000)

            hostile.before = fill
            with pytest.raises(LocalStorageError, match="No space left on device"):
                mover.pull(hostile.url, "filling:1", disk / "dest", format=form)
            left = [one.name for one in disk.rglob("*") if one.is_file()]
            assert not {"index.json", "manifest.json", "dest"} & set(left)
            assert not [name for name in left if "ocikit" in name]
            hostile.before = None
            (disk / "filler").unlink()
            assert mover.pull(hostile.url, "filling:1", disk / "dest", format=form)["changed"]
            mover.push(hostile.url, disk / "dest", "pushed:1")
            assert_whole(hostile.url, "pushed", "1", image)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_two_writers_of_one_layout(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    """Both plan before either writes: the second waits, and keeps what the first has listed."""
    layout = tmp_path / "layout"
    both_planned = threading.Barrier(2)
    with HostileRegistry(delay=0.2, delay_on="^GET .*/blobs/") as hostile:
        hostile.add("app", ONE, "1")
        hostile.add("app", TWO, "2")

        def meet(request: t.Any) -> None:
            if request.method == "GET" and "/manifests/" in request.path:
                both_planned.wait(20)

        hostile.before = meet
        with ThreadPoolExecutor() as pool:
            runs = [pool.submit(mover.pull, hostile.url, f"app:{tag}", layout) for tag in "12"]
            assert all(run.result(60)["changed"] for run in runs)
    assert index_of(layout) == {"1": ONE.digest, "2": TWO.digest}
    assert_layout(layout)


def test_what_a_killed_run_left_goes_away(mover: Mover, registry: Registry, tmp_path: pathlib.Path) -> None:
    layout = tmp_path / "layout"
    (layout / ".ocikit-ingest").mkdir(parents=True)
    (layout / ".ocikit-ingest" / ".abc.ocikit-part").write_text("half a blob")
    mover.pull(registry.url, "app:1", layout)
    assert sorted(one.name for one in layout.iterdir()) == ["blobs", "index.json", "oci-layout"]
    # Killed when everything was there already: the next run has nothing to write, and cleans up all the same.
    (layout / ".ocikit-ingest").mkdir()
    assert not mover.pull(registry.url, "app:1", layout)["changed"]
    assert sorted(one.name for one in layout.iterdir()) == ["blobs", "index.json", "oci-layout"]


@pytest.mark.parametrize("form", ["oci", "oci-archive"])
def test_a_bundle_without_what_the_receiver_has(
    mover: Mover, registry: Registry, tmp_path: pathlib.Path, form: str
) -> None:
    mover.pull(registry.url, "app:1", tmp_path / "first", format=form)
    delta = mover.pull(
        registry.url, "app:2", tmp_path / "delta", format=form, without=[str(tmp_path / "first")]
    )
    assert (delta["blobs"]["missing"], delta["blobs"]["elsewhere"]) == (2, 1)
    again = mover.pull(
        registry.url, "app:2", tmp_path / "delta", format=form, without=[str(tmp_path / "first")]
    )
    assert not again["changed"]
    with HostileRegistry() as site:
        for check_mode in (True, False):
            with pytest.raises(
                NotFound, match="Neither .*/delta nor the repository app has the blob sha256:.{64}: name"
            ):
                mover.push(site.url, tmp_path / "delta", "app:2", check_mode=check_mode)
        assert site.count("^(POST|PUT|PATCH|DELETE)") == 0
        mover.push(site.url, tmp_path / "first", "app:1")
        pushed = mover.push(site.url, tmp_path / "delta", "app:2")
        assert (pushed["blobs"]["missing"], pushed["blobs"]["present"]) == (2, 1)
        assert_whole(site.url, "app", "2", TWO)
        with pytest.raises(NotFound, match="name repositories that have it in mount_from"):
            mover.push(site.url, tmp_path / "delta", "elsewhere:2")
        expected = mover.push(
            site.url, tmp_path / "delta", "elsewhere:2", mount_from=["app"], check_mode=True
        )
        assert mover.push(site.url, tmp_path / "delta", "elsewhere:2", mount_from=["app"]) == expected
        assert expected["blobs"]["mounted"] == 3 and expected["blobs"]["missing_bytes"] == 0
        assert_whole(site.url, "elsewhere", "2", TWO)
    with pytest.raises(InvalidInput, match="dest is among what the receiver has"):
        mover.pull(registry.url, "app:2", tmp_path / "first", format=form, without=[f"{tmp_path}/./first"])
    with pytest.raises(InvalidInput, match="docker-archive needs all layers"):
        mover.pull(
            registry.url, "app:2", tmp_path / "x", format="docker-archive", without=[str(tmp_path / "first")]
        )
