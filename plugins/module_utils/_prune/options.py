# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What registry_prune is asked for: its options, checked before anything is sent."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from .._errors import InvalidInput, printable
from .limits import Limits
from .protection import ProtectEntry, read_protect
from .rules import Rule, parse_rules

_WAYS = ("repositories", "policies", "apply_plan", "restore")
# What a policy takes from the options of the module where it does not say it itself.
_INHERITED = ("unknown_age", "max_delete", "max_delete_percent")
_PATHS = ("plan", "apply_plan", "undo", "restore", "report", "cache_dir")
OptionNames = t.Callable[[str], str]


@dataclass(frozen=True)
class Policy:
    """Rules, and the repositories that they are for, as ``entries`` of the option ``option``.

    ``name`` is None for the policy that the options of the module itself describe.
    """

    name: str | None
    entries: tuple[str, ...]
    option: str
    rules: tuple[Rule, ...]
    protect: tuple[ProtectEntry, ...]
    limits: Limits
    delete_unknown_age: bool


class InvalidPolicy(t.NamedTuple):
    """A policy that says nothing or contradicts itself, and how."""

    name: str
    error: InvalidInput


def option_names(params: t.Mapping[str, t.Any]) -> OptionNames:
    """Return the function that tells how the user wrote the name of an option: a role has variables of its own."""
    names = params["option_names"]
    return lambda option: t.cast(str, names.get(option, option))


def check_options(params: t.Mapping[str, t.Any], empty_suboptions: t.Iterable[str] = ()) -> None:
    """Raise InvalidInput where options contradict each other, or nothing is to be done.

    ``empty_suboptions`` were given as null: a condition whose variable is empty must not widen what a rule deletes.
    """
    name = option_names(params)
    for place in empty_suboptions:
        option, bracket, rest = place.partition("[")
        raise InvalidInput(f"{name(option)}{bracket}{rest} is empty: set a value, or leave it out.")
    ways = [way for way in _WAYS if params[way]]
    for option in _PATHS:
        if params[option] == "":
            # A variable that was not set must not turn a plan into a prune, or leave it without an undo file.
            raise InvalidInput(f"{name(option)} is empty: name a path, or leave it out.")
    if len(ways) != 1:
        # A role has variables for those that it offers.
        offered = [name(way) for way in _WAYS if not params["option_names"] or way in params["option_names"]]
        raise InvalidInput(f"Set one of {', '.join(offered)}.")
    (way,) = ways
    if way != "repositories" and params["rules"]:
        raise InvalidInput(f"{name('rules')} goes with {name('repositories')}, not with {name(way)}.")
    if way == "apply_plan" and params["protect"]:
        raise InvalidInput(
            f"{name('protect')} does not go with {name(way)}: a plan deletes what was decided when it was made. Write a new plan"
            f" with {name('protect')}, and apply that."
        )
    if way in ("apply_plan", "restore") and params["plan"]:
        raise InvalidInput(f"{name('plan')} goes with {name('repositories')}, not with {name(way)}.")
    files: dict[str, str] = {}
    for option in filter(params.get, _PATHS):
        other = files.setdefault(os.path.realpath(params[option]), name(option))
        if other != name(option):
            raise InvalidInput(
                f"{other} and {name(option)} are the same file: name a file of its own for each."
            )
    if params["undo"] and (params["plan"] or params["restore"]):
        other = name("plan" if params["plan"] else "restore")
        raise InvalidInput(
            f"With {other} nothing is deleted, so there is nothing to undo: leave {name('undo')} out."
        )
    if params["undo_days"] is not None and (params["undo_days"] < 1 or not params["undo"]):
        raise InvalidInput(
            f"{name('undo_days')} is {params['undo_days']}: set it to 1 or more, and {name('undo')} to a file."
        )
    if params["restore_run"] and not params["restore"]:
        raise InvalidInput(
            f"{name('restore_run')} chooses a run of the file that {name('restore')} names: set both."
        )


def read_policies(params: t.Mapping[str, t.Any]) -> list[Policy | InvalidPolicy]:
    """Return the policies that are to be applied. One of several that is wrong does not keep the others from that.

    Raises InvalidInput for a single policy that is wrong, and for several of one name.
    """
    name = option_names(params)
    if not params["policies"]:
        return [_policy(None, params, params["protect"], name)]
    names = [
        printable(policy["name"] or f"policy {position}")
        for position, policy in enumerate(params["policies"], 1)
    ]
    for number, policy_name in enumerate(names):
        if policy_name in names[:number]:
            raise InvalidInput(
                f"Two of {name('policies')} are called {policy_name}: give each a name of its own."
            )
    return [
        _read(policy_name, policy, params, name) for policy_name, policy in zip(names, params["policies"])
    ]


def _read(
    name: str, policy: t.Mapping[str, t.Any], params: t.Mapping[str, t.Any], names: OptionNames
) -> Policy | InvalidPolicy:
    inherited = [option for option in _INHERITED if policy[option] is None]

    def option(field_name: str) -> str:
        return names(field_name) if field_name in inherited else f"{field_name} of the policy {name}"

    values = {**policy, **{field_name: params[field_name] for field_name in inherited}}
    protect = [*params["protect"], *(policy["protect"] or [])]
    try:
        if not policy["repositories"]:
            raise InvalidInput(f"{option('repositories')} is empty: name some, or leave the policy out.")
        return _policy(name, values, protect, option)
    except InvalidInput as error:
        return InvalidPolicy(name, error)


def _policy(
    name: str | None, values: t.Mapping[str, t.Any], protect: t.Sequence[t.Any], option: OptionNames
) -> Policy:
    return Policy(
        name,
        tuple(values["repositories"]),
        option("repositories"),
        tuple(parse_rules(values["rules"])),
        tuple(read_protect(protect)),
        Limits(
            values["max_delete"],
            values["max_delete_percent"],
            option("max_delete"),
            option("max_delete_percent"),
        ),
        values["unknown_age"] == "delete",
    )
