# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Types of options that take nothing but what is written: YAML makes the number 1.1 of a tag 1.10, and True of yes.

Ansible's own type ``str`` takes numbers and booleans for the text that Python prints them as. So options that name tags,
images, digests or patterns have these types. They equal the names of Ansible's types, which documentation has to give.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.validation import check_type_float, check_type_int, check_type_list

from .._errors import InvalidInput, printable

_NO_TEXT = "is not text but a value of YAML: write it in quotes, as it is meant"


def check_text(value: t.Any, option: str) -> str:
    """Return the value of ``option`` if it is text. Raises InvalidInput."""
    if not isinstance(value, str):
        raise InvalidInput(f"{printable(value, 100)} in {option} {_NO_TEXT}.")
    return value


def check_number(value: float | None, option: str, least: float, most: float | None = None) -> None:
    """Raise InvalidInput if the value of ``option`` is out of its range, or no number (nan). None is in every range."""
    if value is None:
        return
    # A comparison with what is no number never holds.
    if not value >= least:
        raise InvalidInput(f"{option} must be {'more than 0' if 0 < least < 1 else f'at least {least}'}.")
    if most is not None and not value <= most:
        raise InvalidInput(f"{option} must be at most {most}.")


def check_paths(params: t.Mapping[str, t.Any], spec: t.Mapping[str, t.Any], prefix: str = "") -> None:
    """Raise InvalidInput for a path with a NUL character, which YAML can write and no system call takes."""
    for name, option in spec.items():
        value = params.get(name)
        for item in value if isinstance(value, list) else [value]:
            if option.get("options") and isinstance(item, dict):
                check_paths(item, option["options"], f"{prefix}{name}.")
            elif "path" in (option.get("type"), option.get("elements")) and "\0" in (item or ""):
                raise InvalidInput(f"{prefix}{name} is not a valid path: it has a NUL character in it.")


def _text(value: t.Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{printable(value, 100)} {_NO_TEXT}")
    return value


def _no_boolean(value: t.Any) -> t.Any:
    if isinstance(value, bool):
        raise TypeError(f"{value} is a boolean: write a number")
    return value


class _TextType(str):
    """Checks a value instead of making text of it; Ansible calls it for that."""

    # By this name Ansible's messages call the type.
    __name__ = "str"

    def __call__(self, value: t.Any, **_context: t.Any) -> str:
        return _text(value)


class _ListType(str):
    """Takes a list, or text with commas between the entries, but no number for a list of one."""

    __name__ = "list"

    def __call__(self, value: t.Any) -> list[t.Any]:
        entries: list[t.Any] = check_type_list(value if isinstance(value, list) else _text(value))
        return entries


class _IntegerType(str):
    """Takes a whole number, or text that is one, but no boolean: Ansible takes true for 1, and false for 0."""

    __name__ = "int"

    def __call__(self, value: t.Any) -> int:
        number: int = check_type_int(_no_boolean(value))
        return number


class _NumberType(str):
    """Takes a number, or text that is one, but no boolean."""

    __name__ = "float"

    def __call__(self, value: t.Any) -> float:
        number: float = check_type_float(_no_boolean(value))
        return number


TEXT = _TextType("str")
LIST = _ListType("list")
INTEGER = _IntegerType("int")
NUMBER = _NumberType("float")
