#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_info
short_description: Find out whether a registry can be used, and what it can do
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Tells whether a registry answers, as whom it lets the task in, and what it can do.
  - Everything is found out from answers of the registry, by GET and HEAD. What only a request that could write can tell is
    asked with O(probe_deletion) and O(probe_mount).
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.info_module
options:
  repository:
    description:
      - A repository to find out with what takes one, best with two tags at least.
      - Without it the registry that O(registry) names is asked, and RV(capabilities) holds less.
    type: str
    aliases: [image, repo]
  probe_deletion:
    description:
      - Whether to find out if manifests and tags can be deleted, by requests to delete a digest and a tag of O(repository)
        that do not exist, with random names.
      - Nothing is changed by that. It is an option because these are requests to delete all the same, which need the right
        to do so and show up in the audit logs of the registry.
      - Not done in check mode.
    type: bool
    default: false
  probe_mount:
    description:
      - Whether to find out if blobs can be mounted from one repository into another, by mounting a blob of O(repository)
        into O(repository), where it is already.
      - A registry that cannot do this begins an upload, which is cancelled. It is an option for the reasons of
        O(probe_deletion).
      - Not done in check mode.
    type: bool
    default: false
  fail:
    description:
      - Whether the task fails if the registry cannot be reached, or does not let the task in.
      - If V(false), RV(reachable), RV(authenticated) and RV(error) tell. Wrong options fail in either case.
    type: bool
    default: true
seealso:
  - module: ocikit.registry.registry_catalog_info
"""

EXAMPLES = r"""
---
- name: Wait until the registry is there
  ocikit.registry.registry_info:
    registry: registry.example.com
    retries: 0
  register: found
  until: found is succeeded
  retries: 30
  delay: 2

- name: Check that cleaning up is going to work
  ocikit.registry.registry_info:
    repository: registry.example.com/team/app
    probe_deletion: true
  register: found
  failed_when: not found.capabilities.delete_manifest

- name: Choose the first mirror that answers
  ocikit.registry.registry_info:
    registry: "{{ item }}"
    fail: false
  loop:
    - mirror-1.example.com
    - mirror-2.example.com
  register: mirrors

- name: Show it
  ansible.builtin.debug:
    msg: "{{ mirrors.results | selectattr('reachable') | map(attribute='registry') | first }}"

- name: Show how many pulls Docker Hub allows still
  ocikit.registry.registry_info:
    repository: docker.io/library/busybox
  register: hub

- name: Stop before the limit is reached
  ansible.builtin.assert:
    that: hub.rate_limit.remaining > 10
"""

RETURN = r"""
registry:
  description: The registry, as references name it.
  returned: success
  type: str
  sample: registry.example.com
url:
  description: The address at which its API was asked, without C(/v2/).
  returned: success
  type: str
  sample: https://registry.example.com
reachable:
  description: Whether the registry answers as a registry does, be it that it wants other credentials.
  returned: success
  type: bool
  sample: true
authenticated:
  description:
    - Whether the registry accepts the credentials. V(false) if it does not, or if there are none.
    - V(null) if the registry has not asked for any, so that they were not sent.
  returned: success
  type: bool
  sample: true
authentication:
  description: How the registry asks for credentials, V(basic) or V(bearer); V(null) if it has not asked.
  returned: success
  type: str
  sample: bearer
username:
  description: The user name of the credentials, V(null) if they have none.
  returned: success
  type: str
  sample: alice
credentials_source:
  description: Where the credentials come from, V(null) if there are none.
  returned: success
  type: str
  sample: /home/alice/.docker/config.json
api_version:
  description: The version of the API that the registry announces, V(null) if it does not.
  returned: success
  type: str
  sample: registry/2.0
capabilities:
  description:
    - What the registry lets these credentials do. Each entry is V(true), V(false), or V(null) if that is not known.
  returned: success
  type: dict
  contains:
    catalog:
      description: List its repositories.
      type: bool
    tag_pages:
      description: List tags in pages of a length that the client chooses. Needs O(repository) with two tags.
      type: bool
    head_digest:
      description: Tell the digest of a tag in answer to HEAD. Needs O(repository) with a tag.
      type: bool
    referrers:
      description: List what refers to a manifest by the referrers API. Needs O(repository).
      type: bool
    delete_manifest:
      description: Delete manifests by their digests. Needs O(probe_deletion=true).
      type: bool
    delete_tag:
      description:
        - Delete single tags by their names, as far as the answer for a tag that does not exist tells.
          Needs O(probe_deletion=true). M(ocikit.registry.registry_rmtag) does without it.
      type: bool
    mount:
      description: Mount blobs of other repositories. Needs O(probe_mount=true) and O(repository) with an image.
      type: bool
  sample:
    catalog: true
    tag_pages: true
    head_digest: true
    referrers: false
    delete_manifest: true
    delete_tag: false
    mount:
page_size:
  description:
    - The number of names on a page of the C(catalog) and of the C(tags) of O(repository) if the client does not choose it.
      V(null) if there is one page only, or no listing.
  returned: success
  type: dict
  sample:
    catalog: 100
    tags:
rate_limit:
  description:
    - What the registry says of the limit to requests, V(null) if it says nothing. Docker Hub does so with O(repository) only.
  returned: success
  type: dict
  contains:
    limit:
      description: The number of requests that are allowed in the window.
      type: int
    remaining:
      description: How many of them are left.
      type: int
    window:
      description: The length of the window in seconds, V(null) if it is not told.
      type: int
    reset:
      description: What the registry says of the window's end, seconds or a time stamp. V(null) if it is not told.
      type: int
    source:
      description: Who the requests are counted for, such as an IP address. V(null) if it is not told.
      type: str
  sample:
    limit: 100
    remaining: 76
    window: 21600
    reset:
    source: 192.0.2.7
headers:
  description: Headers that tell what software answers, by their names in lower case.
  returned: success
  type: dict
  sample:
    docker-distribution-api-version: registry/2.0
    server: nginx
error:
  description:
    - Why the registry cannot be used, in parts; V(null) if it can. RV(ignore:error.kind) is a stable name such as
      V(unreachable), V(tls) or V(unauthorized). C(status), C(code), C(message) and C(detail) are the registry's answer to
      the request C(method) C(url).
  returned: always
  type: dict
  sample:
msg:
  description: The same in a sentence.
  returned: on failure, and if the registry cannot be used
  type: str
  sample: "registry.example.com cannot be reached: the connection was refused."
"""

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._registry.capabilities import inspect_registry
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import TEXT

ARGUMENT_SPEC: dict[str, t.Any] = {
    "repository": {"type": TEXT, "aliases": ["image", "repo"]},
    "probe_deletion": {"type": "bool", "default": False},
    "probe_mount": {"type": "bool", "default": False},
    "fail": {"type": "bool", "default": True},
}


def main() -> None:
    run(inspect_registry, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
