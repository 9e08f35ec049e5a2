# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection beside crane, regctl, regbot, oras and skopeo, on a real registry on loopback: make bench

Each row is one piece of work, done by each contender in turn, several times; the median counts. A playbook's time is what
it takes beyond one without tasks; its processor time is that of the whole. What a module or a program takes to start, without
anything to do, is not in the net time. Requests are those of the last run in the access log. The servers' own work is in no
figure of processor time. A peer that is missing is named.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import functools
import json
import os
import pathlib
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from dataclasses import dataclass

import yaml

from tests.bench.content import Storage, small_images
from tests.bench.delay import delayed
from tests.bench.plots import plot
from tests.registries import Registry, ToolMissing, find_tool, images
from tests.registries.built import CRANE, ORAS, REGBOT, REGCTL, find_built
from tests.unit import plays
from tests.unit.running import start

LIMIT_SECONDS = 600
ROUND_TRIPS = (0, 20, 50, 100)
COLLECTION = "ocikit.registry."
# A floor: the requests and nothing else, by so many threads.
BARE = """
import http.client, os, sys, threading
host, repository, threads, accept = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
names = [line.strip() for line in sys.stdin]
def work():
    connection = http.client.HTTPConnection(host)
    while True:
        try:
            name = names.pop()
        except IndexError:
            return
        connection.request("HEAD", f"/v2/{repository}/manifests/{name}", headers={"Accept": accept})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            os._exit(1)
workers = [threading.Thread(target=work) for _number in range(threads)]
for worker in workers: worker.start()
for worker in workers: worker.join()
"""


@dataclass(frozen=True)
class Work:
    """What is run, and ``idle``, which starts the same program without anything to do."""

    run: t.Callable[[], object]
    idle: t.Callable[[], object]

    def __call__(self) -> object:
        return self.run()


class Contender(t.NamedTuple):
    """A way to do the work of a row. ``prepare`` undoes what the run before has done; its time does not count."""

    name: str
    run: t.Callable[[], object]
    prepare: t.Callable[[], object] = lambda: None
    # Where it is a playbook: the seconds of one without tasks are taken off.
    is_play: bool = False


class Figure(t.NamedTuple):
    """What a contender took: the median in seconds, also without its start, all of them, processor time, and its requests."""

    name: str
    seconds: float
    net: float
    runs: list[float]
    processor: float
    requests: int


