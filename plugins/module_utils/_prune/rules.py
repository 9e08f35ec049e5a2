# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""The rules of a prune policy: which tags each matches, and whether it keeps or deletes them."""

from __future__ import annotations

import math
import re
import typing as t
from dataclasses import dataclass, field

from .._errors import InvalidInput, printable
from .._oci.quantities import duration_text, parse_duration
from .._oci.tag_patterns import TAGS, Patterns, regex
from .._oci.tag_versions import Version, parse_version
from .version_ranges import VersionRange


@dataclass(frozen=True)
class Rule:
    """One rule of a policy; see the documentation of registry_prune for its fields. Ages are in seconds."""

    name: str
    include: Patterns
    exclude: Patterns
    versions: VersionRange | None
    prereleases: str
    strict_versions: bool
    orphans: bool
    keep: bool
    delete: bool
    keep_last: int | None
    count: str
    by: str
    group: str | None
    older_than: float | None
    younger_than: float | None
    # A label with the pattern None may have any value.
    labels: t.Mapping[str, Patterns | None] = field(default_factory=dict)
    # Whether it is about tags without a manifest only.
    dangling: bool = False

    def version_of(self, tag: str) -> Version | None:
        """Return the tag as a version, or None where it is none for this rule."""
        return parse_version(tag, self.strict_versions)

    def selects(self, tag: str) -> bool:
        """Tell whether the tag is one that this rule is about, apart from labels and age."""
        if not self.include.match(tag) or self.exclude.match(tag):
            return False
        version = self.version_of(tag)
        if version is None:
            return self.versions is None and self.prereleases == "any" and self.by != "version"
        if self.prereleases != "any" and bool(version.prerelease) != (self.prereleases == "only"):
            return False
        return self.versions is None or self.versions.holds(tag)

    def admits_labels(self, labels: t.Mapping[str, str | None]) -> bool | None:
        """Tell whether an image has the labels that the rule is about, or None where that is not known.

        ``labels`` holds the values of labels that could be read, None where the image does not have one.
        """
        known = {name: labels[name] for name in self.labels if name in labels}
        for name, value in known.items():
            pattern = self.labels[name]
            if value is None or not (pattern is None or pattern.match(value)):
                return False
        return True if len(known) == len(self.labels) else None

    def group_of(self, tag: str) -> t.Any:
        """Return the group that ``keep_last`` counts the tag in, or None where it has none and so does not apply."""
        if self.group is None:
            return ()
        if self.group in ("major", "minor"):
            version = self.version_of(tag)
            return (version.numbers + (0, 0))[: 1 if self.group == "major" else 2] if version else None
        match = re.search(self.group, tag)
        return (match.groups() or (match.group(0),)) if match else None

    def needs_age(self, tag: str) -> bool:
        """Tell whether what the rule says of the tag depends on the age of its image."""
        counted = self.keep_last is not None and self.by == "created" and self.group_of(tag) is not None
        return counted or self.has_age_limits

    @property
    def has_age_limits(self) -> bool:
        """Whether only images of some ages are kept or deleted."""
        return self.older_than is not None or self.younger_than is not None

    def admits_age(self, age: float | None) -> bool:
        """Tell whether an age is within the limits of the rule. Without limits all are, unknown ones too."""
        if age is None:
            return True
        return (self.older_than is None or age > self.older_than) and (
            self.younger_than is None or age < self.younger_than
        )

    def about_match(self, tag: str) -> str:
        """Return why the rule selects a tag, such as ``matches build-*``."""
        pattern = printable(self.include.matching(tag) or "", 80)
        labels = ", ".join(printable(label, 80) for label in sorted(self.labels))
        parts = (
            f"matches {pattern}" if pattern != "*" or not (self.versions or labels) else "",
            f"in the version range {printable(self.versions.text, 80)}" if self.versions else "",
            f"has the labels {labels}" if labels else "",
        )
        return ", ".join(filter(None, parts))

    def about_age(self, age: float) -> str:
        """Return what the limits of the rule mean for an age, such as ``6 days old, kept until 30 days``."""
        old = "of unknown age, taken for very old" if age == math.inf else f"{duration_text(age)} old"
        if self.older_than is not None and self.younger_than is not None:
            verb = "kept" if self.keep else "deleted"
            limits = f"{duration_text(self.older_than)} and {duration_text(self.younger_than)}"
            return f"{old}, {verb} between {limits}"
        limit = self.older_than if self.younger_than is None else self.younger_than
        # What is deleted when it is older is kept until then, and so on.
        until = (self.older_than is not None) != self.keep
        return f"{old}, kept {'until' if until else 'after'} {duration_text(limit or 0)}"

    def about_newest(self, group: t.Sequence[t.Any]) -> str:
        """Return what ``keep_last`` keeps in a group, such as ``newest 3 of 1.4``."""
        of_group = ".".join(map(str, group))
        return f"newest {self.keep_last}" + (f" of {printable(of_group, 80)}" if of_group else "")


