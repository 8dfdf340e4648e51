"""The least that can carry reports to listeners: psycopg hears a notice, asyncio writes its payload to plain sockets.

No HTTP, no rights, no replay: what no service can undercut. ``bare_broadcast.py CONNINFO`` prints its port.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import psycopg
import uvloop

EVERYBODY: set[asyncio.Transport] = set()


class Listener(asyncio.Protocol):
    """One open socket."""

    def connection_made(self, transport: Any) -> None:
        """Join."""
        self.transport = transport
        EVERYBODY.add(transport)
        transport.write(b"bare\n")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        """Leave."""
        EVERYBODY.discard(self.transport)


async def main(conninfo: str) -> None:
    """Serve until ended."""
    server = await asyncio.get_running_loop().create_server(Listener, "127.0.0.1", 0, backlog=1024)
    connection = await psycopg.AsyncConnection.connect(conninfo, autocommit=True)
    await connection.execute("LISTEN bare_report")
    print(server.sockets[0].getsockname()[1], flush=True)
    async for notice in connection.notifies():
        message = notice.payload.encode()
        for transport in EVERYBODY:
            transport.write(message)


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(main(sys.argv[1]))