class Bench:
    """Runs rows and keeps their figures."""

    def __init__(self, folder: pathlib.Path, repetitions: int) -> None:
        self.folder = folder
        self.repetitions = repetitions
        self.missing: dict[str, str] = {}
        self.figures: dict[str, list[Figure]] = {}
        self._empty_play: float | None = None

    def peer(self, source: t.Any) -> str | None:
        """Return the path of a peer, None where there is none, which is noted."""
        name = source if isinstance(source, str) else source.name
        try:
            return find_tool(source) if isinstance(source, str) else find_built(source)
        except ToolMissing as error:
            self.missing[name] = str(error)
            return None

    def row(
        self,
        title: str,
        registries: t.Sequence[Registry],
        contenders: t.Sequence[Contender],
        check: t.Callable[[], bool] = lambda: True,
    ) -> list[Figure]:
        """Measure one row, its contenders in turn, and print it. Requests are those to the ``registries`` of then.

        What ``check`` does not find done after a run ends the bench.
        """
        runs: dict[str, list[float]] = {contender.name: [] for contender in contenders}
        processor: dict[str, list[float]] = {contender.name: [] for contender in contenders}
        requests: dict[str, int] = {}
        for _repetition in range(self.repetitions):
            for contender in contenders:
                contender.prepare()
                for registry in registries:
                    registry.clear_requests()
                begun, used = time.monotonic(), _processor_seconds()
                contender.run()
                seconds = time.monotonic() - begun
                processor[contender.name].append(_processor_seconds() - used)
                runs[contender.name].append(
                    max(seconds - (self.empty_play if contender.is_play else 0), 0.001)
                )
                requests[contender.name] = sum(len(registry.requests()) for registry in registries)
                if not check():
                    sys.exit(f"{title}: {contender.name} has not done it.")
        figures = []
        for contender in contenders:
            taken = runs[contender.name]
            seconds = statistics.median(taken)
            net = seconds - self._start_of(contender.run) if isinstance(contender.run, Work) else seconds
            used = statistics.median(processor[contender.name])
            figures.append(
                Figure(contender.name, seconds, max(net, 0.001), taken, used, requests[contender.name])
            )
        self.figures[title] = figures
        own = figures[0].net
        for figure in figures:
            spread = f"{min(figure.runs):.2f} to {max(figure.runs):.2f}"
            print(
                f"| {title} | {figure.name} | {figure.seconds:.2f} | {spread} | {figure.net:.2f} | {figure.net / own:.2f}"
                f" | {figure.processor:.2f} | {figure.requests} |",
                flush=True,
            )
        return figures

    # What contenders do

    def command(self, *words: object, given: str = "", **environment: str) -> Work:
        """Return what runs a program to its end, whose failure ends the bench."""
        program = str(words[0])
        return Work(
            lambda: self._run(list(map(str, words)), given, environment),
            functools.partial(subprocess.run, [program, "--help"], capture_output=True, check=False),
        )

    @staticmethod
    def _run(words: list[str], given: str, environment: dict[str, str]) -> str:
        done = subprocess.run(
            words,
            input=given,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_SECONDS,
        )
        if done.returncode:
            sys.exit(f"{words[0]} failed: {(done.stderr or done.stdout)[-2000:]}")
        return done.stdout

    def _start_of(self, work: Work) -> float:
        taken = []
        for _repetition in range(self.repetitions):
            begun = time.monotonic()
            work.idle()
            taken.append(time.monotonic() - begun)
        return statistics.median(taken)

    def module(self, name: str, url: str, **params: t.Any) -> Work:
        """Return what runs a module in a process of its own."""

        def run() -> None:
            output, errors = start(name, url, **params).communicate(timeout=LIMIT_SECONDS)
            result = json.loads(output or "{}")
            if errors or not result or result.get("failed"):
                sys.exit(f"{name} failed: {errors or result.get('msg')}")

        # An option that is refused before anything is done.
        return Work(run, lambda: start(name, url, **{**params, "connect_timeout": -1}).communicate())

    def play(self, tasks: list[dict[str, t.Any]]) -> t.Callable[[], object]:
        """Return what runs a playbook with ``tasks``, by the real ansible-playbook."""
        path = self.folder / f"play-{len(list(self.folder.iterdir()))}.yml"
        play = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]
        path.write_text(yaml.safe_dump(play, sort_keys=False), encoding="utf-8")
        environment = plays.environment(self.folder)
        del environment["ANSIBLE_CALLBACKS_ENABLED"]
        return self.command(*plays.command(str(path)), **environment).run

    @property
    def empty_play(self) -> float:
        """The seconds of a playbook without tasks: the median of as many as there are repetitions."""
        if self._empty_play is None:
            run = self.play([])
            run()
            taken = []
            for _repetition in range(self.repetitions):
                begun = time.monotonic()
                run()
                taken.append(time.monotonic() - begun)
            self._empty_play = statistics.median(taken)
            print(f"A playbook without tasks: {self._empty_play:.2f} s.", flush=True)
        return self._empty_play


