# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory after many tasks: PYTHONPATH=.cache/dev .venv/bin/python -m tests.bench.many_tasks [--tasks 10000]

A playbook has so many tasks of registry_tag, which change nothing: ansible-playbook must not grow more than with so many of
debug. Another has one task that is a loop of so many items: the worker process that runs them must not grow.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import subprocess
import sys
import tempfile
import time
import typing as t

import yaml

from tests.bench.content import Storage, small_images
from tests.registries import Registry
from tests.unit import plays

LIMIT_SECONDS = 3600
# The size is read when so much of the time has passed, and near the end.
PARTS = (0.1, 0.5, 0.95)


def resident(process: int) -> float:
    """Return the resident size of a process in MiB."""
    status = pathlib.Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def children(process: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False
    )
    return [int(number) for number in listed.stdout.split()]


def watch(folder: pathlib.Path, tasks: list[dict[str, t.Any]], of_worker: bool) -> list[float]:
    """Run ``tasks``; return the resident sizes of ansible-playbook, or of its worker, from second to second."""
    playbook = folder / "play.yml"
    play = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]
    playbook.write_text(yaml.safe_dump(play), encoding="utf-8")
    environment = plays.environment(folder)
    del environment["ANSIBLE_CALLBACKS_ENABLED"]
    command = plays.command(str(playbook))
    sizes: list[float] = []
    ends = time.monotonic() + LIMIT_SECONDS
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and time.monotonic() < ends:
            with contextlib.suppress(OSError, IndexError, ValueError):
                sizes.append(max(map(resident, children(process.pid) if of_worker else [process.pid])))
            time.sleep(1)
        process.kill()
    if process.returncode or not sizes:
        sys.exit("The playbook failed, or was over at once.")
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=10_000)
    count = parser.parse_args().tasks
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (image,) = small_images(1)
        Storage(folder / "storage").add("app", image, ["1", "same"])
        with Registry(storage=folder / "storage", access_log=False) as registry:
            tag = {"registry": registry.url, "image": "app:1", "tags": ["same"]}
            for module, options in (
                ("ocikit.registry.registry_tag", tag),
                ("ansible.builtin.debug", {"msg": "x"}),
            ):
                task = {module: options}
                works = (
                    ("tasks, ansible-playbook", [dict(task) for _number in range(count)]),
                    ("items of a loop, the worker", [{**task, "loop": list(range(count))}]),
                )
                for title, tasks in works:
                    sizes = watch(folder, tasks, of_worker=len(tasks) == 1)
                    shown = ", ".join(f"{sizes[int(part * len(sizes))]:.1f}" for part in PARTS)
                    print(f"{count} {title}, {module}: {shown} MiB in {len(sizes)} s", flush=True)


if __name__ == "__main__":
    main()
