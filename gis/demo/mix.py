# ruff: noqa: E501  (a table: one category a line reads best)
"""What is reported in the demo town: how often, where, at what time of day and year, and in which words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Spot = Literal["home", "yard", "street", "water"]
Rhythm = Literal["day", "evening", "night", "commute", "morning"]

RHYTHMS: Mapping[Rhythm, tuple[float, ...]] = {
    # Weight of each hour of the day, local time; two peaks, when people leave and when they are back.
    "day": (1, 1, 0, 0, 1, 2, 6, 14, 22, 25, 21, 15, 9, 10, 16, 18, 18, 21, 25, 23, 17, 10, 5, 2),
    "evening": (3, 2, 1, 0, 0, 1, 3, 7, 9, 8, 7, 7, 7, 6, 7, 8, 11, 19, 27, 31, 28, 20, 12, 6),
    "night": (14, 9, 5, 3, 2, 3, 5, 6, 6, 5, 5, 5, 8, 6, 5, 5, 6, 8, 12, 18, 26, 33, 31, 22),
    "commute": (1, 0, 0, 0, 0, 2, 9, 25, 27, 15, 9, 8, 8, 7, 8, 10, 16, 27, 28, 18, 11, 6, 3, 1),
    "morning": (0, 0, 0, 0, 1, 4, 14, 25, 27, 22, 15, 9, 5, 6, 9, 10, 9, 10, 10, 8, 5, 3, 1, 0),
}
WEEKDAY = (1.12, 1.05, 1.02, 1.0, 1.04, 0.93, 0.84)
"""Monday first: what was seen over the weekend is told on Monday."""

WINTER = {11: 2.6, 12: 3.0, 1: 3.0, 2: 2.6, 3: 1.6, 4: 0.1, 5: 0, 6: 0, 7: 0, 8: 0, 9: 0, 10: 0.3}
SUMMER = {5: 1.2, 6: 1.5, 7: 1.8, 8: 1.8, 9: 1.3, 11: 0.7, 12: 0.6, 1: 0.6, 2: 0.6}
RAIN = {6: 2.0, 7: 4.0, 8: 4.0, 9: 1.5, 11: 0.1, 12: 0.05, 1: 0.05, 2: 0.05, 3: 0.2}
SPRING = {3: 1.8, 4: 2.2, 5: 1.6, 12: 0.3, 1: 0.2, 2: 0.3}
COLD = {11: 1.2, 12: 1.6, 1: 1.8, 2: 1.6}


@dataclass(frozen=True)
class Matter:
    """How a category appears.

    Attributes
    ----------
    weight : float
        Share among all reports of an ordinary month, before `months`.
    spot : {"home", "yard", "street", "water"}
        In or at a building, between buildings, on a street, at the river.
    severities : tuple of float
        Chances of severity 1 (ordinary) to 4.
    words : tuple of str
        Descriptions; ``{place}`` is where.
    """

    weight: float
    spot: Spot
    rhythm: Rhythm
    severities: tuple[float, float, float, float]
    words: tuple[str, ...]
    months: Mapping[int, float] = field(default_factory=dict)
    weekend: float = 1.0


_USUAL = (0.75, 0.2, 0.05, 0.0)
_GRAVE = (0.05, 0.35, 0.45, 0.15)

MATTERS: Mapping[str, Matter] = {
    "B0101": Matter(1.6, "street", "commute", (0.1, 0.4, 0.45, 0.05), ("{place}一处井盖破损松动，车辆经过有响声，存在安全隐患。", "{place}井盖缺失，已用树枝临时围挡，请尽快更换。")),
    "B0102": Matter(2.2, "street", "evening", _USUAL, ("{place}有{n}盏路灯不亮，夜间出行不便。", "{place}路灯连续多日不亮，老人晚上不敢出门。")),
    "B0103": Matter(2.4, "yard", "morning", (0.2, 0.5, 0.28, 0.02), ("{place}地面冒水，疑似供水管破裂。", "{place}楼前水管漏水已有半天，路面有积水。")),
    "B0104": Matter(3.0, "home", "evening", (0.5, 0.4, 0.1, 0.0), ("{place}多户反映暖气不热，室温不足18度。", "{place}居民反映供暖管道漏水、暖气不热。"), WINTER),
    "B0105": Matter(1.3, "yard", "day", (0.2, 0.5, 0.27, 0.03), ("{place}电缆下垂，低于两米，有触碰危险。", "{place}有居民飞线为电动车充电。")),
    "B0106": Matter(1.8, "yard", "evening", (0.95, 0.05, 0.0, 0.0), ("{place}居民希望增设电动自行车充电桩。", "{place}充电桩数量不足，{n}户联名申请加装。")),
    "B0107": Matter(1.2, "home", "day", (0.05, 0.35, 0.5, 0.1), ("{place}外墙瓷砖脱落，砸到楼下通道，暂无人受伤。", "{place}外墙保温层空鼓，有脱落风险。")),
    "B0108": Matter(1.7, "home", "commute", (0.3, 0.5, 0.15, 0.05), ("{place}电梯停运，高层老人上下楼困难。", "{place}电梯运行有异响，住户担心安全。")),
    "B0201": Matter(1.8, "street", "commute", _USUAL, ("{place}路面坑洼，雨天积水。", "{place}人行道地砖松动破损，约{n}平方米。"), SPRING),
    "B0202": Matter(0.6, "street", "commute", (0.1, 0.5, 0.35, 0.05), ("{place}路口信号灯不亮，早晚高峰拥堵。",)),
    "B0301": Matter(3.6, "yard", "morning", (0.9, 0.1, 0.0, 0.0), ("{place}垃圾箱满溢，异味较大。", "{place}分类垃圾桶已满，周边散落垃圾。"), SUMMER),
    "B0401": Matter(1.0, "street", "morning", (0.5, 0.35, 0.13, 0.02), ("{place}树枝折断倾斜，影响通行。", "{place}行道树遮挡路灯和信号灯，请修剪。"), RAIN),
    "B0501": Matter(0.9, "yard", "evening", _USUAL, ("{place}健身器材螺丝松动，儿童玩耍有危险。",), SUMMER),
    "S0101": Matter(1.5, "home", "day", (0.5, 0.4, 0.1, 0.0), ("{place}有住户在楼顶私自搭建阳光房。", "{place}一楼住户占用绿地搭建棚屋。")),
    "S0102": Matter(7.5, "yard", "morning", (0.92, 0.08, 0.0, 0.0), ("{place}有暴露垃圾一堆，未及时清运。", "{place}绿化带内有丢弃的旧家具和生活垃圾。"), SUMMER),
    "S0103": Matter(2.0, "yard", "day", (0.85, 0.15, 0.0, 0.0), ("{place}堆放装修渣土约{n}方，多日未清。",), SPRING),
    "S0104": Matter(3.0, "street", "morning", (0.95, 0.05, 0.0, 0.0), ("{place}路面有遗撒沙石，来往车辆扬尘。", "{place}早市收摊后路面脏乱。")),
    "S0105": Matter(0.8, "water", "day", (0.8, 0.2, 0.0, 0.0), ("{place}河面有漂浮垃圾。", "{place}河岸有垃圾和枯枝堆积。"), SUMMER),
    "S0201": Matter(3.2, "home", "day", (0.98, 0.02, 0.0, 0.0), ("{place}楼道内张贴小广告{n}处。", "{place}单元门口被喷涂开锁广告。")),
    "S0301": Matter(1.1, "street", "day", (0.7, 0.28, 0.02, 0.0), ("{place}工地未覆盖防尘网，扬尘较大。",), SPRING),
    "S0401": Matter(4.6, "street", "commute", (0.92, 0.08, 0.0, 0.0), ("{place}有{n}个流动摊贩占道经营，影响通行。", "{place}店铺出店经营，占用人行道。"), SUMMER, 1.25),
    "S0402": Matter(6.0, "street", "evening", (0.85, 0.13, 0.02, 0.0), ("{place}多辆机动车占用人行道停放。", "{place}车辆双排停放，会车困难。"), {}, 1.1),
    "S0403": Matter(3.4, "yard", "commute", (0.95, 0.05, 0.0, 0.0), ("{place}共享单车和电动车堵住单元门。", "{place}电动车停放杂乱，推婴儿车难以通过。")),
    "S0501": Matter(3.4, "yard", "evening", (0.05, 0.45, 0.45, 0.05), ("{place}私家车停在消防通道上，联系不上车主。", "{place}消防通道被杂物和车辆堵塞。"), {}, 1.15),
    "S0502": Matter(3.0, "home", "evening", (0.25, 0.5, 0.23, 0.02), ("{place}楼道堆放纸箱杂物，影响疏散。", "{place}电动车进楼停放充电，存在火灾隐患。")),
    "S0503": Matter(0.9, "street", "day", (0.1, 0.4, 0.4, 0.1), ("{place}雨后积水约{n}0厘米，车辆无法通行。",), RAIN),
    "S0504": Matter(0.5, "home", "evening", (0.0, 0.1, 0.5, 0.4), ("{place}楼道闻到燃气异味，已提醒住户开窗关阀。",), COLD),
    "S0601": Matter(5.4, "home", "night", (0.88, 0.12, 0.0, 0.0), ("{place}广场舞音响声音过大，影响休息。", "{place}夜间装修施工噪声扰民。", "{place}楼下烧烤店深夜喧哗。"), SUMMER, 1.2),
    "T0101": Matter(4.4, "home", "evening", (0.6, 0.32, 0.08, 0.0), ("{place}上下楼住户因漏水赔偿发生争执，请求调解。", "{place}邻里因停车位发生口角。", "{place}住户因楼道放鞋柜产生矛盾。"), {}, 1.15),
    "T0102": Matter(3.4, "home", "evening", (0.9, 0.1, 0.0, 0.0), ("{place}居民反映物业保洁不到位，楼道{n}天未打扫。", "{place}门禁损坏，物业迟迟不修。")),
    "T0201": Matter(2.6, "home", "morning", (0.45, 0.35, 0.15, 0.05), ("{place}独居老人两天未下楼，邻居请求上门查看。", "{place}独居老人需要陪同就医取药。"), COLD),
    "T0202": Matter(1.5, "home", "day", (0.7, 0.25, 0.05, 0.0), ("{place}一户家庭因病生活困难，申请临时救助。",), COLD),
    "T0301": Matter(1.9, "yard", "evening", (0.8, 0.17, 0.03, 0.0), ("{place}有人遛狗不牵绳，惊吓儿童。", "{place}发现流浪犬{n}只。"), SUMMER, 1.2),
    "T0302": Matter(1.7, "street", "evening", (0.8, 0.18, 0.02, 0.0), ("{place}餐馆油烟直排，居民不敢开窗。", "{place}小餐饮店后厨卫生差。"), SUMMER),
    "T0401": Matter(1.2, "home", "day", (1.0, 0.0, 0.0, 0.0), ("{place}居民建议增设休闲座椅和遮阳棚。", "{place}居民建议调整公交站点位置。")),
}  # fmt: skip