def parse_rules(rules: t.Sequence[t.Mapping[str, t.Any]]) -> list[Rule]:
    """Read a policy. Raises InvalidInput for a rule that says nothing, or contradicts itself."""
    if not rules:
        raise InvalidInput("The policy has no rules: without any, every tag is kept.")
    return [_parse_rule(rule, position) for position, rule in enumerate(rules, 1)]


def label_names(rules: t.Iterable[Rule]) -> set[str]:
    """Return the labels that a policy has to know of each image."""
    return {name for rule in rules for name in rule.labels}


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
    tags, version, labels = match.get("tags"), match.get("version"), match.get("labels") or {}
    orphans, dangling = bool(match.get("orphans")), bool(match.get("dangling"))
    selective = tags is not None or version is not None or bool(labels) or dangling
    if not selective and not orphans:
        raise InvalidInput(
            f"The policy's {name} does not say what it matches: set tags, version, labels, orphans or dangling in match."
        )
    if match.get("labels") == {}:
        # A variable that was not set must not widen a rule.
        raise InvalidInput(
            f"The labels that the policy's {name} matches are empty: name some, or leave labels out."
        )
    for option in ("older_than", "younger_than", "keep_last"):
        if dangling and rule.get(option) is not None:
            raise InvalidInput(
                f"The policy's {name} is about tags without a manifest, which have no age: leave {option} out."
            )
    if dangling and (labels or orphans):
        raise InvalidInput(
            f"The policy's {name} is about tags without a manifest: leave labels and orphans out, or write another rule."
        )
    everything = ["*"] if selective else []
    return Rule(
        name=name,
        include=Patterns(everything if tags is None else tags, "match.tags", TAGS),
        exclude=Patterns(match.get("exclude") or [], "match.exclude", TAGS),
        # Also where it is empty: a variable that was not set must not widen a rule.
        versions=None if version is None else VersionRange(version),
        prereleases=match.get("prereleases") or "any",
        strict_versions=rule.get("strict_versions") is not False,
        orphans=orphans,
        keep=keep,
        delete=delete,
        keep_last=keep_last,
        count=rule.get("count") or "images",
        by=rule.get("by") or "created",
        group=_parse_group(rule.get("group"), name, keep_last),
        older_than=_parse_age(rule, "older_than", name),
        younger_than=_parse_age(rule, "younger_than", name),
        labels={label: _parse_label(label, value, name) for label, value in labels.items()},
        dangling=dangling,
    )


def _parse_group(group: t.Any, name: str, keep_last: int | None) -> str | None:
    if group is None:
        return None
    expression = group[len("regex:") :] if group.startswith("regex:") else group
    if not expression.strip():
        raise InvalidInput(f"The policy's {name} has an empty group: leave it out, or set one.")
    if keep_last is None:
        raise InvalidInput(f"The policy's {name} has a group without keep_last, which it is for.")
    if group not in ("major", "minor"):
        regex(expression, f"The group of the policy's {name}")
    return t.cast(str, expression)


def _parse_age(rule: t.Mapping[str, t.Any], option: str, name: str) -> float | None:
    value = rule.get(option)
    if value is None:
        return None
    try:
        return parse_duration(value)
    except InvalidInput as error:
        raise InvalidInput(f"{option} of the policy's {name}: {error}") from None


def _parse_label(label: str, value: t.Any, name: str) -> Patterns | None:
    if value in (None, ""):
        return None
    if not isinstance(value, str):
        raise InvalidInput(
            f"The label {printable(label)} in the policy's {name} has the value {printable(value)}, which is no text:"
            " quote it."
        )
    return Patterns([value], "match.labels", None)
