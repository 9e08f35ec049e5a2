# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The options mode, owner and group of modules that write files, as Ansible's file modules have them."""

from __future__ import annotations

import grp
import os
import pwd
import re
import typing as t

from .._errors import InvalidInput, printable
from .._registry.context import ModuleContext

ATTRIBUTES: dict[str, t.Any] = {
    "mode": {"type": "raw"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
}
_CLAUSE = re.compile(r"([ugoa]*)([-+=])([rwxXst]*|[ugo])\Z")
_MAX_MODE = 0o7777


def check_attributes(params: t.Mapping[str, t.Any]) -> None:
    """Raise InvalidInput unless mode, owner and group can be set: nothing was fetched by then."""
    mode = params.get("mode")
    if mode is not None and _octal(mode) is None and not _is_symbolic(mode):
        raise InvalidInput(
            f"{printable(mode)!r} is not a valid mode: write octal digits in quotes, such as '0644', or u=rw,g=r,o=r."
        )
    for option, look_up in (("owner", pwd.getpwnam), ("group", grp.getgrnam)):
        name = params.get(option)
        if name is None or name.isdecimal():
            continue
        try:
            look_up(name)
        except KeyError:
            raise InvalidInput(
                f"{printable(name)!r} is not a valid {option}: it does not exist on the host that runs this task."
            ) from None


def set_attributes(context: ModuleContext, paths: t.Iterable[str]) -> bool:
    """Give files and directories the mode, owner and group of the task, and tell whether any differed.

    Directories also get the right to be entered by those who may read them. In check mode nothing is set.
    """
    attributes = {name: context.params.get(name) for name in ATTRIBUTES}
    if all(value is None for value in attributes.values()):
        return False
    changed = False
    for path in paths:
        if os.path.islink(path):
            continue
        own = dict(attributes)
        if os.path.isdir(path) and own["mode"] is not None:
            own["mode"] = _directory_mode(own["mode"])
        changed = context.set_attributes(path, own) or changed
    return changed


def _octal(mode: t.Any) -> int | None:
    """Return a mode that is a number or octal digits, None for another one."""
    if isinstance(mode, bool):
        return None
    if isinstance(mode, str):
        mode = int(mode, 8) if re.match(r"(?:0o)?[0-7]{1,5}\Z", mode) else None
    return mode if isinstance(mode, int) and 0 <= mode <= _MAX_MODE else None


def _is_symbolic(mode: t.Any) -> bool:
    return isinstance(mode, str) and all(_CLAUSE.match(clause) for clause in mode.split(","))


def _directory_mode(mode: t.Any) -> str:
    octal = _octal(mode)
    if octal is not None:
        return f"{octal | (octal & 0o444) >> 2:04o}"
    return re.sub(r"([+=][^,]*r[^,]*)", r"\1X", mode)
