# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a play shows of long work, in the worker process, as a module and over SSH, and what an interruption leaves."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time
import typing as t

import pytest

from tests.hostile import HostileRegistry
from tests.registries import ToolMissing, images
from tests.unit import plays
from tests.unit.ssh import gives_terminals, ssh_server

DICE = random.Random(7)
LAYERS = [
    images.layer({f"file-{n}": DICE.getrandbits(8 * 400_000).to_bytes(400_000, "big")}, compression="")
    for n in range(3)
]
IMAGE = images.image(LAYERS)
PATIENCE = 60
PULL = "ocikit.registry.registry_pull"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LINE = re.compile(r"^progress: \[([a-z-]+)\] (.*)$", re.MULTILINE)

# What is special about each host. All of them pull at the same time, for longer than a line takes.
HOSTS: dict[str, dict[str, t.Any]] = {
    "in-process": {},
    "module": {"ocikit_registry_in_process": False},
    "off": {"progress": False},
    "module-off": {"ocikit_registry_in_process": False, "progress": False},
    "variable-off": {"ocikit_registry_progress": False},
    "module-variable-off": {"ocikit_registry_in_process": False, "ocikit_registry_progress": False},
    "checked": {"repository": "late/b", "checked": True},
    "module-checked": {"ocikit_registry_in_process": False, "repository": "late/b", "checked": True},
    "unlogged": {"unlogged": True},
    "module-unlogged": {"ocikit_registry_in_process": False, "unlogged": True},
}
SHOWING = {"in-process", "module", "ssh", "ssh-without-pipelining"}


class Shown(t.NamedTuple):
    """What a play printed, and what it recorded."""

    output: str
    errors: str
    results: list[dict[str, t.Any]]
    registry: str
    hosts: set[str]

    def lines(self, host: str) -> list[str]:
        """Return what was shown of the progress on ``host``."""
        return [line for name, line in LINE.findall(self.errors) if name == host]


