# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source as ansible-rulebook runs it: by the path of its file, in a process that finds no collections."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import runpy
import subprocess
import sys
import typing as t

import pytest
import yaml

from ansible_collections.ocikit.registry.plugins.doc_fragments._registry import ModuleDocFragment
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import OPTIONS
from ansible_collections.ocikit.registry.plugins.module_utils._watch.options import ARGUMENT_SPEC
from tests.hostile import HostileRegistry
from tests.registries import Registry, images
from tests.unit.plays import environment

ROOT = pathlib.Path(__file__).resolve().parents[3]
PATH = ROOT / "extensions/eda/plugins/event_source/registry_watch.py"
FIRST = images.image({"a": "first"})
SECOND = images.image({"a": "second"})
PLUGIN = runpy.run_path(str(PATH))


def events(
    arguments: dict[str, t.Any],
    count: int,
    changes: t.Sequence[t.Callable[[], object]],
    ready: t.Callable[[], bool],
) -> list[dict[str, t.Any]]:
    """Run the plugin until it has put so many events. Make the changes one after the other, each once the last is told.

    The first is made once ``ready`` is true.
    """

    async def collect() -> list[dict[str, t.Any]]:
        queue: asyncio.Queue[dict[str, t.Any]] = asyncio.Queue()
        source = asyncio.create_task(PLUGIN["main"](queue, arguments))
        collected = []
        try:
            while not ready():
                await asyncio.sleep(0.05)
                assert not source.done(), source
            for change in changes:
                await asyncio.to_thread(change)
                collected.append(await asyncio.wait_for(queue.get(), 60))
            assert len(collected) == count
        finally:
            source.cancel()
            await asyncio.gather(source, return_exceptions=True)
        return collected

    return asyncio.run(collect())


def test_events_are_put_on_the_queue(registry: Registry, tmp_path: pathlib.Path) -> None:
    images.push(registry.url, "watched/app", FIRST, "stable")
    state = tmp_path / "state.json"
    arguments = {
        "registry": registry.url,
        "repositories": ["watched/app"],
        "tags": ["stable", "v*"],
        "interval": 1,
        "state_file": str(state),
    }
    put = events(
        arguments,
        2,
        [
            lambda: images.push(registry.url, "watched/app", SECOND, "stable"),
            lambda: images.push(registry.url, "watched/app", SECOND, "v2"),
        ],
        state.exists,
    )
    assert [entry["registry_watch"]["change"] for entry in put] == ["moved", "appeared"]
    assert put[0] == {
        "registry_watch": {
            "change": "moved",
            "registry": registry.host,
            "repository": "watched/app",
            "tag": "stable",
            "image": f"{registry.host}/watched/app:stable",
            "digest": SECOND.digest,
            "previous_digest": FIRST.digest,
            "reference": f"{registry.host}/watched/app@{SECOND.digest}",
        }
    }
    # The source gave the file back when it was cancelled.
    images.push(registry.url, "watched/app", FIRST, "stable")
    assert len(events(arguments, 1, [lambda: None], lambda: True)) == 1


