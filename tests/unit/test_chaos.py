# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults between the modules and a real registry: a small part of python -m tests.chaos, and whether that can fail."""

from __future__ import annotations

import typing as t

import pytest
import requests

from ansible_collections.ocikit.registry.plugins.module_utils._errors import RegistryError, Unreachable
from tests.chaos.operations import A, C, Operation, Place, Pull, Retag
from tests.chaos.proxy import FAULTS, Fault, Seen, Weather
from tests.chaos.runs import OPERATIONS, STATES, Figures, Violation, places, run
from tests.chaos.state import Wrong

RUNS = 6
# A run with one thread, so that also the order of its requests is always the same.
ORDERED = ("rmtag", 5, 2)
FOUL = Weather("foul", 0.3, 0.0)


@pytest.fixture(scope="module", name="place")
def fixture_place() -> t.Iterator[Place]:
    with places() as place:
        yield place


@pytest.mark.parametrize("kind", OPERATIONS)
def test_every_run_ends_in_success_or_a_clear_error(place: Place, kind: str) -> None:
    figures = Figures()
    for number in range(RUNS):
        figures.add(kind, run(place, kind, 3, number))
    sums = figures.sums[kind]
    assert sums["runs"] == RUNS == sum(sums[state] for state in STATES)
    assert sum(sums[f"fault {fault}"] for fault in FAULTS) > 2
    assert f"| runs | {RUNS} | {RUNS} |" in figures.table()


def test_what_the_weather_does_hangs_on_the_seed_alone() -> None:
    requests_seen = [Seen("GET", f"/v2/a/manifests/{number}", 1) for number in range(200)]
    first = [Weather("1", 0.5, 0.1)(one) for one in requests_seen]
    # In any order: threads have none.
    second = {one: weather(one) for weather in [Weather("1", 0.5, 0.1)] for one in reversed(requests_seen)}
    assert first == [second[one] for one in requests_seen]
    assert first != [Weather("2", 0.5, 0.1)(one) for one in requests_seen]
    assert {fault.kind for fault in first if fault} == set(FAULTS) - {"gone"}


def test_an_outage_lasts() -> None:
    weather = Weather("1", 0.0, 1.0)
    kinds = {
        fault.kind if fault else "none"
        for number in range(4, 200)
        for fault in [weather(Seen("PUT", "/v2/a/manifests/b", number))]
    }
    assert kinds == set(FAULTS) - {"delay", "gone"}


def test_a_registry_that_is_gone_stays_away() -> None:
    weather = Weather("1", 0.0, 0.0, 0.1)
    kinds = [
        fault and fault.kind for number in range(100) for fault in [weather(Seen("GET", "/v2/", number))]
    ]
    answered = kinds.index("gone")
    assert 0 < answered < 60
    assert kinds == [None] * answered + ["gone"] * (100 - answered)


def test_a_run_can_be_done_again(place: Place) -> None:
    first = run(place, *ORDERED)
    with places() as other:
        second = run(other, *ORDERED)
    assert sum(first.faults.values()) > 3
    assert (second.decided, second.kind, second.state) == (first.decided, first.kind, first.state)


def meddling(kind: str, change: t.Callable[[], object]) -> t.Callable[[Seen], Fault | None]:
    """A weather in which somebody changes something when the first manifest is read."""
    done: list[object] = []

    def weather(seen: Seen) -> Fault | None:
        if seen.kind == kind and not done:
            done.append(change())
        return None

    return weather


def repository(kind: str, number: int) -> str:
    return f"{kind}/9-{number}"


@pytest.mark.parametrize(
    "kind, number, tag",
    [("retag", 1, "old"), ("push", 1, "old"), ("rmtag", 1, "1.0"), ("prune", 1, "stable")],
)
def test_a_tag_that_somebody_moved_is_found(place: Place, kind: str, number: int, tag: str) -> None:
    def change() -> None:
        place.plain.put(repository(kind, number), C, tag)

    with pytest.raises(Violation, match=f"{tag}.*{C.digest}"):
        run(place, kind, 9, number, meddling("manifests", change))


@pytest.mark.parametrize(
    "kind, number, tag", [("retag", 2, "old"), ("rmtag", 2, "3"), ("prune", 2, "release")]
)
def test_a_tag_that_is_lost_is_found(place: Place, kind: str, number: int, tag: str) -> None:
    def change() -> None:
        found = place.plain.tags(repository(kind, number))[tag]
        url = f"http://{place.proxy.upstream.netloc}/v2/{repository(kind, number)}/manifests/{found}"
        assert requests.delete(url, timeout=10).status_code == 202

    with pytest.raises(Violation):
        run(place, kind, 9, number, meddling("manifests", change))


def acting(monkeypatch: pytest.MonkeyPatch, kind: type[Operation], after: t.Callable[[t.Any], None]) -> None:
    """Let something happen after each time that an operation was carried out."""
    act = kind.act

    def changed(self: t.Any) -> dict[str, t.Any]:
        result = act(self)
        # Not after what only prepares a run.
        if hasattr(self, "before"):
            after(self)
        return result

    monkeypatch.setattr(kind, "act", changed)


def test_a_wrong_byte_on_disk_is_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def corrupt(operation: t.Any) -> None:
        if operation.dest.is_file():
            content = bytearray(operation.dest.read_bytes())
            content[len(content) // 2] ^= 1
            operation.dest.write_bytes(content)
            return
        largest = max(
            (one for one in operation.dest.rglob("*") if one.is_file()), key=lambda one: one.stat().st_size
        )
        largest.write_bytes(largest.read_bytes()[:-1] + b"?")

    acting(monkeypatch, Pull, corrupt)
    for number in range(3):
        with pytest.raises(Violation, match="has other bytes"):
            run(place, "pull", 9, number, Weather("fair", 0.0, 0.0))


def test_a_file_left_behind_is_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    acting(monkeypatch, Pull, lambda operation: (operation.folder / ".app.ocikit-part").touch())
    with pytest.raises(Violation, match="left behind"):
        run(place, "pull", 10, 0, Weather("fair", 0.0, 0.0))


def test_a_blob_that_is_missing_is_found(place: Place) -> None:
    place.plain.put("missing/app", A, "1")
    place.plain.check_whole("missing/app", A)
    url = f"http://{place.proxy.upstream.netloc}/v2/missing/app/blobs/{next(iter(A.blobs))}"
    assert requests.delete(url, timeout=10).status_code == 202
    with pytest.raises(Wrong, match="is not there"):
        place.plain.check_whole("missing/app", A)


@pytest.mark.parametrize(
    "error, found",
    [
        (ValueError("inside"), "ValueError instead of a clear error"),
        (RegistryError("It has no kind."), "not a clear one"),
        (Unreachable("It has no end"), "not a clear one"),
        (Unreachable("<object at 0x7f>."), "not a clear one"),
    ],
)
def test_an_error_that_is_not_clear_is_found(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    error: Exception,
    found: str,
) -> None:
    def fail(_operation: object) -> dict[str, t.Any]:
        raise error

    monkeypatch.setattr(Retag, "act", fail)
    with pytest.raises(Violation, match=found):
        run(place, "retag", 11, abs(hash(request.node.name)), FOUL)


def test_success_without_a_change_is_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Retag, "act", lambda _operation: {"changed": True})
    with pytest.raises(Violation, match="instead of"):
        run(place, "retag", 12, 0, FOUL)
