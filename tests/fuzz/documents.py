# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON changed as JSON: what changes single bytes seldom gets past a parser."""

from __future__ import annotations

import json
import random
import re
import typing as t

# As JSON: each use makes a new value.
_STRANGE = [
    "null",
    "true",
    "-1",
    "0",
    "1.5",
    "1e999",
    "NaN",
    "1" + "0" * 30,
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    '{"":{}}',
] + ['""', r'"a\nb"', r'"\ud800"', r'"\u202e"', f'"{"0" * 5000}"']
_DEPTHS = (60, 99, 101, 200, 240)


def changed(data: bytes, seed: int) -> bytes | None:
    """Return ``data`` with the JSON at its end changed in some places, or None where there is none."""
    found = re.search(rb"[{\[]", data)
    if not found:
        return None
    chance = random.Random(seed)
    try:
        document = [json.loads(data[found.start() :])]
        for _change in range(chance.choice((1, 1, 2, 4))):
            _change_one(document, chance)
        made = json.dumps(document[0] if document else None, separators=(",", ":"))
    except (ValueError, RecursionError):
        return None
    return data[: found.start()] + made.encode()


def _change_one(document: list[t.Any], chance: random.Random) -> None:
    places = list(_places(document))
    if not places:
        return
    holder, key = chance.choice(places)
    value = holder[key]
    other_holder, other_key = chance.choice(places)
    kind = chance.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = json.loads(chance.choice(_STRANGE))
    elif kind == 2:
        holder[key] = json.loads(json.dumps(other_holder[other_key]))
    elif kind == 3:
        for _level in range(chance.choice((1, *_DEPTHS))):
            value = [value] if chance.random() < 0.5 else {"x": value}
        holder[key] = value
    elif kind == 4 and isinstance(holder, dict):
        holder[chance.choice(("x", *(str(one) for _holder, one in places)))] = holder.pop(key)
    elif isinstance(value, str):
        start = chance.randint(0, len(value))
        part = chance.choice(("", value, chr(chance.randrange(1, 300)), "..", ":", "\ud83d", "9" * 20))
        holder[key] = value[:start] + part + value[start + chance.randint(0, 2) :]


def _places(value: t.Any) -> t.Iterator[tuple[t.Any, t.Any]]:
    """Yield each place in nested lists and objects, as what holds it and the index or name there."""
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        for key, one in holder.items() if isinstance(holder, dict) else enumerate(holder):
            yield holder, key
            if isinstance(one, (dict, list)):
                waiting.append(one)
