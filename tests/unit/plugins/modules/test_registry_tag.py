# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""registry_tag as a task calls it. What it writes is tested in ``_transfer/test_tagging.py``."""

from __future__ import annotations

import sys
import typing as t

import pytest
import yaml

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._http.connections import Connections
from ansible_collections.ocikit.registry.plugins.module_utils._registry.client import RegistryClient
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import RegistryClients
from ansible_collections.ocikit.registry.plugins.modules import registry_tag
from tests.hostile import HostileRegistry
from tests.registries import Registry, images
from tests.unit.task import task

Connect = t.Callable[..., t.Tuple[RegistryClients, RegistryClient]]
ONE, TWO = images.image({"file": "one"}), images.image({"file": "two"})


def retag(
    connect: Connect, url: str, image: str, *, check_mode: bool = False, **params: t.Any
) -> dict[str, t.Any]:
    clients, _client = connect(url, retries=0)
    return task(registry_tag, clients, check_mode=check_mode, image=image, **params)


def frames() -> list[str]:
    """Return the functions of ``plugins`` that the caller is called by, the innermost first."""
    functions = []
    frame = sys._getframe(1)
    while frame.f_back:
        frame = frame.f_back
        if frame.f_globals.get("__name__", "").startswith("ansible_collections.ocikit.registry.plugins."):
            functions.append(frame.f_code.co_name)
    return functions


def test_few_layers_stand_between_the_module_and_each_request(
    connect: Connect, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """main() and run(), which this test does without, are two more: 9 in all."""
    images.push(registry.url, "layers/app", ONE, "1")
    clients, _client = connect(registry.url)
    sent: list[tuple[str, list[str]]] = []
    open_answer = Connections.open

    def record(connections: Connections, method: str, *args: t.Any, **kwargs: t.Any) -> t.Any:
        sent.append((method, frames()))
        return open_answer(connections, method, *args, **kwargs)

    monkeypatch.setattr(Connections, "open", record)
    task(registry_tag, clients, image="layers/app:1", tags=["stable"])
    assert [method for method, _functions in sent] == ["HEAD", "HEAD", "GET", "PUT"]
    for method, functions in sent:
        assert len(functions) <= 7, f"{method} is sent by {' < '.join(functions)}"


def test_result(connect: Connect, registry: Registry) -> None:
    images.push(registry.url, "result/app", ONE, "1")
    images.push(registry.url, "result/app", TWO, "stable")
    name = f"{registry.host}/result/app"
    params: dict[str, t.Any] = {"tags": ["1", "new", "stable"], "to": [f"{registry.host}/result/other:1"]}
    predicted = retag(connect, registry.url, "result/app:1", check_mode=True, **params)
    result = retag(connect, registry.url, "result/app:1", **params)
    assert result == predicted
    before = {f"{name}:1": ONE.digest, f"{name}:new": None, f"{name}:stable": TWO.digest}
    before[f"{registry.host}/result/other:1"] = None
    assert result == {
        "changed": True,
        "image": f"{name}:1",
        "digest": ONE.digest,
        "targets": [
            {
                "image": image,
                "digest_before": was,
                "digest": ONE.digest,
                "changed": was != ONE.digest,
                "repaired": False,
            }
            for image, was in before.items()
        ],
        "diff": {
            "before": f"{name}:new absent\n{name}:stable {TWO.digest}\n{registry.host}/result/other:1 absent\n",
            "after": "".join(f"{image} {ONE.digest}\n" for image, was in before.items() if was != ONE.digest),
        },
    }
    documented = yaml.safe_load(registry_tag.RETURN)
    assert set(result) - {"changed", "diff"} == set(documented) - {"error"}
    assert all(set(target) == set(documented["targets"]["contains"]) for target in result["targets"])
    again = retag(connect, registry.url, "result/app:1", **params)
    assert again["changed"] is False
    assert again["diff"] == {"before": "", "after": ""}
    assert images.state(registry.url, "result/app") == dict.fromkeys(["1", "new", "stable"], ONE.digest)


def test_an_image_without_a_tag_is_latest(connect: Connect, registry: Registry) -> None:
    images.push(registry.url, "implied/app", ONE, "latest")
    assert retag(connect, registry.url, "implied/app", tags=["x"])["digest"] == ONE.digest
    assert images.head(registry.url, "implied/app", "x") == ONE.digest


@pytest.mark.parametrize(
    "params, sentence",
    [
        ({}, "No target for .*a/b:source is named: set tags or to"),
        ({"tags": ["a b"]}, "'a b' is not a valid tag"),
        ({"tags": ["x", "x"]}, "a/b:x is named twice"),
        ({"tags": ["x"], "to": ["a/b:x"]}, "a/b:x is named twice"),
        ({"to": ["a/b"]}, "cannot be a target: write repository:tag"),
        ({"to": ["a/b:x@" + ONE.digest]}, "cannot be a target"),
        ({"to": ["127.0.0.1:1/a/b:x"]}, "is in another registry than .*registry_copy copies between them"),
        ({"to": [5]}, "must be a reference, or a dictionary of image and if_digest"),
        ({"to": [{"if_digest": "absent"}]}, "must be a reference, or a dictionary"),
        ({"to": [{"image": "a/b:x", "if-digest": "absent"}]}, "must be a reference, or a dictionary"),
        ({"to": [{"image": "a/b:x", "if_digest": "latest"}]}, "'latest' is not a valid if_digest"),
        ({"tags": ["x"], "if_digest": "none"}, "'none' is not a valid if_digest"),
        ({"tags": ["x"], "if_digest": ""}, "if_digest is empty: write a digest, or absent, or leave it out"),
        ({"to": [{"image": "a/b:x", "if_digest": ""}]}, "if_digest is empty"),
        (
            {"to": [{"image": "a/b:x", "if_digest": None}]},
            "if_digest of an entry of to is null: write absent",
        ),
        ({"tags": ["x"], "expected_digest": ""}, "'' is not a valid expected_digest"),
        ({"tags": ["x"], "expected_digest": "sha256:1"}, "'sha256:1' is not a valid expected_digest"),
    ],
)
def test_bad_input(connect: Connect, params: dict[str, t.Any], sentence: str) -> None:
    with HostileRegistry() as server:
        server.add("a/b", ONE, "source")
        with pytest.raises(InvalidInput, match=sentence) as caught:
            retag(connect, server.url, "a/b:source", **params)
        assert str(caught.value).endswith(".")
        assert server.requests == []
