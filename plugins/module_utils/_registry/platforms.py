# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""Which of the images that a manifest offers is the one for a platform."""

from __future__ import annotations

import dataclasses

from .._errors import NotFound, printable
from .._oci.content import Descriptor, Manifest, Platform, choose
from .._oci.reference import Reference
from .client import RegistryClient
from .images import image_config


def image_for(
    client: RegistryClient, reference: Reference, manifest: Manifest, wanted: Platform
) -> Descriptor:
    """Return the descriptor of the image for ``wanted``: a child of an index, or ``manifest`` itself.

    The platform of a single image is read from its configuration; where that names none, the image is taken.
    Raises NotFound, naming the platforms that there are.
    """
    images = manifest.children
    if not manifest.is_index:
        config = image_config(client, reference.repository, manifest)
        platform = Platform.from_dict(config["full"]) if config else None
        if platform is None or not platform.known:
            return manifest.descriptor
        images = [dataclasses.replace(manifest.descriptor, platform=platform)]
    found = choose(images, wanted)
    if found is None:
        platforms = (image.platform for image in images)
        offered = dict.fromkeys(str(platform) for platform in platforms if platform and platform.known)
        raise NotFound(
            f"{reference} is not there for {wanted}, but for {printable(', '.join(offered)) or 'no platform at all'}."
        )
    return found
