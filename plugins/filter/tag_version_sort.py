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
  - Sorts tags from the oldest version to the newest, so that V(1.9) precedes V(1.10).
  - A version is one or more numbers with dots between them, with or without a V(v) before them. Missing
    numbers count as 0. With O(strict_versions) it has a dot.
  - A suffix that begins with one of the words alpha, beta, canary, cr, dev, devel, ea, m and a number,
    milestone, nightly, pre, preview, prerelease, rc, snapshot and unstable makes a prerelease, as do C(a) and
    C(b) and a number right after the version. It precedes its release, and is ordered as semantic versioning
    does. V(1.4.2-rc.2), V(1.4.2-rc10) and V(1.4.2rc1) are examples.
  - Any other suffix, as in V(1.4.2-alpine) or V(1.4.2-3), names a variant of the version, and follows it.
  - Tags that are no version, such as V(latest), come first. Numbers in them count as such.
  - Tags that mean the same version, such as V(1.4) and V(v1.4.0), are ordered by their length and characters,
    so the result never depends on the order of the input.
options:
  _input:
    description:
      - The tags.
    type: list
    elements: str
    required: true
  reverse:
    description:
      - Whether the newest version comes first and tags that are no version last.
    type: bool
    default: false
  prereleases:
    description:
      - Whether prereleases are kept.
    type: bool
    default: true
  versions_only:
    description:
      - Whether tags that are no version are left out.
    type: bool
    default: false
  strict_versions:
    description:
      - Whether only tags with a dot are versions, such as V(1.4) and V(v1.4.2-rc.1). Set it to find the newest release.
      - By default V(1), V(v2) and V(1-alpine) are versions as well. So are commits of all digits such as V(8675309), and dates
        such as V(20240506), which are then newer than every release.
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

- name: Find the newest release that is no variant such as 1.4.2-alpine
  ansible.builtin.set_fact:
    newest: "{{ numbers | ocikit.registry.tag_version_sort(versions_only=true, strict_versions=true) | last }}"
  vars:
    numbers: "{{ app_tags | select('match', '^[0-9.]+$') }}"
"""

RETURN = r"""
_value:
  description: The tags, sorted.
  type: list
  elements: str
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
