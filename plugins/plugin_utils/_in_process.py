# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this plugin_utils is PRIVATE to the collection.
"""Tasks that target the controller run their module's code in the worker process: no payload, no new interpreter.

Everything around that is ansible-core's own code for modules: only the step that would send a command to a target calls the
module's main() instead. So what a user sees of a task is the same both ways.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import signal
import sys
import threading
import traceback
import typing as t

from ansible import constants
from ansible.module_utils import basic
from ansible.module_utils.common import warnings
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action.normal import ActionModule as NormalActionModule
from ansible.utils.display import Display

# The parent process of Ansible loads action plugins: workers inherit what it imports here, which is most of a module.
from ansible_collections.ocikit.registry.plugins.module_utils import _channel, _module
from ansible_collections.ocikit.registry.plugins.module_utils._http.transport import REQUESTS_IMPORT_ERROR
from ansible_collections.ocikit.registry.plugins.module_utils._progress import takes_long
from ansible_collections.ocikit.registry.plugins.plugin_utils._progress import (
    Follower,
    Screen,
    parallel_action,
    progress_file,
)

COLLECTION = "ocikit.registry."
MODULES = "ansible_collections.ocikit.registry.plugins.modules."
# What can be switched off for all tasks.
SWITCHES: dict[str, dict[str, t.Any]] = {
    name: {
        "type": "bool",
        "default": True,
        "env": [{"name": f"OCIKIT_REGISTRY_{name.upper()}"}],
        "ini": [{"section": "ocikit_registry", "key": name}],
        "vars": [{"name": f"ocikit_registry_{name}"}],
    }
    for name in ("in_process", "progress")
}
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Variables of a task's environment that decide how an interpreter starts or what it loads.
_INTERPRETER_VARIABLES = ("PYTHON", "LD_", "DYLD_")
# The directory of a Python's standard library, which each of its tracebacks names.
_PYTHON = re.compile(r"/(?:python|pypy)([0-9])\.([0-9]+)/")
_OLDEST_PYTHON = (3, 8)
# At the begin of a line: the result of a module is one line.
_TRACEBACK = re.compile(r"^Traceback \(most recent call last\):", re.MULTILINE)
_UNREADABLE = re.compile(r"^SyntaxError: ", re.MULTILINE)

display = Display()
constants.config.initialize_plugin_configuration_definitions("action", f"{COLLECTION}in_process", SWITCHES)


class ActionModule(NormalActionModule):
    """Runs a module of this collection in the worker process where it can, else as ansible-core runs any module."""

    _module_name = ""
    _module_args: t.Mapping[str, t.Any] = {}
    _in_process = False
    # The file that the module tells its progress in, while a command of it is to be followed.
    _progress_file: str | None = None
    # None where the task shows no progress.
    _screen: Screen | None = None

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        obstacle = self._obstacle(task_vars or {})
        self._in_process = obstacle is None
        where = f"as a module ({obstacle})" if obstacle else "in the worker process"
        display.vvv(f"{self._task.action} runs {where}", host=(task_vars or {}).get("inventory_hostname"))
        if self._shows_progress(task_vars or {}):
            self._screen = Screen(self._host(task_vars or {}))
        result = t.cast("dict[str, t.Any]", super().run(tmp, task_vars))
        (self._screen or Screen("")).show_rest(result)
        return result

    def _obstacle(self, task_vars: dict[str, t.Any]) -> str | None:
        """Return why the module cannot run in this process, None where it can."""
        variables = task_vars
        if self._task.delegate_to:
            variables = task_vars.get("ansible_delegated_vars", {}).get(self._task.delegate_to, {})
        if not self._switched_on("in_process", task_vars):
            return "in_process is off"
        if type(self._connection).__module__ != "ansible.plugins.connection.local":
            return "the connection is not local"
        if self._play_context.become or getattr(self._connection, "become", None):
            return "become is on"
        if self._task.async_val:
            return "the task is asynchronous"
        if constants.config.get_config_value("DEFAULT_KEEP_REMOTE_FILES"):
            return "remote files are kept"
        if REQUESTS_IMPORT_ERROR:
            return "the Python of the controller has no requests"
        if not self._is_own_interpreter(variables):
            return "another interpreter is set"
        if any(name.startswith(_INTERPRETER_VARIABLES) for name in self._environment()):
            return "environment concerns the interpreter"
        if threading.current_thread() is not threading.main_thread():
            return "the worker is a thread"
        return None

    def _shows_progress(self, task_vars: dict[str, t.Any]) -> bool:
        """Tell whether the module is to show its progress, as far as its options do not decide otherwise."""
        module = importlib.import_module(MODULES + self._task.action.rpartition(".")[2])
        given = self._task.args.get("progress")
        return (
            takes_long(module.ARGUMENT_SPEC)
            and not self._task.check_mode
            and not self._task.no_log
            and not self._task.async_val
            and (self._switched_on("progress", task_vars) if given is None else boolean(given, strict=False))
        )

    def _host(self, task_vars: dict[str, t.Any]) -> str:
        """Return the host of the task as callbacks show it."""
        host = str(task_vars.get("inventory_hostname"))
        return f"{host} -> {self._task.delegate_to}" if self._task.delegate_to else host

    def _switched_on(self, switch: str, task_vars: dict[str, t.Any]) -> bool:
        definition = SWITCHES[switch]
        own = self._environment().get(definition["env"][0]["name"])
        if own is not None:
            return bool(boolean(own, strict=False))
        value = constants.config.get_config_value(
            switch,
            plugin_type="action",
            plugin_name=f"{COLLECTION}in_process",
            variables={
                name: self._templar.template(task_vars[name])
                for name in (entry["name"] for entry in definition["vars"])
                if name in task_vars
            },
        )
        return bool(value)

    def _is_own_interpreter(self, variables: dict[str, t.Any]) -> bool:
        interpreter = variables.get("ansible_python_interpreter")
        if interpreter is None:
            interpreter = constants.config.get_config_value("INTERPRETER_PYTHON", variables=variables)
        interpreter = self._templar.template(interpreter)
        return interpreter == sys.executable or str(interpreter).startswith("auto")

    def _environment(self) -> dict[str, str]:
        """Return what the task's ``environment`` sets."""
        environment: dict[str, t.Any] = {}
        self._compute_environment_string(environment)
        return {str(name): str(value) for name, value in environment.items()}

    # The steps of _execute_module() that prepare a command for a target, and send it

    def _is_pipelining_enabled(self, *args: t.Any, **kwargs: t.Any) -> bool:
        return self._in_process or bool(super()._is_pipelining_enabled(*args, **kwargs))

    def _configure_module(
        self, module_name: str, module_args: dict[str, t.Any], task_vars: dict[str, t.Any]
    ) -> t.Any:
        if not self._in_process:
            return super()._configure_module(module_name, module_args, task_vars)
        self._module_name, self._module_args = module_name.rpartition(".")[2], module_args
        path = importlib.import_module(MODULES + self._module_name).__file__
        built = _built_module()
        return (*built, path) if isinstance(built, tuple) else (built, path)

    def _low_level_execute_command(self, *args: t.Any, **kwargs: t.Any) -> dict[str, t.Any]:
        if not self._in_process:
            with self._following(args[0] if args else kwargs["cmd"]):
                answer = super()._low_level_execute_command(*args, **kwargs)
            return _without_traceback_of_old_python(answer)
        directory = self._loader.get_basedir()
        with _surroundings(self._environment(), directory), _as_in_a_module(self._module_args):
            with _channel.in_worker(self._screen.show if self._screen else None):
                code, output, errors = _main(self._module_name)
        return {
            "rc": code,
            "stdout": output,
            "stdout_lines": output.splitlines(),
            "stderr": errors,
            "stderr_lines": errors.splitlines(),
        }

    # What a module on a target tells while it runs

    def _compute_environment_string(self, raw_environment_out: dict[str, t.Any] | None = None) -> str:
        """Return the variables of the task, with that which names the file of the progress."""
        prefix = str(super()._compute_environment_string(raw_environment_out))
        if raw_environment_out is not None or self._in_process or not self._screen:
            return prefix
        self._progress_file = progress_file(self)
        if self._progress_file is None:
            return prefix
        own = self._connection._shell.env_prefix(**{_channel.FILE_VARIABLE: self._progress_file})
        return f"{prefix} {own}".strip()

    def _following(self, command: str) -> t.ContextManager[t.Any]:
        """Return the context for ``command``: where it runs the module, its progress is shown."""
        file = self._progress_file
        if file is None or file not in command or not self._screen:
            return contextlib.nullcontext()
        return Follower(parallel_action(self, NormalActionModule), file, self._screen)


