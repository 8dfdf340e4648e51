"""Names for a town that does not exist, with their spelling in Latin letters."""

from __future__ import annotations

from itertools import product

import numpy as np

COUNTY = ("210699", "东澜市", "Donglan City (fictitious)")
"""210699 is given to no county (GB/T 2260 names 210602-210604, 210624, 210681 and 210682 under 2106)."""

RIVER = "澜河"
BRIDGES = ("西澜桥", "迎宾大桥", "澜河大桥", "东澜大桥", "新港桥")
"""From west to east."""

STREETS = (("澜城街道", "Lancheng Sub-district"), ("北岭街道", "Beiling Sub-district"),
           ("江南街道", "Jiangnan Sub-district"))  # fmt: skip

COMMUNITIES = (
    ("文庙", "Wenmiao"), ("鼓楼", "Gulou"), ("迎宾", "Yingbin"), ("春晖", "Chunhui"), ("人民", "Renmin"),
    ("站前", "Zhanqian"), ("柳营", "Liuying"), ("西苑", "Xiyuan"), ("铁北", "Tiebei"), ("北岭", "Beiling"),
    ("东湖", "Donghu"), ("桃源", "Taoyuan"), ("新港", "Xingang"), ("沙洲", "Shazhou"), ("江畔", "Jiangpan"),
    ("锦绣", "Jinxiu"), ("望海", "Wanghai"), ("南屏", "Nanping"),
)  # fmt: skip

_FIRST = (
    ("阳光", "Yangguang"), ("锦绣", "Jinxiu"), ("翡翠", "Feicui"), ("金色", "Jinse"), ("碧桂", "Bigui"),
    ("江山", "Jiangshan"), ("书香", "Shuxiang"), ("枫林", "Fenglin"), ("丹桂", "Dangui"), ("银杏", "Yinxing"),
    ("海棠", "Haitang"), ("玫瑰", "Meigui"), ("明珠", "Mingzhu"), ("华府", "Huafu"), ("龙泉", "Longquan"),
    ("祥和", "Xianghe"), ("福满", "Fuman"), ("盛世", "Shengshi"), ("康乐", "Kangle"), ("春江", "Chunjiang"),
    ("橡树", "Xiangshu"), ("云景", "Yunjing"), ("世纪", "Shiji"), ("御景", "Yujing"), ("名仕", "Mingshi"),
)  # fmt: skip
_SECOND = {
    "tower": (("水岸", "Shui'an"), ("国际", "International"), ("名邸", "Mingdi"), ("华庭", "Huating"),
              ("府", "Mansion"), ("江景城", "River View")),
    "slab": (("花园", "Garden"), ("家园", "Homes"), ("小区", "Estate"), ("新村", "New Village"), ("苑", "Court"),
             ("佳园", "Jiayuan")),
}  # fmt: skip
_WORKS = (
    ("纺织厂", "Textile Mill"), ("丝绸厂", "Silk Mill"), ("机械厂", "Machine Works"), ("水产公司", "Fishery Company"),
    ("铁路", "Railway"), ("粮食局", "Grain Bureau"), ("造纸厂", "Paper Mill"), ("教师", "Teachers'"),
    ("供销社", "Supply Co-operative"), ("酒厂", "Distillery"),
)  # fmt: skip
_LANES = (
    ("鼓楼", "Gulou"), ("文庙", "Wenmiao"), ("井儿", "Jing'er"), ("石榴", "Shiliu"), ("盐店", "Yandian"),
    ("当铺", "Dangpu"), ("城隍庙", "Chenghuangmiao"), ("南关", "Nanguan"), ("柴市", "Chaishi"), ("灯笼", "Denglong"),
    ("书院", "Shuyuan"), ("马道", "Madao"), ("染坊", "Ranfang"), ("钟声", "Zhongsheng"), ("老渡口", "Laodukou"),
    ("学宫", "Xuegong"),
)  # fmt: skip
_HAMLETS = (
    ("前阳", "Qianyang"), ("后阳", "Houyang"), ("李家堡", "Lijiapu"), ("王家屯", "Wangjiatun"),
    ("张家沟", "Zhangjiagou"), ("大台子", "Dataizi"), ("小沙坨", "Xiaoshatuo"), ("柳树底", "Liushudi"),
    ("石桥", "Shiqiao"), ("东窑", "Dongyao"), ("西窑", "Xiyao"), ("鱼圈", "Yuquan"), ("稻香", "Daoxiang"),
    ("苇塘", "Weitang"), ("白塔", "Baita"), ("新立", "Xinli"), ("马家店", "Majiadian"), ("孙家油坊", "Sunjiayoufang"),
)  # fmt: skip

