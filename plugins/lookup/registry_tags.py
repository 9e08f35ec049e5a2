# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: registry_tags
short_description: List the tags of repositories
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Returns for each repository the list of its tags.
  - Digests are not looked up. Use M(ocikit.registry.registry_tag_info) for them.
extends_documentation_fragment:
  - ocikit.registry._registry_lookup
options:
  _terms:
    description:
      - Repositories to list, such as V(registry.example.com/team/app), without tag and digest.
    type: list
    elements: str
    required: true
  include:
    description:
      - Patterns of the tags to return. By default all tags are returned.
      - A pattern is a shell pattern such as V(1.4.*), or a regular expression after V(regex:), such as V(regex:[0-9]+\\.[0-9]+). It
        must match the whole tag, and is case-sensitive.
      - A pattern that cannot match any tag, such as V(^v.*) or V(a|b), is refused.
    type: list
    elements: str
    default: []
  exclude:
    description:
      - Patterns of the tags to omit, written as in O(include).
    type: list
    elements: str
    default: []
  sort:
    description:
      - Order of the tags.
    type: str
    default: name
    choices:
      name: By their characters, so that V(1.10) precedes V(1.9).
      version: From the oldest to the newest version, as P(ocikit.registry.tag_version_sort#filter) does.
  strict_versions:
    description:
      - Whether O(sort=version) treats only tags with a dot as versions, such as V(1.4) and V(v1.4.2-rc.1). Set it to V(true) to find
        the newest release. Other tags are sorted before all versions.
      - By default V(1) and V(v2) are versions as well, and also commits and dates that consist of digits, such as V(8675309).
    type: bool
    default: false
  default:
    description:
      - Value to return for a repository that does not exist, for example an empty list. By default the lookup fails.
      - Other failures, such as missing permissions or an unreachable registry, always fail the lookup.
    type: raw
notes:
  - The result has one list for each repository. With one repository, C(lookup) returns the list of its tags, and C(query) returns a
    list that contains this list.
seealso:
  - plugin: ocikit.registry.registry_digest
    plugin_type: lookup
  - plugin: ocikit.registry.tag_version_sort
    plugin_type: filter
"""

EXAMPLES = r"""
---
- name: Show all tags
  ansible.builtin.debug:
    msg: "{{ lookup('ocikit.registry.registry_tags', 'registry.example.com/team/app') }}"

- name: Find the newest release of the 1.4 series
  ansible.builtin.set_fact:
    newest: "{{ lookup('ocikit.registry.registry_tags', repository, include=releases, sort='version') | last }}"
  vars:
    releases: regex:1[.]4[.][0-9]+

- name: Find the newest version, and ignore tags that are not versions
  ansible.builtin.set_fact:
    newest: "{{ lookup('ocikit.registry.registry_tags', repository, sort='version', strict_versions=true) | last }}"

- name: Show every tag of two repositories
  ansible.builtin.debug:
    msg: "{{ item }}"
  loop: "{{ query('ocikit.registry.registry_tags', *repositories) | flatten }}"
  vars:
    repositories:
      - registry.example.com/team/app
      - registry.example.com/team/web

- name: Count the tags of a repository that may not exist
  ansible.builtin.debug:
    msg: "{{ lookup('ocikit.registry.registry_tags', 'registry.example.com/team/new', default=[]) | length }}"
"""

RETURN = r"""
_list:
  description:
    - One list of tags for each repository, in the order of the repositories.
  type: list
  elements: list
  sample:
    - - 1.4.1
      - 1.4.2
      - latest
"""

import functools
import typing as t

from ansible.plugins.lookup import LookupBase

from ansible_collections.ocikit.registry.plugins.module_utils._errors import NotFound
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import Reference
from ansible_collections.ocikit.registry.plugins.module_utils._oci.tag_patterns import TAGS, Patterns
from ansible_collections.ocikit.registry.plugins.module_utils._oci.tag_versions import version_key
from ansible_collections.ocikit.registry.plugins.module_utils._registry.repository import Repository
from ansible_collections.ocikit.registry.plugins.plugin_utils._lookup import Question, run


def tags(question: Question) -> list[t.Any]:
    """Return the result of the lookup: the tags of each term. Raises RegistryError."""
    options = question.options
    include, exclude = (Patterns(options[name], name, TAGS) for name in ("include", "exclude"))
    references = [question.clients.repository(term) for term in question.terms]
    strict = options["strict_versions"]
    order = functools.partial(version_key, strict=strict) if options["sort"] == "version" else None
    results: list[t.Any] = []
    for answer in question.ask(references, _names):
        if isinstance(answer, NotFound):
            results.append(question.value_without(answer))
            continue
        names = [name for name in answer if not options["include"] or include.match(name)]
        names = [name for name in names if not exclude.match(name)]
        results.append(sorted(names, key=order))
    return results


def _names(repository: Repository, reference: Reference) -> list[str]:
    page = repository.tags()
    if page is None:
        raise NotFound(f"The repository {reference.name} does not exist.", status=404)
    return page.names


class LookupModule(LookupBase):
    def run(
        self, terms: t.Sequence[t.Any], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[t.Any]:
        return run(self, tags, terms, variables, kwargs)
