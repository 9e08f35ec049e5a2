# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prune at scale on a real registry: PYTHONPATH=.cache/dev .venv/bin/python -m tests.bench.prune_scale [--tags 10000] ...

One repository with many tags, indexes that share children, signatures, equal dates and epoch dates; it is planned for
twice, without and with the cache, and the plan is applied while another process pushes. Then many small repositories
by a pattern. Every survivor is checked by digest, through other code than the collection's; a sample is pulled.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import datetime
import http.client
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import typing as t

from tests.bench.measuring import measure
from tests.registries import Registry, find_tool, images
from tests.unit.pruning import aged, date, digests, signature, start

LAYER = images.layer({"etc/motd": "hello\n"})
RULES = [
    {"name": "releases", "match": {"version": ">=1.0.0"}, "keep_last": 50, "by": "version"},
    {"name": "builds", "match": {"tags": ["build-*"]}, "delete": True, "older_than": "30d", "keep_last": 20},
    {"name": "platforms", "match": {"tags": ["multi-*"]}, "delete": True, "older_than": "30d"},
]
WORKERS = 8
SAMPLE = 20


class Wire:
    """A small client of its own, fast because it keeps its connections."""

    def __init__(self, host: str, repository: str) -> None:
        self._host = host
        self._base = f"/v2/{repository}"
        self._local = threading.local()

    def put_blob(self, data: bytes) -> None:
        status, headers = self._send("POST", "/blobs/uploads/")
        assert status == 202, status
        location = headers["Location"].partition(self._host)[2]
        status, _headers = self._send("PUT", f"{location}&digest={images.digest(data)}", data, base="")
        assert status == 201, status

    def put_manifest(self, reference: str, image: images.Image) -> None:
        status, _headers = self._send("PUT", f"/manifests/{reference}", image.raw, image.media_type)
        assert status == 201, status

    def digest(self, reference: str) -> str | None:
        status, headers = self._send("HEAD", f"/manifests/{reference}")
        assert status in (200, 404), status
        return headers["Docker-Content-Digest"] if status == 200 else None

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "application/octet-stream",
        base: str | None = None,
    ) -> tuple[int, t.Any]:
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection(self._host, timeout=120)
        headers = {"Accept": images.ACCEPT, "Content-Type": kind}
        self._local.connection.request(method, (self._base if base is None else base) + path, body, headers)
        answer = self._local.connection.getresponse()
        answer.read()
        return answer.status, answer.headers