_ROAD_WORDS = (
    "迎宾", "人民", "解放", "建设", "和平", "中山", "振兴", "新华", "东升", "光明", "文化", "青年", "胜利", "友谊",
    "前进", "团结", "幸福", "向阳", "红旗", "体育", "黄海", "鸭江", "大东", "新城", "北环", "工业", "科技", "创业",
    "锦江", "桃源", "银河", "花园", "学府", "站前", "滨江", "沿河", "柳林", "杏林", "松江", "海棠", "丁香", "紫荆",
    "云山", "凤凰", "龙山", "永安", "永兴", "福民", "惠民", "安康", "长青", "春晖", "朝阳", "晨光", "育才", "兴隆",
    "广济", "开元", "景山", "金桥", "银桥", "玉带", "双塔", "望江", "听涛", "观澜", "白云", "碧波", "月牙", "临港",
)  # fmt: skip


def compound_names(styles: list[str], rng: np.random.Generator) -> list[tuple[str, str]]:
    """A name of its own for each compound, fitting its style: (Chinese, English)."""
    pools = {
        style: rng.permutation([(a + c, f"{b} {d}") for (a, b), (c, d) in product(_FIRST, _SECOND[style])]).tolist()
        for style in ("tower", "slab")
    }
    yards = [(a + "家属院", f"{b} Residences") for a, b in _WORKS]
    lanes = [(a + c, f"{b} {d}") for (a, b), (c, d) in product(_LANES, (("巷", "Lane"), ("胡同", "Hutong")))]
    pools["court"] = rng.permutation(lanes + yards).tolist()
    pools["village"] = rng.permutation([(a + "村", f"{b} Village") for a, b in _HAMLETS]).tolist()
    pools["slab"] = pools["slab"] + rng.permutation(yards).tolist() if "court" not in styles else pools["slab"]
    return [(str(zh), str(en)) for zh, en in (pools[style].pop() for style in styles)]


def street_names(kinds: list[tuple[str, bool, float]], rng: np.random.Generator) -> list[str]:
    """A name for each street by its kind, direction and length: 大街 and 街 run east, 大道 and 路 north."""
    words = rng.permutation(_ROAD_WORDS).tolist()
    order = sorted(range(len(kinds)), key=lambda i: (("arterial", "secondary").index(kinds[i][0])
                   if kinds[i][0] in ("arterial", "secondary") else 2, -kinds[i][2]))  # fmt: skip
    endings = {
        ("arterial", True): ("大街",), ("arterial", False): ("大道",),
        ("secondary", True): ("街", "东街"), ("secondary", False): ("路", "北路"),
        ("minor", True): ("巷", "西街", "一街", "二街", "三街"),
        ("minor", False): ("支路", "南路", "一路", "二路", "三路"),
    }  # fmt: skip
    used: set[str] = set()
    names = [""] * len(kinds)
    for turn, i in enumerate(order):
        kind, eastward, _ = kinds[i]
        if (kind, eastward) not in endings:
            names[i] = {"river": RIVER, "rail": "澜安铁路"}.get(kind, "")
            continue
        names[i] = next(
            name
            for step in range(len(words) * 9)
            if (
                name := words[(turn + step) % len(words)]
                + endings[kind, eastward][step // len(words) % len(endings[kind, eastward])]
            )
            not in used
        )
        used.add(names[i])
    return names
