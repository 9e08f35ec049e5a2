# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks in the worker process give what they give as modules of their own, in all that a user sees."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import typing as t

import pytest

from tests.hostile import HostileRegistry
from tests.registries import images
from tests.unit import plays

IMAGE, OTHER = images.image({"file": "1"}), images.image({"file": "2"})
TAG = "ocikit.registry.registry_tag"
INFO = "ocikit.registry.registry_tag_info"
DEFAULTS = {"group/ocikit.registry.registry": {"registry": "{{ url }}", "retries": 0}}


def retag(tags: t.Any, **options: t.Any) -> dict[str, t.Any]:
    return {TAG: {"image": "a/b:1", "tags": tags, **options}}


# Each with a name of its own; the play goes on after those that fail.
TASKS: dict[str, dict[str, t.Any]] = {
    "a change": retag(["2"]),
    "no change": retag(["2"]),
    "check mode": {**retag(["3"]), "check_mode": True},
    "a diff": {**retag(["4"]), "diff": True},
    "an alias": {TAG: {"source": "a/b:1", "tags": ["5"]}},
    "an unknown option": retag(["2"], nonsense=True),
    "a missing option": {TAG: {"tags": ["2"]}},
    "a wrong type": retag(["2"], overwrite="perhaps"),
    "a wrong choice": {"ocikit.registry.registry_pull": {"image": "a/b:1", "dest": "x", "format": "zip"}},
    "a bad reference": {TAG: {"image": "a/B:1", "tags": ["2"]}},
    "absent": {TAG: {"image": "a/b:none", "tags": ["2"]}},
    "a condition": retag(["other"], overwrite=False),
    "a loop": {**retag(["{{ item }}"]), "loop": ["6", "7", "none of them"]},
    "until": {
        **retag(["other"], overwrite=False),
        "register": "tried",
        "until": "tried is succeeded",
        "retries": 1,
        "delay": 0,
    },
    "delegated": {**retag(["8"]), "delegate_to": "localhost"},
    "run once": {**retag(["9"]), "run_once": True},
    "no log": {**retag(["10"]), "no_log": True},
    "a secret in the result": {
        TAG: {"image": "a/b:{{ word }}", "tags": ["2"], "username": "alice", "password": "{{ word }}"}
    },
    "variables of the environment": {
        TAG: {"image": "a/b:1", "tags": ["11"], "concurrency": None},
        "environment": {"OCIKIT_REGISTRY_CONCURRENCY": "3", "OCIKIT_REGISTRY_RETRIES": "1"},
    },
    "a bad variable of the environment": {
        **retag(["11"]),
        "environment": {"OCIKIT_REGISTRY_CONCURRENCY": "many"},
    },
    "a relative path": {
        "ocikit.registry.registry_pull": {"image": "a/b:1", "dest": "pulled", "concurrency": 1}
    },
    "a warning of the server": {INFO: {"repository": "warned/b"}},
    "no warning left over": {INFO: {"repository": "a/b"}},
    "a templated variable": retag(["{{ 'x' ~ 1 }}"]),
    "an integer": {INFO: {"repository": "a/b", "limit": "2"}},
    "skipped": {**retag(["12"]), "when": False},
    "a failed condition of the user": {**retag(["2"]), "failed_when": True},
}


def sort_lines(log: str) -> str:
    return json.dumps(sorted(json.loads(log)))


def run(folder: pathlib.Path, in_process: bool) -> plays.Played:
    with HostileRegistry(warning="this is old", warning_on="/warned/") as server:
        server.add("a/b", IMAGE, "1")
        server.add("a/b", OTHER, "other")
        server.add("warned/b", IMAGE, "1")
        tasks = [{"name": name, "ignore_errors": True, **task} for name, task in TASKS.items()]
        played = plays.play(
            folder,
            tasks,
            "-vvv",
            settings={"module_defaults": DEFAULTS, "vars": {"url": server.url, "word": "hidden-word"}},
            OCIKIT_REGISTRY_IN_PROCESS=str(in_process),
            # Sets are printed in one order.
            PYTHONHASHSEED="0",
        )
        state = json.dumps(server.repositories["a/b"].tags, sort_keys=True)
        text = json.dumps(played.outcomes).replace(server.host, "HOST") + state
    # Requests that are sent at once are logged as they end.
    text = re.sub(r'("request_log": )(\[[^\]]*\])', lambda found: found[1] + sort_lines(found[2]), text)
    text = re.sub(r" [0-9]+ ms\b", " TIME", text.replace(str(folder), "FOLDER"))
    # ansible-core 2.16 to 2.18 show tracebacks of failed items, and a module's files are in an archive of its own.
    text = re.sub(r'[^"\s]*/ansible_collections/ocikit/registry/', "COLLECTION/", text)
    outcomes, _end = json.JSONDecoder().raw_decode(text)
    return plays.Played(played.code, played.output, [*outcomes, {"state": state}])


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, plays.Played]:
    return {way: run(tmp_path_factory.mktemp("play"), way) for way in (True, False)}


