"""The columns that tagging adds, and the words in them: one set, in Chinese and in English."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

NONE, INSIDE, BORDER, NEAREST = 0, 1, 2, 3
HOW: Final = ("none", "inside", "border", "nearest")

REASONS: Final = (
    "",
    "no_coordinates",
    "unreadable_coordinates",
    "broken_row",
    "bad_coordinates",
    "default_point",
    "outside",
    "no_plan_in_force",
    "unknown_address",
)
"""Why a row has no cell. The first four are what reading finds (`chunk.Chunk.state`)."""

NO_COORDINATES, UNREADABLE, BROKEN, BAD, DEFAULT_POINT, OUTSIDE, NO_PLAN, UNKNOWN_ADDRESS = range(1, len(REASONS))

HINTS: Final = ("", "axes_swapped", "needs_floor", "address_approximate")
"""What else is to be said of a row: it would lie in the area with its axes swapped; cells of a stack lie over one
another there, and only the floor chooses; the address was merely alike."""

SWAPPED, NEEDS_FLOOR, APPROXIMATE = 1, 2, 3

OWN: Final = ("how", "distance_m", "flags", "lon_wgs84", "lat_wgs84", "beside_code")
"""Columns that differ from row to row."""

OF_CELL: Final = (
    "micro_grid_code", "micro_grid_name", "grid_code", "grid_name", "community_code", "community_name",
    "street_code", "street_name", "people", "phones", "plan_version",
)  # fmt: skip
"""Columns that depend on the cell alone."""

COLUMNS: Final = (*OWN, *OF_CELL)

_HEADERS_ZH: Mapping[str, str] = MappingProxyType(
    {
        "how": "定位结果",
        "distance_m": "距网格米数",
        "flags": "定位说明",
        "lon_wgs84": "经度_WGS84",
        "lat_wgs84": "纬度_WGS84",
        "beside_code": "相邻微网格编码",
        "micro_grid_code": "微网格编码",
        "micro_grid_name": "微网格名称",
        "grid_code": "网格编码",
        "grid_name": "网格名称",
        "community_code": "社区编码",
        "community_name": "社区名称",
        "street_code": "镇街编码",
        "street_name": "镇街名称",
        "people": "责任人",
        "phones": "责任人电话",
        "plan_version": "网格方案",
    }
)

_WORDS_ZH: Mapping[str, str] = MappingProxyType(
    {
        "inside": "网格内",
        "border": "近边界",
        "nearest": "最近网格",
        "none": "未定位",
        "no_coordinates": "无坐标",
        "unreadable_coordinates": "坐标无法读取",
        "broken_row": "行损坏",
        "bad_coordinates": "坐标无效",
        "default_point": "默认点堆积",
        "outside": "范围外",
        "no_plan_in_force": "无生效方案",
        "unknown_address": "地址未找到",
        "axes_swapped": "经纬度疑似颠倒",
        "needs_floor": "需楼层确定",
        "address_approximate": "地址近似匹配",
    }
)


def word(code: str, language: str) -> str:
    """A word of the columns ``how`` and ``flags``; in English the code itself, as the API has it."""
    return _WORDS_ZH.get(code, code) if language == "zh" else code


def headers(names: Iterable[str], taken: Iterable[str], language: str) -> dict[str, str]:
    """Headers of added columns; one that the file has already gets a number.

    Examples
    --------
    >>> headers(["how", "grid_code"], ["ID", "Grid_Code"], "en")
    {'how': 'how', 'grid_code': 'grid_code_2'}
    """
    used = {name.casefold() for name in taken}
    found: dict[str, str] = {}
    for name in names:
        wanted = _HEADERS_ZH[name] if language == "zh" else name
        header, number = wanted, 1
        while header.casefold() in used:
            number += 1
            header = f"{wanted}_{number}"
        used.add(header.casefold())
        found[name] = header
    return found
