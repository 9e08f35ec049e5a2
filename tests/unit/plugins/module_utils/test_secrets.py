# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets in every spelling: what a server quotes is not always what it was sent."""

from __future__ import annotations

import base64
import html
import json
import pathlib
import re
import typing as t
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ocikit.registry.plugins.module_utils._module import _without_nested_secrets
from ansible_collections.ocikit.registry.plugins.module_utils._secrets import MASK, Secrets, userinfo_secrets
from tests.hostile import HostileRegistry
from tests.registries import images
from tests.unit.running import start

IMAGE = images.image({"a": "1"})
TOO_SHORT = "has fewer than 4 characters and is not masked"
IN_RESULT = "occurs in the name or the digest of an image"
PASSWORDS = [
    "Tr0ub4dor&3",
    "back\\slash9",
    "quo'te\"9",
    "pä:ss wörd€😀",
    "a/b+c=d%41",
    "x<y>z&amp;",
    "ab\\ncd",
    "ab\ncd",
    "a\\u0041b",
    "C:\\new\\x41",
]


def go(text: str) -> str:
    """JSON as Go's encoder writes it."""
    return (
        json.dumps(text, ensure_ascii=False)
        .replace("&", "\\u0026")
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
    )


SPELLINGS: dict[str, t.Callable[[str], str]] = {
    "plain": str,
    "JSON": json.dumps,
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "Go": go,
    "slashes escaped": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "JSON in JSON in JSON": lambda text: json.dumps(json.dumps(json.dumps(text))),
    "Go in JSON": lambda text: json.dumps({"detail": go(text)}),
    "repr": repr,
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "repr of repr": lambda text: repr(repr(text)),
    "URL": lambda text: urllib.parse.quote(text, safe=""),
    "form": urllib.parse.quote_plus,
    "URL in JSON": lambda text: json.dumps(urllib.parse.quote(text)),
    "JSON in URL": lambda text: urllib.parse.quote(json.dumps(text)),
    "HTML": html.escape,
    "HTML in JSON": lambda text: json.dumps(html.escape(text)),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of a pair": lambda text: base64.b64encode(f"alice:{text}".encode()).decode(),
    "base64 of more": lambda text: base64.urlsafe_b64encode(f"xy:{text}!".encode()).decode(),
}


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_masked_however_it_is_spelled(password: str, spelling: str) -> None:
    secrets = Secrets()
    secrets.add(password)
    text = secrets.mask(f"before {SPELLINGS[spelling](password)} after")
    assert MASK in text and text.startswith("before ") and text.endswith(" after")
    assert password not in text and SPELLINGS[spelling](password)[1:-1] not in text


@pytest.mark.parametrize("password", ["pässwörd", "тест-пароль", "\udce9not-utf-8"])
def test_a_secret_is_masked_where_its_bytes_were_read_as_other_text(password: str) -> None:
    secrets = Secrets()
    secrets.add(password)
    raw = password.encode("utf-8", "surrogateescape")
    for text in (raw.decode("latin-1"), raw.decode("utf-8", "replace"), urllib.parse.quote(raw)):
        for spelling in (str, json.dumps, repr, html.escape):
            shown = secrets.mask(f"before {spelling(text)} after")
            assert MASK in shown and spelling(text)[1:-1] not in shown


def test_a_text_without_secrets_stays() -> None:
    secrets = Secrets()
    text = '{"a": "b\\u0026c", "d": "%41+"}'
    assert secrets.mask(text) == text
    secrets.add("elsewhere", "")
    assert secrets.mask(text) == text and list(secrets) == ["elsewhere"]


def test_secrets_within_each_other() -> None:
    secrets = Secrets()
    secrets.add("secret", "a-secret-word", "word-of-honour")
    assert secrets.mask("it is a-secret-word-of-honour") == f"it is {MASK}"


def test_a_long_text_is_cut_so_that_no_part_of_a_secret_is_left() -> None:
    secrets = Secrets()
    secrets.add("secret" * 100)
    for begin in range((1 << 16) - 700, (1 << 16) + 10, 7):
        text = secrets.mask("." * begin + json.dumps("secret" * 100 + "&") + "." * 10000)
        assert "secret" not in text and len(text) <= (1 << 16) + len(MASK)


ENCODINGS = [name for name in SPELLINGS if not re.search("base64| in | of ", name)]


