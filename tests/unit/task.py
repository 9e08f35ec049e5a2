# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's function called in this process, with the parameters that Ansible would hand it."""

from __future__ import annotations

import inspect
import types
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.ocikit.registry.plugins.module_utils._progress import Progress
from ansible_collections.ocikit.registry.plugins.module_utils._registry.connection import (
    OPTIONS,
    RegistryClients,
)
from ansible_collections.ocikit.registry.plugins.module_utils._registry.context import (
    ModuleContext,
    empty_suboptions,
)


def task(
    module: types.ModuleType,
    clients: RegistryClients,
    *,
    check_mode: bool = False,
    told: Progress | None = None,
    **params: t.Any,
) -> dict[str, t.Any]:
    """Return the result of ``module`` with ``params``: defaults and types are those of its ARGUMENT_SPEC.

    ``told`` is what the task tells its progress to.

    Raises RegistryError where the task fails, and ValueError for what the specification refuses.
    """
    empty = list(empty_suboptions(params, module.ARGUMENT_SPEC))
    validated = ArgumentSpecValidator({**OPTIONS, **module.ARGUMENT_SPEC}).validate(params)
    if validated.error_messages:
        raise ValueError("; ".join(validated.error_messages))
    function = inspect.getclosurevars(module.main).globals
    (run_function,) = [value for name, value in function.items() if name not in ("run", "ARGUMENT_SPEC")]
    result: dict[str, t.Any] = run_function(
        ModuleContext(
            validated.validated_parameters, check_mode, clients, empty_suboptions=empty, progress=told
        )
    )
    return result
