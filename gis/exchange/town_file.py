"""A town as one GeoPackage: a layer for each of `gis.town.LAYERS`, all in EPSG:4326.

This is the format between the demo generator, the partitioner and the import. Reading trusts the file's rows: rows of
strangers come in through `gis.exchange.read_any`, which looks at each of them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from pyarrow import ArrowException
from pyogrio.errors import DataLayerError, DataSourceError
from shapely.errors import ShapelyError

from gis.crs import WGS84_CODE, to_wgs84
from gis.errors import InvalidInput, NotFound, Unavailable
from gis.exchange.columns import find_layer, match
from gis.town import LAYERS, Town, conform, empty

# What readers raise at damaged bytes: ValueError is also for text that is not UTF-8, RuntimeError for PROJ and osmium.
_READER_ERRORS = (
    DataSourceError,
    DataLayerError,
    ArrowException,
    ShapelyError,
    RuntimeError,
    OSError,
    ValueError,
    KeyError,
)

_GEOMETRY_TYPES = {"polygon": "MultiPolygon", "line": "LineString", "point": "Point", None: None}


def read(path: Path | str) -> Town:
    """Read a town file, or any GeoPackage with some of its layers (names and headers as `gis.exchange.columns`).

    Raises
    ------
    NotFound
        ``import.no_file``.
    InvalidInput
        ``import.unreadable_file`` if it is no GeoPackage or truncated; ``import.no_known_layer``.
    UnknownCrs
        ``crs.missing`` if a layer does not say its coordinate system.
    """
    source = Path(path)
    frames: dict[str, pd.DataFrame] = {}
    for name in layer_names(source):
        layer = find_layer(name)
        if layer is not None and layer not in frames:
            frames[layer] = _read_layer(source, name, layer)
    if not frames:
        raise InvalidInput("import.no_known_layer", path=source.name, found=layer_names(source), known=list(LAYERS))
    return Town({name: frames[name] for name in LAYERS if name in frames}, title=source.stem)


def layer_names(path: Path) -> list[str]:
    """Names of the layers of a vector file, in its order.

    Raises
    ------
    NotFound
        ``import.no_file``.
    InvalidInput
        ``import.unreadable_file``.
    """
    if not path.is_file():
        raise NotFound("import.no_file", path=str(path))
    with readable(path):
        return [str(name) for name in pyogrio.list_layers(path)[:, 0]]


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what GDAL, osmium, PROJ and pyarrow say about a broken file into an error for people."""
    try:
        yield
    except _READER_ERRORS as error:
        raise InvalidInput("import.unreadable_file", path=path.name, reason=str(error)[:300]) from error


def _read_layer(path: Path, name: str, layer: str) -> pd.DataFrame:
    with readable(path):
        frame = pyogrio.read_dataframe(path, layer=name)
    renamed = frame.rename(columns=match(layer, [str(column) for column in frame.columns if column != "geometry"]))
    if LAYERS[layer].geometry is None:
        return conform(layer, pd.DataFrame(renamed))
    if isinstance(frame, gpd.GeoDataFrame):
        renamed = to_wgs84(renamed.set_geometry(frame.geometry))
    return conform(layer, renamed)


def write(town: Town, path: Path | str) -> None:
    """Write a town into a GeoPackage; what was there is replaced whole, or not at all.

    Raises
    ------
    Unavailable
        ``import.cannot_write`` if the folder or the disk refuses.
    """
    target = Path(path)
    with replacing(target) as temporary:
        for name in LAYERS:
            if name in town.layers:
                _write_layer(town.layers[name], name, temporary)
        if not any(name in town.layers for name in LAYERS):
            _write_layer(empty("communities"), "communities", temporary)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary file beside the target that takes its place once all is written.

    A file that is marked read-only is not replaced, though the folder (and root) would let it.

    Raises
    ------
    Unavailable
        ``import.cannot_write``.
    """
    if target.exists() and not target.stat().st_mode & 0o222:
        raise Unavailable("import.cannot_write", path=str(target), reason="read-only")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.stem}-") as folder:
            temporary = Path(folder) / target.name
            yield temporary
            os.replace(temporary, target)
    except (OSError, DataSourceError) as error:
        raise Unavailable("import.cannot_write", path=str(target), reason=str(error)[:300]) from error


def _write_layer(frame: pd.DataFrame, name: str, path: Path) -> None:
    kind = LAYERS[name].geometry
    data = conform(name, frame).reset_index(drop=True)
    for column, spec in LAYERS[name].columns.items():
        if spec.kind == "flag":
            data[column] = data[column].astype("boolean")
    if kind is None:
        pyogrio.write_dataframe(data, path, layer=name, driver="GPKG", append=path.exists())
        return
    assert isinstance(data, gpd.GeoDataFrame)
    geometry = data.geometry.to_numpy()
    # Parts of a line are lines of their own for nobody: a layer with both kinds says so.
    multi = kind == "line" and bool(np.any(shapely.get_type_id(geometry) == 5))
    pyogrio.write_dataframe(
        data.set_crs(WGS84_CODE, allow_override=True),
        path,
        layer=name,
        driver="GPKG",
        append=path.exists(),
        geometry_type="MultiLineString" if multi else _GEOMETRY_TYPES[kind],
        promote_to_multi=kind == "polygon" or multi,
    )