def _processor_seconds() -> float:
    """Return what all programs that have ended used, user and system."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def own_task(module: str, **params: t.Any) -> dict[str, t.Any]:
    return {f"{COLLECTION}{module}": params}


# The rows


def playbooks(bench: Bench) -> None:
    """Retag and pin in playbooks, as a user would without the collection: by command, shell and pipe."""
    storage = bench.folder / "plays"
    pool = small_images(101)
    content = Storage(storage)
    for number, image in enumerate(pool):
        content.add("app", image, [f"v{number}"])
    with Registry(storage=storage) as registry:
        host, url, crane = registry.host, registry.url, bench.peer(CRANE)
        names = [f"t{number}" for number in range(50)]
        turn = [0]

        def source() -> str:
            return f"v{turn[0] % 2}"

        def other() -> None:
            turn[0] += 1

        def retag(task: t.Callable[[], list[dict[str, t.Any]]]) -> t.Callable[[], object]:
            def run() -> object:
                return bench.play(task())()

            return run

        def ours(tags: t.Any) -> dict[str, t.Any]:
            return own_task("registry_tag", registry=url, image=f"app:{source()}", tags=tags)

        floor = bench.play([{"ansible.builtin.debug": {"msg": "{{ item }}"}, "loop": names}])
        contenders = [
            Contender("registry_tag", retag(lambda: [{**ours(["{{ item }}"]), "loop": names}]), other, True),
            Contender("debug (floor)", floor, is_play=True),
        ]
        if crane:
            contenders.insert(
                1,
                Contender(
                    "command: crane tag",
                    retag(
                        lambda: [
                            {
                                "ansible.builtin.command": f"{crane} tag {host}/app:{source()} {{{{ item }}}}",
                                "loop": names,
                            }
                        ]
                    ),
                    other,
                    True,
                ),
            )
        bench.row("50 retags in a loop", [registry], contenders)

        unchanged = [
            Contender("registry_tag", bench.play([ours(["same"]) for _number in range(10)]), is_play=True)
        ]
        if crane:
            one = {"ansible.builtin.command": f"{crane} tag {host}/app:{source()} same"}
            unchanged.append(Contender("command: crane tag", bench.play([one] * 10), is_play=True))
        unchanged.append(
            Contender(
                "debug (floor)", bench.play([{"ansible.builtin.debug": {"msg": "x"}}] * 10), is_play=True
            )
        )
        bench.row("10 unchanged tasks", [registry], unchanged)

        def promote() -> list[dict[str, t.Any]]:
            entry = {"image": f"app:{source()}", "to": [f"app:{name}" for name in names]}
            return [own_task("registry_promote", registry=url, images=[entry])]

        contenders = [Contender("registry_promote", retag(promote), other, True)]
        if crane:
            script = f"for name in {' '.join(names)}; do {crane} tag {host}/app:"
            contenders.append(
                Contender(
                    "shell: 50 × crane tag",
                    retag(lambda: [{"ansible.builtin.shell": f"{script}{source()} $name; done"}]),
                    other,
                    True,
                )
            )
        bench.row("50 retags in one task", [registry], contenders)

        terms = ", ".join(f"'{host}/app:v{number}'" for number in range(100))
        pin = f"{{{{ query('{COLLECTION}registry_digest', {terms}) | length }}}}"
        contenders = [
            Contender("one query", bench.play([{"ansible.builtin.debug": {"msg": pin}}]), is_play=True)
        ]
        if crane:
            pipes = " ~ ".join(
                f"lookup('pipe', '{crane} digest {host}/app:v{number}')" for number in range(100)
            )
            message = {"ansible.builtin.debug": {"msg": f"{{{{ {pipes} }}}}"}}
            contenders.append(Contender("100 pipe lookups of crane", bench.play([message]), is_play=True))
        bench.row("pin 100 images", [registry], contenders)


def _many(bench: Bench, folder: str, tags: int, digests: int) -> pathlib.Path:
    storage = bench.folder / folder
    content = Storage(storage)
    for number, image in enumerate(small_images(min(digests, tags))):
        content.add("many", image, [f"build-{tag}" for tag in range(number, tags, digests)])
    return storage


def regbot_script(bench: Bench, host: str, call: str = "manifest.head") -> pathlib.Path:
    """Write what regbot calls for each tag: ``manifest.head`` for its digest, ``image.config`` for the age of its image."""
    script = f'for _, name in pairs(tag.ls("{host}/many")) do {call}("{host}/many:" .. name) end'
    content = {
        "version": 1,
        "creds": [{"registry": host, "tls": "disabled"}],
        "scripts": [{"name": "digests", "script": script}],
    }
    path = bench.folder / f"regbot-{call}-{host.rpartition(':')[2]}.yml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def digest_contenders(bench: Bench, host: str, tags: int, **params: t.Any) -> list[Contender]:
    """Return the ways to get the digests of all tags of the repository ``many``."""
    contenders = [
        Contender(
            "registry_tag_info",
            bench.module("registry_tag_info", f"http://{host}", repository="many", digests=True, **params),
        )
    ]
    regbot, crane = bench.peer(REGBOT), bench.peer(CRANE)
    if regbot:
        script = regbot_script(bench, host)
        contenders.append(Contender("regbot", bench.command(regbot, "once", "-c", script)))
    if crane:
        ask = f"{shlex.quote(crane)} ls {host}/many | xargs -P4 -I NAME {shlex.quote(crane)} digest {host}/many:NAME"
        contenders.append(Contender("xargs -P4 crane digest", bench.command("sh", "-c", ask)))
    names = "\n".join(f"build-{number}" for number in range(tags))
    bare = bench.command(sys.executable, "-c", BARE, host, "many", "8", images.ACCEPT, given=names)
    contenders.append(Contender("8 bare threads (floor)", bare))
    return contenders


def digests(bench: Bench) -> None:
    """The digests of 1,000 tags."""
    with Registry(storage=_many(bench, "digests", 1000, 500)) as registry:
        bench.row("digests of 1,000 tags", [registry], digest_contenders(bench, registry.host, 1000))


def latency(bench: Bench) -> None:
    """The digests of 100 tags, by the round-trip time."""
    lines: dict[str, list[tuple[float, float]]] = {}
    with Registry(storage=_many(bench, "latency", 100, 100)) as registry:
        for milliseconds in ROUND_TRIPS:
            with delayed(registry.host, milliseconds) as host:
                contenders = digest_contenders(bench, host, 100)
                for number in (8, 16, 32):
                    params = {"repository": "many", "digests": True, "concurrency": number}
                    run = bench.module("registry_tag_info", f"http://{host}", **params)
                    contenders.insert(1, Contender(f"concurrency: {number}", run))
                figures = bench.row(f"digests of 100 tags at {milliseconds} ms", [registry], contenders)
            for figure in figures:
                lines.setdefault(figure.name, []).append((milliseconds, figure.seconds))
    _save(bench, "round-trips", plot("Digests of 100 tags", "round-trip time in milliseconds", lines))


def growth(bench: Bench) -> None:
    """Tags listed with their digests, images promoted and layers pulled, by their number."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for tags in (100, 1000, 5000, 20000):
        storage = _many(bench, f"growth-{tags}", tags, 500)
        with Registry(storage=storage) as registry:
            contenders = digest_contenders(bench, registry.host, tags)
            # What starts a program for each tag takes minutes, and tells nothing new.
            contenders = [one for one in contenders if tags <= 1000 or "xargs" not in one.name]
            for figure in bench.row(f"digests of {tags} tags", [registry], contenders):
                lines.setdefault(figure.name, []).append((tags, figure.seconds))
        shutil.rmtree(storage)
    _save(bench, "growth-tags", plot("Digests of all tags", "tags", lines))
    lines = {}
    storage = bench.folder / "growth-images"
    content = Storage(storage)
    for number, image in enumerate(small_images(200)):
        content.add("app", image, [f"v{number}"])
    with Registry(storage=storage) as registry:
        for count in (1, 10, 50, 200):
            entries = [
                {"image": f"app:v{number}", "to": [f"app:{count}-{number}"]} for number in range(count)
            ]
            run = bench.module("registry_promote", registry.url, images=entries)
            contender = Contender("registry_promote, unchanged after the first run", run)
            for figure in bench.row(f"promote {count} images", [registry], [contender]):
                lines.setdefault("registry_promote", []).append((count, figure.seconds))
    _save(bench, "growth-images", plot("Images promoted, nothing to change", "images", lines))
    lines = {}
    storage = bench.folder / "growth-layers"
    for layers in (1, 10, 100):
        Storage(storage).add_large(f"large-{layers}", "1", 100, layers)
    with Registry(storage=storage) as registry:
        for layers in (1, 10, 100):
            for figure in bench.row(
                f"pull 100 MiB in {layers} layers", [registry], pulls(bench, registry.host, f"large-{layers}")
            ):
                lines.setdefault(figure.name, []).append((layers, figure.seconds))
    _save(bench, "growth-layers", plot("100 MiB pulled to a layout", "layers", lines))


