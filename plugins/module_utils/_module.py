# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Note that this module_utils is PRIVATE to the collection.
"""What turns a function of parameters into an Ansible module."""

from __future__ import annotations

import contextlib
import os
import signal
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ._channel import Channel, ending_with_reader, is_in_worker, open_channel
from ._errors import LibraryMissing, RegistryError, printable
from ._http.library_versions import OLDEST_REQUESTS
from ._http.transport import REQUESTS_IMPORT_ERROR
from ._progress import ARGUMENTS, Progress, takes_long
from ._registry.connection import Events, RegistryClients, connection_arguments, with_variables
from ._registry.context import ModuleContext, empty_suboptions
from ._registry.option_types import check_paths
from ._registry.shared_clients import OF_PROCESS
from ._secrets import SHORTEST_SECRET, userinfo_secrets

_LOG_VERBOSITY = 3
_LOG_LIMIT = 10000
_stopped_by: list[int] = []
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Module(AnsibleModule):
    """An AnsibleModule that keeps secrets of nested options, and those before a host, out of log and result."""

    def _load_params(self) -> None:
        super()._load_params()
        self.empty_suboptions = list(empty_suboptions(self.params, self.argument_spec))
        for secret in userinfo_secrets(self.params):
            # Lists and dictionaries are logged as repr() writes them.
            self.no_log_values.update((secret, repr(secret)[1:-1]))

    def _log_invocation(self) -> None:
        params = self.params
        self.params = _without_nested_secrets(params, self.argument_spec)
        try:
            super()._log_invocation()
        finally:
            self.params = params

    def _log_to_syslog(self, msg: str) -> None:
        # Since Python 3.12 this fails for NUL, before the option that has it can be named.
        super()._log_to_syslog(msg.replace("\0", "\\0"))

    def _return_formatted(self, kwargs: dict[str, t.Any]) -> None:
        """Leave out secrets that are too short: they would be masked in every digest, tag and sentence."""
        short = {secret for secret in self.no_log_values if len(secret) < SHORTEST_SECRET}
        if short:
            self.no_log_values -= short
            kwargs.setdefault("invocation", {"module_args": _cleaned(self.params, self.argument_spec)})
        super()._return_formatted(kwargs)


