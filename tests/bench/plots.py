# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines in a plane, as SVG. The axis of time is logarithmic; the values across have the same distances."""

from __future__ import annotations

import html
import math
import pathlib
import typing as t

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 34, 46
COLOURS = ("#0b6fb8", "#c4511d", "#2d8a4e", "#7b4bb0", "#8a6d1f", "#555555")
Points = t.Mapping[str, t.Sequence[t.Tuple[float, float]]]
# That of this file.
LICENCE = "\n".join(
    ["<!--", *(line[2:] for line in pathlib.Path(__file__).read_text("utf-8").splitlines()[:3]), "-->"]
)


def plot(title: str, across: str, lines: Points) -> str:
    """Return the plot of ``lines``, by name points of (what ``across`` says, seconds above 0)."""
    points = [point for line in lines.values() for point in line]
    columns = sorted({x for x, _y in points})
    ticks = _ticks(min(y for _x, y in points), max(y for _x, y in points))
    distance = (WIDTH - RIGHT - LEFT) / max(len(columns) - 1, 1)
    across_of = {column: LEFT + distance * number for number, column in enumerate(columns)}
    place_y = _scale(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP)
    parts = [
        LICENCE,
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 20, title, "start", 14),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, across, "middle"),
    ]
    for tick in ticks:
        y = place_y(tick)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{tick:g} s", "end"))
    for column in columns:
        x = across_of[column]
        parts.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#eeeeee"/>')
        parts.append(_text(x, HEIGHT - BOTTOM + 16, f"{column:g}", "middle"))
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{across_of[x]:.1f},{place_y(y):.1f}" for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{across_of[x]:.1f}" cy="{place_y(y):.1f}" r="3" fill="{colour}"/>' for x, y in line
        ]
        y = TOP + 10 + 20 * number
        parts.append(f'<rect x="{WIDTH - RIGHT + 14}" y="{y - 8}" width="12" height="4" fill="{colour}"/>')
        parts.append(_text(WIDTH - RIGHT + 32, y, name, "start"))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str, anchor: str, size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{html.escape(text)}</text>'
    )


def _scale(least: float, most: float, begin: float, end: float) -> t.Callable[[float], float]:
    low, high = math.log(least), math.log(most)
    return lambda value: begin + (end - begin) * ((math.log(value) - low) / ((high - low) or 1))


def _ticks(least: float, most: float) -> list[float]:
    """Return round numbers from below ``least`` to above ``most``."""
    steps = [10.0**power * digit for power in range(-4, 6) for digit in (1, 2, 5)]
    below = max(step for step in steps if step <= least)
    above = min(step for step in steps if step >= most)
    return [step for step in steps if below <= step <= above] if below < above else [below, below * 2]