def _save(bench: Bench, name: str, text: str) -> None:
    (bench.folder.parent / f"{name}.svg").write_text(text, encoding="utf-8")


def pulls(bench: Bench, host: str, repository: str) -> list[Contender]:
    """Return the ways to pull an image into an OCI layout."""
    target = bench.folder / "pulled"

    def clear() -> None:
        shutil.rmtree(target, ignore_errors=True)

    image = f"{host}/{repository}:1"
    contenders = [
        Contender(
            "registry_pull",
            bench.module(
                "registry_pull", f"http://{host}", image=[f"{repository}:1"], dest=target, format="oci"
            ),
            clear,
        )
    ]
    oras, crane, regctl, skopeo = map(bench.peer, (ORAS, CRANE, REGCTL, "skopeo"))
    if oras:
        words = [oras, "copy", "--no-tty", "--from-plain-http", "--to-oci-layout", image, f"{target}:1"]
        contenders.append(Contender("oras", bench.command(*words), clear))
    if crane:
        contenders.append(
            Contender("crane", bench.command(crane, "pull", "--format=oci", image, target), clear)
        )
    if regctl:
        words = [regctl, "--host", f"reg={host},tls=disabled", "image", "copy", image, f"ocidir://{target}:1"]
        contenders.append(Contender("regctl", bench.command(*words), clear))
    if skopeo:
        words = [skopeo, "copy", "-q", "--src-tls-verify=false", f"docker://{image}", f"oci:{target}:1"]
        contenders.append(Contender("skopeo", bench.command(*words), clear))
    return contenders