def _without_traceback_of_old_python(answer: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what a command on a target printed; a sentence where its Python is too old to run a module.

    Older ansible-core starts modules on Python 2.7, 3.6 and 3.7, and newer does not always say more than the traceback. No
    code in a module could say so: these cannot even read its file.
    """
    printed = f"{answer.get('stdout')}{answer.get('stderr')}"
    version = _PYTHON.search(printed) if _TRACEBACK.search(printed) else None
    old = version is not None and (int(version[1]), int(version[2])) < _OLDEST_PYTHON
    if not answer.get("rc") or not (old or _UNREADABLE.search(printed)):
        return answer
    oldest = ".".join(map(str, _OLDEST_PYTHON))
    message = (
        f"The Python that runs this task is older than {oldest}, the oldest version that {COLLECTION[:-1]} runs on: set"
        " ansible_python_interpreter to a newer one on that host, or delegate the task to a host that has one."
    )
    output = json.dumps({"failed": True, "msg": message})
    return {**answer, "stdout": output, "stdout_lines": [output], "stderr": "", "stderr_lines": []}


def _main(module_name: str) -> tuple[int, str, str]:
    """Call main() of a module; return what its process would have: exit code, standard output and standard error."""
    output, errors = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            importlib.import_module(MODULES + module_name).main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        except Exception:
            traceback.print_exc()
            code = 1
    return code, output.getvalue(), errors.getvalue()


@contextlib.contextmanager
def _surroundings(environment: dict[str, str], directory: str) -> t.Iterator[None]:
    """Give the code inside the environment and the working directory of a module, and let signals stop it as one.

    A signal is delivered again at the end: the worker has handlers of its own.
    """
    before, place = dict(os.environ), os.getcwd()
    handlers = {number: signal.getsignal(number) for number in (*_STOPPING, signal.SIGALRM)}
    received: list[tuple[int, t.Any]] = []

    def expire(number: int, frame: t.Any) -> None:
        received.append((number, frame))
        _module.interrupt(number, frame)

    if callable(handlers[signal.SIGALRM]):
        # The task's timeout. What was changed is put back before it takes effect.
        signal.signal(signal.SIGALRM, expire)
    try:
        os.environ.update(environment)
        os.chdir(directory)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        os.chdir(place)
        stopped = _module.stopped_by()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if received:
        t.cast("t.Callable[[int, t.Any], None]", handlers[signal.SIGALRM])(*received[0])
    if stopped is not None:
        os.kill(os.getpid(), stopped)


@contextlib.contextmanager
def _as_in_a_module(module_args: t.Mapping[str, t.Any]) -> t.Iterator[None]:
    """Hand ``module_args`` to the AnsibleModule that is made inside, serialised as for a process of its own."""
    names = ("_ANSIBLE_ARGS", "_ANSIBLE_PROFILE", "_PARSED_MODULE_ARGS")
    before = {name: getattr(basic, name) for name in names if hasattr(basic, name)}
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": module_args}, **_encoding()).encode()
    if "_ANSIBLE_PROFILE" in before:
        basic._ANSIBLE_PROFILE = _PROFILE
    # Warnings of earlier items of a loop, and of the controller itself, are not this task's.
    for messages in (warnings._global_warnings, warnings._global_deprecations):
        messages.clear()
    try:
        with _outside_the_controller():
            yield
    finally:
        for name, value in before.items():
            setattr(basic, name, value)


_PROFILE = "legacy"

try:
    # ansible-core 2.19 and newer
    from ansible.executor.module_common import _BuiltModule
    from ansible.module_utils import _internal
    from ansible.module_utils.common.json import Direction, get_module_encoder
except ImportError:
    from ansible.module_utils.common.json import AnsibleJSONEncoder

    def _built_module() -> t.Any:
        return "new", f"#!{sys.executable}", b""

    def _encoding() -> dict[str, t.Any]:
        return {"cls": AnsibleJSONEncoder, "vault_to_text": True}

    @contextlib.contextmanager
    def _outside_the_controller() -> t.Iterator[None]:
        yield

else:

    def _built_module() -> t.Any:
        return _BuiltModule(
            b_module_data=b"",
            module_style="new",
            shebang=f"#!{sys.executable}",
            serialization_profile=_PROFILE,
        )

    # Both ways, as the workers inherit what is loaded for them.
    _ENCODERS = {direction: get_module_encoder(_PROFILE, direction) for direction in Direction}

    def _encoding() -> dict[str, t.Any]:
        return {"cls": _ENCODERS[Direction.CONTROLLER_TO_MODULE]}

    @contextlib.contextmanager
    def _outside_the_controller() -> t.Iterator[None]:
        """A module collects its warnings for the result; the controller would show them at once."""
        before = _internal.is_controller
        _internal.is_controller = False
        try:
            yield
        finally:
            _internal.is_controller = before
