# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this doc fragment is PRIVATE to the collection.

from __future__ import annotations


class ModuleDocFragment:
    """What modules promise."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
  action_group:
    description: Use C(group/ocikit.registry.registry) in C(module_defaults) to set defaults for this module.
"""

    # Should be used together with the standard fragment.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module does not modify state.
  diff_mode:
    support: N/A
    details:
      - This module does not modify state.
  idempotent:
    support: full
    details:
      - This module does not modify state.
  action_group:
    support: full
    membership:
      - ocikit.registry.registry
"""

    # Should be used together with the standard fragment.
    ACTION_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - No write request is sent.
  diff_mode:
    support: full
    details:
      - Shows digests before and after.
  idempotent:
    support: full
  action_group:
    support: full
    membership:
      - ocikit.registry.registry
"""