def test_the_loop_goes_on_while_the_registry_is_slow() -> None:
    """Requests are sent in a thread, which does not hold up the end of the process."""

    async def wait() -> None:
        with HostileRegistry(delay=30) as server:
            arguments = {"registry": server.url, "repositories": ["a/b"], "tags": ["1"]}
            source = asyncio.create_task(PLUGIN["main"](asyncio.Queue(), arguments))
            while not server.requests:
                await asyncio.sleep(0.05)
            source.cancel()
            with pytest.raises(asyncio.CancelledError):
                await source

    asyncio.run(wait())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "registry_watch: missing required arguments: repositories, tags."),
        ({"repositories": ["a/b"], "tags": ["1"], "intervall": 5}, "intervall"),
        (
            {"repositories": ["a/b"], "tags": ["1"], "username": "alice"},
            "registry_watch: username needs password.",
        ),
    ],
)
def test_bad_arguments_are_refused_with_one_sentence(arguments: dict[str, t.Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        asyncio.run(PLUGIN["main"](asyncio.Queue(), arguments))
    assert message in str(error.value) and "\n" not in str(error.value)


def run(path: pathlib.Path, folder: pathlib.Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run a copy of the plugin as a program, in isolated mode without site packages of collections."""
    done = subprocess.run(
        [sys.executable, "-I", str(path), *arguments],
        env=environment(folder, **variables),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_modules_of_its_own_collection_are_used(tmp_path: pathlib.Path) -> None:
    """Collections are on no import path there, and another version may be installed."""
    code, output = run(PATH, tmp_path, ANSIBLE_COLLECTIONS_PATH=str(tmp_path))
    assert code == 1
    assert "ValueError: registry_watch: repositories is empty: name at least one." in output


def test_a_copy_without_its_collection_says_so(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "a/b/c/d"
    folder.mkdir(parents=True)
    copy = folder / "registry_watch.py"
    copy.write_bytes(PATH.read_bytes())
    code, output = run(copy, tmp_path)
    assert code == 1
    assert "Name it ocikit.registry.registry_watch in the rulebook" in output


def test_as_a_program_it_prints_events(registry: Registry, tmp_path: pathlib.Path) -> None:
    images.push(registry.url, "printed/app", FIRST, "stable")
    variables = {"OCIKIT_REGISTRY_URL": registry.url, "PYTHONUNBUFFERED": "1"}
    program = subprocess.Popen(
        [sys.executable, str(PATH), "printed/app", "stable"],
        env=environment(tmp_path, **variables),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        while not any("printed/app/manifests/stable" in line for line in _heads(registry)):
            assert program.poll() is None
        images.push(registry.url, "printed/app", SECOND, "stable")
        assert program.stdout
        assert SECOND.digest in program.stdout.readline()
    finally:
        program.kill()
        program.wait()
        if program.stdout:
            program.stdout.close()


def _heads(registry: Registry) -> list[str]:
    lines = pathlib.Path(registry.log).read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in lines if "ocikit.registry/" in line]


def test_the_documentation_has_every_option_with_its_default() -> None:
    documentation = yaml.safe_load(PLUGIN["DOCUMENTATION"])
    specified = {**OPTIONS, **ARGUMENT_SPEC}
    own = set(documentation["options"])
    assert documentation.pop("extends_documentation_fragment") == ["ocikit.registry._registry"]
    documentation["options"].update(yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"])
    assert own == set(ARGUMENT_SPEC) and set(documentation["options"]) == set(specified)
    for name, option in documentation["options"].items():
        spec = specified[name]
        assert option["type"] == str(spec["type"]), name
        assert option.get("required", False) == spec.get("required", False), name
        assert option.get("default") == spec.get("default"), name
        assert set(option.get("aliases", [])) == set(spec.get("aliases", [])), name


def test_the_examples_are_sources_with_such_options() -> None:
    examples = yaml.safe_load(PLUGIN["EXAMPLES"])
    assert len(examples) >= 2
    for example in examples:
        ((name, arguments),) = example.items()
        assert name == "ocikit.registry.registry_watch"
        assert set(arguments) <= {*OPTIONS, *ARGUMENT_SPEC}


def test_the_rulebook_and_its_playbook_fit_together() -> None:
    (ruleset,) = yaml.safe_load((ROOT / "extensions/eda/rulebooks/redeploy.yml").read_text(encoding="utf-8"))
    ((source,),) = [[value for key, value in entry.items() if key != "name"] for entry in ruleset["sources"]]
    assert set(source) <= {*OPTIONS, *ARGUMENT_SPEC}
    moved = next(rule for rule in ruleset["rules"] if '"moved"' in rule["condition"])
    action = moved["action"]["run_playbook"]
    playbook = ROOT / "playbooks" / f"{action['name'].rpartition('.')[2]}.yml"
    text = playbook.read_text(encoding="utf-8")
    assert action["extra_vars"]["image"] == "{{ event.registry_watch.reference }}"
    assert all(name in text for name in action["extra_vars"] if name != "ocikit_registry_url")
    assert json.dumps(ruleset).count("event.registry_watch") == 5
    assert os.path.isfile(playbook)
