# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The targets of tests/fuzz: every kept input, and a few hundred generated ones, always the same."""

from __future__ import annotations

import pathlib
import re
import socket
import sys
import typing as t

import pytest
from hypothesis import given

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._http.credentials import Credentials
from tests.fuzz import __main__ as command
from tests.fuzz.generated import examples, fuzz, inputs
from tests.fuzz.targets import CORPUS, TARGETS, Target
from tests.fuzz.wire import Wire

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = 150


@pytest.fixture(params=TARGETS.values(), ids=list(TARGETS))
def target(request: pytest.FixtureRequest) -> t.Any:
    return request.param


def test_kept_inputs(target: Target) -> None:
    assert target.seeds
    for path in target.seeds:
        try:
            target.check(path.read_bytes())
        except Exception as error:
            raise AssertionError(f"{path.name} is a finding") from error


def test_generated_inputs(target: Target) -> None:
    examples(EXAMPLES, derandomize=True)(given(inputs(target))(target.check))()


def test_the_kept_inputs_are_few_and_belong_to_targets() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == set(TARGETS)
    assert sum(path.stat().st_size for path in files) < 300 * 1024


def test_the_documentation_has_every_target() -> None:
    text = (ROOT / "docs" / "fuzzing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| ([^|]+) \| [^|]*\|$", text, re.MULTILINE)
    documented = {
        name: ", ".join(f"`{error.__name__}`" for error in one.documented) or "none"
        for name, one in TARGETS.items()
    }
    assert {name: errors for name, errors in rows if not errors[0].isdigit()} == documented


def _weak(data: bytes) -> None:
    if b"alpine" not in data:
        raise InvalidInput("It is something else.")
    raise KeyError("alpine")


def test_what_is_not_documented_is_a_finding() -> None:
    Target("reference", _weak, (InvalidInput,)).check(b"debian")
    with pytest.raises(KeyError):
        Target("reference", _weak, (InvalidInput,)).check(b"alpine:3")
    with pytest.raises(InvalidInput):
        Target("reference", _weak).check(b"debian")


def test_a_message_that_is_no_sentence_is_a_finding() -> None:
    def shout(data: bytes) -> None:
        raise InvalidInput(data.decode())

    target = Target("reference", shout, (InvalidInput,))
    target.check(b"One line.")
    for text in (b"", b"two\nlines", b"\x1b[2J", b"x" * 20000):
        with pytest.raises(AssertionError):
            target.check(text)


def test_a_finding_is_kept_small_and_can_be_replayed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weak = Target("reference", _weak, (InvalidInput,))
    executions, finding = fuzz(weak, 60)
    assert executions and finding and isinstance(finding.error, KeyError) and b"alpine" in finding.data

    monkeypatch.setattr(command, "CORPUS", tmp_path)
    monkeypatch.setitem(TARGETS, "reference", weak)
    arguments = ["fuzz", "--engine", "hypothesis", "--target", "reference", "--seconds", "60"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert command.main() == 1
    [kept] = (tmp_path / "reference").iterdir()
    assert kept.read_bytes() == finding.data and str(kept) in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [*arguments[:5], str(kept)])
    with pytest.raises(KeyError):
        command.main()


def test_the_wire_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("socket", "getaddrinfo"):
        monkeypatch.delattr(socket, name)
    wire = Wire([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"])
    client = wire.client("registry.invalid", Credentials())
    assert client.ping().status == 200
    [sent] = wire.sent
    assert (sent.scheme, sent.host, sent.port) == ("https", "registry.invalid", 443)
    assert sent.content.startswith(b"GET /v2/ HTTP/1.1\r\n")
