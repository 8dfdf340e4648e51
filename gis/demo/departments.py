"""The departments that incidents of the demo town are sent to."""

from __future__ import annotations

DEPARTMENTS: tuple[tuple[str, str, str, str | None], ...] = (
    ("ZF", "人民政府办公室", "Government Office", None),
    ("ZHZX", "社会治理指挥中心", "Governance Command Centre", "ZF"),
    ("CGJ", "城市管理综合执法局", "Urban Management Bureau", "ZF"),
    ("CGHW", "环境卫生服务中心", "Sanitation Service Centre", "CGJ"),
    ("CGYL", "园林绿化服务中心", "Parks Service Centre", "CGJ"),
    ("ZJJ", "住房和城乡建设局", "Housing and Construction Bureau", "ZF"),
    ("GAJ", "公安局", "Public Security Bureau", "ZF"),
    ("JJDD", "公安局交通警察大队", "Traffic Police", "GAJ"),
    ("XFDD", "消防救援大队", "Fire and Rescue Brigade", "ZF"),
    ("SJJ", "市场监督管理局", "Market Regulation Bureau", "ZF"),
    ("HBJ", "生态环境局", "Ecology and Environment Bureau", "ZF"),
    ("WJJ", "卫生健康局", "Health Bureau", "ZF"),
    ("MZJ", "民政局", "Civil Affairs Bureau", "ZF"),
    ("SFJ", "司法局", "Justice Bureau", "ZF"),
    ("YJJ", "应急管理局", "Emergency Management Bureau", "ZF"),
    ("SWJ", "水务局", "Water Bureau", "ZF"),
    ("JTJ", "交通运输局", "Transport Bureau", "ZF"),
    ("GYGS", "供水供热公司", "Water and Heating Company", "ZJJ"),
    ("GDGS", "供电公司", "Power Supply Company", "ZF"),
)
"""Code, name, English name, code of the one above."""


def office_name(street: str) -> str:
    """Name of a sub-district's office."""
    return f"{street}办事处"
