"""Street and house number of a plot: 迎宾路12号."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import shapely

from gis.demo.land import nearest_edges
from gis.demo.streets import Network

_RANK = {"arterial": 0, "secondary": 1, "minor": 2}


class Addresses:
    """Gives out house numbers: even on one side of a street, odd on the other, none twice."""

    def __init__(self, network: Network, street_names: Sequence[str]) -> None:
        self._tree, self._edges = nearest_edges(network)
        self._names = street_names
        self._last: dict[tuple[str, int], int] = defaultdict(int)

    def of(self, shape: shapely.Geometry) -> str:
        """The next free number on the weightiest street that a plot lies at."""
        near = self._tree.query(shape, predicate="dwithin", distance=30.0)
        if not len(near):
            near = self._tree.query_nearest(shape)
        edge = min(
            (self._edges[i] for i in sorted(near.tolist())),
            key=lambda edge: (_RANK[edge.kind], round(edge.line.distance(shape), 1)),
        )
        name = self._names[edge.street]
        middle = shape.centroid
        (x0, y0), (x1, y1) = edge.line.coords[0], edge.line.coords[-1]
        if x1 + 0.3 * y1 < x0 + 0.3 * y0:
            x0, y0, x1, y1 = x1, y1, x0, y0
        side = int((x1 - x0) * (middle.y - y0) - (y1 - y0) * (middle.x - x0) > 0)
        self._last[name, side] += 4 if edge.kind == "minor" else 6
        return f"{name}{self._last[name, side] + side}号"
