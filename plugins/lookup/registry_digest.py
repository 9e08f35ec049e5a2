# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: registry_digest
short_description: Look up the digests of images in a registry
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Returns for each image its pinned reference, such as V(registry.example.com/team/app@sha256:...), its digest, or a dictionary
    with both and more.
  - No image is pulled. Each distinct image takes one HEAD request after authentication. Requests are sent in parallel.
  - An image with a digest is looked up as well, so a returned image always exists.
extends_documentation_fragment:
  - ocikit.registry._registry_lookup
options:
  _terms:
    description:
      - Images to look up, such as V(registry.example.com/team/app:1.4.2). The default tag is V(latest). If an image has a tag and a
        digest, the digest decides.
    type: list
    elements: str
    required: true
  format:
    description:
      - Format of the result for each image.
    type: str
    default: reference
    choices:
      reference: Pinned reference.
      digest: Digest.
      dict: Dictionary, see RV(_list).
  platform:
    description:
      - Platform to select from an index, as C(os/architecture) or C(os/architecture/variant), such as V(linux/arm64). By default the
        digest of the index itself is returned, which is valid for all platforms.
      - Nested indexes are searched as well. If there is no image for the variant, an image for the newest older variant is used, else
        an image without a platform. A Windows version can follow, as in V(windows/amd64:10.0.20348).
      - With this option, a GET request is sent in place of HEAD. A single image must have this platform in its configuration, which
        takes another request.
    type: str
  keep_tag:
    description:
      - Whether to keep the tag in the pinned reference, as in V(registry.example.com/team/app:1.4.2@sha256:...).
      - Container engines and Kubernetes accept this form and use the digest. Some tools, such as skopeo, refuse it.
    type: bool
    default: false
  default:
    description:
      - Value to return for an image that does not exist, or has no image for O(platform). It can be any value, including V(none) and
        empty ones. By default the lookup fails.
      - Other failures, such as missing permissions or an unreachable registry, always fail the lookup.
    type: raw
notes:
  - A variable that contains this lookup is evaluated whenever it is used, for each host. Use M(ansible.builtin.set_fact) in a play on
    C(localhost) to look up the digest once for all hosts. C(run_once) is not sufficient in a play with C(serial), because it applies
    to each batch.
seealso:
  - plugin: ocikit.registry.registry_tags
    plugin_type: lookup
  - plugin: ocikit.registry.image_pin
    plugin_type: filter
"""

EXAMPLES = r"""
---
- name: Fail unless the tag still has the digest that was tested
  ansible.builtin.assert:
    that:
      - lookup('ocikit.registry.registry_digest', image, format='digest') == tested_digest
    fail_msg: "{{ image }} is not the image that was tested"

- name: Show the digests of several images, looked up in parallel
  ansible.builtin.debug:
    msg: "{{ item.image }} is {{ item.digest }} ({{ item.media_type }})"
  loop: "{{ query('ocikit.registry.registry_digest', images, format='dict') }}"
  loop_control:
    label: "{{ item.image }}"

- name: Get the digest of one platform, with credentials from a vault
  ansible.builtin.debug:
    msg: "{{ lookup('ocikit.registry.registry_digest', image, platform='linux/arm64', format='digest') }}"
  vars:
    ocikit_registry_username: deploy
    ocikit_registry_password: "{{ vault_registry_password }}"

- name: Build the image only if it does not exist
  ansible.builtin.command:
    cmd: make image
  when: lookup('ocikit.registry.registry_digest', image, default='') | length == 0

---
# A separate play looks the digest up once. With run_once, each batch of a play with serial would look it up again.
- name: Pin the image once for all hosts
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Look the image up
      ansible.builtin.set_fact:
        app_image: "{{ lookup('ocikit.registry.registry_digest', 'registry.example.com/team/app:1.4.2') }}"

- name: Deploy the same image to all hosts
  hosts: webservers
  serial: 2
  tasks:
    - name: Deploy
      ansible.builtin.template:
        src: compose.yml.j2 # has image: {{ hostvars.localhost.app_image }}
        dest: /srv/app/compose.yml
        mode: "0644"
"""

RETURN = r"""
_list:
  description:
    - One entry for each image, in their order. With O(format=dict), each entry has C(image) (the full reference of the image),
      C(reference) (the pinned reference), C(registry), C(repository), C(tag) (V(none) for an image with a digest only), C(digest),
      C(media_type) and C(size) of the manifest, and C(platform) (O(platform) in its normal form, or V(none)).
  type: list
  elements: raw
  sample:
    - registry.example.com/team/app@sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
"""

import typing as t
from dataclasses import replace

from ansible.plugins.lookup import LookupBase

from ansible_collections.ocikit.registry.plugins.module_utils._errors import NotFound
from ansible_collections.ocikit.registry.plugins.module_utils._oci.content import Descriptor, Platform
from ansible_collections.ocikit.registry.plugins.module_utils._oci.reference import Reference
from ansible_collections.ocikit.registry.plugins.module_utils._registry.images import pick
from ansible_collections.ocikit.registry.plugins.plugin_utils._lookup import Question, run


def pin(question: Question) -> list[t.Any]:
    """Return the result of the lookup: what each term points to. Raises RegistryError."""
    options = question.options
    platform = Platform.parse(options["platform"]) if options["platform"] else None
    references = [_with_tag(question.clients.reference(term)) for term in question.terms]
    answers = question.ask(
        references, lambda repository, reference: pick(repository, reference, platform).image
    )
    return [
        question.value_without(answer)
        if isinstance(answer, NotFound)
        else _result(reference, answer, platform, options)
        for reference, answer in zip(references, answers)
    ]


def _with_tag(reference: Reference) -> Reference:
    return reference if reference.digest else reference.with_tag(reference.target)


def _result(
    reference: Reference, image: Descriptor, platform: Platform | None, options: t.Mapping[str, t.Any]
) -> t.Any:
    if options["format"] == "digest":
        return image.digest
    kept = str(replace(reference, digest=image.digest))
    pinned_reference = kept if options["keep_tag"] else reference.pinned(image.digest)
    if options["format"] == "reference":
        return pinned_reference
    return {
        "image": str(reference),
        "reference": pinned_reference,
        "registry": reference.registry,
        "repository": reference.repository,
        "tag": reference.tag,
        "digest": image.digest,
        "media_type": image.media_type,
        "size": image.size,
        "platform": str(platform) if platform else None,
    }


class LookupModule(LookupBase):
    def run(
        self, terms: t.Sequence[t.Any], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[t.Any]:
        return run(self, pin, terms, variables, kwargs)
