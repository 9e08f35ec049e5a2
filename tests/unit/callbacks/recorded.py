# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback that writes the result of each task, and of each item, to a file, a line of JSON for each."""

from __future__ import annotations

import json
import os
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: recorded
type: aggregate
short_description: Results as lines of JSON
description: Results as lines of JSON, in the file that RECORDED names.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "recorded"

    def _write(self, outcome: str, result: t.Any) -> None:
        shown = json.loads(self._dump_results(result._result))
        with open(os.environ["RECORDED"], "a", encoding="utf-8") as file:
            name = result._task.get_name() if hasattr(result, "_task") else result.task_name
            file.write(json.dumps({"task": name, "outcome": outcome, "result": shown}) + "\n")

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._write("ok", result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._write("failed", result)

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        self._write("skipped", result)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        self._write("item ok", result)

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        self._write("item failed", result)

    def v2_runner_retry(self, result: t.Any) -> None:
        self._write("retry", result)
