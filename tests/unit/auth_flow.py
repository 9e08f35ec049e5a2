# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authentication without a transport: the steps that it asks for, answered by a function."""

from __future__ import annotations

import typing as t

from ansible_collections.ocikit.registry.plugins.module_utils._http.address_guard import AddressGuard
from ansible_collections.ocikit.registry.plugins.module_utils._http.auth import Answer, Auth, Flow, Send, Step
from ansible_collections.ocikit.registry.plugins.module_utils._http.origin import Origin
from ansible_collections.ocikit.registry.plugins.module_utils._secrets import Secrets


def auth_of(origin: Origin, trusted: t.Sequence[str] = ()) -> Auth:
    """Return the authentication for an origin, of a task that knows no secrets yet."""
    return Auth(origin, AddressGuard(origin, trusted), Secrets(), trusted)


def carry_out(flow: Flow[None], answer: t.Callable[[Step], Answer]) -> tuple[str | None, Answer]:
    """Carry out a flow; return the last ``Authorization`` of the request itself, and what that was answered."""
    step = next(flow)
    last: tuple[str | None, Answer] = (None, Answer(0))
    while True:
        answered = answer(step)
        last = (step.authorization, answered) if isinstance(step, Send) else last
        try:
            step = flow.send(answered)
        except StopIteration:
            return last
