"""What files call the layers, columns and words of a town: Chinese and English headers, OSM and GIS habits.

To make another header known, add it to the right line here; nothing else knows one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from gis.town import LAYERS

LAYER_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "areas": ("area", "admin_areas", "admin", "boundaries", "行政区划", "行政区", "区划", "镇街", "街道"),
        "communities": ("community", "tracts", "社区", "村社区", "社区边界"),
        "compounds": ("compound", "estates", "residential_areas", "小区", "住宅小区", "院落"),
        "buildings": ("building", "footprints", "houses", "楼栋", "建筑", "建筑物", "房屋", "楼宇"),
        "barriers": ("barrier", "roads", "road", "streets", "highways", "道路", "路网", "界线", "分隔线"),
        "ground": ("landuse", "land_use", "用地", "土地利用", "地类"),
        "pois": ("poi", "points", "places", "兴趣点", "设施", "场所"),
        "departments": ("department", "units", "部门", "单位"),
        "staff": ("people", "officers", "人员", "网格员", "工作人员", "花名册"),
        "assignments": ("assignment", "posts", "duties", "任职", "岗位", "分工", "责任", "任职表"),
    }
)

# In order of preference: of two headers that mean one column the earlier wins.
COLUMN_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "code": ("编码", "代码", "编号", "统一编码", "区划代码", "统计用区划代码", "id", "osm_id", "objectid", "fid"),
        "name": ("名称", "名字", "全称", "name_zh", "name:zh", "title"),
        "name_en": ("英文名", "英文名称", "name:en", "english"),
        "level": ("级别", "层级", "行政级别", "admin_level"),
        "parent": ("上级", "上级编码", "上级代码", "上级区划", "父级", "parent_code", "parent_id"),
        "address": ("地址", "门牌", "门牌号", "详细地址", "addr", "addr:full"),
        "use": ("用途", "使用性质", "建筑用途", "房屋用途", "性质", "building_use", "usage", "building"),
        "floors": ("层数", "楼层数", "总层数", "地上层数", "楼层", "building:levels", "levels", "numfloors", "storeys"),
        "units": ("单元数", "单元", "楼道数", "staircases", "entrances"),
        "height_m": ("高度", "楼高", "建筑高度", "height"),
        "households": ("户数", "总户数", "居民户数", "住户数", "building:flats", "flats", "dwellings", "unitsres"),
        "households_estimated": ("户数为估算", "估算户数标记", "is_estimated", "hh_est"),
        "units_estimated": ("单元数为估算", "单元数为估", "units_est"),
        "compound": ("小区", "小区编码", "小区代码", "所属小区", "小区名称", "compound_code"),
        "community": ("社区", "社区编码", "社区代码", "所属社区", "社区名称", "村社区", "community_code"),
        "housing_class": ("住房类型", "hous_class", "小区类型", "房屋类型", "住房性质"),
        "is_walled": ("封闭", "是否封闭", "围墙", "有围墙", "walled", "gated"),
        "kind": ("类型", "类别", "种类", "等级", "道路等级", "highway", "fclass", "class", "type"),
        "is_bridge": ("桥", "桥梁", "是否桥梁", "bridge"),
        "phone": ("电话", "手机", "手机号", "手机号码", "联系电话", "联系方式", "mobile", "tel", "telephone"),
        "department": ("部门", "单位", "所属部门", "工作单位", "部门编码", "department_code"),
        "area": ("区域", "辖区", "行政区划", "所属区划", "区划代码", "area_code"),
        "staff": ("人员", "人员编码", "人员编号", "工号", "网格员编码", "staff_code"),
        "post": ("岗位", "职务", "角色", "岗位编码", "position", "role"),
        "place": ("网格", "网格编码", "网格代码", "责任网格", "负责网格", "管辖范围", "责任区", "grid", "grid_code"),
        "valid_from": ("生效日期", "开始日期", "起始日期", "任职日期", "上岗日期", "from", "since", "start"),
        "valid_to": ("失效日期", "结束日期", "终止日期", "离岗日期", "until", "end"),
    }
)

# What a header means in one layer only, before the general names.
_LAYER_COLUMN_NAMES: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "areas": {"code": ("区划代码",), "name": ("区划名称",)},
        "communities": {"code": ("社区编码", "社区代码", "区划代码"), "name": ("社区名称", "社区")},
        "compounds": {"code": ("小区编码", "小区代码"), "name": ("小区名称", "小区")},
        "buildings": {"code": ("楼栋编码", "楼栋代码", "楼栋号", "楼号"), "name": ("楼栋名称", "楼名", "楼栋")},
        "departments": {"code": ("部门编码", "部门代码"), "name": ("部门名称", "单位名称", "部门", "单位")},
        "staff": {"code": ("工号", "人员编码", "人员编号"), "name": ("姓名", "人员")},
        "assignments": {"staff": ("工号", "人员编码", "人员编号", "姓名"), "place": ("楼栋", "楼栋编码", "社区编码")},
    }
)

LON_NAMES = ("lon", "lng", "long", "longitude", "经度", "东经", "x", "x坐标", "横坐标", "中心经度")
LAT_NAMES = ("lat", "latitude", "纬度", "北纬", "y", "y坐标", "纵坐标", "中心纬度")
WKT_NAMES = ("wkt", "geometry", "geom", "the_geom", "shape", "几何", "空间位置", "坐标串", "边界")

_YES = ("1", "true", "t", "yes", "y", "是", "有", "对", "真", "viaduct", "封闭")
_NO = ("0", "false", "f", "no", "n", "否", "无", "没有", "假", "开放", "不封闭")
FLAG_WORDS: Mapping[str, bool] = MappingProxyType({**dict.fromkeys(_YES, True), **dict.fromkeys(_NO, False)})


def _words(**lists: str) -> Mapping[str, str]:
    return MappingProxyType({word: choice for choice, words in lists.items() for word in words.split()})


CHOICE_WORDS: Mapping[tuple[str, str], Mapping[str, str]] = MappingProxyType(
    {
        ("areas", "level"): _words(
            city="市 地市 地级市 设区市 prefecture 5",
            county="区 县 区县 县区 县级市 县级 district 6",
            street="镇街 街道 镇 乡 乡镇 街镇 town township subdistrict 8",
        ),
        ("compounds", "housing_class"): _words(
            commodity="商品房",
            reformed="房改房",
            public="公房 公租房",
            affordable="保障房 经济适用房 安置房 还建房",
            collective="集资房",
            unknown="未知 不详 其他",
        ),
        ("buildings", "use"): _words(
            residential="住宅 居住 居民楼 住宅楼 民居 apartments house detached terrace dormitory semidetached_house "
            "bungalow hut cabin farm static_caravan houseboat semi ger",
            mixed="商住 商住楼 综合 商住两用 底商住宅 mixed_use",
            commercial="商业 商铺 商场 酒店 retail hotel supermarket kiosk shop",
            office="办公 写字楼 办公楼",
            industrial="工业 厂房 仓库 warehouse factory manufacture",
            school="学校 教育 教学楼 幼儿园 kindergarten university college",
            hospital="医院 医疗 卫生院 clinic",
            market="市场 集贸市场 农贸市场 marketplace",
            public="公共 公共建筑 政府 行政 government civic church mosque temple cathedral chapel train_station "
            "museum library sports_centre stadium fire_station",
            other="其他 其它 附属 车库 garage garages shed roof carport service construction ruins greenhouse parking "
            "transformer_tower toilets barn yes",
        ),
        ("barriers", "kind"): _words(
            arterial="主干道 主干路 快速路 高速公路 motorway trunk primary motorway_link trunk_link primary_link",
            secondary="次干道 次干路 secondary tertiary secondary_link tertiary_link",
            minor="支路 小路 街巷 巷 residential unclassified living_street road service pedestrian footway path",
            river="河流 河 水系 河道 canal stream",
            rail="铁路 铁道 轨道 railway light_rail",
            wall="围墙 围栏 墙 fence hedge",
        ),
        ("ground", "kind"): _words(
            water="水域 水面 水体 河流水面 湖泊",
            green="绿地 公园 林地 草地 park forest grass wood garden meadow",
            farmland="农田 耕地 菜地 farm",
            square="广场 plaza",
            industrial="工业用地 工业",
            residential="住宅用地 居住用地 居住",
            other="其他 其它 空地",
        ),
        ("pois", "kind"): _words(
            gate="大门 出入口 门 小区门",
            bridge="桥 桥梁",
            school="学校 幼儿园 kindergarten",
            hospital="医院 诊所 卫生服务站 clinic",
            market="市场 菜市场 marketplace",
            station="车站 地铁站",
            service="服务站 党群服务站 党群服务中心 网格驿站",
            police="派出所 警务室",
            fire="消防站 微型消防站 fire_station",
            elderly="养老院 养老服务站 nursing_home",
            park="公园",
            other="其他 其它",
        ),
    }
)


def plain(header: object) -> str:
    """A header without case, width, spaces, punctuation and bracketed units.

    Examples
    --------
    >>> plain(" 层数（层） "), plain("Building:Levels"), plain("ｗｋｔ")
    ('层数', 'buildinglevels', 'wkt')
    """
    text = unicodedata.normalize("NFKC", str(header)).strip().lower()
    text = re.sub(r"[(\[【].*?[)\]】]", "", text)
    return re.sub(r"[\s_\-:.*]", "", text)


def find_layer(name: str) -> str | None:
    """The layer of a town that a file's layer, sheet or file name means, if any.

    Examples
    --------
    >>> find_layer("Buildings_2026"), find_layer("小区"), find_layer("x")
    ('buildings', 'compounds', None)
    """
    word = plain(name)
    for layer, names in LAYER_NAMES.items():
        if word == layer or word in map(plain, names):
            return layer
    for layer, names in LAYER_NAMES.items():
        if any(re.fullmatch(rf"{re.escape(plain(n))}[\dv]*", word) for n in (layer, *names)):
            return layer
    return None


def match(layer: str, headers: Iterable[str], *, mapping: Mapping[str, str] | None = None) -> dict[str, str]:
    """Find which header of a file stands for which column of a layer.

    Parameters
    ----------
    layer : str
        One of `gis.town.LAYERS`.
    headers : iterable of str
    mapping : mapping of header to column, optional
        What the caller says; goes before everything.

    Returns
    -------
    dict of header to column
        At most one header for a column.

    Examples
    --------
    >>> match("buildings", ["楼栋编码", "户数", "fid"])
    {'楼栋编码': 'code', '户数': 'households'}
    """
    said = {plain(header): column for header, column in (mapping or {}).items()}
    by_plain: dict[str, str] = {}
    for header in headers:
        by_plain.setdefault(plain(header), header)
    found: dict[str, str] = {by_plain[word]: column for word, column in said.items() if word in by_plain}
    for column in LAYERS[layer].columns:
        if column in found.values():
            continue
        special = _LAYER_COLUMN_NAMES.get(layer, {}).get(column, ())
        for name in (column, *special, *COLUMN_NAMES.get(column, ())):
            candidate = by_plain.get(plain(name))
            if candidate is not None and candidate not in found:
                found[candidate] = column
                break
    return found


def find(headers: Iterable[str], names: Iterable[str]) -> str | None:
    """The first header that is one of the names."""
    by_plain = {plain(header): header for header in headers}
    return next((by_plain[plain(name)] for name in names if name and plain(name) in by_plain), None)