@given(st.text(min_size=8, max_size=40), st.lists(st.sampled_from(ENCODINGS), max_size=2))
def test_any_secret_in_two_spellings(secret: str, spellings: list[str]) -> None:
    secrets = Secrets()
    secrets.add(secret)
    text = secret
    for spelling in spellings:
        text = SPELLINGS[spelling](text)
    assert MASK in secrets.mask(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://user:hunter2secret@registry.example.com/x", ["hunter2secret"]),
        ("user:hunter2secret@registry.example.com/x:1", ["hunter2secret"]),
        (["registry.example.com/x:1", {"to": ["//u:p/a@s:s@host/y"]}], ["p/a@s:s"]),
        ("user:1@host/x", ["user:1@"]),
        ("team/app:1.4@sha256:" + "1" * 64, []),
        ("app:1.4@sha256:short", []),
        ("host:5000/app:1.4", []),
        ("user@host/x", []),
        ("u:first@host/x,u:second@host/y", ["first@host/x,u:second", "first", "second"]),
        ("u:with,comma@host/x", ["with,comma"]),
        (None, []),
    ],
)
def test_passwords_before_a_host_are_found(value: t.Any, expected: list[str]) -> None:
    assert list(userinfo_secrets(value)) == expected


@pytest.mark.parametrize(
    ("module", "params"),
    [
        ("registry_pull", {"image": "a/b:1", "dest": "/a\0b"}),
        ("registry_pull", {"image": "a/b:1", "dest": "/a", "format": "oci-archive", "auth_file": "a\0b"}),
        ("registry_append", {"to": ["a/b:1"], "layers": [{"files": [{"src": "a\0b", "dest": "/x"}]}]}),
        ("registry_verify", {"lock": "a\0b"}),
    ],
)
def test_a_path_with_nul_is_one_sentence(module: str, params: dict[str, t.Any]) -> None:
    result = run(module, "http://127.0.0.1:9", **params)
    assert result["failed"] and "is not a valid path: it has a NUL character in it." in result["msg"]


def test_secrets_of_suboptions_are_not_logged() -> None:
    spec = {
        "image": {"type": "str"},
        "destination": {
            "type": "dict",
            "options": {"password": {"no_log": True}, "registry": {}, "token": {"no_log": True}},
        },
        "sides": {"type": "list", "elements": "dict", "options": {"password": {"no_log": True}}},
    }
    params = {
        "image": "a/b",
        "destination": {"password": "back\\slash9", "registry": "x.y", "token": None},
        "sides": [{"password": "quo'te"}],
    }
    shown = _without_nested_secrets(params, spec)
    assert shown == {
        "image": "a/b",
        "destination": {"password": "NOT_LOGGING_PARAMETER", "registry": "x.y", "token": None},
        "sides": [{"password": "NOT_LOGGING_PARAMETER"}],
    }
    assert params["sides"] == [{"password": "quo'te"}]


def run(module: str, url: str, **params: t.Any) -> dict[str, t.Any]:
    """Run ``module`` as Ansible does and return its result, with the texts of its warnings as ``warned``."""
    output, errors = start(module, url, **params).communicate()
    assert not errors, errors
    result: dict[str, t.Any] = json.loads(output)
    # Newer ansible-core has more than the text.
    return {**result, "warned": [json.dumps(warning) for warning in result.get("warnings", [])]}


@pytest.mark.parametrize("secret", ["1", "abc"])
@pytest.mark.parametrize("way", ["password", "token", "auth file", "destination"])
def test_a_secret_that_is_too_short_hides_nothing_else(tmp_path: pathlib.Path, way: str, secret: str) -> None:
    """Digests, tags and sentences have one or another such text in them; the options that hold it do not show it."""
    with HostileRegistry(auth="" if way == "token" else "basic", user=("alice", secret)) as server:
        server.add("a/b", IMAGE, "1")
        own = {"username": "alice", "password": secret}
        if way == "token":
            result = run("registry_manifest_info", server.url, image="a/b:1", token=secret)
        elif way == "auth file":
            entry = {"auth": base64.b64encode(f"alice:{secret}".encode()).decode()}
            (tmp_path / "auth.json").write_text(json.dumps({"auths": {server.host: entry}}), encoding="utf-8")
            result = run(
                "registry_manifest_info", server.url, image="a/b:1", auth_file=tmp_path / "auth.json"
            )
        elif way == "destination":
            side = {"registry": server.url, **own}
            result = run(
                "registry_copy", server.url, image="a/b:1", to="a/c:1", **own, destination=side, retries=0
            )
            assert result["invocation"]["module_args"]["destination"]["password"] != secret
        else:
            result = run("registry_manifest_info", server.url, image="a/b:1", **own)
    copied = result["targets"][0] if way == "destination" else result
    assert copied["digest"] == IMAGE.digest
    assert way == "destination" or result["image"] == f"{server.host}/a/b:1"
    assert any(TOO_SHORT in warning for warning in result["warned"])
    given = result["invocation"]["module_args"]
    assert given["token"] != secret and given["password"] != secret


