# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The rules of a prune policy: which tags each matches, and whether it keeps or deletes them."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .._errors import InvalidInput, printable
from .._oci.quantities import parse_duration
from .._oci.tag_patterns import TAGS, Patterns, regex
from .._oci.tag_versions import Version, parse_version
from .version_ranges import VersionRange


@dataclass(frozen=True)
class Rule:
    """One rule of a policy; see the documentation of registry_prune for its fields."""

    name: str
    include: Patterns
    exclude: Patterns
    versions: VersionRange | None
    prereleases: str
    orphans: bool
    keep: bool
    delete: bool
    keep_last: int | None
    by: str
    group: str | None
    older_than: float | None
    younger_than: float | None

    def selects(self, tag: str) -> bool:
        """Tell whether the tag is one that this rule is about, its age apart."""
        if not self.include.match(tag) or self.exclude.match(tag):
            return False
        version = parse_version(tag)
        if version is None:
            return self.versions is None and self.prereleases == "any" and self.by != "version"
        if self.prereleases != "any" and bool(version.prerelease) != (self.prereleases == "only"):
            return False
        return self.versions is None or self.versions.holds(tag)

    def group_of(self, tag: str) -> t.Any:
        """Return the group that ``keep_last`` counts the tag in, or None where it has none and so does not apply."""
        if self.group is None:
            return ""
        if self.group in ("major", "minor"):
            version = parse_version(tag)
            return _padded(version)[: 1 if self.group == "major" else 2] if version else None
        match = re.search(self.group, tag)
        return match.groups() or match.group(0) if match else None

    def needs_age(self, tag: str) -> bool:
        """Tell whether what the rule says of the tag depends on the age of its image."""
        counted = self.keep_last is not None and self.by == "created" and self.group_of(tag) is not None
        return counted or self.older_than is not None or self.younger_than is not None

    def admits_age(self, age: float | None) -> bool:
        """Tell whether an age in seconds is within the limits of the rule. Without limits all are, unknown ones too."""
        if age is None:
            return True
        return (self.older_than is None or age > self.older_than) and (
            self.younger_than is None or age < self.younger_than
        )


def parse_rules(rules: t.Sequence[t.Mapping[str, t.Any]]) -> list[Rule]:
    """Read a policy. Raises InvalidInput for a rule that says nothing, or contradicts itself."""
    if not rules:
        raise InvalidInput("The policy has no rules: without any, every tag is kept.")
    return [_parse_rule(rule, position) for position, rule in enumerate(rules, 1)]


def _parse_rule(rule: t.Mapping[str, t.Any], position: int) -> Rule:
    match = rule.get("match") or {}
    name = printable(rule.get("name") or f"rule {position}")
    keep, delete, keep_last = bool(rule.get("keep")), bool(rule.get("delete")), rule.get("keep_last")
    if keep and delete:
        raise InvalidInput(f"The policy's {name} both keeps and deletes: choose one.")
    if not (keep or delete or keep_last is not None):
        raise InvalidInput(f"The policy's {name} neither keeps nor deletes: set keep, delete or keep_last.")
    if keep and keep_last is not None:
        raise InvalidInput(f"The policy's {name} keeps all that it matches: leave keep_last out.")
    if keep_last is not None and keep_last < 0:
        raise InvalidInput(f"The policy's {name} has a negative keep_last.")
    group = rule.get("group")
    if group and keep_last is None:
        raise InvalidInput(f"The policy's {name} has a group without keep_last, which it is for.")
    if group and group not in ("major", "minor"):
        regex(group, f"The group of the policy's {name}")
    tags = match.get("tags")
    orphans = bool(match.get("orphans"))
    if tags is None and match.get("version") is None and not orphans:
        raise InvalidInput(
            f"The policy's {name} does not say what it matches: set tags, version or orphans in match."
        )
    return Rule(
        name=name,
        include=Patterns(
            tags if tags is not None else ([] if orphans and not match.get("version") else ["*"]),
            "match.tags",
            TAGS,
        ),
        exclude=Patterns(match.get("exclude") or [], "match.exclude", TAGS),
        versions=VersionRange(match["version"]) if match.get("version") else None,
        prereleases=match.get("prereleases") or "any",
        orphans=orphans,
        keep=keep,
        delete=delete,
        keep_last=keep_last,
        by=rule.get("by") or "created",
        group=group or None,
        older_than=parse_duration(rule["older_than"]) if rule.get("older_than") else None,
        younger_than=parse_duration(rule["younger_than"]) if rule.get("younger_than") else None,
    )


def _padded(version: Version) -> tuple[int, ...]:
    return (version.numbers + (0, 0, 0))[: max(3, len(version.numbers))]
