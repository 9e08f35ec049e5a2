# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command with real registries around it: ``python -m tests.registries run -- COMMAND``."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing as t

from .kinds import KINDS, chosen_kind
from .server import Registry, RegistryFailed
from .traits import TRAITS, traits

DEFAULT_REGISTRIES = ["plain"]
SPEC_HELP = """NAME or NAME:OPTION=VALUE,OPTION=VALUE with the options of tests.registries.server.Registry.
users=alice=secret+bob=word; storage=@NAME is a directory shared by all that name it; proxy_of=@NAME is a
registry given before."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FLAGS = ("delete", "tls", "client_ca", "readonly", "relative_urls", "schema1", "access_log")
NUMBERS = ("catalog_max", "port")
TEXTS = ("kind", "prefix", "proxy_of", "redirect_to", "storage", "users")


def parse_spec(text: str) -> tuple[str, dict[str, t.Any]]:
    """Return the name and the options that ``--registry`` was given.

    :raises argparse.ArgumentTypeError: with one sentence when an option is unknown or has a wrong value.
    """
    name, _separator, rest = text.partition(":")
    if not name.replace("_", "").isalnum():
        raise argparse.ArgumentTypeError(
            f"the registry name {name!r} must be letters, digits and underscores"
        )
    options: dict[str, t.Any] = {}
    for item in filter(None, rest.split(",")):
        key, separator, value = item.partition("=")
        if key not in FLAGS + NUMBERS + TEXTS or not separator:
            known = ", ".join(sorted(FLAGS + NUMBERS + TEXTS))
            raise argparse.ArgumentTypeError(
                f"{item!r} of registry {name} must be OPTION=VALUE with one of {known}"
            )
        options[key] = _value(key, value)
    return name, options


def _value(key: str, value: str) -> t.Any:
    if key in FLAGS:
        if value not in ("true", "false"):
            raise argparse.ArgumentTypeError(f"{key} must be true or false, not {value!r}")
        return value == "true"
    if key in NUMBERS:
        if not value.isdigit():
            raise argparse.ArgumentTypeError(f"{key} must be a number, not {value!r}")
        return int(value)
    if key == "users":
        pairs = [pair.partition("=") for pair in value.split("+")]
        return {name: password for name, _separator, password in pairs}
    return value


@contextlib.contextmanager
def started(specs: list[tuple[str, dict[str, t.Any]]]) -> t.Iterator[dict[str, Registry]]:
    """Run the named registries; yield them by name and stop all of them at the end."""
    registries: dict[str, Registry] = {}
    with contextlib.ExitStack() as stack:
        shared = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="registries-")))
        for name, options in specs:
            resolved = dict(options)
            if resolved.get("storage", "").startswith("@"):
                resolved["storage"] = shared / resolved["storage"][1:]
            if resolved.get("proxy_of", "").startswith("@"):
                if resolved["proxy_of"][1:] not in registries:
                    raise SystemExit(
                        f"proxy_of={resolved['proxy_of']} of {name} names no registry given before it."
                    )
                resolved["proxy_of"] = registries[resolved["proxy_of"][1:]].url
            registries[name] = stack.enter_context(Registry(**resolved))
        yield registries


def variables(registries: dict[str, Registry]) -> dict[str, str]:
    """Return what the registries are, as ``registry_<name>_<fact>``, and where this package can be run from."""
    facts = {
        f"registry_{name}_{fact}": value
        for name, registry in registries.items()
        for fact, value in registry.facts().items()
    }
    facts["tests_checkout"] = str(pathlib.Path(__file__).resolve().parents[2])
    return facts


def write_variables(path: str, facts: dict[str, str], others: t.Iterable[str] = ()) -> None:
    """Write the facts, the traits of the registry, and ``others`` (NAME=VALUE) to a file that ansible-test reads.

    It appears complete or not at all.
    """
    named = dict(text.split("=", 1) for text in others)
    text = json.dumps({**facts, "registry_traits": sorted(traits()), **named}, indent=2) + "\n"
    pathlib.Path(f"{path}.part").write_text(text, encoding="utf-8")
    os.replace(f"{path}.part", path)


def run(arguments: argparse.Namespace) -> int:
    """Run the command with the registries around it and return its exit code."""
    with started(arguments.registry) as registries:
        facts = variables(registries)
        if arguments.vars:
            write_variables(arguments.vars, facts, arguments.variable)
        environment = dict(os.environ, **{name.upper(): value for name, value in facts.items()})
        with subprocess.Popen(arguments.command, env=environment) as process:
            try:
                code = process.wait()
            except BaseException:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                raise
        return code if code >= 0 else 128 - code


def serve(arguments: argparse.Namespace) -> int:
    """Run the registries until a signal comes."""
    with started(arguments.registry) as registries:
        print(json.dumps(variables(registries), indent=2), flush=True)
        if arguments.vars:
            write_variables(arguments.vars, variables(registries), arguments.variable)
        signal.pause()
    return 0


def keep(arguments: argparse.Namespace) -> int:
    """Start registries in the background, in place of those that were kept before, and write the file of their facts."""
    stop(arguments)
    state = pathlib.Path(arguments.state)
    state.mkdir(parents=True)
    command = [sys.executable, "-m", "tests.registries", "serve", "--vars", arguments.vars]
    for text in arguments.registry_texts:
        command += ["--registry", text]
    for text in arguments.variable:
        command += ["--variable", text]
    with open(state / "log", "wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
    state.joinpath("pid").write_text(str(process.pid), encoding="utf-8")
    while not os.path.exists(arguments.vars):
        if process.poll() is not None:
            raise RegistryFailed(state.joinpath("log").read_text(encoding="utf-8"))
        time.sleep(0.05)
    return 0


def stop(arguments: argparse.Namespace) -> int:
    """End the registries that were kept."""
    state = pathlib.Path(arguments.state)
    with contextlib.suppress(OSError, ValueError):
        pid = int(state.joinpath("pid").read_text(encoding="utf-8"))
        if b"tests.registries" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
    shutil.rmtree(state, ignore_errors=True)
    return 0


def show_requests(arguments: argparse.Namespace) -> int:
    """Print the requests that a log tells of, whichever kind of registry wrote it."""
    with open(arguments.log, encoding="utf-8") as lines:
        for line in lines:
            request = next(filter(None, (kind.request(line) for kind in KINDS.values())), None)
            if request:
                print(*request)
    return 0


def show_traits(_arguments: argparse.Namespace) -> int:
    """Print what the chosen kind of registry does, and what it does not."""
    for name, text in TRAITS.items():
        print(f"{chosen_kind()} does {'' if name in traits() else 'not '}{text} ({name}).")
    return 0


def seed(arguments: argparse.Namespace) -> int:
    """Push the sample images and print the digest of each tag."""
    from .images import seed_demo

    auth = (arguments.username, arguments.password or "") if arguments.username else None
    tags = seed_demo(
        arguments.registry, arguments.repository, arguments.builds, auth=auth, verify=arguments.ca or True
    )
    print(json.dumps(tags, indent=2))
    return 0


def _stop(number: int, _frame: t.Any) -> None:
    # A second signal must not interrupt the tidying up, which is bounded.
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m tests.registries", description=__doc__)
    commands = parser.add_subparsers(dest="action", required=True)
    running = commands.add_parser("run", help="run a command with registries around it")
    running.add_argument(
        "--vars",
        metavar="FILE",
        help="write the facts, and the traits of the registry, to FILE, as JSON that is YAML too",
    )
    running.add_argument("command", nargs="+", metavar="COMMAND", help="the command, after --")
    running.set_defaults(function=run)
    serving = commands.add_parser("serve", help="run registries until a signal comes")
    serving.add_argument("--vars", metavar="FILE", help="write the facts to FILE as well")
    serving.set_defaults(function=serve)
    keeping = commands.add_parser(
        "keep", help="run registries in the background until stop, and write their facts"
    )
    keeping.add_argument("--vars", metavar="FILE", required=True)
    keeping.set_defaults(function=keep)
    stopping = commands.add_parser("stop", help="end registries that were kept")
    stopping.set_defaults(function=stop)
    for command in (keeping, stopping):
        command.add_argument("--state", metavar="FOLDER", required=True, help="where is noted what runs")
    for command in (running, serving, keeping):
        command.add_argument("--registry", action="append", metavar="SPEC", help=SPEC_HELP)
        command.add_argument(
            "--variable",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="goes into the file of --vars",
        )
    seeding = commands.add_parser("seed", help="push the sample images")
    seeding.add_argument("--registry", required=True, metavar="URL")
    seeding.add_argument("--repository", default="demo/app")
    seeding.add_argument(
        "--builds", type=int, default=0, metavar="COUNT", help="push builds as well, up to 28"
    )
    seeding.add_argument("--username", default=os.environ.get("OCIKIT_REGISTRY_USERNAME"))
    seeding.add_argument("--password", default=os.environ.get("OCIKIT_REGISTRY_PASSWORD"))
    seeding.add_argument("--ca", metavar="FILE", default=os.environ.get("OCIKIT_REGISTRY_CA_PATH"))
    seeding.set_defaults(function=seed)
    showing = commands.add_parser(
        "requests", help="print METHOD, path and status of each request served so far"
    )
    showing.add_argument("log", metavar="LOG", help="the fact log of a registry")
    showing.set_defaults(function=show_requests)
    describing = commands.add_parser("traits", help="print what the registry does of what not every one does")
    describing.set_defaults(function=show_traits)
    arguments = parser.parse_args(argv)
    if arguments.action in ("run", "serve", "keep"):
        arguments.registry_texts = arguments.registry or DEFAULT_REGISTRIES
        try:
            arguments.registry = [parse_spec(text) for text in arguments.registry_texts]
        except argparse.ArgumentTypeError as error:
            parser.error(str(error))
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    try:
        return int(arguments.function(arguments))
    except (RegistryFailed, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
