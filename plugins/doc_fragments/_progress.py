# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this doc fragment is PRIVATE to the collection.

from __future__ import annotations


class ModuleDocFragment:
    """The option of modules whose work may take long."""

    DOCUMENTATION = r"""
options:
  progress:
    description:
      - Whether to show progress while the task runs. A task that runs longer than 5 seconds shows a line every 5 seconds, and the
        totals at the end. With C(-v), it also shows each image that is finished.
      - The lines are written to the standard error output of C(ansible-playbook). They are not part of the result.
      - Nothing is shown in check mode, for tasks with C(no_log) or C(async), and over connections other than C(ssh) and C(local).
      - The default is the variable C(ocikit_registry_progress), else the environment variable E(OCIKIT_REGISTRY_PROGRESS) of the
        controller, else the key C(progress) in section C(ocikit_registry) of C(ansible.cfg).
      - Falls back to the environment variable E(OCIKIT_REGISTRY_PROGRESS).
    type: bool
    default: true
"""