def _without_nested_secrets(params: t.Any, spec: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return ``params`` without the values of suboptions that must not be logged; ansible-core leaves out its own options only."""
    shown = dict(params)
    for name, option in spec.items():
        value, suboptions = shown.get(name), option.get("options")
        if not suboptions or not value:
            continue
        entries = value if isinstance(value, list) else [value]
        cleaned = [_cleaned(entry, suboptions) if isinstance(entry, dict) else entry for entry in entries]
        for alias in (name, *option.get("aliases", ())):
            if alias in shown:
                shown[alias] = cleaned if isinstance(value, list) else cleaned[0]
    return shown


def _cleaned(entry: dict[str, t.Any], suboptions: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    entry = _without_nested_secrets(entry, suboptions)
    secret = {
        key
        for name, option in suboptions.items()
        if option.get("no_log")
        for key in (name, *option.get("aliases", ()))
    }
    return {
        key: "NOT_LOGGING_PARAMETER" if key in secret and value else value for key, value in entry.items()
    }


class _ModuleEvents(Events):
    def __init__(self, module: AnsibleModule) -> None:
        super().__init__(keeps_lines=module._verbosity >= _LOG_VERBOSITY)
        self._module = module
        self.lines: list[str] = []
        self.channel = Channel()

    def warn(self, text: str) -> None:
        self._module.warn(text)

    def log(self, line: str) -> None:
        if len(self.lines) < _LOG_LIMIT:
            self.lines.append(line)

    def show(self, line: str) -> None:
        """Show a line while the task runs; secrets are masked."""
        self.channel.show(printable(self.secrets.mask(line)))


def run(
    function: t.Callable[[ModuleContext], dict[str, t.Any]],
    argument_spec: dict[str, dict[str, t.Any]],
    **options: t.Any,
) -> None:
    """Run ``function`` as an Ansible module and exit with its result.

    ``argument_spec`` holds the options that the module has besides those of the connection; ``options`` go to
    AnsibleModule. A RegistryError fails the module with its sentence, its structured form, and what was done by then.
    """
    is_long = takes_long(argument_spec)
    spec = {**connection_arguments(), **argument_spec, **(with_variables(ARGUMENTS) if is_long else {})}
    module = _Module(argument_spec=spec, supports_check_mode=True, **options)
    if REQUESTS_IMPORT_ERROR:
        module.fail_json(
            msg=missing_required_lib(f"requests >= {OLDEST_REQUESTS}"), exception=REQUESTS_IMPORT_ERROR
        )
    _stopped_by.clear()
    for number in _STOPPING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)
    events = _ModuleEvents(module)

    def set_attributes(path: str, attributes: t.Mapping[str, t.Any]) -> bool:
        arguments = module.load_file_common_arguments(attributes, path)
        return bool(module.set_fs_attributes_if_different(arguments, False))

    try:
        check_paths(module.params, module.argument_spec)
        with contextlib.ExitStack() as stack:
            if is_long and not is_in_worker():
                stack.enter_context(ending_with_reader())
            progress = stack.enter_context(_progress(module, events, is_long))
            clients = stack.enter_context(RegistryClients(module.params, events, shared=OF_PROCESS))
            context = ModuleContext(
                module.params,
                module.check_mode,
                clients,
                set_attributes,
                module.empty_suboptions,
                progress,
            )
            result = function(context)
    except LibraryMissing as error:
        message = missing_required_lib(error.library, error.reason)
        module.fail_json(**_shown({"msg": message, "error": error.to_dict()}, module, events))
    except RegistryError as error:
        module.fail_json(
            **_shown({**error.result, "msg": str(error), "error": error.to_dict()}, module, events)
        )
    except KeyboardInterrupt as interrupt:
        module.fail_json(**_shown({"msg": str(interrupt)}, module, events))
    module.exit_json(**_shown(result, module, events))


@contextlib.contextmanager
def _progress(module: AnsibleModule, events: _ModuleEvents, is_long: bool) -> t.Iterator[Progress]:
    """Give what a task tells of its work: nothing in check mode, where that is soon done."""
    if not is_long or not module.params["progress"] or module.check_mode:
        yield Progress()
        return
    events.channel = open_channel(os.environ)
    try:
        with Progress(events.show if events.channel.is_open else None, module._verbosity > 0) as progress:
            yield progress
    finally:
        events.channel.close()


def stopped_by() -> int | None:
    """Return the signal that interrupted the last run(), None where none did."""
    return _stopped_by[0] if _stopped_by else None


def _stop(number: int, frame: t.Any) -> None:
    _stopped_by.append(number)
    interrupt(number, frame)


def interrupt(_number: int, _frame: t.Any) -> None:
    """Stop the task so that it still cleans up and rolls back; a second signal must not stop that.

    Raises KeyboardInterrupt.
    """
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt("The task was interrupted.")


def _shown(result: dict[str, t.Any], module: AnsibleModule, events: _ModuleEvents) -> dict[str, t.Any]:
    """Return a result as Ansible takes it: the diff only where it is wanted, and text that UTF-8 can carry."""
    module.no_log_values.update(events.secrets)
    events.warn_of_masks(_texts(result))
    shown = {key: value for key, value in result.items() if key != "diff" or module._diff}
    if events.lines:
        shown["request_log"] = events.lines
    shown.update(events.channel.result)
    return t.cast("dict[str, t.Any]", _encodable(shown))


def _texts(value: t.Any) -> t.Iterator[str]:
    """Yield every text in ``value``, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _encodable(value: t.Any) -> t.Any:
    """JSON from a registry may hold half of a surrogate pair, which no encoding has."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(item) for item in value]
    return value