def transfers(bench: Bench) -> None:
    """768 MiB in 6 layers, and 24 MiB in 12 layers over a line with a round-trip time."""
    _transfers(bench, 768, 6)
    for milliseconds in ROUND_TRIPS[1:3]:
        _transfers(bench, 24, 12, milliseconds)


def _transfers(bench: Bench, mebibytes: int, layers: int, milliseconds: int = 0) -> None:
    """An image pulled, pushed, copied, and copied again without a change."""
    name = f"{mebibytes} MiB, {layers} layers"
    work = f"{name} at {milliseconds} ms" if milliseconds else name
    storage = bench.folder / f"transfers-{milliseconds}"
    Storage(storage).add_large("large", "1", mebibytes, layers)
    with contextlib.ExitStack() as stack:
        registry = stack.enter_context(Registry(storage=storage))
        near = stack.enter_context(delayed(registry.host, milliseconds))
        bench.row(f"pull {work}", [registry], pulls(bench, near, "large"))
        layout = bench.folder / f"layout-{milliseconds}"
        bench.module("registry_pull", registry.url, image=["large:1"], dest=layout, format="oci")()
        there: list[Registry] = []
        both = [registry]
        place = bench.folder / "there"

        def stop() -> None:
            while there:
                there.pop().stop()
            del both[1:]

        def empty() -> None:
            """Give each contender an empty destination."""
            stop()
            shutil.rmtree(place, ignore_errors=True)
            there.append(Registry(storage=place, port=port).start())
            both.append(there[0])

        with Registry() as free:
            port = free.port
        stack.callback(stop)
        direct = f"127.0.0.1:{port}"
        host, source = stack.enter_context(delayed(direct, milliseconds)), f"{near}/large:1"
        digest = images.head(registry.url, "large", "1")

        def arrived() -> bool:
            return images.head(f"http://{direct}", "large", "1") == digest

        oras, crane, regctl, skopeo = map(bench.peer, (ORAS, CRANE, REGCTL, "skopeo"))
        push = [
            Contender(
                "registry_push",
                bench.module("registry_push", f"http://{host}", src=layout, image="large:1"),
                empty,
            )
        ]
        copy = [
            Contender(
                "registry_copy",
                bench.module("registry_copy", f"http://{near}", image="large:1", to=[f"{host}/large:1"]),
                empty,
            )
        ]
        if oras:
            words = [oras, "copy", "--no-tty", "--to-plain-http"]
            push.append(
                Contender(
                    "oras",
                    bench.command(*words, "--from-oci-layout", f"{layout}:1", f"{host}/large:1"),
                    empty,
                )
            )
            copy.append(
                Contender(
                    "oras", bench.command(*words, "--from-plain-http", source, f"{host}/large:1"), empty
                )
            )
        if crane:
            push.append(Contender("crane", bench.command(crane, "push", layout, f"{host}/large:1"), empty))
            copy.append(Contender("crane", bench.command(crane, "copy", source, f"{host}/large:1"), empty))
        if regctl:
            words = [
                regctl,
                "--host",
                f"reg={host},tls=disabled",
                "--host",
                f"reg={near},tls=disabled",
            ]
            words += ["image", "copy"]
            push.append(
                Contender("regctl", bench.command(*words, f"ocidir://{layout}:1", f"{host}/large:1"), empty)
            )
            copy.append(Contender("regctl", bench.command(*words, source, f"{host}/large:1"), empty))
        if skopeo:
            words = [skopeo, "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false"]
            push.append(
                Contender(
                    "skopeo", bench.command(*words, f"oci:{layout}:1", f"docker://{host}/large:1"), empty
                )
            )
            copy.append(
                Contender(
                    "skopeo", bench.command(*words, f"docker://{source}", f"docker://{host}/large:1"), empty
                )
            )
        bench.row(f"push {work}", there, push, arrived)
        bench.row(f"copy {work}", both, copy, arrived)
        unchanged = [contender._replace(prepare=lambda: None) for contender in copy]
        bench.row(f"copy {work}, without a change", both, unchanged, arrived)


