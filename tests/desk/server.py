"""The service as a process that can be killed and is there again at once: what is loaded is loaded once.

The parent imports everything and holds the listening socket; each child serves on it. A child that is killed is
followed by another, and who comes meanwhile waits in the socket's line. Prints the port, then each child's pid.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import uvicorn

from api.app import create_app
from gis import spelling
from gis.settings import Settings


def main(url: str, dist: str) -> None:
    """Serve until the parent is ended."""
    spelling.warm()
    listening = socket.create_server(("127.0.0.1", 0), backlog=100)
    print(listening.getsockname()[1], flush=True)
    while True:
        child = os.fork()
        if child == 0:
            app = create_app(Settings(web_dist=Path(dist)), url=url)
            config = uvicorn.Config(app, log_level="error", access_log=False)
            uvicorn.Server(config).run(sockets=[listening])
            os._exit(0)
        print(child, flush=True)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
