# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What can be required of an image, read from options of the module or keys of one image."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._oci.content import Platform
from .._oci.quantities import parse_duration, parse_size
from .._oci.tag_patterns import TAGS, Patterns
from .._registry.option_types import LIST, check_text
from .signatures import SIGNATURE_OPTIONS, SignatureRequirement, read_signature_requirements

# Options of the module, and keys of an entry of its images.
REQUIREMENTS: dict[str, dict[str, t.Any]] = {
    "pinned": {"type": "bool"},
    "allow_moved_tags": {"type": "bool"},
    "forbidden_tags": {"type": LIST, "elements": "raw"},
    "platforms": {"type": LIST, "elements": "raw"},
    "max_size": {"type": "str"},
    "max_age": {"type": "str"},
    "allow_unknown_age": {"type": "bool"},
    "labels": {"type": "dict"},
    "referrers": {"type": LIST, "elements": "raw"},
    **SIGNATURE_OPTIONS,
}
COSIGN = "cosign"


class Pattern(t.NamedTuple):
    """One pattern, as it is written and as it is used."""

    text: str
    compiled: Patterns


@dataclass(frozen=True)
class Requirements:
    """The requirements on one image. Sizes are in bytes, times in seconds; the texts are as the user wrote them."""

    pinned: bool
    allow_moved_tags: bool
    forbidden_tags: Patterns
    platforms: tuple[Platform, ...]
    max_size: str
    max_bytes: int
    max_age: str
    max_seconds: float
    allow_unknown_age: bool
    labels: t.Mapping[str, Pattern | None]
    referrers: tuple[Pattern, ...]
    cosign: bool
    signatures: tuple[SignatureRequirement, ...]

    @classmethod
    def read(cls, options: t.Mapping[str, t.Any]) -> Requirements:
        """Return the requirements in ``options``, which have the names of REQUIREMENTS. Raises InvalidInput."""
        referrers = texts(options["referrers"], "referrers")
        labels = options["labels"] or {}
        return cls(
            pinned=bool(options["pinned"]),
            allow_moved_tags=bool(options["allow_moved_tags"]),
            forbidden_tags=Patterns(
                texts(options["forbidden_tags"], "forbidden_tags"), "forbidden_tags", TAGS
            ),
            platforms=tuple(
                Platform.parse(platform) for platform in texts(options["platforms"], "platforms")
            ),
            max_size=options["max_size"] or "",
            max_bytes=0 if options["max_size"] is None else parse_size(options["max_size"]),
            max_age=options["max_age"] or "",
            max_seconds=0 if options["max_age"] is None else parse_duration(options["max_age"]),
            allow_unknown_age=bool(options["allow_unknown_age"]),
            labels={check_text(name, "labels"): _label_pattern(value) for name, value in labels.items()},
            referrers=tuple(_pattern(pattern, "referrers") for pattern in referrers if pattern != COSIGN),
            cosign=COSIGN in referrers,
            signatures=tuple(read_signature_requirements(options)),
        )

    @property
    def need_content(self) -> bool:
        """Whether they are about the content of the image, and not about its names alone."""
        recursive = any(requirement.recursive for requirement in self.signatures)
        return bool(self.platforms or recursive or self.need_each_image)

    @property
    def need_each_image(self) -> bool:
        """Whether they are about each image of an index."""
        return bool(self.max_size or self.max_age or self.labels)


def _pattern(text: str, option: str) -> Pattern:
    return Pattern(text, Patterns([text], option, None))


def _label_pattern(value: t.Any) -> Pattern | None:
    """Return the pattern that a label has to match, None if any value will do."""
    return None if value in (None, "") else _pattern(check_text(value, "labels"), "labels")


def texts(values: t.Iterable[t.Any] | None, option: str) -> list[str]:
    """Return the entries of the list ``option``; see check_text()."""
    return [check_text(value, option) for value in values or ()]
