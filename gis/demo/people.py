"""Made-up people for every post of a division, and for the departments.

Telephone numbers all begin with 138 0000, so that nobody takes them for real ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from gis.demo.warp import stream
from gis.division import Division
from gis.rule_set import Post, Tier
from gis.town import AREA_LEVELS, Town, conform

_FAMILY = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾"
    "丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤"
    "尹黎易常武乔贺赖龚文"
)
_GIVEN = (
    "伟芳娜敏静丽强磊洋艳勇军杰娟涛明超霞平刚桂文辉力健俊玲燕红春梅晶宇浩凯晨旭雪琳欣怡佳慧颖倩"
    "婷雯博鑫鹏飞斌峰亮波宁龙志国建华海东成忠义林森淑兰凤英秀珍玉华"
)
HANDLERS = 3
"""People of each department who take on incidents."""


@dataclass
class _Roster:
    """People and posts as they are being found. Only `staff_for` uses it."""

    rng: np.random.Generator
    staff: list[dict[str, Any]] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)

    def person(self, department: str | None) -> str:
        """A new person; gives the code."""
        number = len(self.staff) + 1
        given = "".join(self.rng.choice(list(_GIVEN), size=int(self.rng.choice([1, 2], p=[0.3, 0.7]))))
        name = f"{_FAMILY[int(len(_FAMILY) * self.rng.random() ** 1.8)]}{given}"
        self.staff.append(
            {"code": f"W{number:05d}", "name": name, "phone": f"1380000{number % 10_000:04d}", "department": department}
        )
        return f"W{number:05d}"

    def hold(self, person: str, post: Post, place: str) -> None:
        self.posts.append({"staff": person, "post": post.code, "place": place})


def staff_for(town: Town, division: Division, *, seed: int = 1) -> Town:
    """Find people for every post that the rules of a division demand, and handlers for the departments.

    Parameters
    ----------
    town : Town
        With areas and departments.
    division : Division
        Its cells' codes and its areas' codes become the places of the posts.
    seed : int

    Returns
    -------
    Town
        The same town with the layers ``staff`` and ``assignments``. An officer has one grid; a leader of micro-grids
        or buildings has one or two that lie next to each other in code and in the same cell above.
    """
    roster = _Roster(stream(seed, 20))
    offices = _offices(town)
    for department in town["departments"]["code"]:
        for _ in range(HANDLERS):
            roster.person(str(department))
    for tier, places in _places(town, division):
        for post in tier.posts:
            _fill(roster, tier, post, places, offices)
    return town.with_layers(
        staff=conform("staff", pd.DataFrame(roster.staff)),
        assignments=conform("assignments", pd.DataFrame(roster.posts, columns=["staff", "post", "place"])),
    )


def _places(town: Town, division: Division) -> Iterator[tuple[Tier, list[tuple[str, str]]]]:
    """Each tier with its places: (code, code of the place above). Area tiers are the lowest levels of the tree."""
    areas = town["areas"]
    levels = {level: areas[areas["level"] == level] for level in AREA_LEVELS[:-1]} | {"community": town["communities"]}
    area_tiers = [tier for tier in division.rules.tiers if tier.kind == "area"]
    for tier, level in zip(area_tiers, AREA_LEVELS[-len(area_tiers) :] if area_tiers else (), strict=False):
        frame = levels[level]
        yield tier, [(str(code), str(above)) for code, above in zip(frame["code"], frame["parent"], strict=True)]
    for tier, cells in zip(division.rules.grid_tiers, division.cells, strict=True):
        above = cells["parent"].where(cells["parent"].notna(), cells["community"])
        yield tier, sorted(zip(cells["code"].astype(str), above.astype(str), strict=True))


def _fill(
    roster: _Roster, tier: Tier, post: Post, places: Sequence[tuple[str, str]], offices: Mapping[str, str]
) -> None:
    """Hold a post at all places of a tier as often as the rules demand."""
    for _ in range(post.holders_min):
        last, above_last, more = "", "", False
        for place, above in places:
            if tier.kind == "micro_grid" and more and above == above_last:
                roster.hold(last, post, place)
                more = False
                continue
            last = roster.person(offices.get(place[:9]))
            roster.hold(last, post, place)
            above_last, more = above, bool(roster.rng.random() < 0.4)


def _offices(town: Town) -> dict[str, str]:
    """Office of each sub-district by the first nine digits of its codes."""
    departments = town["departments"]
    return {
        str(area): str(code)
        for area, code in zip(departments["area"], departments["code"], strict=True)
        if pd.notna(area) and len(str(area)) == 9
    }
