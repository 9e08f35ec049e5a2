# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of operations through the proxy, each with a weather of its own, judged by what is there afterwards."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import pathlib
import random
import re
import signal
import tempfile
import typing as t
from unittest import mock

from ansible_collections.ocikit.registry.plugins.module_utils import _parallel
from ansible_collections.ocikit.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.ocikit.registry.plugins.module_utils._http import transport as _transport
from ansible_collections.ocikit.registry.plugins.module_utils._registry import fallback_tag as _fallback_tag
from tests.registries import Registry

from . import contents
from .contents import Append, PullArchive, PushArchive, Verify
from .operations import KNOWN, Copy, Operation, Place, Promote, Pull, Push, Retag
from .proxy import FAULTS, Fault, Proxy, Seen, Weather
from .removals import Prune, Rmrepo, Rmtag
from .state import Plain, Wrong

OPERATIONS: dict[str, type[Operation]] = {
    "retag": Retag,
    "promote": Promote,
    "pull": Pull,
    "pull-archive": PullArchive,
    "push": Push,
    "push-archive": PushArchive,
    "append": Append,
    "copy": Copy,
    "verify": Verify,
    "rmtag": Rmtag,
    "rmrepo": Rmrepo,
    "prune": Prune,
}
RUN_SECONDS = 120
# What a message must not hold: the inside of Python, and lines.
UNCLEAR = re.compile(r"Traceback|object at 0x|HTTPConnection|<class|\bNone\b|[\r\n]")
STATES = ("right", "untouched", "in between")


class Violation(Exception):
    """A run ended in a way that no run may."""


@dataclasses.dataclass
class Run:
    """What came of one run. ``kind`` is that of the error, None for success; ``recovered`` whether it was done again."""

    kind: str | None
    state: str
    message: str
    requests: int
    retries: int
    faults: t.Mapping[str, int]
    decided: list[tuple[str, Fault | None]]
    recovered: bool = False


@contextlib.contextmanager
def hurried() -> t.Iterator[None]:
    """Let pauses last milliseconds."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(_transport, "_FIRST_PAUSE", 0.001))
        stack.enter_context(mock.patch.object(_fallback_tag, "_PAUSE", 0.001))
        stack.enter_context(mock.patch.object(_parallel, "_PAUSES", (0, 0.01, 0.02)))
        yield


@contextlib.contextmanager
def places() -> t.Iterator[Place]:
    """Two registries, a proxy before the first, and a folder."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(hurried())
        near, far = (stack.enter_context(Registry(access_log=False)) for _side in range(2))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-"))
        proxy = stack.enter_context(Proxy(near.url))
        clients = [Plain(near.url), Plain(far.url)]
        for client in clients:
            stack.callback(client.close)
        yield Place(proxy, clients[0], far.url, clients[1], pathlib.Path(folder))


def weather_of(seed: str, chance: random.Random) -> Weather:
    """Return the weather of a run: from fair to foul, often with something out of order for good."""
    rate = chance.choice((0.03, 0.1, 0.2, 0.3, 0.45))
    outage = chance.choice((0.0, 0.01, 0.04))
    return Weather(seed, rate, outage, chance.choice((0.0, 0.0, 0.0, 0.03)))


def run(
    place: Place, kind: str, seed: int, number: int, weather: t.Callable[[Seen], Fault | None] | None = None
) -> Run:
    """Carry out one run, judge it, and if it failed do it again in good weather.

    :param weather: another than that of the seed.
    :raises Violation: with one sentence.
    """
    name = f"{kind}/{seed}-{number}"
    chance = random.Random(name)
    foul = weather or weather_of(name, chance)
    place.proxy.forget()
    operation = OPERATIONS[kind](place, name, chance)
    place.proxy.forget(foul, [*KNOWN, *contents.KNOWN])
    error, result = _act(operation)
    proxy = place.proxy
    outcome = Run(
        error.kind if error else None,
        "",
        str(error or ""),
        proxy.requests,
        proxy.retries,
        proxy.faults,
        proxy.decided,
    )
    proxy.forget()
    try:
        if error is None:
            left = operation.left_out(result)
            if operation.changes and not (result["changed"] or left):
                raise Wrong("the task says that nothing has changed")
            outcome.state = "right" if left is None else "in between"
            _check_done(operation, left or {})
        else:
            _check_clear(error)
            outcome.state = _judge(operation, error)
        if outcome.state != "right" or error:
            again, _result = _act(operation)
            if again:
                raise Wrong(f"without faults it fails as well: {again}")
            _check_done(operation, {})
            outcome.recovered = True
        if error or outcome.state == "right":
            operation.check_recovered()
    except Wrong as wrong:
        raise Violation(f"{wrong}. It ended with {outcome.message or 'success'}") from wrong
    return outcome


def _act(operation: Operation) -> tuple[RegistryError | None, dict[str, t.Any]]:
    with _limited():
        try:
            return None, operation.act()
        except RegistryError as error:
            return error, error.result
        except Exception as error:
            raise Violation(f"{type(error).__name__} instead of a clear error: {error}") from error


def _check_done(operation: Operation, left: t.Mapping[str, t.Any]) -> None:
    now, wanted = operation.look(), {**operation.wanted(), **left}
    if now != wanted:
        raise Wrong(f"{now} is there instead of {wanted}")


def _judge(operation: Operation, error: RegistryError) -> str:
    now = operation.look()
    operation.check_told(error, now)
    if now == operation.wanted():
        return "right"
    if now == operation.before:
        return "untouched"
    operation.check_between(now, error)
    return "in between"


def _check_clear(error: RegistryError) -> None:
    message = str(error)
    if error.kind == RegistryError.kind or UNCLEAR.search(message) or not message.endswith((".", "!")):
        raise Wrong("the error is not a clear one")
    if len(message) > 2000:
        raise Wrong("the error is too long")


@contextlib.contextmanager
def _limited() -> t.Iterator[None]:
    """End what does not end by itself."""

    def stop(*_unused: t.Any) -> None:
        raise Violation(f"it did not end within {RUN_SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(RUN_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Figures:
    """Sums of many runs, by operation."""

    def __init__(self) -> None:
        self.sums: dict[str, collections.Counter[str]] = {}

    def add(self, kind: str, one: Run) -> None:
        """Count a run."""
        sums = self.sums.setdefault(kind, collections.Counter())
        sums.update({"runs": 1, "requests": one.requests, "retries": one.retries, one.state: 1})
        sums.update({f"fault {name}": count for name, count in one.faults.items()})
        sums.update({"success": 1} if one.kind is None else {"failed": 1, f"error {one.kind}": 1})
        sums["recovered"] += one.recovered

    def table(self) -> str:
        """Return a table in Markdown: a column for each operation."""
        errors = sorted({name for sums in self.sums.values() for name in sums if name.startswith("error ")})
        rows = ["runs", "success", "failed", *errors, *STATES, "recovered"]
        rows += ["requests", "retries", *(f"fault {name}" for name in FAULTS)]
        titles = {
            "failed": "clear error",
            "retries": "sent again",
            "right": "state right",
            "recovered": "then done again",
        }
        kinds = [*self.sums, "all"]
        sums = {**self.sums, "all": sum(self.sums.values(), collections.Counter())}
        lines = [["", *kinds], ["---", *("---:" for _kind in kinds)]]
        lines += [[titles.get(row, row), *(f"{sums[kind][row]:,}" for kind in kinds)] for row in rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
