# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The arguments of the event source, checked as those of modules are."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .._errors import InvalidInput
from .._oci.quantities import parse_duration
from .._oci.reference import check_tag
from .._registry.connection import OPTIONS, connection_arguments
from .._registry.option_types import LIST, TEXT, check_number, check_paths
from .._secrets import Secrets, userinfo_secrets
from .changes import WatchedTags

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "repositories": {"type": LIST, "elements": TEXT, "required": True},
    "tags": {"type": LIST, "elements": TEXT, "required": True},
    "interval": {"type": "raw", "default": "5min"},
    "state_file": {"type": "path"},
}
_LONGEST_INTERVAL = 30 * 86400.0
# ansible-rulebook adds this one to the user's own.
_FOREIGN = frozenset(("eda_feedback_queue",))


@dataclass(frozen=True)
class WatchOptions:
    """What to watch, and how. ``interval`` is in seconds; ``connection`` has the options of OPTIONS."""

    repositories: tuple[str, ...]
    tags: WatchedTags
    interval: float
    state_file: str | None
    connection: t.Mapping[str, t.Any]


def read_options(arguments: t.Mapping[str, t.Any]) -> WatchOptions:
    """Return the options that the arguments of an event source are. Raises InvalidInput with one sentence.

    Connection options that are not given are read from the environment, as modules do.
    """
    given = {name: value for name, value in arguments.items() if name not in _FOREIGN}
    validated = ArgumentSpecValidator({**connection_arguments(), **ARGUMENT_SPEC}).validate(given)
    if validated.error_messages:
        raise InvalidInput(_masked(validated.error_messages[0].rstrip("."), given) + ".")
    options = validated.validated_parameters
    check_paths(options, {**OPTIONS, **ARGUMENT_SPEC})
    for name in ("repositories", "tags"):
        if not options[name]:
            raise InvalidInput(f"{name} is empty: name at least one.")
    tags = WatchedTags(options["tags"], "tags")
    for tag in sorted(tags.names):
        check_tag(tag)
    interval = _seconds(options["interval"])
    check_number(interval, "interval", 1, _LONGEST_INTERVAL)
    connection = {name: options[name] for name in OPTIONS}
    return WatchOptions(tuple(options["repositories"]), tags, interval, options["state_file"], connection)


def _seconds(interval: t.Any) -> float:
    """Return the interval, a number of seconds or a duration, in seconds. Raises InvalidInput."""
    if isinstance(interval, (int, float)) and not isinstance(interval, bool):
        return float(interval)
    text = str(interval).strip()
    try:
        return float(text) if text.isdigit() else parse_duration(text)
    except InvalidInput as error:
        raise error.replace_message(f"interval: {error}") from None


def _masked(message: str, given: t.Mapping[str, t.Any]) -> str:
    """Return a message of ansible-core, which may show the value of an option, without secrets."""
    secrets = Secrets()
    secrets.add(*userinfo_secrets(dict(given)))
    secrets.add(*(str(given[name]) for name in given if OPTIONS.get(name, {}).get("no_log")))
    return secrets.mask(message)
