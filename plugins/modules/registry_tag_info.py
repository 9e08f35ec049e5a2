#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_tag_info
short_description: List the tags of a repository
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Lists all tags of a repository, over all pages of the registry, and on request their digests.
  - If the repository does not exist, the task succeeds with RV(exists=false).
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.info_module
options:
  image:
    description:
      - Repository, such as V(registry.example.com/team/app), without tag and digest.
    type: str
    required: true
    aliases: [repository, repo]
  digests:
    description:
      - Whether to look up the digest of each tag, see RV(digests) and RV(details).
      - This takes one HEAD request for each tag. A tag that is deleted meanwhile is omitted from all results.
    type: bool
    default: false
  include:
    description:
      - Patterns of the tags to return. By default all tags are returned.
      - A pattern is a shell pattern such as V(1.4.*), or a regular expression after V(regex:), such as
        V(regex:\\d+\\.\\d+\\.\\d+). It must match the whole tag, and is case-sensitive.
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
  limit:
    description:
      - Maximum number of tags of a single page to read. The registry may return fewer. By default all pages are read.
      - O(include) and O(exclude) are applied to the page.
    type: int
    aliases: [count]
  last:
    description:
      - Tag after which a single page starts, which is RV(last) of the former page.
    type: str
  same_as:
    description:
      - Digest, or tag of the repository, whose tags to return. Only tags of the same image are returned.
      - This takes one HEAD request for each tag, and also returns RV(digests) and RV(details).
      - If no tag has the digest, or the tag does not exist, no tags are returned.
    type: str
seealso:
  - module: ocikit.registry.registry_manifest_info
  - module: ocikit.registry.registry_rmtag
  - module: ocikit.registry.registry_tag
"""

EXAMPLES = r"""
---
- name: List the releases without release candidates
  ocikit.registry.registry_tag_info:
    image: registry.example.com/team/app
    include:
      - regex:\d+\.\d+\.\d+.*
    exclude:
      - "*-rc*"
  register: releases

- name: Look up the digests of all tags
  ocikit.registry.registry_tag_info:
    image: registry.example.com/team/app
    digests: true
  register: app

- name: Show the digest of a tag
  ansible.builtin.debug:
    msg: "{{ app.digests['1.4.2'] }}"

- name: Find all tags of the image that latest points to
  ocikit.registry.registry_tag_info:
    image: registry.example.com/team/app
    same_as: latest
  register: names_of_latest

- name: Read the first page of a long list
  ocikit.registry.registry_tag_info:
    image: registry.example.com/team/app
    limit: 100
  register: page

- name: Read the next page
  ocikit.registry.registry_tag_info:
    image: registry.example.com/team/app
    limit: 100
    last: "{{ page.last }}"
  when: page.last is not none
"""

RETURN = r"""
exists:
  description: Whether the repository exists. Some registries keep a repository after its last tag was removed.
  returned: success
  type: bool
  sample: true
repository:
  description: Repository, with its registry.
  returned: success
  type: str
  sample: registry.example.com/team/app
tags:
  description: Tags that match, sorted.
  returned: success
  type: list
  elements: str
  sample: ["1.4.1", "1.4.2", latest]
total:
  description: Number of tags that were read, before O(include), O(exclude) and O(same_as) were applied.
  returned: success
  type: int
  sample: 3
last:
  description:
    - Value of O(last) for the next page. V(null) if there is no next page, and without O(limit) and O(last).
    - The next page can be empty, because not all registries mark the last page.
  returned: success
  type: str
  sample: latest
digests:
  description: Digest of each tag in RV(tags).
  returned: success, if O(digests) or O(same_as) is set
  type: dict
  sample:
    latest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
details:
  description: Manifest of each tag in RV(tags), in the same order.
  returned: success, if O(digests) or O(same_as) is set
  type: list
  elements: dict
  contains:
    tag:
      description: Name of the tag.
      type: str
      sample: latest
    digest:
      description: Digest of the manifest or index.
      type: str
      sample: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
    media_type:
      description: Media type of the manifest or index.
      type: str
      sample: application/vnd.oci.image.index.v1+json
    size:
      description: Size of the manifest in bytes. For the size of the image, use M(ocikit.registry.registry_manifest_info).
      type: int
      sample: 1158
error:
  description:
    - Details of the failure. RV(ignore:error.kind) is a stable name such as V(unauthorized), V(invalid_input) or V(unreachable).
      C(status), C(code), C(message) and C(detail) are those of the registry's response to the request C(method) C(url).
  returned: failure
  type: dict
  sample:
    kind: unauthorized
    status: 401
    code: UNAUTHORIZED
    message: authentication required
    detail:
    method: GET
    url: https://registry.example.com/v2/team/app/tags/list
"""

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._registry.inspection import inspect_tags
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import LIST, TEXT

ARGUMENT_SPEC: dict[str, t.Any] = {
    "image": {"type": TEXT, "required": True, "aliases": ["repository", "repo"]},
    "digests": {"type": "bool", "default": False},
    "include": {"type": LIST, "elements": TEXT, "default": []},
    "exclude": {"type": LIST, "elements": TEXT, "default": []},
    "limit": {"type": "int", "aliases": ["count"]},
    "last": {"type": TEXT},
    "same_as": {"type": TEXT},
}


def main() -> None:
    run(inspect_tags, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
