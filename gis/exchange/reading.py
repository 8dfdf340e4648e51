"""One door for all files: find the format, the layers and the coordinate system, and look at every row."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from gis.crs import Crs, parse, shifted
from gis.errors import InvalidInput, NotFound, UnknownCrs
from gis.exchange import columns, osm, rows, tables, vectors
from gis.findings import Finding, Severity
from gis.town import LAYERS, Town

LIMIT_MB = 512
_UNPACKED_MOST = 20  # times the limit
_PACKED_SUFFIXES = (".zip", ".xlsx", ".xlsm", ".ods")
KNOWN_SUFFIXES = (*osm.SUFFIXES, *vectors.SUFFIXES, *tables.CSV_SUFFIXES, *tables.EXCEL_SUFFIXES)

# Columns that tell a layer whose sheet or file is called nothing in particular; the first that fits.
_TELLTALES: tuple[tuple[str, frozenset[str]], ...] = (
    ("assignments", frozenset({"post", "place"})),
    ("staff", frozenset({"name", "phone"})),
    ("areas", frozenset({"code", "level"})),
    ("buildings", frozenset({"floors"})),
    ("buildings", frozenset({"height_m"})),
    ("buildings", frozenset({"units"})),
    ("compounds", frozenset({"housing_class"})),
    ("barriers", frozenset({"kind", "is_bridge"})),
)


def read_any(
    path: Path | str,
    *,
    crs: str | Crs | None = None,
    layer: str | None = None,
    mapping: Mapping[str, str] | None = None,
    limit_mb: int = LIMIT_MB,
) -> tuple[Town, tuple[Finding, ...]]:
    """Read a file of any known format into a town.

    Parameters
    ----------
    path : Path
        By its ending: OpenStreetMap (.osm, .osm.gz, .osm.pbf), GeoPackage, GeoJSON, Shapefile (also zipped),
        FlatGeobuf, GeoParquet, KML, GML, CSV, Excel.
    crs : str or Crs, optional
        What the coordinates are in (`gis.crs.parse`). Needed where the file does not say it; where it does, the two
        must agree, except that ``gcj02`` and ``bd09`` go before what the file says: files in them call themselves
        WGS 84.
    layer : str, optional
        Which layer of a town the file is; by default found out by the names of file, layers, sheets and columns.
    mapping : mapping of header to column, optional
        Headers that are not known by themselves; ``lon``, ``lat`` and ``wkt`` may be given too.
    limit_mb : int
        Larger files are refused before they are opened.

    Returns
    -------
    Town
        In EPSG:4326; only the rows that can be used.
    tuple of Finding
        What became of the others, and what was repaired, with layer and row.

    Raises
    ------
    NotFound
        ``import.no_file``.
    InvalidInput
        ``import.too_large``, ``import.empty_file``, ``import.unknown_format``, ``import.unreadable_file``,
        ``import.unknown_layer``, ``import.crs_conflict``, ``import.column_missing`` …
    UnknownCrs
        ``crs.unknown``, ``import.crs_missing``.
    """
    source = Path(path)
    check_file(source, limit_mb)
    if layer is not None and layer not in LAYERS:
        found = columns.find_layer(layer)
        if found is None:
            raise InvalidInput("import.unknown_layer", layer=layer, known=list(LAYERS))
        layer = found
    stated = None if crs is None else parse(crs)
    name = source.name.lower()
    if name.endswith(osm.SUFFIXES):
        return osm.read(source)
    sheets, findings = sheets_of(source)
    if not sheets:
        raise InvalidInput("import.empty_file", path=source.name)
    return _town(source, sheets, findings, layer, stated, mapping)


def check_file(path: Path, limit_mb: int = LIMIT_MB) -> None:
    """Refuse a file that is not there, empty, too large, or of no known kind, before it is opened.

    Raises
    ------
    NotFound
        ``import.no_file``.
    InvalidInput
        ``import.empty_file``, ``import.too_large``, ``import.unknown_format``, ``import.unreadable_file``.
    """
    if not path.is_file():
        raise NotFound("import.no_file", path=str(path))
    size = path.stat().st_size
    if size == 0:
        raise InvalidInput("import.empty_file", path=path.name)
    if size > limit_mb * 1_000_000:
        raise InvalidInput("import.too_large", path=path.name, size_mb=size // 1_000_000, limit_mb=limit_mb)
    if not path.name.lower().endswith(KNOWN_SUFFIXES):
        raise InvalidInput("import.unknown_format", path=path.name, known=", ".join(KNOWN_SUFFIXES))
    unpacked_mb = _unpacked_size(path) // 1_000_000
    if unpacked_mb > _UNPACKED_MOST * limit_mb:
        raise InvalidInput("import.too_large", path=path.name, size_mb=unpacked_mb, limit_mb=_UNPACKED_MOST * limit_mb)


def _unpacked_size(path: Path) -> int:
    """What a packed file (workbook, zipped Shapefile) says it unpacks to, in bytes: a small one may be a bomb."""
    if path.suffix.lower() not in _PACKED_SUFFIXES or not zipfile.is_zipfile(path):
        return 0
    try:
        with zipfile.ZipFile(path) as packed:
            return sum(entry.file_size for entry in packed.infolist())
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise InvalidInput("import.unreadable_file", path=path.name, reason=str(error)[:300]) from error


def sheets_of(path: Path) -> tuple[list[vectors.VectorLayer], list[Finding]]:
    """All layers or sheets of a vector file or table: name, rows indexed from 1, stated coordinate system."""
    name = path.name.lower()
    if name.endswith(vectors.SUFFIXES):
        return vectors.read(path), []
    sheets = tables.read_csv(path) if name.endswith(tables.CSV_SUFFIXES) else tables.read_excel(path)
    made = [(title, frame, _stated_in_column(frame)) for title, frame, _ in sheets]
    return made, [found for *_, more in sheets for found in more]


def _stated_in_column(frame: pd.DataFrame) -> Crs | None:
    """The system that a table states in a column of its own, as our exports do; the same in every row."""
    header = columns.find(map(str, frame.columns), ("crs", "坐标系"))
    said = set() if header is None else set(frame[header].dropna().astype(str))
    if len(said) != 1:
        return None
    try:
        return parse(said.pop())
    except UnknownCrs:
        return None


def _town(
    path: Path,
    sheets: list[vectors.VectorLayer],
    findings: list[Finding],
    layer: str | None,
    stated: Crs | None,
    mapping: Mapping[str, str] | None,
) -> tuple[Town, tuple[Finding, ...]]:
    taken: dict[str, list[pd.DataFrame]] = {}
    for title, frame, own in sheets:
        kind = layer or _which_layer(path, title, frame, alone=len(sheets) == 1, mapping=mapping)
        if kind is None:
            findings.append(Finding("import.layer_skipped", Severity.NOTE, title, params={"rows": len(frame)}))
            continue
        crs = agree(stated, own, path.name) if LAYERS[kind].geometry else None
        made, more = rows.take(kind, frame, mapping=mapping, crs=crs, file=path.name)
        taken.setdefault(kind, []).append(made)
        findings += more
    if not taken:
        titles = [title for title, *_ in sheets]
        raise InvalidInput("import.no_known_layer", path=path.name, found=titles, known=list(LAYERS))
    town, more = _together(taken, title=path.name.split(".")[0])
    return town, (*findings, *more)


def _which_layer(
    path: Path, title: str, frame: pd.DataFrame, *, alone: bool, mapping: Mapping[str, str] | None
) -> str | None:
    named = columns.find_layer(title) or (columns.find_layer(path.name.split(".")[0]) if alone else None)
    if named is not None:
        return named
    headers = [str(header) for header in frame.columns if header != "geometry"]
    for layer, wanted in _TELLTALES:
        if wanted <= set(columns.match(layer, headers, mapping=mapping).values()):
            return layer
    return None


def agree(stated: Crs | None, own: Crs | None, file: str) -> Crs | None:
    """The coordinate system to believe, of the one that the user states and the file's own.

    Raises
    ------
    InvalidInput
        ``import.crs_conflict``.
    """
    if stated is None or own is None:
        return stated or own
    if stated.shift is not None:
        return stated if own.is_geographic else shifted(own, stated.shift)
    if (stated.is_wgs84 and own.is_wgs84) or stated.proj.equals(own.proj, ignore_axis_order=True):
        return stated
    raise InvalidInput("import.crs_conflict", path=file, stated=stated.name, own=own.name)


def combine(towns: Iterable[Town]) -> tuple[Town, tuple[Finding, ...]]:
    """One town out of several files: rows of the same layer one after the other, a repeated code left out."""
    listed = list(towns)
    if len(listed) == 1:
        return listed[0], ()
    gathered: dict[str, list[pd.DataFrame]] = {}
    for town in listed:
        for layer in town:
            gathered.setdefault(layer, []).append(town[layer])
    return _together(gathered, title=listed[0].title)


def _together(frames: Mapping[str, list[pd.DataFrame]], *, title: str) -> tuple[Town, tuple[Finding, ...]]:
    layers: dict[str, pd.DataFrame] = {}
    findings: list[Finding] = []
    for layer in LAYERS:
        if layer in frames:
            layers[layer], more = rows.combine(layer, frames[layer])
            findings += more
    return Town(layers, title=title), tuple(findings)
