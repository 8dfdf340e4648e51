"""Chinese addresses taken apart: areas, road and house number, compound, building, unit, floor and room.

Written forms differ (3栋, 三幢, 3号楼, 3#, ３座; 2单元502, 2-502; road first or compound first); what they say is one
value. Nothing here knows which names exist: `gis.search` decides between readings by what it finds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from gis.spelling import simplified

LIMIT = 200
"""Characters that are read; no address is longer."""


@dataclass(frozen=True, slots=True)
class Address:
    """What an address says; ``None`` where it says nothing.

    Attributes
    ----------
    areas : tuple of str
        Province, city, county, street and community as written, from the top.
    road, house : str or None
        锦江路, and 12 of 12号 or 88 of 88弄.
    place : str or None
        The compound, village or institution.
    building : str or None
        3 of 3栋, 3幢, 3号楼, 3#; ``a`` of A座.
    unit, floor : int or None
        The floor of a room is its number without the last two digits.
    room : str or None
    names : tuple of (str, str or None)
        All names in their order, areas left out, each with the number that follows it.
    words : str
        Everything but unit, floor and room, as letters and digits.
    """

    areas: tuple[str, ...] = ()
    road: str | None = None
    house: str | None = None
    place: str | None = None
    building: str | None = None
    unit: int | None = None
    floor: int | None = None
    room: str | None = None
    names: tuple[tuple[str, str | None], ...] = ()
    words: str = ""

    @property
    def has_number(self) -> bool:
        """Whether it says more than names."""
        return self.building is not None or self.house is not None


_DIGIT = {digit: value for value, digit in enumerate("零一二三四五六七八九")}
_MARK = r"号楼|号院|号室|号房|号|弄|#楼|#|栋楼|栋|幢|座|单元|层|楼(?![盘宇上下前后])|室|房(?!产)|户|梯"
_NUMERAL = re.compile(rf"第?([零一二三四五六七八九十百]+)(?={_MARK}|门(?=[\d零一二三四五六七八九十]))")
_LAST_NUMERAL = re.compile(r"(?:(?<=单元)|(?<=[栋幢座层#]))([零一二三四五六七八九]{3,4})$")
_ENGLISH = (
    (re.compile(r"(\d+)\s*unit\b"), r"\1单元"),
    (re.compile(r"\b(?:unit)\.?\s*(\d+)"), r"\1单元"),
    (re.compile(r"\b(?:building|bldg|block)\.?\s*(\d+|[a-z])\b"), r"\1栋"),
    (re.compile(r"\b(?:floor|level)\.?\s*(\d+)"), r"\1层"),
    (re.compile(r"\b(\d+)(?:st|nd|rd|th)\s+floor"), r"\1层"),
    (re.compile(r"\b(?:room|rm)\.?\s*(\d+)"), r"\1室"),
    (re.compile(r"\bno\.?\s*(\d+)"), r"\1号"),
)
# 3dong2danyuan502shi, as typed without a Chinese keyboard.
_TYPED = (
    (re.compile(r"(?<=\d)\s*haolou(?![a-z])"), "号楼"),
    (re.compile(r"(?<=\d)\s*dong(?![a-z])"), "栋"),
    (re.compile(r"(?<=\d)\s*(?:danyuan|dy)(?![a-z])"), "单元"),
    (re.compile(r"(?<=\d)\s*hao(?![a-z])"), "号"),
    (re.compile(r"(?<=\d)\s*shi(?![a-z])"), "室"),
)
_DASHES = re.compile(r"[‐‑‒–—―−~/\\_]")
_BETWEEN_NUMBERS = re.compile(r"(?<=[0-9])[\s,，、;；.。]+(?=[0-9])")
_NOISE = re.compile(r"[^0-9a-z#\-\u3400-\u9fff\U00020000-\U000323af]+")
_STARTS = r"第?(?:(?<![a-z])[a-z])?\d{1,6}(?![\d区期组队片里路街巷条厂中小村])"

_TOKEN = re.compile(
    rf"(?={_STARTS})第?(?P<number>[a-z]?\d{{1,6}}(?:[a-z甲乙丙丁](?![a-z]))?(?:-\d{{1,5}}[a-z]?)*)(?P<mark>{_MARK}|门(?=\d|$)|f(?![a-z]))?"
    r"|(?<![a-z])(?P<letter>[a-z])(?P<lettered>座|栋|幢|号楼)"
    rf"|(?P<name>(?:(?!{_STARTS})(?!(?<![a-z])[a-z](?:座|栋|幢|号楼))[^\-#])+)|(?P<rest>.)"
)

_AREAS = re.compile(
    r"^(?:[^\d]{2,7}?(?:省|自治区|特别行政区))?"
    r"(?:[^\d]{2,5}?(?:市(?![场民政府])|自治州|地区|盟))?"
    r"(?:[^\d]{1,6}?(?:(?<![小社园片校院厂新老东西南北中a-z\d])区(?!间)|新区|县(?!城)|自治县|旗))?"
    r"(?:[^\d]{2,5}?市(?![场民政府]))?"
    r"(?:[^\d]{1,7}?(?:街道(?:办事处|办)?|镇(?!政府)|乡(?!政府)))?"
    r"(?:[^\d]{1,8}?(?:社区(?!服务|卫生|医|文)|居委会|村委会|居民委员会))?"
)
_AREA = re.compile(
    r".+?(?:省|自治区|自治州|新区|地区|街道(?:办事处|办)?|社区|居委会|村委会|居民委员会|[市区县旗镇乡盟])"
)
_OFFICE = re.compile(r"(?<=街道)办(?:事处)?$")
_ROAD = re.compile(r"^(.{1,10}?(?:大道|大街|公路|胡同|(?<![铁公马])路|街(?!道)|(?<![街隧铁])道|巷|里弄))(.{2,})$")
_PLACE_ROAD = re.compile(
    r"^(.{2,}?(?:小区|花园|家园|佳园|新村|公寓|大厦|广场|家属院|苑|府|村))(.{2,}(?:路|街|大道|巷|胡同))$"
)
_IS_ROAD = re.compile(r"(?:路|街|(?<!街)道|巷|胡同|弄|线)$")
_GENERIC = re.compile(
    r"^(?:小区|社区|家属院|家属楼|花园|住宅|住宅楼|公寓|新村|大院|宿舍|小学|中学|幼儿园|[东西南北中])?"
    r"(?:里|段|口|侧|小区|社区|院|区|巷)?$"
)


def clean(words: str) -> str:
    """The writing that `parse` reads: plain digits, simplified markers, Chinese numbers before a marker as digits.

    Examples
    --------
    >>> clean("陽光水岸 第三棟，二單元 ５０２室")
    '阳光水岸3栋2单元502室'
    """
    plain = simplified(words[: LIMIT * 4])[:LIMIT].strip()
    for pattern, form in (*_ENGLISH, *_TYPED):
        plain = pattern.sub(form, plain)
    plain = _BETWEEN_NUMBERS.sub("-", _DASHES.sub("-", plain))
    plain = _NOISE.sub("", plain)
    plain = _NUMERAL.sub(lambda found: str(_value(found[1])), plain)
    return _LAST_NUMERAL.sub(lambda found: str(_value(found[1])), plain)


def _value(numeral: str) -> int:
    """十二 = 12, 一百零三 = 103, 五〇二 = 502."""
    if not any(letter in "十百" for letter in numeral):
        return int("".join(str(_DIGIT[letter]) for letter in numeral))
    total, digit = 0, 0
    for letter in numeral:
        if letter in "十百":
            total += (digit or 1) * (10 if letter == "十" else 100)
            digit = 0
        else:
            digit = _DIGIT[letter]
    return total + digit


@lru_cache(maxsize=16384)
def parse(words: str) -> Address:
    """Take an address apart; words that are none give an `Address` with a name, or an empty one.

    Examples
    --------
    >>> found = parse("东澜市江南街道锦江路12号明珠小区三栋2单元502")
    >>> found.areas, found.road, found.house, found.place, found.building, found.unit, found.floor, found.room
    (('东澜市', '江南街道'), '锦江路', '12', '明珠小区', '3', 2, 5, '502')
    """
    plain = clean(words)
    reader = _Reader([token for token in _TOKEN.finditer(plain) if not token["rest"]])
    reader.read()
    return reader.address(plain)


@dataclass(slots=True)
class _Reader:
    """Goes through the tokens once; a number without a marker means what has not been said yet."""

    tokens: list[re.Match[str]]
    areas: list[str] = field(default_factory=list)
    names: list[list[str | None]] = field(default_factory=list)
    house_of: int | None = None
    building: str | None = None
    unit: str | None = None
    floor: str | None = None
    room: str | None = None
    before_inside: int | None = None

    def read(self) -> None:
        for at, token in enumerate(self.tokens):
            if token["name"]:
                self._name(token["name"])
            elif token["letter"]:
                self._set_building(token["letter"])
            else:
                self._number(at, token)

    def _name(self, words: str) -> None:
        rest = words
        if not self.names and not self.areas:
            led = _AREAS.match(words)
            if led and led[0] and not _IS_ROAD.search(led[0]) and len(words) - led.end() != 1:
                self.areas = [_OFFICE.sub("", area) for area in _AREA.findall(led[0])]
                rest = words[led.end() :]
        split = _ROAD.match(rest) or _PLACE_ROAD.match(rest)
        if split and not _GENERIC.match(split[2]):
            self.names += [[split[1], None], [split[2], None]]
        elif rest:
            self.names.append([rest, None])

    def _number(self, at: int, token: re.Match[str]) -> None:
        pieces = [piece.lstrip("0") or "0" for piece in token["number"].split("-")]
        mark = token["mark"] or ""
        if mark in ("栋", "幢", "座", "号楼", "#", "#楼", "栋楼"):
            self._set_building("-".join(pieces))
        elif mark == "楼":
            self._storey(at, pieces)
        elif mark in ("单元", "门", "梯"):
            self._inside(token, pieces[:-1])
            self.unit = pieces[-1]
        elif mark in ("层", "f"):
            self._inside(token, pieces[:-1])
            self.floor = pieces[-1]
        elif mark in ("室", "房", "户", "号室", "号房"):
            self._sequence(token, pieces)
        elif mark in ("号", "号院", "弄"):
            self._house(token, pieces, mark)
        else:
            self._sequence(token, pieces)

    def _set_building(self, number: str) -> None:
        if self.building is None:
            self.building = number

    def _storey(self, at: int, pieces: list[str]) -> None:
        """5楼 is a floor; in the north 3楼2单元 is a building, as it is right behind a compound."""
        later = any(token["mark"] in ("单元", "门") for token in self.tokens[at + 1 :])
        if self.building is None and self.unit is None and (later or self.house_of is None):
            self._set_building(pieces[-1])
        else:
            self._inside(self.tokens[at], [])
            self.floor = pieces[-1]

    def _house(self, token: re.Match[str], pieces: list[str], mark: str) -> None:
        if self.building is not None and len(pieces[-1]) >= 3 and mark == "号":
            self._sequence(token, pieces)
        elif self.names and self.names[-1][1] is None and self.building is None:
            self.names[-1][1] = "-".join(pieces)
            self.house_of = len(self.names) - 1
        else:
            self._set_building("-".join(pieces))

    def _sequence(self, token: re.Match[str], pieces: list[str]) -> None:
        """Numbers without marker, the last a room: 7-2-502, 2-502, 7-502, 502, or the building's own alone."""
        is_room, had_building = bool(token["mark"]), self.building is not None
        last = len(self.names) - 1
        known = self.building is not None or (self.house_of is not None and self.house_of == last)
        if len(pieces) >= 3 and self.building is None:
            self._set_building(pieces.pop(0))
        elif len(pieces) == 2 and self.building is None and self.unit is None:
            known_house = self.house_of is not None and not self._is_on_road()
            if len(pieces[1]) >= 3 and not known_house:
                self._set_building(pieces.pop(0))
            elif not known_house and not is_room:
                self._set_building(pieces.pop(0))
                self._inside(token, [])
                self.unit = pieces.pop(0)
        elif len(pieces) == 1 and not known and self.unit is None and not is_room:
            self._bare(pieces.pop(0))
        if pieces:
            self._inside(token, pieces[:-1], behind_building=self.building is not None and not had_building)
            if len(pieces) == 1 and not is_room and self.unit is None and len(pieces[0]) <= 2:
                self.unit = pieces[0]
            else:
                self.room = pieces[-1]
                if len(pieces) >= 2:
                    self.unit = self.unit or pieces[-2]

    def _bare(self, number: str) -> None:
        name = self.names[-1] if self.names else None
        if name is not None and _IS_ROAD.search(str(name[0])):
            name[1] = number
            self.house_of = len(self.names) - 1
        else:
            self._set_building(number)

    def _is_on_road(self) -> bool:
        return self.house_of is not None and bool(_IS_ROAD.search(str(self.names[self.house_of][0])))

    def _inside(self, token: re.Match[str], ahead: list[str], *, behind_building: bool = False) -> None:
        """From here on the words tell a place within a building; numbers ahead of the marker are the building's."""
        if self.before_inside is None:
            number = token["number"].split("-")[0] if behind_building else ""
            self.before_inside = token.start() + len(number)
        for number in ahead[:1]:
            if self.building is None and self.unit is None:
                self._set_building(number)
            elif self.unit is None:
                self.unit = number

    def address(self, plain: str) -> Address:
        if self.areas and not self.names and self.building is not None:
            self.names = [[self.areas.pop(), None]]  # a building stands in something smaller than an area: 云景孝区3栋
        names = tuple((str(name), number) for name, number in self.names)
        roads = [at for at, (name, _) in enumerate(names) if _IS_ROAD.search(name)]
        at = next((n for n in roads if names[n][1] is not None), roads[0] if roads else None)
        road, house = (None, None) if at is None else names[at]
        others = [pair for n, pair in enumerate(names) if n != at]
        place = others[-1][0] if others else None
        number = next((following for _, following in reversed(others) if following is not None), None)
        building = self.building if self.building is not None else number
        floor = _small(self.floor)
        if floor is None and self.room is not None and self.room.isdigit() and len(self.room) >= 3:
            floor = int(self.room) // 100
        return Address(
            areas=tuple(self.areas),
            road=road,
            house=house,
            place=place,
            building=building,
            unit=_small(self.unit),
            floor=floor,
            room=self.room,
            names=names,
            words=plain if self.before_inside is None else plain[: self.before_inside],
        )


def _small(number: str | None) -> int | None:
    """A unit's or floor's number; letters count as in A = 1."""
    if number is None:
        return None
    if number.isdigit():
        return int(number) if int(number) <= 300 else None
    return ord(number[0]) - ord("a") + 1 if len(number) == 1 and "a" <= number[0] <= "z" else None
