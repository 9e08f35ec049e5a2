# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_rmtag: what its options mean, what it returns, and what becomes of it when it is interrupted."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
import typing as t

import pytest
import yaml

from ansible_collections.ocikit.registry.plugins.module_utils._deletion.tags import STRATEGIES
from ansible_collections.ocikit.registry.plugins.module_utils._errors import Denied, InvalidInput
from ansible_collections.ocikit.registry.plugins.modules import registry_rmtag
from tests.hostile import HostileRegistry, Request
from tests.registries import Registry, images, traits
from tests.unit.removing import (
    AFTER,
    DIGEST_DELETES,
    ONE,
    PUTS,
    STATE,
    TAGS,
    TWO,
    WRITES,
    Connect,
    meanwhile,
    rm,
    seeded,
)
from tests.unit.running import start


def test_distribution(connect: Connect, registry: Registry) -> None:
    """distribution 2 deletes no tag by its name, others do; all of them take the tags of a digest along."""
    for tag, image in TAGS.items():
        images.push(registry.url, "a/b", image, tag)
    predicted = rm(connect, registry.url, "1", check_mode=True)
    assert images.state(registry.url, "a/b") == STATE
    result = rm(connect, registry.url, "1")
    assert images.state(registry.url, "a/b") == AFTER
    removed = {"tag": "1", "digest": ONE.digest, "dangling": False, "siblings": [], "changed": True}
    assert result == {
        "changed": True,
        "repository": f"{registry.host}/a/b",
        "removed": [{**removed, "method": "tag" if "delete_tag" in traits() else "placeholder"}],
        "absent": [],
        "diff": {
            "before": f"{registry.host}/a/b:1 {ONE.digest}\n",
            "after": f"{registry.host}/a/b:1 absent\n",
        },
    }
    assert predicted == {**result, "removed": [{**removed, "method": None}]}
    documented = yaml.safe_load(registry_rmtag.RETURN)
    assert set(result) - {"changed", "diff"} == set(documented) - {"error"}
    assert set(removed) | {"method"} == set(documented["removed"]["contains"])
    again = rm(connect, registry.url, "1")
    assert (again["changed"], again["removed"], again["absent"]) == (False, [], ["1"])
    assert again["diff"] == {"before": "", "after": ""}


@pytest.mark.parametrize("kind", sorted(images.samples()))
def test_any_kind_of_image(connect: Connect, registry: Registry, kind: str) -> None:
    image = images.samples()[kind]
    for tag in ("go", "stay"):
        images.push(registry.url, f"kinds/{kind}", image, tag)
    rm(connect, registry.url, "go", image=f"kinds/{kind}")
    assert images.state(registry.url, f"kinds/{kind}") == {"stay": image.digest}
    assert images.get_manifest(registry.url, f"kinds/{kind}", "stay") == (image.raw, image.media_type)


def test_names_and_patterns(connect: Connect) -> None:
    tagged = dict.fromkeys(["1.0", "1.1", "1.10", "2.0", "dev-a", "dev-b", "Dev-c"], ONE)
    with HostileRegistry() as server:
        tags = seeded(server, tagged)
        result = rm(connect, server.url, "1.?", "dev-*", "none-*", "2.0", "2.0", "9", "regex:1\\.\\d\\d")
        assert [one["tag"] for one in result["removed"]] == ["1.0", "1.1", "1.10", "2.0", "dev-a", "dev-b"]
        assert result["absent"] == ["none-*", "9"]
        assert set(tags) == {"Dev-c"}


def test_the_tag_of_the_image(connect: Connect) -> None:
    with HostileRegistry() as server:
        tags = seeded(server)
        rm(connect, server.url, "2", image="a/b:1")
        assert set(tags) == {"1.0", "latest"}


@pytest.mark.parametrize("tags, requests", [(["nothing"], 2), (["none-*", "nothing"], 1)])
@pytest.mark.parametrize("image", ["a/b", "no/such"])
def test_absent_tags_need_few_requests(connect: Connect, image: str, tags: list[str], requests: int) -> None:
    """A tag that is not there may be one whose manifest is missing: a listing tells."""
    with HostileRegistry() as server:
        seeded(server)
        result = rm(connect, server.url, *tags, image=image)
        assert (result["changed"], result["removed"], result["absent"]) == (False, [], tags)
        assert [one.method for one in server.requests] == ["GET"] * requests


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_check_mode_only_reads(connect: Connect, strategy: str) -> None:
    with HostileRegistry() as server:
        tags = seeded(server)
        result = rm(connect, server.url, "1", "1.0", "latest", check_mode=True, strategy=strategy)
        assert [(one["tag"], one["changed"]) for one in result["removed"]] == [
            ("1", True),
            ("1.0", True),
            ("latest", True),
        ]
        assert server.count(WRITES) == 0
        assert tags == STATE


