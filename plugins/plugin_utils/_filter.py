# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this plugin_utils is PRIVATE to the collection.
"""What the filters share: values that are checked, and failures in one sentence."""

from __future__ import annotations

import functools
import typing as t

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.ocikit.registry.plugins.module_utils._errors import (
    InvalidInput,
    RegistryError,
    printable,
)

Result = t.TypeVar("Result")


def as_filter(function: t.Callable[..., Result]) -> t.Callable[..., Result]:
    """Return ``function`` with its RegistryErrors as AnsibleFilterError."""

    @functools.wraps(function)
    def guarded(*args: t.Any, **kwargs: t.Any) -> Result:
        try:
            return function(*args, **kwargs)
        except RegistryError as error:
            raise AnsibleFilterError(str(error)) from None

    return guarded


def text(value: t.Any, argument: str) -> str:
    """Return ``value`` if it is text. Raises InvalidInput, or Jinja's error for an undefined one."""
    if not isinstance(value, str):
        raise InvalidInput(f"{argument} must be text, not {printable(value, 80)!r}.")
    return value


def flag(value: t.Any, argument: str) -> bool:
    """Return ``value`` as a boolean. Raises InvalidInput that names the ``argument``."""
    try:
        return bool(boolean(value))
    except TypeError:
        raise InvalidInput(f"{argument} must be true or false, not {printable(value, 80)!r}.") from None