class Content:
    """What is pushed: images by tag, and what is pushed without one."""

    def __init__(self, tags: int, count: int) -> None:
        self.tags: dict[str, images.Image] = {}
        self.untagged: list[images.Image] = []
        chance = random.Random(20261123)
        pool = [self._image(number) for number in range(count * 9 // 10)]
        for number in range(count // 20):
            # Neighbours share a child.
            children = pool[number : number + 2]
            self.tags[f"multi-{number}"] = images.index(children)
            for child in children:
                self.tags[images.referrers_tag(child) + ".sig"] = signature(child.digest)
        for number, image in enumerate(pool):
            if number < count // 100:
                self.tags[f"1.{number}.0"] = image
        number = 0
        while len(self.tags) < tags:
            self.tags[f"build-{number}"] = (
                pool[number % len(pool)] if number < len(pool) else chance.choice(pool)
            )
            number += 1

    @staticmethod
    def _image(number: int) -> images.Image:
        # A third is new, many are equally old, and some have the date of a reproducible build.
        created = "1970-01-01T00:00:00Z" if number % 17 == 0 else date(number % 3 * 60 + 1)
        return images.image([LAYER], created=created, labels={"number": str(number)})

    def push(self, wire: Wire) -> None:
        found: dict[str, images.Image] = {}
        for image in self.tags.values():
            found[image.digest] = image
            found.update((child.digest, child) for child in getattr(image, "children", ()))
        blobs = {name: data for image in found.values() for name, data in image.blobs.items()}
        single = [image for image in found.values() if not hasattr(image, "children")]
        parallel(wire.put_blob, blobs.values())
        parallel(lambda image: wire.put_manifest(image.digest, image), single)
        parallel(lambda tag: wire.put_manifest(tag, self.tags[tag]), self.tags)

    @property
    def digests(self) -> set[str]:
        return {
            one.digest for image in self.tags.values() for one in (image, *getattr(image, "children", ()))
        }


def parallel(function: t.Callable[[t.Any], t.Any], items: t.Iterable[t.Any]) -> list[t.Any]:
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(function, items))


def push_meanwhile(host: str, repository: str, old: list[images.Image], done: t.Any, stop: t.Any) -> None:
    """Push new images, and now and then an index with an image that the plan has chosen, until ``stop``."""
    wire = Wire(host, repository)
    number = 0
    while not stop.is_set():
        image = aged(f"pushed {number}", 0)
        for data in image.blobs.values():
            wire.put_blob(data)
        wire.put_manifest(f"pushed-{number}", image)
        done.put((f"pushed-{number}", image.digest))
        if number % 20 == 0:
            needed = old[number // 20 % len(old)]
            # The registry takes no index of what is gone already.
            with contextlib.suppress(AssertionError):
                index = images.index([needed, image])
                wire.put_manifest(f"pushed-index-{number}", index)
                done.put((f"pushed-index-{number}", index.digest))
                done.put((needed.digest, needed.digest))
        number += 1
        time.sleep(0.25)


def run(url: str, **params: t.Any) -> tuple[dict[str, t.Any], float, int]:
    """Run the module in a process of its own. Return its result, the seconds, and its largest memory in MiB."""
    output, seconds, memory = measure(start(url, details=True, **params))
    return json.loads(output), seconds, round(memory)


def show(what: str, seconds: float, memory: int, more: str = "") -> None:
    print(f"{what:<32} {seconds:8.1f} s {memory:6} MiB  {more}", flush=True)


def pull_sample(url: str, repository: str, tags: t.Sequence[str], place: str) -> int:
    """Pull tags with skopeo, indexes as a whole. Return how many."""
    for number, tag in enumerate(tags):
        source = f"docker://{url.partition('://')[2]}/{repository}:{tag}"
        command = [
            find_tool("skopeo"),
            "copy",
            "--all",
            "--src-tls-verify=false",
            source,
            f"dir:{place}/{number}",
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    return len(tags)


def one_large(registry: Registry, tags: int, count: int, place: str) -> None:
    repository, plan, undo = "scale/app", f"{place}/plan", f"{place}/undo"
    more = {"cache_dir": f"{place}/cache", "max_delete_percent": 90}
    wire, content = Wire(registry.host, repository), Content(tags, count)
    begun = time.monotonic()
    content.push(wire)
    print(
        f"{len(content.tags)} tags, {len(content.digests)} digests, pushed in {time.monotonic() - begun:.0f} s",
        flush=True,
    )
    for name in ("cold", "warm"):
        result, seconds, memory = run(registry.url, repositories=[repository], rules=RULES, plan=plan, **more)
        assert not result.get("failed"), result["msg"]
        (planned,) = result["repositories"]
        going, candidates = set(planned["digests"]), {one["tag"] for one in planned["delete"]}
        show(
            f"plan, {name} cache",
            seconds,
            memory,
            f"{len(candidates)} tags and {len(going)} digests to delete",
        )

    old = [
        image
        for tag, image in content.tags.items()
        if image.digest in going and not hasattr(image, "children")
    ]
    context = multiprocessing.get_context("spawn")
    done, stop = context.Queue(), context.Event()
    pusher = context.Process(target=push_meanwhile, args=(registry.host, repository, old[::-1], done, stop))
    pusher.start()
    try:
        result, seconds, memory = run(registry.url, apply_plan=plan, undo=undo)
    finally:
        stop.set()
        pushed = {}
        while pusher.is_alive() or not done.empty():
            with contextlib.suppress(Exception):
                reference, digest = done.get(timeout=0.2)
                pushed[reference] = digest
        pusher.join(30)
    (applied,) = result["repositories"]
    blocked = len(applied["refused"])
    show(
        "apply, with pushes",
        seconds,
        memory,
        f"{len(pushed)} references pushed meanwhile, {blocked} refused for them",
    )
    assert applied["error"] is None, applied["error"]

    survivors = {tag: image.digest for tag, image in content.tags.items() if tag not in candidates}
    needed = {
        one.digest: one.digest
        for tag in survivors
        for one in (content.tags[tag], *getattr(content.tags[tag], "children", ()))
    }
    begun = time.monotonic()
    lost = {}
    for wanted in (survivors, needed, pushed):
        found = dict(zip(wanted, parallel(wire.digest, wanted)))
        lost.update({name: digest for name, digest in wanted.items() if found[name] != digest})
    left = [tag for tag, found in zip(candidates, parallel(wire.digest, candidates)) if found]
    seconds = time.monotonic() - begun
    checked = len(survivors) + len(needed) + len(pushed)
    show(
        "checked by digest",
        seconds,
        0,
        f"{checked} references, {len(lost)} lost; {len(left)} of the candidates left",
    )
    assert not lost, lost
    assert set(left) == candidates - set(applied["deleted_tags"])

    result, seconds, memory = run(registry.url, apply_plan=plan)
    show("apply again", seconds, memory, f"changed: {result['changed']}")
    sample = (
        random.Random(1).sample(sorted(survivors), SAMPLE)
        + [tag for tag in pushed if "index" in tag][:SAMPLE]
    )
    print(f"{pull_sample(registry.url, repository, sample, place)} survivors pulled with skopeo", flush=True)


def many_small(registry: Registry, count: int, place: str) -> None:
    old, new = images.image([LAYER], created=date(90)), images.image([LAYER], created=date(1))

    def push(number: int) -> None:
        wire = Wire(registry.host, f"many/app-{number}")
        for data in {**old.blobs, **new.blobs}.values():
            wire.put_blob(data)
        for tag, image in (("build-1", old), ("build-2", new), ("stable", new)):
            wire.put_manifest(tag, image)

    parallel(push, range(count))
    rules = [{"match": {"tags": ["build-*"]}, "delete": True, "older_than": "30d"}]
    more = {"cache_dir": f"{place}/cache", "undo": f"{place}/undo-many"}
    for what, check_mode in (("plan", True), ("apply", False)):
        result, seconds, memory = run(
            registry.url, repositories=["many/*"], rules=rules, _ansible_check_mode=check_mode, **more
        )
        assert not result.get("failed"), result["msg"]
        deleted = sum(len(one["deleted_tags"]) for one in result["repositories"])
        show(f"{what}, {count} repositories", seconds, memory, f"{deleted} tags deleted")
    wires = [Wire(registry.host, f"many/app-{number}") for number in range(count)]
    expected = {"build-1": None, **digests({"build-2": new, "stable": new})}
    assert all(parallel(lambda wire: {tag: wire.digest(tag) for tag in expected} == expected, wires))
    print(f"{2 * count} survivors checked by digest", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tags", type=int, default=10000)
    parser.add_argument("--digests", type=int, default=3000)
    parser.add_argument("--repositories", type=int, default=1000)
    options = parser.parse_args()
    print(
        f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, {datetime.date.today()}", flush=True
    )
    with tempfile.TemporaryDirectory(prefix="prune-scale-") as place:
        if options.tags:
            with Registry(access_log=False) as registry:
                one_large(registry, options.tags, options.digests, place)
        if options.repositories:
            with Registry(access_log=False, catalog_max=10000) as registry:
                many_small(registry, options.repositories, place)


if __name__ == "__main__":
    main()
