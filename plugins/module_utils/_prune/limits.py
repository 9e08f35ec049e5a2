# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""How much of a repository a plan may delete."""

from __future__ import annotations

from .policy import RetentionPlan


def check_limits(plan: RetentionPlan, max_delete: int | None, max_delete_percent: float) -> str | None:
    """Return a sentence where a plan exceeds a limit, else None. Tags that follow their subject are not counted."""
    tags = [verdict for verdict in plan.verdicts if not verdict.follows_subject]
    count = sum(verdict.delete for verdict in tags)
    if max_delete is not None and count > max_delete:
        return f"{count} tags would be deleted, and max_delete allows {max_delete}"
    if count * 100 > max_delete_percent * len(tags):
        share = count * 100 / len(tags)
        return (
            f"{count} of {len(tags)} tags ({share:.0f} %) would be deleted, and max_delete_percent allows"
            f" {max_delete_percent:g}"
        )
    return None
