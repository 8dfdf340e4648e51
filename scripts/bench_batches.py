"""``wangge bench online --points``: ten thousand points in one request, as JSON, as an Arrow stream, as doubles."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scripts import bench_servers
from scripts.bench_coverage import uniform_points
from scripts.bench_database import BenchDatabase
from scripts.bench_online import AT, owners
from scripts.load import Load, measure
from scripts.program import Program

POINTS = 10_000
CONNECTIONS = 4
JSON, ARROW, PAIRS = "application/json", "application/vnd.apache.arrow.stream", "application/octet-stream"
AIMS = {"json": 3e6, "arrow": 15e6, "pairs": 15e6}

Points = NDArray[np.float64]


def measured(program: Program, town: BenchDatabase, *, seconds: float) -> dict[str, Any]:
    """Points a second in each form, over few connections, twice in opposite orders (the better counts).

    Every point is compared with shapely.
    """
    points = uniform_points(town.coverage, POINTS)
    wanted = owners(town, points)
    forms: dict[str, tuple[str, bytes, Callable[[bytes], NDArray[np.int64]]]] = {
        "json": (JSON, json.dumps({"points": points.tolist()}).encode(), _cells_of_json),
        "arrow": (ARROW, _stream(points), _cells_of_arrow),
        "pairs": (PAIRS, points.astype("<f8").tobytes(), _cells_of_arrow),
    }
    cases = list(product(forms.items(), ("", "?brief=true")))
    loads: dict[str, Load] = {}
    rows: dict[str, Any] = {}
    with bench_servers.running("ours", town.url, program.settings.home) as address:
        for (name, (kind, body, read)), asked in (*cases, *reversed(cases)):
            headers = {"Content-Type": kind, "Cookie": f"wangge_session={town.tokens['all']}"}
            wrong = int((read(_asked(address + AT + asked, headers, body)) != wanted).sum())
            load = measure(
                [address + AT + asked],
                seconds=seconds,
                headers=headers,
                method="POST",
                body=body,
                connections=CONNECTIONS,
            )
            row = name + (" brief" if asked else "")
            wrong = max(wrong, rows[row]["disagreements"] if row in rows else 0)
            load = loads[row] = max(load, loads.get(row, load), key=lambda one: one.per_second)
            rows[row] = asdict(load) | {
                "points_per_second": load.per_second * POINTS, "aim": AIMS[name], "disagreements": wrong,
                "points_compared": POINTS,
            }  # fmt: skip
    return {"grids": len(town.coverage.grids), "points": POINTS, "connections": CONNECTIONS, "batches": rows}


def _stream(points: Points) -> bytes:
    table = pa.table({"lon": points[:, 0], "lat": points[:, 1]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def _asked(address: str, headers: dict[str, str], body: bytes) -> bytes:
    server, at = urlsplit(address).netloc, address.partition("://")[2].partition("/")[2]
    with closing(http.client.HTTPConnection(server, timeout=60)) as connection:
        while True:  # the index may still be loading
            connection.request("POST", f"/{at}", body=body, headers=headers)
            response = connection.getresponse()
            found = response.read()
            if response.status != 503:
                return found


def _cells_of_json(body: bytes) -> NDArray[np.int64]:
    told = json.loads(body)
    ids = np.array([one["cell"] or 0 for one in told["cells"]] + [0], dtype=np.int64)
    found: NDArray[np.int64] = ids[np.array(told["cell"])]
    return found


def _cells_of_arrow(body: bytes) -> NDArray[np.int64]:
    with pa.ipc.open_stream(body) as reader:
        column = reader.read_all()["cell"].combine_chunks()
    return np.array([0 if one is None else one for one in column.to_pylist()], dtype=np.int64)
