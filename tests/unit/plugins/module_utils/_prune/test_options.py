# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of registry_prune: what goes together, and the names by which a role has them."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput
from ansible_collections.ocikit.registry.plugins.module_utils._prune.options import (
    InvalidPolicy,
    Policy,
    check_options,
    read_policies,
)

RULES = [{"match": {"tags": ["*"]}, "delete": True}]
NOTHING: dict[str, t.Any] = dict.fromkeys(
    (
        *("repositories", "policies", "apply_plan", "restore", "plan", "undo", "undo_days", "restore_run"),
        *("rules", "report", "cache_dir"),
    )
)
LIMITS: dict[str, t.Any] = {"unknown_age": "keep", "max_delete": None, "max_delete_percent": None}


def params(**given: t.Any) -> dict[str, t.Any]:
    return {**NOTHING, **LIMITS, "option_names": {}, "protect": [], **given}


@pytest.mark.parametrize(
    "given",
    [
        {"repositories": ["a"], "rules": RULES, "plan": "p"},
        {"repositories": ["a"], "rules": RULES, "undo": "u", "undo_days": 3},
        {"policies": [{}], "undo": "u"},
        {"apply_plan": "p", "undo": "u"},
        {"restore": "u", "restore_run": "last"},
    ],
)
def test_options_that_go_together(given: dict[str, t.Any]) -> None:
    check_options(params(**given))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "Set one of repositories, policies, apply_plan, restore."),
        ({"repositories": ["a"], "restore": "u"}, "Set one of repositories, policies, apply_plan, restore."),
        ({"policies": [{}], "rules": RULES}, "rules goes with repositories, not with policies."),
        ({"apply_plan": "p", "plan": "q"}, "plan goes with repositories, not with apply_plan."),
        ({"repositories": ["a"], "plan": "p", "undo": "u"}, "With plan nothing is deleted"),
        ({"restore": "u", "undo": "v"}, "With restore nothing is deleted"),
        ({"repositories": ["a"], "undo_days": 3}, "undo_days is 3: set it to 1 or more, and undo to a file."),
        ({"repositories": ["a"], "undo": "u", "undo_days": 0}, "undo_days is 0: set it to 1 or more"),
        ({"repositories": ["a"], "restore_run": "last"}, "restore_run chooses a run of the file"),
        ({"repositories": ["a"], "plan": ""}, "plan is empty: name a path, or leave it out."),
        ({"repositories": ["a"], "undo": ""}, "undo is empty: name a path, or leave it out."),
        ({"repositories": ["a"], "apply_plan": ""}, "apply_plan is empty: name a path, or leave it out."),
        ({"repositories": ["a"], "restore": ""}, "restore is empty: name a path, or leave it out."),
        ({"repositories": ["a"], "report": ""}, "report is empty: name a path, or leave it out."),
        (
            {"repositories": ["a"], "undo": "u", "report": "x/../u"},
            "undo and report are the same file: name a file of its own for each.",
        ),
        ({"repositories": ["a"], "plan": "p", "report": "./p"}, "plan and report are the same file"),
        ({"apply_plan": "p", "report": "p"}, "apply_plan and report are the same file"),
        ({"restore": "u", "report": "u"}, "restore and report are the same file"),
    ],
)
def test_options_that_do_not(given: dict[str, t.Any], sentence: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_options(params(**given))
    assert str(caught.value).startswith(sentence)


def test_a_role_has_names_of_its_own() -> None:
    names = {"repositories": "prune_repositories", "restore": "prune_restore", "undo": "prune_undo"}
    with pytest.raises(InvalidInput, match=r"^Set one of prune_repositories, prune_restore\.$"):
        check_options(params(option_names=names))
    with pytest.raises(InvalidInput, match="leave prune_undo out"):
        check_options(params(option_names=names, restore="u", undo="v"))


def test_one_policy_is_made_of_the_options() -> None:
    (policy,) = read_policies(params(repositories=["a", "b/*"], rules=RULES, unknown_age="delete"))
    assert isinstance(policy, Policy)
    assert (policy.name, policy.entries, policy.delete_unknown_age) == (None, ("a", "b/*"), True)


def policy(**given: t.Any) -> dict[str, t.Any]:
    nothing = {"name": None, "protect": None, **dict.fromkeys(LIMITS)}
    return {**nothing, "repositories": ["a"], "rules": RULES, **given}


def test_policies_inherit_what_they_do_not_say() -> None:
    own, other = policy(name="own", max_delete=1), policy(protect=["a:1"])
    first, second = read_policies(params(policies=[own, other], max_delete=7, protect=["b:2"]))
    assert isinstance(first, Policy) and isinstance(second, Policy)
    assert (first.name, second.name) == ("own", "policy 2")
    assert (first.limits.max_delete, second.limits.max_delete) == (1, 7)
    assert (len(first.protect), len(second.protect)) == (1, 2)
    assert first.option == "repositories of the policy own"


def test_a_policy_that_is_wrong_leaves_the_others() -> None:
    wrong, right = read_policies(params(policies=[policy(rules=[]), policy(name="right")]))
    assert isinstance(wrong, InvalidPolicy) and "has no rules" in str(wrong.error)
    assert isinstance(right, Policy)
    (empty,) = read_policies(params(policies=[policy(repositories=[])]))
    assert isinstance(empty, InvalidPolicy) and "repositories of the policy policy 1 is empty" in str(
        empty.error
    )
    with pytest.raises(InvalidInput, match="has no rules"):
        read_policies(params(repositories=["a"], rules=[]))


def test_two_policies_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidInput, match="Two of policies are called twin"):
        read_policies(params(policies=[policy(name="twin"), policy(name="twin")]))
