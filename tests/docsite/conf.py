# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of Sphinx for the documentation site."""

from __future__ import annotations

import pathlib
import tempfile
import zlib

# Where the pages of Ansible are that generated pages refer to: the build needs no network for their inventory.
ANSIBLE = "https://docs.ansible.com/ansible/latest/"
LABELS = {
    "ansible_configuration_settings": "reference_appendices/config.html#ansible-configuration-settings",
    "action_plugins": "plugins/action.html#action-plugins",
    "ansible_collections.ansible.builtin.file_module": "collections/ansible/builtin/file_module.html",
    "ansible_collections.ansible.builtin.set_fact_module": "collections/ansible/builtin/set_fact_module.html",
    "common_return_values": "reference_appendices/common_return_values.html#common-return-values",
}


def _inventory() -> str:
    """Write the labels as an inventory of Sphinx and return its path."""
    head = "# Sphinx inventory version 2\n# Project: Ansible\n# Version: latest\n"
    head += "# The remainder of this file is compressed using zlib.\n"
    lines = "".join(f"{name} std:label -1 {page} {name}\n" for name, page in LABELS.items())
    path = pathlib.Path(tempfile.mkdtemp(prefix="inventory-")) / "objects.inv"
    path.write_bytes(head.encode() + zlib.compress(lines.encode()))
    return str(path)


project = "ocikit.registry"
copyright = "ocikit.registry contributors"  # noqa: A001
title = html_short_title = "ocikit.registry"
html_title = "ocikit.registry"
extensions = ["sphinx.ext.intersphinx", "sphinx_antsibull_ext"]
intersphinx_mapping = {"ansible": (ANSIBLE, _inventory())}
pygments_style = "ansible"
highlight_language = "YAML+Jinja"
html_theme = "sphinx_ansible_theme"
html_theme_options = {
    "display_version": False,
    "documentation_home_url": "https://github.com/ocikit/registry",
    "topbar_links": {"Galaxy": "https://galaxy.ansible.com/ui/repo/published/ocikit/registry/"},
}
html_show_sphinx = False
html_use_smartypants = True
html_use_modindex = False
html_use_index = False
html_copy_source = False
default_role = "any"
