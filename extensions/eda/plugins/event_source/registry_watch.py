# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source registry_watch, which ansible-rulebook runs."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.machinery
import importlib.util
import pathlib
import sys
import threading
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.ocikit.registry.plugins.module_utils._watch.watcher import Watcher

DOCUMENTATION = r"""
---
short_description: Emit events when tags in a registry appear, move or vanish
description:
  - Watches tags in repositories of a container registry with HEAD requests. No image is pulled, so pull limits are not used up.
  - The first check sets the baseline and emits no event. With O(state_file), a restart goes on where the last run ended.
  - A tag has vanished only if the registry's own error says that it does not exist. A tag that cannot be read, for missing permissions,
    server errors or timeouts, emits no event. It is compared again once it can be read.
  - Failed checks are repeated with exponential backoff, from one minute up to 15 minutes, and not before the time in C(Retry-After), up to
    one day. Once less than a quarter of the limit in C(RateLimit-Limit) is left, the remaining requests are spread over its time.
  - Each event is emitted at least once. A restart right after an event can emit it again.
  - Runs in the Python of ansible-rulebook, which needs ansible-core and requests.
extends_documentation_fragment:
  - ocikit.registry._registry
options:
  repositories:
    description:
      - Repositories to watch, such as V(team/app) or V(registry.example.com/team/app). A repository without a host belongs to O(registry).
    type: list
    elements: str
    required: true
  tags:
    description:
      - Tags to watch in each repository, as names, as shell patterns such as V(1.*), or as regular expressions such as V(regex:v[0-9]+).
      - Each tag takes one HEAD request per check. With a pattern, the list of tags is read as well. At most 10000 tags per repository can
        be watched.
    type: list
    elements: str
    required: true
  interval:
    description:
      - Time between two checks of a repository, in seconds or as a duration such as V(30s), V(5min) or V(1h).
    type: raw
    default: 5min
  state_file:
    description:
      - File to keep the known digests in. It is replaced as a whole after each check that changed something.
      - A damaged file is refused, because a new baseline would hide changes. Each source needs a file of its own.
      - Without this option, changes while ansible-rulebook does not run emit no event.
    type: path
"""

EXAMPLES = r"""
- ocikit.registry.registry_watch:
    registry: registry.example.com
    repositories:
      - team/app
      - team/worker
    tags:
      - stable
    interval: 1min
    state_file: /var/lib/eda/registry_watch.json

- ocikit.registry.registry_watch:
    repositories:
      - docker.io/library/nginx
    tags:
      - regex:1\.[0-9]+
    interval: 1h
    username: "{{ hub_username }}"
    password: "{{ hub_token }}"
    registry: docker.io

# Each event:
#
# registry_watch:
#   change: moved # or appeared, or vanished
#   registry: registry.example.com
#   repository: team/app
#   tag: stable
#   image: registry.example.com/team/app:stable
#   digest: sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e # null if it vanished
#   previous_digest: sha256:a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447 # null if it appeared
#   reference: registry.example.com/team/app@sha256:4b26997e35073c1fdf00c8ec5540067ae9c61f594ce43856feacc74e363cf84e
"""

_PACKAGE = "_ocikit_registry_module_utils"
Result = t.TypeVar("Result")


async def main(queue: asyncio.Queue[t.Any], args: dict[str, t.Any]) -> None:
    """Put an event on ``queue`` for each change of a watched tag. Raises ValueError with one sentence for bad arguments."""
    with _watcher(args) as watcher:
        while True:
            for event in await _in_thread(watcher.look):
                await queue.put({"registry_watch": event})
            await _in_thread(watcher.commit)
            await asyncio.sleep(watcher.pause())


def _watcher(args: dict[str, t.Any]) -> Watcher:
    """Return the collection's own watcher. Raises ValueError."""
    try:
        module = _module("_watch.watcher")
        errors = _module("_errors")
    except ImportError as error:
        raise ValueError(
            f"registry_watch cannot be loaded: {error}. Name it ocikit.registry.registry_watch in the rulebook, and install"
            f" ansible-core and requests for {sys.executable}."
        ) from None
    try:
        return t.cast("Watcher", module.Watcher(args))
    except errors.RegistryError as error:
        raise ValueError(f"registry_watch: {error}") from None


def _module(name: str) -> t.Any:
    """Return a file of the module_utils of this collection, called ``name`` in it.

    ansible-rulebook runs this file by its path, and collections cannot be imported in its process. So the folder beside this
    file becomes a package of its own: it is never that of another version of the collection.
    """
    if _PACKAGE not in sys.modules:
        spec = importlib.machinery.ModuleSpec(_PACKAGE, None, is_package=True)
        folder = pathlib.Path(__file__).resolve().parents[4] / "plugins" / "module_utils"
        spec.submodule_search_locations = [str(folder)]
        sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"{_PACKAGE}.{name}")


async def _in_thread(function: t.Callable[[], Result]) -> Result:
    """Return what ``function`` returns in a thread. A thread of asyncio would hold up the end of the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(result: t.Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error:
            future.set_exception(error)
        else:
            future.set_result(result)

    def run() -> None:
        result, failure = None, None
        try:
            result = function()
        except BaseException as error:
            failure = error
        # Without a loop, nobody waits for it any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="registry_watch", daemon=True).start()
    return await future


if __name__ == "__main__":

    class MockQueue(asyncio.Queue[t.Any]):
        """Prints the events: python registry_watch.py REPOSITORY TAG..."""

        async def put(self, item: t.Any) -> None:
            """Print an event."""
            print(item)

    asyncio.run(main(MockQueue(), {"repositories": sys.argv[1:2], "tags": sys.argv[2:], "interval": 5}))