@pytest.mark.parametrize(
    "params, sentence",
    [
        ({"tags": []}, "No tag of .*a/b is named: set tags"),
        ({"tags": ["1:0"]}, "'1:0' is not a valid tag"),
        ({"tags": [""]}, "'' is not a valid tag"),
        ({"tags": ["regex:("]}, "in tags is not a regular expression"),
        ({"tags": ["^v.*"]}, "'\\^v\\.\\*' in tags can match no tag: .* Write regex:"),
        ({"image": f"a/b@{ONE.digest}"}, "names a digest: registry_rmtag removes tags"),
        ({"image": "a/b:1@sha256:1"}, "not a valid digest"),
    ],
)
def test_bad_input(connect: Connect, params: dict[str, t.Any], sentence: str) -> None:
    with HostileRegistry() as server:
        seeded(server)
        with pytest.raises(InvalidInput, match=sentence) as caught:
            rm(connect, server.url, **{"tags": ["1"], **params})
        assert str(caught.value).endswith(".")
        assert server.requests == []


def test_credentials_without_the_right_to_delete(connect: Connect) -> None:
    with HostileRegistry(fail_first=-1, fail_status=403, fail_on="^DELETE ") as server:
        tags = seeded(server)
        with pytest.raises(Denied) as caught:
            rm(connect, server.url, "1")
        assert caught.value.result == {"changed": False, "removed": []}
        assert tags == STATE
        assert server.count(PUTS) == 0


def run_module(server: HostileRegistry, *tags: str, strategy: str = "auto") -> subprocess.Popen[str]:
    """Start registry_rmtag as Ansible does."""
    return start("registry_rmtag", server.url, image="a/b", tags=list(tags), strategy=strategy)


@pytest.mark.parametrize(
    "numbers", [[signal.SIGTERM], [signal.SIGINT], [signal.SIGHUP], [signal.SIGTERM] * 3]
)
def test_an_interruption_is_rolled_back(numbers: list[signal.Signals]) -> None:
    """Impatience, a second signal, changes nothing about that."""
    with HostileRegistry(tag_delete="400", delay=1.0, delay_on=DIGEST_DELETES) as server:
        tags = seeded(server)
        sent = list(numbers)
        # The deletion of the placeholder, and for more signals the requests of the roll-back.
        pattern = "^DELETE .*/sha256:|^PUT .*/manifests/[12]$"
        started: list[subprocess.Popen[str]] = []
        moved: dict[str, str] = {}

        def interrupt(request: Request) -> None:
            label = f"{request.method} {request.path}"
            if len(set(tags.values()) - set(STATE.values())) and re.search(pattern, label) and sent:
                if not moved and request.method == "PUT":
                    return
                moved.update({} if moved else tags)
                started[0].send_signal(sent.pop())

        server.before = interrupt
        started.append(run_module(server, "1", "2"))
        output, errors = started[0].communicate(timeout=60)
        assert errors == ""
        result = json.loads(output)
        assert result["failed"] is True
        assert result["msg"] == (
            "The task was interrupted. After this failure all tags were put back and verified."
        )
        assert moved["1"] == moved["2"] != ONE.digest
        assert {tag: tags[tag] for tag in ("1", "2")} == {"1": ONE.digest, "2": TWO.digest}
        assert tags == STATE
        assert sent == []


def test_after_a_crash_the_same_task_removes_the_tag(connect: Connect) -> None:
    with HostileRegistry(tag_delete="400") as server:
        tags = seeded(server)
        started: list[subprocess.Popen[str]] = []

        def kill() -> None:
            # This request, which is under way, comes to nothing as well.
            server.behaviour.drop_first, server.behaviour.drop_on = 1, DIGEST_DELETES
            started[0].kill()

        meanwhile(server, DIGEST_DELETES, kill, count=2)
        started.append(run_module(server, "1"))
        started[0].communicate(timeout=60)
        for _wait in range(1000):
            if server.counters.get("drop"):
                break
            time.sleep(0.01)
        assert tags["1"] not in STATE.values()
        assert rm(connect, server.url, "1")["changed"] is True
        assert tags == AFTER
