# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory and speed on a real registry: PYTHONPATH=.cache/dev .venv/bin/python -m tests.bench.memory [--mebibytes 4096] ...

An image with one large blob is pushed, pulled and copied by the modules, each in a process of its own, and by skopeo for
comparison. Then the tags of a large repository are listed, and pruned as far as the plan. Fails above the limits.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import typing as t

from tests.bench.measuring import Measured, measure
from tests.registries import Registry, find_tool, images
from tests.unit import expressions
from tests.unit.running import start

BLOB_LIMIT = 100
TAGS_LIMIT = 200
BLOCK = 1 << 20
MEBIBYTE = 1 << 20
DIGESTS = 500
FORMATS = {"oci": "oci:{}:1", "oci-archive": "oci-archive:{}:1", "dir": "dir:{}"}


class Table:
    """The figures, shown line by line, and whether all are below their limits."""

    def __init__(self) -> None:
        self.good = True

    def add(self, what: str, limit: int, own: Measured, more: str = "") -> None:
        good = own.memory < limit
        self.good = self.good and good
        verdict = "" if good else f"  ABOVE {limit} MiB"
        print(f"{what:<30} {own.seconds:8.1f} s {own.memory:7.1f} MiB  {more}{verdict}", flush=True)


def write_layout(path: pathlib.Path, mebibytes: int) -> tuple[str, str, int]:
    """Write an OCI layout with one large layer. Return the digests of manifest and layer, and the size of that."""
    blobs = path / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    chance = random.Random(20261123)
    noise = chance.randbytes(2 * BLOCK)
    with open(path / "layer", "wb") as file:
        # Compressed by name only, so that skopeo leaves it as it is.
        with gzip.GzipFile("", "wb", 0, file, 0) as packed:
            for _number in range(mebibytes):
                begin = chance.randrange(BLOCK)
                packed.write(noise[begin : begin + BLOCK])
    layer, size = digest_of(path / "layer"), (path / "layer").stat().st_size
    (path / "layer").rename(blobs / layer.partition(":")[2])
    image = images.image([images.empty_layer()])
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer]}}
    )
    manifest = json.dumps(
        {
            **image.manifest,
            "config": {**image.manifest["config"], **_named(config)},
            "layers": [{**image.manifest["layers"][0], "digest": layer, "size": size}],
        }
    )
    for text in (config, manifest):
        (blobs / _named(text)["digest"].partition(":")[2]).write_text(text, encoding="utf-8")
    entry = {"mediaType": image.media_type, **_named(manifest)}
    entry["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}), encoding="utf-8")
    (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="utf-8")
    return entry["digest"], layer, size


def _named(text: str) -> dict[str, t.Any]:
    return {"digest": images.digest(text.encode()), "size": len(text.encode())}


def digest_of(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return _digest(file)


def _digest(file: t.IO[bytes]) -> str:
    found = hashlib.sha256()
    while True:
        block = file.read(BLOCK)
        if not block:
            return f"sha256:{found.hexdigest()}"
        found.update(block)


def held(place: pathlib.Path, digest: str) -> bool:
    """Tell whether a layout, a directory of files or an archive has a blob, by its bytes."""
    encoded = digest.partition(":")[2]
    if place.is_file():
        with tarfile.open(place) as archive:
            file = archive.extractfile(f"blobs/sha256/{encoded}")
            assert file
            return _digest(file) == digest
    files = [one for one in place.rglob("*") if one.is_file() and encoded in one.name]
    return len(files) == 1 and digest_of(files[0]) == digest


def module(which: str, url: str, /, **params: t.Any) -> tuple[dict[str, t.Any], Measured]:
    """Run a module in a process of its own and return its result."""
    own = measure(start(which, url, **params))
    result = json.loads(own.output)
    assert not result.get("failed"), result["msg"]
    return result, own


def skopeo(source: str, destination: str) -> Measured:
    command = [
        find_tool("skopeo"),
        "copy",
        "--quiet",
        "--preserve-digests",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        source,
        destination,
    ]
    return measure(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))


def against(own: Measured, other: Measured, size: int) -> str:
    """Say how fast that was, and how it compares with skopeo."""
    return (
        f"{size / MEBIBYTE / own.seconds:6.0f} MiB/s   skopeo {other.seconds:6.1f} s {other.memory:6.1f} MiB"
        f"   ratio {own.seconds / other.seconds:4.2f} in time, {own.memory / other.memory:4.2f} in memory"
    )


def one_large_blob(table: Table, mebibytes: int, place: pathlib.Path) -> None:
    layout = place / "layout"
    manifest, layer, size = write_layout(layout, mebibytes)
    # The layout, two registries, and one copy at a time.
    with Registry(storage=place / "here", access_log=False) as here:
        _result, own = module("registry_push", here.url, src=layout, name="1", image="large:1")
        assert images.head(here.url, "large", "1") == manifest
        other = skopeo(f"oci:{layout}:1", f"docker://{here.host}/skopeo:1")
        assert images.head(here.url, "skopeo", "1") == manifest
        table.add("push from a layout", BLOB_LIMIT, own, against(own, other, size))
        shutil.rmtree(layout)
        for form, name in FORMATS.items():
            target = place / form
            _result, own = module("registry_pull", here.url, image=["large:1"], dest=target, format=form)
            assert held(target, layer), form
            _remove(target)
            other = skopeo(f"docker://{here.host}/large:1", name.format(target))
            _remove(target)
            table.add(f"pull to {form}", BLOB_LIMIT, own, against(own, other, size))
        with Registry(storage=place / "there", access_log=False) as there:
            _result, own = module("registry_copy", here.url, image="large:1", to=f"{there.host}/large:1")
            assert images.head(there.url, "large", "1") == manifest
            shutil.rmtree(place / "there")
        with Registry(storage=place / "there", access_log=False) as there:
            other = skopeo(f"docker://{here.host}/large:1", f"docker://{there.host}/large:1")
            assert images.head(there.url, "large", "1") == manifest
        table.add("copy between registries", BLOB_LIMIT, own, against(own, other, size))


def _remove(path: pathlib.Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def many_tags(table: Table, tags: int, place: pathlib.Path) -> None:
    layer = images.layer({"etc/motd": "hello\n"})
    pool = [images.image([layer], labels={"number": str(number)}) for number in range(min(DIGESTS, tags))]
    expected = {f"build-{number}": pool[number % len(pool)].digest for number in range(tags)}
    with Registry(storage=place, access_log=False) as registry:
        for number, image in enumerate(pool):
            images.push(registry.url, "many", image, f"build-{number}")
        # What the registry itself would write for the others, at the speed of the disk.
        folder = place / "docker/registry/v2/repositories/many/_manifests/tags"
        for tag, digest in expected.items():
            encoded = digest.partition(":")[2]
            for link in (folder / tag / "current", folder / tag / "index/sha256" / encoded):
                link.mkdir(parents=True, exist_ok=True)
                (link / "link").write_text(digest, encoding="ascii")

        result, own = module("registry_tag_info", registry.url, image="many")
        assert result["tags"] == sorted(expected)
        table.add(f"list {tags} tags", TAGS_LIMIT, own)
        result, own = module("registry_tag_info", registry.url, image="many", digests=True)
        assert result["digests"] == expected
        table.add("with their digests", TAGS_LIMIT, own)
        own = measure(lookup(f"lookup('ocikit.registry.registry_tags', '{registry.host}/many') | length"))
        assert json.loads(own.output)[0] == {"value": tags}, own.output
        table.add("lookup registry_tags", TAGS_LIMIT, own)
        rules = [{"match": {"tags": ["*"]}, "delete": True, "keep_last": 10}]
        result, own = module(
            "registry_prune",
            registry.url,
            repositories=["many"],
            rules=rules,
            max_delete_percent=100,
            _ansible_check_mode=True,
        )
        found = "{delete} tags and {digests} digests to delete".format(**result["totals"])
        table.add("plan a prune of them", TAGS_LIMIT, own, found)


def lookup(expression: str) -> subprocess.Popen[str]:
    """Start ansible-core's templates on an expression, as on the controller."""
    process = subprocess.Popen(
        [sys.executable, expressions.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(expressions.COLLECTIONS)},
    )
    assert process.stdin
    question: dict[str, t.Any] = {"expressions": [expression], "variables": {}, "vaulted": {}, "verbosity": 0}
    process.stdin.write(json.dumps(question))
    process.stdin.close()
    process.stdin = None
    return process


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mebibytes", type=int, default=4096, help="size of the blob; 0: skip")
    parser.add_argument("--tags", type=int, default=50000, help="0: skip")
    parser.add_argument("--place", help="a directory on a disk with room for four blobs")
    options = parser.parse_args()
    print(
        f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, {datetime.date.today()}", flush=True
    )
    table = Table()
    with tempfile.TemporaryDirectory(prefix="memory-", dir=options.place) as directory:
        place = pathlib.Path(directory)
        needed = 4 * options.mebibytes * MEBIBYTE
        if shutil.disk_usage(place).free < needed + (10 << 30):
            sys.exit(
                f"{directory} needs {needed >> 30} GiB, and 10 more to leave free: name another --place."
            )
        if options.mebibytes:
            one_large_blob(table, options.mebibytes, place)
        if options.tags:
            many_tags(table, options.tags, place / "tags")
    if not table.good:
        sys.exit("Something needed more memory than it may.")


if __name__ == "__main__":
    main()
