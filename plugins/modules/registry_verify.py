#!/usr/bin/python
# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_verify
short_description: Verify images before a deployment
version_added: 1.0.0
author:
  - ocikit.registry contributors (@ocikit)
description:
  - Fails unless all images exist and meet all requirements. Every violation is listed, each on a line of its own.
  - Images are looked up in parallel with one HEAD request each. Further requests are sent only for indexes, and where a
    requirement needs them.
  - Everything in an index that a container engine could run is an image, whatever its entry says, except for attestations with
    the platform C(unknown/unknown) and the annotation C(vnd.docker.reference.digest). An image that cannot be read or
    understood is a violation. So is an index without images, and the placeholder of an interrupted M(ocikit.registry.registry_rmtag).
extends_documentation_fragment:
  - ocikit.registry._registry
  - ocikit.registry._attributes
  - ocikit.registry._attributes.info_module
options:
  images:
    description:
      - Images to verify, each a reference, or a dictionary of C(image) and requirements of its own.
      - A requirement of an image replaces the option of the same name. These are O(pinned), O(allow_moved_tags),
        O(forbidden_tags), O(platforms), O(max_size), O(max_age), O(allow_unknown_age), O(labels), O(referrers),
        O(signatures), O(attestations), O(recursive) and O(signature_repository).
      - Without this option all images of O(lock) are verified.
    type: list
    elements: raw
    default: []
  lock:
    description:
      - Lock file, as the role P(ocikit.registry.promote#role) writes it. Every image must be in it, with the digest that the
        image has now.
      - Either its path on the host that runs the task, its text, or the list that it holds. Each entry has C(image), a
        reference by tag, and C(digest). Further keys are allowed, but none twice, and none that differs from these in case only.
      - A file in YAML needs PyYAML on the host that runs the task, one in JSON does not.
    type: raw
  pinned:
    description:
      - Whether every image must be written with its digest. If it has a tag as well, the tag must still point to the digest.
    type: bool
    default: false
  allow_moved_tags:
    description:
      - Whether tags may have moved since a digest was written behind them, or into O(lock). The digest then decides which
        image is verified.
    type: bool
    default: false
  forbidden_tags:
    description:
      - Tags that must not be used, as shell patterns, or as regular expressions after C(regex:). An image that is written
        without tag and digest has the tag V(latest).
    type: list
    elements: raw
    default: []
  platforms:
    description:
      - Platforms that the image must have, such as V(linux/arm64/v8). O(max_size), O(max_age) and O(labels) then apply to the
        images for these platforms. By default they apply to all images of an index.
      - An image that does not name its platform, neither in an index nor in its configuration, is a violation. All images of
        an index whose entries name no platform are verified as well, because some engines run them.
    type: list
    elements: raw
    default: []
  max_size:
    description:
      - Maximum size of the image for each platform. Configuration and compressed layers count.
      - In bytes, or with a unit such as V(500MB) (powers of 1000) or V(1.5GiB) (powers of 1024).
    type: str
  max_age:
    description:
      - Maximum time since the image was created, such as V(12h), V(30d), V(2w), V(6mo) or V(1y). V(6m) is refused, as
        it may be minutes or months; write V(6min) or V(6mo).
      - The time of creation is taken from the annotation C(org.opencontainers.image.created), else from the image's
        configuration, else from the label of that name, else from the latest step of its history.
    type: str
  allow_unknown_age:
    description:
      - Whether an image of unknown age passes O(max_age). The age is unknown if there is no creation time, if it is in the future, or
        if it is earlier than 2013, as for reproducible builds.
    type: bool
    default: false
  labels:
    description:
      - Labels that the image must have. The value of each must match a shell pattern, or a regular expression after
        C(regex:). With an empty pattern the label must exist with any value.
    type: dict
    default: {}
  referrers:
    description:
      - Artifact types that must exist among the referrers of the image, as shell patterns, or as regular expressions after
        C(regex:). V(cosign) stands for a signature of cosign, under its tag or among the referrers.
      - A referrer counts if its own manifest exists, names the image as its subject, and has the type. What a list of referrers
        says is not enough. At most 100 referrers are read.
      - This option does not verify signers. Use O(signatures) and O(attestations) for that.
    type: list
    elements: raw
    default: []
  signatures:
    description:
      - Signatures that the image must have. Each entry must be met by a signature of cosign, and names who must have signed by
        O(signatures[].key), O(signatures[].identity) with O(signatures[].trusted_root), or O(signatures[].identity) with
        O(signatures[].certificate_authority).
      - Signatures are read from the tags of cosign 2 and from the referrers that cosign 2 and 3 write.
      - A signature counts if it is about the digest of the image, and proven to be by the signer. Any other one is ignored, and
        the violation says why. At most 100 signatures are read.
    type: list
    elements: dict
    default: []
    suboptions:
      key:
        description:
          - Public key that must have signed, as PEM, or as the path of a file with PEM. Of a list, or of several keys in one
            file, any one is sufficient, so that keys can be rotated.
          - ECDSA on P-256, P-384 or P-521, RSA of 2048 bits or more, or Ed25519.
          - Requires the Python library C(cryptography).
        type: raw
      identity:
        description:
          - Identity that must have signed, as the certificate of the signature names it. An e-mail address, or a URI such as
            that of a workflow.
          - V(*) matches any characters, or before an V(@), any characters except V(@). Other characters match themselves. A regular
            expression is written after C(regex:). The pattern must match the whole identity.
          - Requires O(ignore:issuer) and O(ignore:trusted_root), or O(ignore:certificate_authority).
        type: str
      issuer:
        description:
          - Issuer of the token that the certificate was issued for, such as
            V(https://token.actions.githubusercontent.com). Patterns are written as in O(ignore:identity).
          - Required with O(ignore:identity), unless O(ignore:certificate_authority) is given.
        type: str
      trusted_root:
        description:
          - Trusted root of a Sigstore instance in JSON (C(trusted_root.json)), its path or its text. It names the certificate
            authorities, certificate logs, transparency logs and timestamp authorities to trust. Nothing is
            downloaded.
          - Requires the Python library C(sigstore), release 4, and Python 3.10 or newer.
        type: raw
      certificate_authority:
        description:
          - Certificates of the authorities of a private PKI, as PEM, or as the path of a file with PEM. Each of them is
            trusted to issue certificates for O(ignore:identity).
          - The certificate of the signature must be for code signing, and valid now. If O(ignore:trusted_root) is given as
            well, it must have been valid when a transparency log or timestamp authority says that it signed.
          - Requires the Python library C(cryptography), release 45 or newer.
        type: str
      transparency_log:
        description:
          - Whether an entry of a transparency log of O(ignore:trusted_root) must prove the signature. V(optional) verifies an
            entry where there is one, and V(ignore) none.
          - The default is V(required) for O(ignore:identity) with O(ignore:trusted_root), and V(optional) otherwise. Without
            O(ignore:trusted_root) no entry can be verified, and V(required) is refused.
          - Without an entry, O(ignore:identity) with O(ignore:trusted_root) needs a timestamp of its timestamp authority.
        type: str
        choices: [required, optional, ignore]
      match:
        description:
          - Annotations that the signature must have, such as those that C(cosign sign -a) adds. The value of each must match a shell
            pattern, or a regular expression after C(regex:). With an empty pattern the annotation must exist.
        type: dict
      recursive:
        description:
          - Whether each image of an index must meet this entry as well. The default is the option O(recursive).
        type: bool
  attestations:
    description:
      - Attestations that the image must have, such as provenance or an SBOM. Each entry must be met by an attestation with an
        in-toto statement, and names who must have signed as an entry of O(signatures) does.
    type: list
    elements: dict
    default: []
    suboptions:
      predicate_type:
        description:
          - Type of the predicate, such as V(https://slsa.dev/provenance/v1). V(*) stands for any characters.
        type: str
        required: true
      key:
        description:
          - Public key that must have signed, as PEM, or as the path of a file with PEM. Of a list, or of several keys in one
            file, any one is sufficient, so that keys can be rotated.
          - ECDSA on P-256, P-384 or P-521, RSA of 2048 bits or more, or Ed25519.
          - Requires the Python library C(cryptography).
        type: raw
      identity:
        description:
          - Identity that must have signed, as the certificate of the signature names it. An e-mail address, or a URI such as
            that of a workflow.
          - V(*) matches any characters, or before an V(@), any characters except V(@). Other characters match themselves. A regular
            expression is written after C(regex:). The pattern must match the whole identity.
          - Requires O(ignore:issuer) and O(ignore:trusted_root), or O(ignore:certificate_authority).
        type: str
      issuer:
        description:
          - Issuer of the token that the certificate was issued for, such as
            V(https://token.actions.githubusercontent.com). Patterns are written as in O(ignore:identity).
          - Required with O(ignore:identity), unless O(ignore:certificate_authority) is given.
        type: str
      trusted_root:
        description:
          - Trusted root of a Sigstore instance in JSON (C(trusted_root.json)), its path or its text. It names the certificate
            authorities, certificate logs, transparency logs and timestamp authorities to trust. Nothing is
            downloaded.
          - Requires the Python library C(sigstore), release 4, and Python 3.10 or newer.
        type: raw
      certificate_authority:
        description:
          - Certificates of the authorities of a private PKI, as PEM, or as the path of a file with PEM. Each of them is
            trusted to issue certificates for O(ignore:identity).
          - The certificate of the signature must be for code signing, and valid now. If O(ignore:trusted_root) is given as
            well, it must have been valid when a transparency log or timestamp authority says that it signed.
          - Requires the Python library C(cryptography), release 45 or newer.
        type: str
      transparency_log:
        description:
          - Whether an entry of a transparency log of O(ignore:trusted_root) must prove the signature. V(optional) verifies an
            entry where there is one, and V(ignore) none.
          - The default is V(required) for O(ignore:identity) with O(ignore:trusted_root), and V(optional) otherwise. Without
            O(ignore:trusted_root) no entry can be verified, and V(required) is refused.
          - Without an entry, O(ignore:identity) with O(ignore:trusted_root) needs a timestamp of its timestamp authority.
        type: str
        choices: [required, optional, ignore]
      match:
        description:
          - What the predicate must say. Each key is the path of a value, such as C(buildDefinition.buildType) or
            C(resolvedDependencies.0.uri). The value must match a shell pattern, or a regular expression after C(regex:).
            Values that are no text are compared as JSON. With an empty pattern the value must exist.
        type: dict
      recursive:
        description:
          - Whether each image of an index must meet this entry as well. The default is the option O(recursive).
        type: bool
  recursive:
    description:
      - Whether each image of an index must meet O(signatures) and O(attestations) as well. By default only the index must. With
        O(platforms), these are the images for these platforms.
    type: bool
    default: false
  signature_repository:
    description:
      - Repository that holds signatures and attestations, such as V(registry.example.com/signatures), as cosign's variable
        C(COSIGN_REPOSITORY). Without this option they are in the repository of the image.
    type: str
  report_only:
    description:
      - Whether to return violations without failing the task.
    type: bool
    default: false
requirements:
  - cryptography on the host that runs the task, for O(signatures) and O(attestations)
  - sigstore 4 on the host that runs the task, for O(signatures[].trusted_root) and O(attestations[].trusted_root)
notes:
  - If a registry is not reachable or fails, the task always fails, also with O(report_only).
seealso:
  - module: ocikit.registry.registry_promote
  - module: ocikit.registry.registry_manifest_info
  - module: ocikit.registry.registry_referrers_info
"""

EXAMPLES = r"""
---
- name: Require pinned, signed, small and recent images
  ocikit.registry.registry_verify:
    images:
      - registry.example.com/team/app:1.4.2@sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      - image: registry.example.com/team/database@sha256:9c2f5bd1a4b0e6d3f78c21a5e9d0b4f6a7c8e1d2b3f4a5968778695a4b3c2d1e
        max_size: 2GB
    pinned: true
    platforms:
      - linux/amd64
      - linux/arm64
    max_size: 500MB
    max_age: 90d
    labels:
      org.opencontainers.image.source: https://git.example.com/*
      org.opencontainers.image.revision:
    referrers:
      - cosign
      - application/vnd.cyclonedx+json

- name: Require a signature of the release pipeline, and provenance
  ocikit.registry.registry_verify:
    images:
      - registry.example.com/team/app:1.4.2
    signatures:
      - identity: https://github.com/acme/app/.github/workflows/release.yml@refs/tags/*
        issuer: https://token.actions.githubusercontent.com
        trusted_root: files/trusted_root.json
    attestations:
      - predicate_type: https://slsa.dev/provenance/v1
        key: files/cosign.pub
        match:
          buildDefinition.buildType: https://acme.example/*
  register: gate

- name: Deploy the image that was verified
  ansible.builtin.debug:
    msg: "Deploying {{ gate.images[0].pinned }}"

- name: Require a signature by one of two keys, of the index and of each image in it
  ocikit.registry.registry_verify:
    images:
      - registry.example.com/team/app:multi
    signatures:
      - key:
          - "{{ lookup('ansible.builtin.file', 'cosign.pub') }}"
          - "{{ lookup('ansible.builtin.file', 'next.pub') }}"
    recursive: true

- name: Require a signature of a private PKI
  ocikit.registry.registry_verify:
    images:
      - registry.example.com/team/app:1.4.2
    signatures:
      - certificate_authority: files/our-ca.pem
        identity: release@acme.example

- name: Verify that no tag has moved since the promotion
  ocikit.registry.registry_verify:
    lock: "{{ playbook_dir }}/images.lock.yml"
  register: verified

- name: Report which running images have forbidden tags
  ocikit.registry.registry_verify:
    images: "{{ running_images }}"
    forbidden_tags:
      - latest
      - "*-rc*"
    report_only: true
  register: report
"""

RETURN = r"""
passed:
  description: Whether all images meet all requirements.
  returned: success, and on failure once all images were verified
  type: bool
  sample: false
images:
  description: The images, in the order of the option.
  returned: success, and on failure once all images were verified
  type: list
  elements: dict
  contains:
    image:
      description: The image as a full reference.
      type: str
    digest:
      description: The digest that was verified, V(null) if the image does not exist or cannot be read.
      type: str
    pinned:
      description: The image by that digest. Deploy this reference.
      type: str
    passed:
      description: Whether the image meets all requirements.
      type: bool
  sample:
    - image: registry.example.com/team/app:1.4.2
      digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      pinned: registry.example.com/team/app@sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
      passed: false
violations:
  description: The requirements that are not met.
  returned: success, and on failure once all images were verified
  type: list
  elements: dict
  contains:
    image:
      description: The image as a full reference.
      type: str
    demand:
      description:
        - Name of the option that is not met; V(exists) if the image does not exist, or is none; V(readable) if it cannot be
          read or understood.
      type: str
    message:
      description:
        - What is wrong, on one line. For O(signatures) and O(attestations), a line for each signature follows that does not
          count.
      type: str
  sample:
    - image: registry.example.com/team/app:1.4.2
      demand: platforms
      message: "it lacks linux/arm64: it has linux/amd64."
error:
  description:
    - Details of the failure. RV(ignore:error.kind) is V(refused) where requirements are not met, and another stable name such as
      V(unreachable) or V(invalid_input) where the images could not be verified.
      C(status), C(code), C(message) and C(detail) are those of the registry's response to the request C(method) C(url).
  returned: failure
  type: dict
  sample:
    kind: refused
    status:
    code:
    message:
    detail:
    method:
    url:
"""

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._module import run
from ansible_collections.ocikit.registry.plugins.module_utils._registry.option_types import LIST
from ansible_collections.ocikit.registry.plugins.module_utils._verify.requirements import REQUIREMENTS
from ansible_collections.ocikit.registry.plugins.module_utils._verify.verification import verify_images

_DEFAULTS: dict[str, t.Any] = {"bool": False, "list": [], "dict": {}}
ARGUMENT_SPEC: dict[str, t.Any] = {
    "images": {"type": LIST, "elements": "raw", "default": []},
    "lock": {"type": "raw"},
    **{
        name: {**spec, "default": _DEFAULTS[spec["type"]]} if spec["type"] in _DEFAULTS else spec
        for name, spec in REQUIREMENTS.items()
    },
    "report_only": {"type": "bool", "default": False},
}


def main() -> None:
    run(verify_images, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
