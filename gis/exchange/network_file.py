"""Line networks out of files: the cells of one department, from any vector file or table with outlines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import geopandas as gpd
import numpy as np
import pandas as pd

from gis.crs import WGS84_CODE, Crs, parse
from gis.errors import InvalidInput, UnknownCrs
from gis.exchange import columns
from gis.exchange.places import place
from gis.exchange.reading import agree, check_file, sheets_of
from gis.exchange.rows import geometries_of
from gis.exchange.vectors import VectorLayer
from gis.findings import Finding
from gis.partition.networks import Network

COLUMN_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "code": ("code", "网格编码", "网格代码", "网格编号", "网格号", "grid_code", *columns.COLUMN_NAMES["code"]),
        "name": ("name", "网格名称", "网格名", "网格", *columns.COLUMN_NAMES["name"]),
        "households": ("households", *columns.COLUMN_NAMES["households"]),
        "people": ("people", "人口", "人数", "总人口", "常住人口", "实有人口", "population"),
        "responsible": (
            "responsible", "负责人", "责任人", "网格长", "网格员", "专职网格员", "姓名", "officer", "person", "owner",
        ),
    }
)  # fmt: skip
"""What files call the columns of a network; of two headers that mean one column the earlier wins."""


def read(
    path: Path | str, name: str, *, layer: str | None = None, crs: str | Crs | None = None
) -> tuple[Network, tuple[Finding, ...]]:
    """Read the cells of a network.

    Parameters
    ----------
    path : Path
        Any format of `gis.exchange.read_any` but OpenStreetMap; in a table the outline is a column of WKT.
    name : str
        What the network is called; its code too.
    layer : str, optional
        Layer or sheet; needed where the file has several.
    crs : str or Crs, optional
        As for `gis.exchange.read_any`.

    Returns
    -------
    Network
        As the file has it, in EPSG:4326; `gis.partition.networks.tidy` repairs its rows.
    tuple of Finding
        Rows whose place cannot be.

    Raises
    ------
    NotFound, InvalidInput, UnknownCrs
        As `gis.exchange.read_any`; ``merge.no_such_layer``, ``merge.several_layers``, ``merge.no_outlines``.
    """
    source = Path(path)
    check_file(source)
    sheets, findings = _sheets(source)
    title, raw, own = _chosen(sheets, layer, source)
    headers = [str(header) for header in raw.columns if header != "geometry"]
    shapes = geometries_of(raw, {})
    if shapes is None or not len(raw):
        raise InvalidInput("merge.no_outlines", path=source.name, layer=title, headers=headers)
    system = agree(None if crs is None else parse(crs), own, source.name)
    if system is None:
        raise UnknownCrs("import.crs_missing", file=source.name, layer=title)
    found = {column: columns.find(headers, names) for column, names in COLUMN_NAMES.items()}
    data = pd.DataFrame({c: raw[h] if h else pd.Series(None, index=raw.index, dtype=object) for c, h in found.items()})
    data["code"] = data["code"].map(_word)
    codes = [None if pd.isna(code) else str(code) for code in data["code"]]
    try:
        placed = place(
            np.asarray(shapes, dtype=object), "communities", raw.index.to_numpy(dtype=np.int64), codes, system
        )
    except InvalidInput as error:
        if error.code != "import.all_outside_crs":
            raise
        raise InvalidInput("merge.outside_crs", **{**error.params, "network": name, "path": source.name}) from error
    data.index = raw.index - 1
    frame = gpd.GeoDataFrame(data, geometry=gpd.GeoSeries(placed.geometries_wgs84, index=data.index, crs=WGS84_CODE))
    told = (*findings, *(replace(finding, layer=name) for finding in placed.findings))
    kept = frame[placed.is_kept]
    if not len(kept):
        raise InvalidInput("merge.empty_network", network=name)
    return Network(name, name, gpd.GeoDataFrame(kept)), told


def _sheets(source: Path) -> tuple[list[VectorLayer], list[Finding]]:
    from gis.exchange import osm

    if source.name.lower().endswith(osm.SUFFIXES):
        raise InvalidInput("merge.no_outlines", path=source.name, layer=source.name, headers=[])
    return sheets_of(source)


def _chosen(sheets: list[VectorLayer], layer: str | None, source: Path) -> VectorLayer:
    titles = [title for title, *_ in sheets]
    if layer is not None:
        for sheet in sheets:
            if sheet[0] == layer:
                return sheet
        raise InvalidInput("merge.no_such_layer", path=source.name, layer=layer, found=titles)
    with_shapes = [sheet for sheet in sheets if len(sheet[1]) and geometries_of(sheet[1], {}) is not None]
    if len(with_shapes) > 1:
        raise InvalidInput("merge.several_layers", path=source.name, found=[title for title, *_ in with_shapes])
    if not sheets:
        raise InvalidInput("import.empty_file", path=source.name)
    return with_shapes[0] if with_shapes else sheets[0]


def _word(value: object) -> str | None:
    """A code as text: a spreadsheet's 12.0 is 12."""
    if value is None or (not isinstance(value, str) and bool(pd.isna(value))):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None
