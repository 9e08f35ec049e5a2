#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_catalog_info
short_description: List the repositories of a registry
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Lists the repositories of the registry in O(registry), all of them or those whose names match patterns.
  - Not every registry has a catalog, and some show it to administrators only. Docker Hub, GHCR and Amazon ECR have none. The
    task then fails with RV(ignore:error.kind=unsupported).
  - Many registries still list repositories after all of their tags were deleted. Use O(tag_counts) to find them.
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.info_module
options:
  include:
    description:
      - Patterns of the repositories to list, as shell patterns such as V(team/*), or as regular expressions after V(regex:), such as
        V(regex:team/[^/]+). A pattern must match the whole name, without the registry.
      - V(*) in a shell pattern matches slashes as well. A pattern that cannot match any repository is refused.
      - By default all repositories are listed.
    type: list
    elements: str
    default: []
    aliases: [patterns]
  exclude:
    description:
      - Patterns of the repositories to omit, written as in O(include).
    type: list
    elements: str
    default: []
  limit:
    description:
      - Maximum number of repositories to list, the first ones in the order of the registry. By default all are listed.
      - Pages of the catalog that are not needed are not read. RV(truncated) is V(true) if there are more repositories.
    type: int
  tag_counts:
    description:
      - Whether to count the tags of each repository. This takes one request for each repository, or more if it has many tags.
    type: bool
    default: false
seealso:
  - module: ocikit.registry.registry_tag_info
  - module: ocikit.registry.registry_info
"""

EXAMPLES = r"""
---
- name: List the repositories of a team
  ocikit.registry.registry_catalog_info:
    registry: registry.example.com
    include:
      - team/*
    exclude:
      - "*/cache"
  register: catalog

- name: Show the names
  ansible.builtin.debug:
    msg: "{{ catalog.repositories | map(attribute='repository') }}"

- name: List the first ten repositories of one directory level
  ocikit.registry.registry_catalog_info:
    registry: registry.example.com
    include:
      - regex:team/[^/]+
    limit: 10

- name: Count the tags of all repositories
  ocikit.registry.registry_catalog_info:
    registry: registry.example.com
    tag_counts: true
  register: counted

- name: Show the empty repositories
  ansible.builtin.debug:
    msg: "{{ counted.repositories | selectattr('tag_count', 'equalto', 0) | map(attribute='name') }}"
"""

RETURN = r"""
registry:
  description: Registry, as in references.
  returned: success
  type: str
  sample: registry.example.com
repositories:
  description: Repositories, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name without the registry.
      type: str
    repository:
      description: Name with the registry, for the options of other modules.
      type: str
    tag_count:
      description:
        - Number of tags. V(0) if there are none, or if the repository was deleted meanwhile. V(null) if the credentials have no
          permission to read it.
      returned: if O(tag_counts=true)
      type: int
  sample:
    - name: team/app
      repository: registry.example.com/team/app
      tag_count: 12
truncated:
  description: Whether more than O(limit) repositories match.
  returned: success
  type: bool
  sample: false
error:
  description:
    - Details of the failure. RV(ignore:error.kind) is a stable name such as V(unauthorized), V(unreachable) or V(unsupported).
      C(status), C(code), C(message) and C(detail) are those of the registry's response to the request C(method) C(url).
  returned: failure
  type: dict
  sample:
    kind: unsupported
    status: 404
    code:
    message: 404 page not found
    detail:
    method: GET
    url: https://registry.example.com/v2/_catalog
"""

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._registry.catalog import inspect_catalog
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import LIST, TEXT

ARGUMENT_SPEC: dict[str, t.Any] = {
    "include": {"type": LIST, "elements": TEXT, "default": [], "aliases": ["patterns"]},
    "exclude": {"type": LIST, "elements": TEXT, "default": []},
    "limit": {"type": "int"},
    "tag_counts": {"type": "bool", "default": False},
}


def main() -> None:
    run(inspect_catalog, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