def removal(bench: Bench) -> None:
    """One tag of 5,000 removed; the others keep their images."""
    with Registry(storage=_many(bench, "removal", 5000, 1500)) as registry:
        number = [0]

        def following() -> None:
            number[0] += 1

        def ours() -> Work:
            return bench.module("registry_rmtag", registry.url, image="many", tags=[f"build-{number[0]}"])

        contenders = [
            Contender("registry_rmtag", Work(lambda: ours().run(), lambda: ours().idle()), following)
        ]
        regctl = bench.peer(REGCTL)
        if regctl:
            words = [regctl, "--host", f"reg={registry.host},tls=disabled", "tag", "rm"]

            def peer() -> Work:
                return bench.command(*words, f"{registry.host}/many:build-{number[0]}")

            contenders.append(
                Contender("regctl tag rm", Work(lambda: peer().run(), lambda: peer().idle()), following)
            )
        bench.row("remove 1 of 5,000 tags", [registry], contenders)


def prune(bench: Bench) -> None:
    """The plan of a prune of 5,000 tags and 1,500 digests: without a cache, with one, and in check mode."""
    with Registry(storage=_many(bench, "prune", 5000, 1500)) as registry:
        rules = [{"match": {"tags": ["*"]}, "delete": True, "keep_last": 10}]
        cache = bench.folder / "cache"
        params = {"repositories": ["many"], "rules": rules, "max_delete_percent": 100, "cache_dir": cache}
        plan = {**params, "plan": bench.folder / "plan.json"}
        contenders = [
            Contender(
                "registry_prune, first plan",
                bench.module("registry_prune", registry.url, **plan),
                lambda: shutil.rmtree(cache, ignore_errors=True),
            ),
            Contender("again, with the cache", bench.module("registry_prune", registry.url, **plan)),
            Contender(
                "check mode, with the cache",
                bench.module("registry_prune", registry.url, **params, _ansible_check_mode=True),
            ),
        ]
        regbot = bench.peer(REGBOT)
        if regbot:
            for name, call in (("its digest", "manifest.head"), ("its image's age", "image.config")):
                script = regbot_script(bench, registry.host, call)
                contenders.append(
                    Contender(f"regbot, for each tag {name}", bench.command(regbot, "once", "-c", script))
                )
        bench.row("plan a prune of 5,000 tags", [registry], contenders)


ROWS = {
    function.__name__: function
    for function in (playbooks, digests, latency, transfers, removal, prune, growth)
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS], help="groups of rows; all without any")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(".cache/bench"), help="for plots")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(
        f"{os.cpu_count()} processors, load {load}, Python {sys.version.split()[0]}, {datetime.date.today()}."
    )
    print(
        "| work | by | seconds | least to most | net | net / ours | processor seconds | requests |\n|---|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory(prefix="run-", dir=options.output) as folder:
        bench = Bench(pathlib.Path(folder).resolve(), options.repetitions)
        for name in options.rows or ROWS:
            ROWS[name](bench)
    for name, why in bench.missing.items():
        print(f"Missing: {name}. {why}")


if __name__ == "__main__":
    main()
