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
  - Gives for each repository the list of its tags.
  - Digests are not asked for, see M(ocikit.registry.registry_tag_info) for them.
extends_documentation_fragment:
  - ocikit.registry._registry_lookup
options:
  _terms:
    description:
      - The repositories, such as V(registry.example.com/team/app), without tag and digest.
    type: list
    elements: str
    required: true
  include:
    description:
      - Keep the tags that match one of these patterns. All are kept if there is none.
      - Patterns are those of a shell, such as V(1.4.*), or regular expressions after V(regex:), such as
        V(regex:[0-9]+\\.[0-9]+). They have to match the whole tag, and case counts.
      - A pattern that can match no tag, such as V(^v.*) or V(a|b), is refused.
    type: list
    elements: str
    default: []
  exclude:
    description:
      - Leave out the tags that match one of these patterns, which are written as in O(include).
    type: list
    elements: str
    default: []
  sort:
    description:
      - The order of the tags.
    type: str
    default: name
    choices:
      name: By their characters, so that V(1.10) precedes V(1.9).
      version: From the oldest version to the newest, as P(ocikit.registry.tag_version_sort#filter) does.
  strict_versions:
    description:
      - Whether only tags with a dot are versions for O(sort=version), such as V(1.4) and V(v1.4.2-rc.1). Set it to find the
        newest release. Tags that are no version come first.
      - By default V(1) and V(v2) are versions as well, and so are commits and dates of all digits, such as V(8675309).
    type: bool
    default: false
  default:
    description:
      - What is given for a repository that does not exist, for example an empty list. Any value will do.
        Without this option the lookup fails.
      - Other failures, such as missing rights or an unreachable registry, are never covered by it.
    type: raw
notes:
  - The result has one list for each repository, so with one repository C(lookup) gives the list of its tags,
    while C(query) gives a list that holds this list.
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

- name: Find the newest version, whatever else there is
  ansible.builtin.set_fact:
    newest: "{{ lookup('ocikit.registry.registry_tags', repository, sort='version', strict_versions=true) | last }}"

- name: Do something for every tag of two repositories
  ansible.builtin.debug:
    msg: "{{ item }}"
  loop: "{{ query('ocikit.registry.registry_tags', *repositories) | flatten }}"
  vars:
    repositories:
      - registry.example.com/team/app
      - registry.example.com/team/web
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