def named(played: plays.Played, name: str) -> list[dict[str, t.Any]]:
    return [outcome for outcome in played.outcomes if outcome.get("task") == name]


@pytest.mark.parametrize("name", TASKS)
def test_results_are_the_same_both_ways(both: dict[bool, plays.Played], name: str) -> None:
    assert named(both[True], name) == named(both[False], name)
    assert named(both[True], name)


def test_the_registry_is_the_same_afterwards(both: dict[bool, plays.Played]) -> None:
    assert both[True].outcomes[-1] == both[False].outcomes[-1]
    assert both[True].code == both[False].code == 0


def test_the_log_says_how_each_task_ran(both: dict[bool, plays.Played]) -> None:
    assert both[True].output.count(f"{TAG} runs in the worker process") >= 15
    assert "as a module" not in both[True].output
    assert f"{TAG} runs as a module (in_process is off)" in both[False].output
    assert "runs in the worker process" not in both[False].output


def test_warnings_belong_to_their_own_task(both: dict[bool, plays.Played]) -> None:
    for played in both.values():
        assert played.output.count("warns: this is old") == 1


def test_secrets_are_masked(both: dict[bool, plays.Played]) -> None:
    for played in both.values():
        assert "hidden-word" not in played.output


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ({"async": 60, "poll": 1}, "the task is asynchronous"),
        ({"vars": {"ansible_python_interpreter": "FOLDER/python"}}, "another interpreter is set"),
        ({"vars": {"ocikit_registry_in_process": False}}, "in_process is off"),
        ({"environment": {"OCIKIT_REGISTRY_IN_PROCESS": "no"}}, "in_process is off"),
        ({"environment": {"PYTHONWARNINGS": "ignore"}}, "environment concerns the interpreter"),
    ],
)
def test_what_is_unclear_runs_as_a_module(
    tmp_path: pathlib.Path, task: dict[str, t.Any], reason: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    task = json.loads(json.dumps(task).replace("FOLDER", str(tmp_path)))
    with HostileRegistry() as server:
        server.add("a/b", IMAGE, "1")
        played = plays.play(tmp_path, [{**retag(["2"], registry=server.url), **task}], "-vvv")
        assert f"{TAG} runs as a module ({reason})" in played.output
        assert played.outcomes[-1]["outcome"] == "ok", played.output
        assert server.repositories["a/b"].tags["2"] == IMAGE.digest


def test_the_setting_of_ansible_cfg_turns_it_off(tmp_path: pathlib.Path) -> None:
    settings = tmp_path / "ansible.cfg"
    settings.write_text("[ocikit_registry]\nin_process = false\n", encoding="utf-8")
    with HostileRegistry() as server:
        server.add("a/b", IMAGE, "1")
        task = retag(["2"], registry=server.url)
        played = plays.play(tmp_path, [task], "-vvv", ANSIBLE_CONFIG=str(settings))
        assert f"{TAG} runs as a module (in_process is off)" in played.output


def test_a_timeout_of_the_task_ends_it_and_puts_things_back(tmp_path: pathlib.Path) -> None:
    with HostileRegistry(delay=600.0, delay_on="^HEAD ") as server:
        server.add("a/b", IMAGE, "1")
        started = time.monotonic()
        played = plays.play(tmp_path, [{**retag(["2"], registry=server.url), "timeout": 1}])
        assert played.outcomes[-1]["outcome"] == "failed"
        assert "timed" in json.dumps(played.outcomes[-1]["result"]) or "time frame" in played.output
        assert time.monotonic() - started < 100
        assert server.repositories["a/b"].tags == {"1": IMAGE.digest}


def test_an_error_in_the_code_is_a_failed_task(tmp_path: pathlib.Path) -> None:
    """A broken .netrc or the like must not end the play: a traceback is a result, as with any module."""
    code = (
        "import ansible_collections.ocikit.registry.plugins.modules.registry_tag as module\n"
        "def broken(_context):\n    raise ValueError('this is broken')\n"
        "module.tag = broken\n"
    )
    site = tmp_path / "site"
    site.mkdir()
    site.joinpath("breaking.py").write_text(
        "from ansible.plugins.callback import CallbackBase\n"
        "DOCUMENTATION = 'name: breaking\\ntype: aggregate\\nshort_description: x\\ndescription: x\\n'\n"
        "class CallbackModule(CallbackBase):\n"
        "    CALLBACK_VERSION = 2.0\n    CALLBACK_TYPE = 'aggregate'\n    CALLBACK_NAME = 'breaking'\n"
        "    def v2_playbook_on_start(self, playbook):\n" + re.sub(r"(?m)^", " " * 8, code),
        encoding="utf-8",
    )
    played = plays.play(
        tmp_path,
        [
            {**retag(["2"], registry="http://127.0.0.1:1"), "ignore_errors": True},
            {"ansible.builtin.debug": {}},
        ],
        ANSIBLE_CALLBACK_PLUGINS=f"{plays.CALLBACKS}{os.pathsep}{site}",
        ANSIBLE_CALLBACKS_ENABLED="recorded,breaking",
    )
    assert [outcome["outcome"] for outcome in played.outcomes] == ["failed", "ok"]
    assert "this is broken" in json.dumps(played.outcomes[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_the_play_puts_things_back(tmp_path: pathlib.Path, number: signal.Signals) -> None:
    """The second tag hangs: the first one is put back, whoever gets the signal."""
    with HostileRegistry() as server:
        server.add("a/b", IMAGE, "1")
        server.add("a/b", OTHER, "one")
        server.behaviour.delay, server.behaviour.delay_on = 600.0, "^PUT .*/manifests/two$"
        reached = threading.Event()
        server.before = lambda request: (
            reached.set() if request.path.endswith("/manifests/two") and request.method == "PUT" else None
        )
        task = {
            "ocikit.registry.registry_promote": {
                "images": [{"image": "a/b:1", "to": f"a/b:{tag}"} for tag in ("one", "two")],
                "registry": server.url,
                "concurrency": 1,
            }
        }
        playbook = tmp_path / "play.yml"
        playbook.write_text(
            json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]), encoding="utf-8"
        )
        process = subprocess.Popen(
            plays.command(str(playbook)),
            env=plays.environment(tmp_path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Who runs the tests in the background hands down ignored signals.
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL) and None,
        )
        try:
            assert reached.wait(60)
            os.killpg(process.pid, number)
            process.communicate(timeout=60)
            deadline = time.monotonic() + 60
            while server.repositories["a/b"].tags.get("one") != OTHER.digest and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            process.kill()
        assert server.repositories["a/b"].tags == {"1": IMAGE.digest, "one": OTHER.digest}


def test_the_parent_process_loads_the_code_once(tmp_path: pathlib.Path) -> None:
    """Workers inherit it: what they import themselves is not most of it."""
    code = (
        "import sys\n"
        "import ansible_collections.ocikit.registry.plugins.action.registry_tag\n"
        "inherited = {'urllib3', 'ansible_collections.ocikit.registry.plugins.modules.registry_tag'}\n"
        # ansible-core 2.19 and newer
        "profiles = 'ansible.module_utils._internal._json._profiles'\n"
        "if profiles in sys.modules:\n"
        "    inherited |= {f'{profiles}._module_legacy_{way}' for way in ('c2m', 'm2c')}\n"
        "print(inherited <= set(sys.modules))\n"
    )
    setup = "from ansible.plugins.loader import init_plugin_loader; init_plugin_loader([])\n"
    done = subprocess.run(
        [sys.executable, "-c", setup + code],
        env=plays.environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "True"
