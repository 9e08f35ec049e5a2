# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback that prints the results of a play as one JSON document, as ansible.posix.json does, and nothing else."""

from __future__ import annotations

import json
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: as_json
type: stdout
short_description: Results as JSON
description: Results as JSON, by the name of the host.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "as_json"

    def __init__(self, *arguments: t.Any, **options: t.Any) -> None:
        super().__init__(*arguments, **options)
        self.results: dict[str, t.Any] = {}

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self.results[result._host.get_name()] = json.loads(self._dump_results(result._result))

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self.v2_runner_on_ok(result)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        print(json.dumps(self.results))
