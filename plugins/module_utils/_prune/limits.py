# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""How much of a repository a plan may delete."""

from __future__ import annotations

from dataclasses import dataclass

from .._errors import InvalidInput
from .policy import RetentionPlan

DEFAULT_PERCENT = 50.0
# In repositories of no more tags the default says only that not all of them are deleted.
SMALL_REPOSITORY = 50


@dataclass(frozen=True)
class Limits:
    """The most tags of a repository that may be deleted, as a number and in percent; None for no limit, and the default.

    The names are those that messages give the two options.
    """

    max_delete: int | None = None
    max_delete_percent: float | None = None
    max_delete_name: str = "max_delete"
    max_delete_percent_name: str = "max_delete_percent"

    def __post_init__(self) -> None:
        """Raises InvalidInput for values out of range."""
        if self.max_delete is not None and self.max_delete < 0:
            raise InvalidInput(f"{self.max_delete_name} is {self.max_delete}: set it to 0 or more.")
        percent = self.max_delete_percent
        # A comparison with what is no number (nan) never holds.
        if percent is not None and not 0 <= percent <= 100:
            raise InvalidInput(
                f"{self.max_delete_percent_name} is {percent:g}: set it to a number from 0 to 100."
            )

    def exceeded_by(self, plan: RetentionPlan) -> str | None:
        """Return a sentence where a plan exceeds a limit, else None. Tags that follow their subject are not counted."""
        tags = [verdict for verdict in plan.verdicts if not verdict.follows_subject]
        return self.exceeded(sum(verdict.delete for verdict in tags), len(tags))

    def exceeded(self, count: int, total: int) -> str | None:
        """Return a sentence where the deletion of ``count`` of ``total`` tags exceeds a limit, else None."""
        if self.max_delete is not None and count > self.max_delete:
            return self._sentence(
                f"{count} tags would be deleted, and {self.max_delete_name} allows {self.max_delete}",
                self.max_delete_name,
            )
        percent = DEFAULT_PERCENT if self.max_delete_percent is None else self.max_delete_percent
        small = self.max_delete_percent is None and total <= SMALL_REPOSITORY
        if not count or (count < total if small else count * 100 <= percent * total):
            return None
        default = ""
        if self.max_delete_percent is None:
            default = f" by default, and not all tags of a repository with up to {SMALL_REPOSITORY}"
        return self._sentence(
            f"{count} of {total} tags ({count * 100 / total:.0f} %) would be deleted, and"
            f" {self.max_delete_percent_name} allows {percent:g}{default}",
            self.max_delete_percent_name,
        )

    @staticmethod
    def _sentence(problem: str, option: str) -> str:
        return (
            f"{problem}: nothing was deleted. Look at what would be deleted (check mode, or a plan file); if it is right,"
            f" raise {option}, else correct the rules."
        )