@pytest.mark.parametrize("secret", ["e", "ti"])
def test_a_message_is_readable_whatever_short_secret_there_is(secret: str) -> None:
    """Also where ansible-core itself refuses the options, before any code of the collection sees them."""
    with HostileRegistry(auth="basic", user=("alice", secret)) as server:
        given = {"username": "alice", "password": secret, "retries": 0}
        absent = run("registry_pull", server.url, image="a/b:1", dest="/nowhere/at/all", **given)
        wrong = run("registry_manifest_info", server.url, imagee="a/b:1", **given)
    for result in (absent, wrong):
        assert result["failed"] and "***" not in result["msg"] and result["msg"].count("e") > 2
        assert result["invocation"]["module_args"]["password"] != secret


@pytest.mark.parametrize(
    "module", ["registry_tag_info", "registry_manifest_info", "registry_rmtag", "registry_rmrepo"]
)
def test_a_secret_within_the_names_of_a_result_is_told_once(module: str) -> None:
    with HostileRegistry(auth="basic", user=("deployer", "prod")) as server:
        server.add("prod/app", IMAGE, "1")
        name = {"image": "prod/app:1"} if module == "registry_manifest_info" else {"repository": "prod/app"}
        own: dict[str, dict[str, t.Any]] = {
            "registry_rmtag": {"tags": ["1"]},
            "registry_rmrepo": {"confirm": "prod/app"},
        }
        result = run(
            module,
            server.url,
            username="deployer",
            password="prod",
            _ansible_check_mode=True,
            **name,
            **own.get(module, {}),
        )
    assert not result.get("failed"), result
    assert [IN_RESULT in warning for warning in result["warned"]] == [True]


def test_a_result_without_a_secret_needs_no_warning() -> None:
    with HostileRegistry(auth="basic", user=("deployer", "pa55word")) as server:
        server.add("prod/app", IMAGE, "1")
        result = run(
            "registry_tag_info", server.url, username="deployer", password="pa55word", repository="prod/app"
        )
    assert result["tags"] and not result["warned"]


NAMED = "alice:Hidden7word@127.0.0.1:1/app"
PLACES: list[tuple[str, dict[str, t.Any]]] = [
    ("registry_tag", {"image": f"{NAMED}:1", "tags": ["2"]}),
    ("registry_tag", {"image": "app:1", "to": [f"{NAMED}:2", {"image": f"https://{NAMED}:3"}]}),
    ("registry_copy", {"image": "app:1", "to": f"docker://{NAMED}:1"}),
    ("registry_copy", {"image": "app:1", "to": ["app:2"], "destination": {"registry": f"http://{NAMED}"}}),
    ("registry_prune", {"repositories": [NAMED], "rules": [{"match": {"tags": ["*"]}, "keep": True}]}),
    (
        "registry_prune",
        {
            "repositories": ["app"],
            "protect": [f"{NAMED}:1"],
            "rules": [{"match": {"tags": ["*"]}, "keep": True}],
        },
    ),
    ("registry_verify", {"images": [f"{NAMED}:1"]}),
    ("registry_verify", {"images": [{"image": f"{NAMED}:1"}]}),
    ("registry_promote", {"images": [{"image": f"{NAMED}:1", "to": "app:2"}]}),
    ("registry_pull", {"image": [f"{NAMED}:1"], "dest": "/nowhere/x"}),
    ("registry_rmrepo", {"repository": NAMED, "confirm": "app"}),
    ("registry_tag_info", {"repository": NAMED}),
    ("registry_manifest_info", {"image": "app:1", "proxy": f"http://{NAMED}"}),
    ("registry_manifest_info", {"image": "app:1", "trusted_realms": [f"https://{NAMED}"]}),
    ("registry_append", {"image": "app:1", "labels": {"source": f"https://{NAMED}"}, "to": [f"{NAMED}:2"]}),
]


@pytest.mark.parametrize(("module", "params"), PLACES)
def test_a_password_before_a_host_is_in_nothing_that_a_task_returns(
    module: str, params: dict[str, t.Any]
) -> None:
    result = run(module, "127.0.0.1:1", retries=0, **params)
    assert result["failed"] and "Hidden7word" not in json.dumps(result)
