# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: tag_version_sort
short_description: Sort tags by version
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Sorts tags from the oldest to the newest version, so that V(1.9) precedes V(1.10).
  - A version consists of numbers with dots between them, with or without a leading V(v). Missing numbers count as 0. With
    O(strict_versions), a version must have a dot.
  - A suffix that begins with one of the words alpha, beta, canary, cr, dev, devel, ea, m and a number,
    milestone, nightly, pre, preview, prerelease, rc, snapshot and unstable marks a prerelease. So does C(a) or
    C(b) with a number immediately after the version. A prerelease precedes its release, and is ordered as in semantic
    versioning. V(1.4.2-rc.2), V(1.4.2-rc10) and V(1.4.2rc1) are examples.
  - Any other suffix, as in V(1.4.2-alpine) or V(1.4.2-3), is a variant of the version, and follows it.
  - Tags that are not versions, such as V(latest), come first. Numbers in them are compared as numbers.
  - Tags of equal versions, such as V(1.4) and V(v1.4.0), are ordered by their length and characters, so the result does not depend on
    the order of the input.
options:
  _input:
    description:
      - Tags to sort.
    type: list
    elements: str
    required: true
  reverse:
    description:
      - Whether to sort from the newest to the oldest version, with tags that are not versions at the end.
    type: bool
    default: false
  prereleases:
    description:
      - Whether to keep prereleases.
    type: bool
    default: true
  versions_only:
    description:
      - Whether to omit tags that are not versions.
    type: bool
    default: false
  strict_versions:
    description:
      - Whether to treat only tags with a dot as versions, such as V(1.4) and V(v1.4.2-rc.1). Set it to V(true) to find the newest
        release.
      - By default V(1), V(v2) and V(1-alpine) are versions as well. Commits that consist of digits, such as V(8675309), and dates, such
        as V(20240506), are then newer than every release.
    type: bool
    default: false
seealso:
  - plugin: ocikit.registry.registry_tags
    plugin_type: lookup
"""

EXAMPLES = r"""
---
- name: Show all tags, newest first
  ansible.builtin.debug:
    # ['1.10.0', '1.10.0-rc.1', '1.9.3', 'latest']
    msg: "{{ ['1.10.0', '1.9.3', 'latest', '1.10.0-rc.1'] | ocikit.registry.tag_version_sort(reverse=true) }}"

- name: Find the newest release
  ansible.builtin.set_fact:
    newest: "{{ app_tags | ocikit.registry.tag_version_sort(**releases) | last }}"
  vars:
    releases:
      prereleases: false
      versions_only: true
      strict_versions: true
    app_tags: "{{ lookup('ocikit.registry.registry_tags', 'registry.example.com/team/app') }}"

- name: Omit prereleases
  ansible.builtin.debug:
    # ['1.9.3', '1.10.0']
    msg: "{{ ['1.10.0', '1.9.3', '1.10.0-rc.1'] | ocikit.registry.tag_version_sort(prereleases=false) }}"

- name: Find the newest release without variants such as 1.4.2-alpine
  ansible.builtin.set_fact:
    newest: "{{ numbers | ocikit.registry.tag_version_sort(versions_only=true, strict_versions=true) | last }}"
  vars:
    numbers: "{{ app_tags | select('match', '^[0-9.]+$') }}"
"""

RETURN = r"""
_value:
  description: Sorted tags.
  type: list
  elements: str
  sample: [latest, 1.9.3, 1.10.0-rc.1, 1.10.0]
"""

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._errors import InvalidInput, printable
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import check_tag
from ansible_collections.ocikit.registry.plugins.module_utils._oci.tag_versions import (
    parse_version,
    version_key,
)
from ansible_collections.ocikit.registry.plugins.plugin_utils._filter import as_filter, flag, text


def tag_version_sort(
    tags: t.Any,
    reverse: t.Any = False,
    prereleases: t.Any = True,
    versions_only: t.Any = False,
    strict_versions: t.Any = False,
) -> list[str]:
    """Return ``tags`` in the order of their versions; others come before them, by name. Raises InvalidInput."""
    if isinstance(tags, (str, bytes, dict)) or not hasattr(tags, "__iter__"):
        raise InvalidInput(f"The tags must be a list, not {printable(tags, 80)!r}.")
    backwards, with_prereleases = flag(reverse, "reverse"), flag(prereleases, "prereleases")
    with_others, strict = not flag(versions_only, "versions_only"), flag(strict_versions, "strict_versions")

    def is_kept(tag: str) -> bool:
        version = parse_version(tag, strict)
        return with_others if version is None else with_prereleases or not version.prerelease

    kept = filter(is_kept, [check_tag(text(tag, "Each tag")) for tag in tags])
    return sorted(kept, key=lambda tag: version_key(tag, strict), reverse=backwards)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"tag_version_sort": as_filter(tag_version_sort)}
