# Copyright (c) 2026, ocikit.registry contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A round-trip time before a server on loopback: a proxy in a process of its own that holds all bytes back, and loses none."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import typing as t

BLOCK = 1 << 18
# What may be under way in one direction, in blocks: enough not to limit the speed.
WINDOW = 256


@contextlib.contextmanager
def delayed(host: str, milliseconds: float) -> t.Iterator[str]:
    """Give the address of a proxy before ``host``, whose round-trip time it is; ``host`` itself where there is none."""
    if not milliseconds:
        yield host
        return
    command = [sys.executable, "-m", "tests.bench.delay", host, str(milliseconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Pass on what comes, each block so many seconds after it came."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(WINDOW)

    async def receive() -> None:
        while True:
            block = await reader.read(BLOCK)
            await waiting.put((loop.time() + seconds, block))
            if not block:
                return

    receiving = asyncio.ensure_future(receive())
    try:
        while True:
            due, block = await waiting.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not block:
                break
            writer.write(block)
            await writer.drain()
        writer.write_eof()
    finally:
        receiving.cancel()


async def _serve(host: str, seconds: float) -> None:
    name, _colon, port = host.rpartition(":")
    # The loop itself does not keep them.
    tasks: set[object] = set()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        tasks.add(task)
        with contextlib.suppress(OSError):
            # The handshake, which loopback has answered already.
            await asyncio.sleep(seconds)
            behind_reader, behind = await asyncio.open_connection(name, int(port))
            pumps = [_pump(reader, behind, seconds / 2), _pump(behind_reader, writer, seconds / 2)]
            await asyncio.gather(*pumps, return_exceptions=True)
            behind.close()
            writer.close()
        tasks.discard(task)

    server = await asyncio.start_server(connect, "127.0.0.1", 0, limit=BLOCK)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], float(sys.argv[2]) / 1000))