def write_play(folder: pathlib.Path, url: str, hosts: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Write a play that pulls on ``hosts``, and return the arguments that run it."""
    common = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = {"all": {"hosts": {name: {**common, **variables} for name, variables in hosts.items()}}}
    task = {
        PULL: {
            "image": "{{ repository | default('a/b') }}:1",
            "dest": f"{folder}/{{{{ inventory_hostname }}}}",
            "registry": url,
            "progress": "{{ progress | default(omit) }}",
        },
        "check_mode": "{{ checked | default(false) }}",
        "no_log": "{{ unlogged | default(false) }}",
        "environment": {"OF_TEST": str(folder)},
    }
    (folder / "hosts.json").write_text(json.dumps(inventory), encoding="utf-8")
    playbook = folder / "play.yml"
    playbook.write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]), encoding="utf-8"
    )
    return ["-i", str(folder / "hosts.json"), str(playbook)]


@contextlib.contextmanager
def hosts_over_ssh(folder: pathlib.Path) -> t.Iterator[dict[str, dict[str, t.Any]]]:
    """Give the hosts that are reached over SSH: none where OpenSSH is not here."""
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        try:
            variables = stack.enter_context(ssh_server(folder))
        except ToolMissing:
            yield {}
            return
        hosts: dict[str, dict[str, t.Any]] = {
            "ssh": {**variables},
            "ssh-off": {**variables, "progress": False},
        }
        if gives_terminals(variables):
            hosts["ssh-without-pipelining"] = {**variables, "ansible_pipelining": "false"}
        yield hosts


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """A play with -v whose stdout callback prints JSON."""
    folder = tmp_path_factory.mktemp("play")
    with hosts_over_ssh(folder / "server") as remote:
        return run_play(folder, {**HOSTS, **remote})


def run_play(folder: pathlib.Path, hosts: t.Mapping[str, t.Mapping[str, t.Any]]) -> Shown:
    """Pull on all ``hosts`` at the same time, and return what was shown."""
    with HostileRegistry(trickle=0.02, delay=7.0, delay_on="^HEAD /v2/late/") as server:
        for repository in ("a/b", "late/b"):
            server.add(repository, IMAGE, "1")
        arguments = write_play(folder, server.url, hosts)
        done = plays.run(
            folder, *arguments, "-v", "-f", "20", variables={"ANSIBLE_STDOUT_CALLBACK": "as_json"}
        )
    assert done.returncode == 0, done.stdout + done.stderr
    recorded = (folder / "recorded").read_text(encoding="utf-8").splitlines()
    return Shown(done.stdout, done.stderr, [json.loads(line) for line in recorded], server.host, set(hosts))


@pytest.mark.parametrize("host", sorted(SHOWING))
def test_lines_images_and_totals_are_shown(shown: Shown, host: str) -> None:
    if host not in shown.hosts:
        pytest.skip("OpenSSH is not here, or its server gives no terminal")
    *lines, image, totals = shown.lines(host)
    assert lines
    for line in lines:
        assert re.match(
            r"transferred [0-9.]+ (bytes|KiB|MiB) of 1\.2 MiB \([0-9]+%\), [0-4] of 4 blobs, [0-9.]+ (bytes|KiB)/s, .* left$",
            line,
        ), line
    assert re.match(r"127\.0\.0\.1:[0-9]+/a/b:1 is finished$", image)
    assert re.match(r"1\.2 MiB, 4 blobs, [0-9.]+ KiB/s, 1 image in [0-9]+ s$", totals)


@pytest.mark.parametrize("host", [*sorted(set(HOSTS) - SHOWING), "ssh-off"])
def test_nothing_is_shown_where_it_is_off_in_check_mode_and_with_no_log(shown: Shown, host: str) -> None:
    assert shown.lines(host) == []


def test_nothing_of_it_is_in_results(shown: Shown) -> None:
    assert len(shown.results) == len(shown.hosts)
    assert "ocikit_progress" not in json.dumps(shown.results)
    assert {outcome["outcome"] for outcome in shown.results} == {"ok"}


def test_callbacks_that_print_json_stay_readable(shown: Shown) -> None:
    """With -v, ansible-core itself prints a line about its configuration first."""
    document = shown.output[shown.output.index("{") :]
    assert set(json.loads(document)) == shown.hosts >= set(HOSTS)
    assert "progress" not in shown.output[: shown.output.index("{")]


def test_no_file_is_left(shown: Shown) -> None:
    """The file of the module had the name of the image in it, as its line about that."""
    own = [
        path for path in pathlib.Path("/tmp").glob(".ocikit-progress-*") if path.stat().st_uid == os.geteuid()
    ]
    assert not [
        path for path in own if f"{shown.registry}/a/b:1 is finished" in path.read_text(encoding="utf-8")
    ]


@pytest.mark.parametrize("pipelining", ["true", "false"])
def test_a_short_task_sends_no_other_command(tmp_path: pathlib.Path, pipelining: str) -> None:
    commands = []
    for number, progress in enumerate((True, False)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with HostileRegistry() as server:
            server.add("a/b", IMAGE, "1")
            variables = {**HOSTS["module"], "progress": progress, "ansible_pipelining": pipelining}
            done = plays.run(folder, *write_play(folder, server.url, {"module": variables}), "-vvv")
        assert done.returncode == 0, done.stdout + done.stderr
        # On a machine that is busy it may take longer than the progress waits.
        sent = [line for line in done.stdout.splitlines() if "> EXEC " in line and "tail -n" not in line]
        commands.append(len(sent))
        assert ("OCIKIT_PROGRESS_FILE=" in done.stdout) is progress
    assert commands[0] == commands[1] > 0


def processes_of(folder: pathlib.Path) -> list[int]:
    """Return the processes whose command or environment names ``folder``: those of a play, and of its modules."""
    numbers = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (path / "cmdline").read_bytes() + (path / "environ").read_bytes():
                numbers.append(int(path.name))
        except OSError:
            continue
    return numbers


def interrupt(process: subprocess.Popen[str], way: str) -> None:
    """End a play as Ctrl-C does, or kill the worker process alone."""
    if way == "ctrl-c":
        os.killpg(process.pid, signal.SIGINT)
        return
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    for child in children.split():
        os.kill(int(child), signal.SIGKILL)


@pytest.mark.parametrize(
    ("host", "way"),
    [
        ("in-process", "ctrl-c"),
        ("module", "ctrl-c"),
        ("module", "killed worker"),
        ("ssh", "ctrl-c"),
        ("ssh", "killed worker"),
        ("ssh-without-pipelining", "ctrl-c"),
    ],
)
def test_an_interruption_ends_the_transfer_and_the_next_run_resumes(
    tmp_path: pathlib.Path, tmp_path_factory: pytest.TempPathFactory, host: str, way: str
) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(HostileRegistry(trickle=0.05))
        hosts = dict(HOSTS)
        if host not in hosts:
            hosts.update(stack.enter_context(hosts_over_ssh(tmp_path_factory.mktemp("server") / "ssh")))
        if host not in hosts:
            pytest.skip("OpenSSH is not here, or its server gives no terminal")
        server.add("a/b", IMAGE, "1")
        arguments = write_play(tmp_path, server.url, {host: hosts[host]})
        process = subprocess.Popen(
            plays.command(*arguments),
            env=plays.environment(tmp_path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: [signal.signal(number, signal.SIG_DFL) for number in SIGNALS] and None,
        )
        ingest = tmp_path / host / ".ocikit-ingest"

        def sizes() -> dict[str, int]:
            try:
                return {path.name: path.stat().st_size for path in ingest.iterdir()}
            except OSError:
                return {}

        try:
            deadline = time.monotonic() + PATIENCE
            while sum(size > 0 for size in sizes().values()) < 3:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            interrupt(process, way)
            process.communicate(timeout=PATIENCE)
            while processes_of(tmp_path) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert processes_of(tmp_path) == []
        finally:
            process.kill()
        left = sizes()
        assert sum(size > 0 for size in left.values()) == 3
        assert not (tmp_path / host / "index.json").exists()
        server.requests.clear()
        server.behaviour.trickle = 0
        done = plays.run(tmp_path, *arguments, timeout=PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr
        for name, size in left.items():
            digest = name.replace("-", ":", 1)
            ranges = [request.headers.get("Range") for request in server.requests if digest in request.path]
            assert ranges == [f"bytes={size}-"]
        assert server.count("^GET .*/blobs/") == 3
