"""Load on a server by wrk: so many connections that each ask again as soon as they are answered.

Requests are put together before the clock runs and asked in turn. Rates are those of the whole machine where the
server stands on it too; times are those under saturation.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gis.errors import Unavailable

CONNECTIONS = 32
SECONDS = 5.0
_GRACE_S = 30.0

# Runs in wrk's own Lua. What its threads know is told by "done", which sees the sums alone.
_SCRIPT = """
local requests, turn = {}, 0

function init(args)
   for line in io.lines(args[1]) do
      requests[#requests + 1] = wrk.format(nil, line)
   end
   math.randomseed(os.time())
   turn = math.random(#requests)
end

function request()
   turn = turn % #requests + 1
   return requests[turn]
end

function done(summary, latency, rates)
   local e = summary.errors
   io.write(string.format(
      'LOAD {"requests": %d, "duration_us": %d, "p50_us": %f, "p99_us": %f, "bytes": %d, ' ..
      '"refused": %d, "broken": %d}\\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.bytes,
      e.status, e.connect + e.read + e.write + e.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What a server did under load.

    Attributes
    ----------
    per_second : float
        Answers.
    p50_ms, p99_ms : float
    errors : int
        Answers above 399, and connections refused, broken or not answered in time.
    bytes_each : float
        Of an answer with its headers.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int
    bytes_each: float


def measure(
    urls: Sequence[str],
    *,
    connections: int = CONNECTIONS,
    seconds: float = SECONDS,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    body: bytes = b"",
    threads: int = 1,
    rate: float = 0.0,
) -> Load:
    """Ask addresses of one server in turn for some seconds.

    Parameters
    ----------
    rate : float
        Requests a second, about: each connection waits so long between an answer and its next request. 0 asks at once.

    Raises
    ------
    Unavailable
        ``bench.no_wrk``; ``bench.load_failed`` if nothing listens there.
    """
    program = shutil.which("wrk")
    if program is None:
        raise Unavailable("bench.no_wrk")
    first = urlsplit(urls[0])
    with tempfile.TemporaryDirectory(prefix="wangge-load-") as name:
        folder = Path(name)
        (folder / "paths").write_text("\n".join(_asked(url) for url in urls) + "\n", encoding="utf-8")
        lua = _SCRIPT
        if rate:
            lua += f"\nfunction delay() return {1000 * connections / rate:.0f} end\n"
        if method != "GET":
            (folder / "body").write_bytes(body)
            lua = _with_body(method, folder / "body") + lua
        (folder / "load.lua").write_text(lua, encoding="utf-8")
        said = [f"{key}: {value}" for key, value in (headers or {}).items()]
        command = [
            program, f"-t{threads}", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(folder / "load.lua"),
            *(word for one in said for word in ("-H", one)),
            f"{first.scheme}://{first.netloc}", "--", str(folder / "paths"),
        ]  # fmt: skip
        run = subprocess.run(command, capture_output=True, text=True, timeout=seconds + _GRACE_S, check=False)
    line = next((line for line in run.stdout.splitlines() if line.startswith("LOAD ")), None)
    if line is None:
        raise Unavailable("bench.load_failed", url=urls[0], said=(run.stderr or run.stdout).strip()[-200:])
    return _read(json.loads(line.removeprefix("LOAD ")))


def _asked(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def _with_body(method: str, path: Path) -> str:
    return (
        f'wrk.method = "{method}"\n'
        f'local file = io.open("{path}", "rb")\nwrk.body = file:read("*a")\nfile:close()\n'
    )  # fmt: skip


def _read(told: Mapping[str, float]) -> Load:
    answers = max(told["requests"], 1)
    return Load(
        per_second=told["requests"] / (told["duration_us"] / 1e6),
        p50_ms=told["p50_us"] / 1e3,
        p99_ms=told["p99_us"] / 1e3,
        errors=int(told["refused"] + told["broken"]),
        bytes_each=told["bytes"] / answers,
    )
