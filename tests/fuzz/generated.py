# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs made by hypothesis from the pieces of the kept ones, where atheris is not there and in the unit tests."""

from __future__ import annotations

import re
import signal
import time
import typing as t

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.documents import changed
from tests.fuzz.targets import Target

_ROUND = 1000
_SECONDS_FOR_ONE = 10
_PIECE = re.compile(rb"[A-Za-z0-9]+|[^A-Za-z0-9]")


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Return kept inputs with a part replaced, documents changed as such, and new ones of the pieces of all."""
    kept = [path.read_bytes() for path in target.seeds]
    pieces = sorted({piece for one in kept for piece in _PIECE.findall(one)}) or [b""]
    part = st.lists(st.sampled_from(pieces) | st.binary(max_size=3), max_size=12).map(b"".join)

    @st.composite
    def document(draw: st.DrawFn) -> bytes:
        one = draw(st.sampled_from(kept or [b""]))
        return changed(one, draw(st.integers(0, 1 << 32))) or one

    @st.composite
    def replaced(draw: st.DrawFn) -> bytes:
        one = draw(st.sampled_from(kept or [b""]))
        start = draw(st.integers(0, len(one)))
        end = draw(st.integers(start, min(len(one), start + 20)))
        return one[:start] + draw(part) * draw(st.sampled_from((1, 1, 1, 2, 300))) + one[end:]

    return replaced() | document() | part


def examples(count: int, **more: t.Any) -> settings:
    """Return settings for a number of examples that leave no traces."""
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        **more,
    )


class Finding(t.NamedTuple):
    """An input and what it brings about."""

    data: bytes
    error: Exception


def fuzz(target: Target, seconds: float) -> tuple[int, Finding | None]:
    """Fuzz for about ``seconds``. Returns the executions, and the finding in its smallest form, if there is one."""
    end, executions, last = time.monotonic() + seconds, 0, b""

    def run(data: bytes) -> None:
        nonlocal executions, last
        executions, last = executions + 1, data
        signal.alarm(_SECONDS_FOR_ONE)
        try:
            target.check(data)
        finally:
            signal.alarm(0)

    before = signal.signal(signal.SIGALRM, _too_slow)
    try:
        rounds = 0
        while time.monotonic() < end:
            rounds += 1
            seed(rounds)(examples(_ROUND)(given(inputs(target))(run)))()
    except Exception as error:  # whatever it is, it is what was looked for
        return executions, Finding(last, error)
    finally:
        signal.signal(signal.SIGALRM, before)
    return executions, None


def _too_slow(_number: int, _frame: t.Any) -> None:
    raise AssertionError(f"an input took more than {_SECONDS_FOR_ONE} seconds")
