"""How Chinese names sound: pinyin without tones, initials, and forms in which writings of one name become the same.

Search compares sounds as much as characters: a wrong character of the same sound (水案 for 水岸) is then no mistake at
all, Latin letters are enough to type, and indexes hold plain ASCII, which every locale of a database sorts and cuts
into trigrams alike (in locale ``C`` Chinese characters give none).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import product

MAX_SYLLABLES = 12
"""Of names that are also kept by what is near them."""
MAX_LETTERS = 24
"""Of pinyin that is corrected letter by letter."""
MAX_WRITINGS = 4
"""Spellings kept of a name with characters of several readings."""

_INNER = "abcdefghijklmnopqrstuvwxyz"
_KEPT = re.compile(r"[^0-9a-z\u3400-\u9fff\U00020000-\U000323af]+")

# Readings that names of places know besides the one that the phrase dictionary picks.
_POLYPHONES = {
    "重": ("zhong", "chong"), "长": ("chang", "zhang"), "乐": ("le", "yue"), "行": ("xing", "hang"),
    "朝": ("chao", "zhao"), "厦": ("xia", "sha"), "都": ("du", "dou"), "单": ("dan", "shan"), "解": ("jie", "xie"),
    "柏": ("bai", "bo"), "堡": ("bao", "pu"), "泊": ("bo", "po"), "藏": ("cang", "zang"), "圈": ("quan", "juan"),
    "弄": ("long", "nong"), "尉": ("wei", "yu"), "六": ("liu", "lu"), "浒": ("hu", "xu"), "洞": ("dong", "tong"),
    "番": ("fan", "pan"), "铅": ("qian", "yan"), "莘": ("shen", "xin"), "涡": ("wo", "guo"), "曾": ("zeng", "ceng"),
    "盖": ("gai", "ge"), "栅": ("zha", "shan"), "郇": ("huan", "xun"), "隗": ("wei", "kui"), "折": ("zhe", "she"),
    "绿": ("lv", "lu"), "吕": ("lv", "lu"), "卜": ("bu", "bo"), "侗": ("dong", "tong"), "地": ("di", "de"),
    "会": ("hui", "kuai"), "传": ("chuan", "zhuan"), "石": ("shi", "dan"), "塔": ("ta", "da"),
}  # fmt: skip

# Traditional forms that addresses are full of; other characters meet by their sound.
_TRADITIONAL = str.maketrans(
    "〇號樓棟單層門區縣鎮鄉莊園廣場東車馬鳥魚龍華國際會學醫灣濱橋陽陰雲電開關興業農民區聯達發財寶銀銅鐵錦鑫鋼麗麥黃齊齋豐"
    "邊連運遠過進遊還選鄰鄭釀釋針鋪錢鍾鐘閣陳陸隊隨險雙難靜韓頂順須頓領頭題顏願顧風飛飯館駐騰驛體鬥鳳鴻鶴鵬龜"
    "丟並亂亞儀億優兒內兩凱劃劉劍動務勝勞勢勳匯協卻參吳員問啟嘯噴囑團圓圖執堅報塊塵壇壘壽夢奧婦孫寧實寫寬將專尋對導"
    "島嶺崗嶼幣帥師帶幫幹幾庫廟廠廳張強彈後從復徑德愛慶憲應懷戰戲戶揚換據擇擊擔擴攝敘數斷於時晉暢曆書條楊極構槍榮樂樹"
    "橫檔檢櫻權歐歡歲歷歸殘殿毀氣決沖沒況漢湯溝溫滅滬滿潔潤澤濟瀾災烏無煙煉熱燈燦爐爭爾牆獅獎環現瑪瓊產畢異療盡監盤睿碼"
    "礦禮祿種稱穀積穩窩競筆範築簡糧紅紀紅紙級統絲經綠維網綿緯線縱織義習聖聞聲職腦臨興舊艙艷藍藝藥蘇蘭處虛蟲術衛裝裡見規視"
    "覽觀計訂訓記設許診評誠課調談請諸諾謝證識譽護豎貝貢貨貴買費資賢賓賞質賽趙跡軌軍軒輕輛輝輪轉農迎這遞遼邁鄧醬鈞鋁鋒錄鎖",
    "零号楼栋单层门区县镇乡庄园广场东车马鸟鱼龙华国际会学医湾滨桥阳阴云电开关兴业农民区联达发财宝银铜铁锦鑫钢丽麦黄齐斋丰"
    "边连运远过进游还选邻郑酿释针铺钱钟钟阁陈陆队随险双难静韩顶顺须顿领头题颜愿顾风飞饭馆驻腾驿体斗凤鸿鹤鹏龟"
    "丢并乱亚仪亿优儿内两凯划刘剑动务胜劳势勋汇协却参吴员问启啸喷嘱团圆图执坚报块尘坛垒寿梦奥妇孙宁实写宽将专寻对导"
    "岛岭岗屿币帅师带帮干几库庙厂厅张强弹后从复径德爱庆宪应怀战戏户扬换据择击担扩摄叙数断于时晋畅历书条杨极构枪荣乐树"
    "横档检樱权欧欢岁历归残殿毁气决冲没况汉汤沟温灭沪满洁润泽济澜灾乌无烟炼热灯灿炉争尔墙狮奖环现玛琼产毕异疗尽监盘睿码"
    "矿礼禄种称谷积稳窝竞笔范筑简粮红纪红纸级统丝经绿维网绵纬线纵织义习圣闻声职脑临兴旧舱艳蓝艺药苏兰处虚虫术卫装里见规视"
    "览观计订训记设许诊评诚课调谈请诸诺谢证识誉护竖贝贡货贵买费资贤宾赏质赛赵迹轨军轩轻辆辉轮转农迎这递辽迈邓酱钧铝锋录锁",
)

# All syllables without tones; ü as v.
_SYLLABLES = frozenset(
    re.findall(
        "[a-z]+",
        """
    a ai an ang ao ba bai ban bang bao bei ben beng bi bian biao bie bin bing bo bu ca cai can cang cao ce cen ceng
    cha chai chan chang chao che chen cheng chi chong chou chu chua chuai chuan chuang chui chun chuo ci cong cou cu
    cuan cui cun cuo da dai dan dang dao de den deng di dian diao die ding diu dong dou du duan dui dun duo e ei en
    eng er fa fan fang fei fen feng fiao fo fou fu ga gai gan gang gao ge gei gen geng gong gou gu gua guai guan
    guang gui gun guo ha hai han hang hao he hei hen heng hong hou hu hua huai huan huang hui hun huo ji jia jian
    jiang jiao jie jin jing jiong jiu ju juan jue jun ka kai kan kang kao ke ken keng kong kou ku kua kuai kuan
    kuang kui kun kuo la lai lan lang lao le lei leng li lia lian liang liao lie lin ling liu lo long lou lu luan
    lun luo lv lve ma mai man mang mao me mei men meng mi mian miao mie min ming miu mo mou mu na nai nan nang nao
    ne nei nen neng ni nian niang niao nie nin ning niu nong nou nu nuan nun nuo nv nve o ou pa pai pan pang pao pei
    pen peng pi pian piao pie pin ping po pou pu qi qia qian qiang qiao qie qin qing qiong qiu qu quan que qun ran
    rang rao re ren reng ri rong rou ru rua ruan rui run ruo sa sai san sang sao se sen seng sha shai shan shang
    shao she shen sheng shi shou shu shua shuai shuan shuang shui shun shuo si song sou su suan sui sun suo ta tai
    tan tang tao te teng ti tian tiao tie ting tong tou tu tuan tui tun tuo wa wai wan wang wei wen weng wo wu xi
    xia xian xiang xiao xie xin xing xiong xiu xu xuan xue xun ya yan yang yao ye yi yin ying yo yong you yu yuan
    yue yun za zai zan zang zao ze zei zen zeng zha zhai zhan zhang zhao zhe zhen zheng zhi zhong zhou zhu zhua
    zhuai zhuan zhuang zhui zhun zhuo zi zong zou zu zuan zui zun zuo
    """,
    )
)
_BEGUN = frozenset(sound[:end] for sound in _SYLLABLES for end in range(1, len(sound) + 1))

# Sounds that many speakers do not tell apart, from the longer to the shorter.
_LOOSE = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("ang", "an"), ("eng", "en"), ("ing", "in"), ("l", "n"), ("h", "f"))


def simplified(words: str) -> str:
    """Full-width letters and digits as plain ones, small letters, traditional characters of addresses as simplified.

    Examples
    --------
    >>> simplified("陽光水岸３號樓Ａ座")
    '阳光水岸3号楼a座'
    """
    return unicodedata.normalize("NFKC", words).lower().translate(_TRADITIONAL)


def warm() -> None:
    """Read the dictionary now (0.3 s) and not with the first search."""
    spelling("重庆")


@lru_cache(maxsize=65536)
def bare(words: str) -> str:
    """The letters, digits and Chinese characters alone, in the form of `simplified`.

    Examples
    --------
    >>> bare(" Shui'an · 阳光 水岸（西区） ")
    'shuian阳光水岸西区'
    """
    return _KEPT.sub("", _without_accents(simplified(words)))


def syllables(words: str) -> tuple[str, ...]:
    """One spelling a Chinese character, read in its phrase; other letters and digits as they are, each by itself.

    Examples
    --------
    >>> syllables("重庆路3a")
    ('chong', 'qing', 'lu', '3', 'a')
    """
    return _syllables(bare(words))


@lru_cache(maxsize=65536)
def _syllables(plain: str) -> tuple[str, ...]:
    if plain.isascii():
        return tuple(plain)
    from pypinyin import lazy_pinyin  # 0.3 s, and only some commands search

    found: list[str] = []
    for piece in re.split(r"([0-9a-z]+)", plain):
        if piece.isascii():
            found += piece
        else:
            found += [
                sound if sound.isascii() else "?" for sound in lazy_pinyin(piece, errors=lambda rest: "?" * len(rest))
            ]
    return tuple(found)


@lru_cache(maxsize=65536)
def spelling(words: str) -> str:
    """Syllables in one word.

    Examples
    --------
    >>> spelling("阳光水岸3栋")
    'yangguangshuian3dong'
    """
    return "".join(syllables(words))


def initials(words: str) -> str:
    """First letters of the syllables; of words that are Latin already, of each word.

    Examples
    --------
    >>> initials("阳光水岸"), initials("Silk Mill Homes")
    ('ygsa', 'smh')
    """
    if any("\u3400" <= letter <= "\u9fff" for letter in words):
        return "".join(sound[0] for sound in syllables(words))
    return "".join(word[0] for part in words.split() if (word := bare(part)))


@lru_cache(maxsize=65536)
def writings(words: str) -> tuple[tuple[str, str], ...]:
    """(spelling, initials) of a name in all readings that names of places know, the likeliest first.

    Examples
    --------
    >>> writings("长乐路")
    (('changlelu', 'cll'), ('changyuelu', 'cyl'), ('zhanglelu', 'zll'), ('zhangyuelu', 'zyl'))
    """
    plain = bare(words)
    first = syllables(plain)
    found = {(spelling(words), initials(words)): None}
    if len(plain) == len(first) and any(letter in _POLYPHONES for letter in plain):
        choices = [
            dict.fromkeys((sound, *_POLYPHONES.get(letter, ()))) for letter, sound in zip(plain, first, strict=True)
        ]
        for read in product(*choices):
            found.setdefault(("".join(read), "".join(sound[0] for sound in read)))
            if len(found) == MAX_WRITINGS:
                break
    return tuple(found)


def loose(spelled: str) -> str:
    """A spelling in which sounds that are often confused are the same: z and zh, n and l, -n and -ng.

    Examples
    --------
    >>> loose("changlinlu") == loose("canninglu")
    True
    """
    for sharp, blunt in _LOOSE:
        spelled = spelled.replace(sharp, blunt)
    return spelled


def near_keys(words: str) -> tuple[str, ...]:
    """Keys that names have in common if one syllable of theirs differs, is missing, is too many, or two are swapped.

    The name itself, the name less each of its syllables (from three on), and its syllables in order of the alphabet.

    Examples
    --------
    >>> near_keys("书香苑")
    ('~shu.xiang.yuan', '~xiang.yuan', '~shu.yuan', '~shu.xiang', '^shu.xiang.yuan')
    >>> set(near_keys("书香苑")) & set(near_keys("书乡佳苑"))
    {'~shu.xiang.yuan'}
    """
    sounds = syllables(words)
    if not 2 <= len(sounds) <= MAX_SYLLABLES or is_latin(words):
        return ()
    less = [sounds[:i] + sounds[i + 1 :] for i in range(len(sounds))] if len(sounds) > 2 else []
    keys = ["~" + ".".join(some) for some in (sounds, *less)]
    return tuple(dict.fromkeys([*keys, "^" + ".".join(sorted(sounds))]))


def is_pinyin(letters: str) -> bool:
    """Whether letters can be read as syllables, the last perhaps only begun.

    Examples
    --------
    >>> is_pinyin("yangguangsh"), is_pinyin("mignzhu")
    (True, False)
    """
    reached = {0}
    for end in range(1, len(letters)):
        if any(letters[start:end] in _SYLLABLES for start in reached if end - start <= 6):
            reached.add(end)
    return any(letters[start:] in _BEGUN for start in reached)


@lru_cache(maxsize=4096)
def corrections(letters: str) -> tuple[str, ...]:
    """Pinyin that differs by one letter from what was typed: one swapped, too many, wrong or missing.

    Examples
    --------
    >>> "mingzhu" in corrections("mignzhu"), "yangguang" in corrections("yanguang")
    (True, True)
    """
    if not letters.isalpha() or not 4 <= len(letters) <= MAX_LETTERS:
        return ()
    cuts = [(letters[:i], letters[i:]) for i in range(1, len(letters) + 1)]
    forms = [a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1]
    forms += [a + b[1:] for a, b in cuts if b]
    forms += [a + letter + b for a, b in cuts for letter in _INNER]
    forms += [a + letter + b[1:] for a, b in cuts if b for letter in _INNER]
    return tuple(form for form in dict.fromkeys(forms) if form != letters and is_pinyin(form))


def is_latin(words: str) -> bool:
    """Whether words have letters, and no Chinese character."""
    plain = bare(words)
    return plain.isascii() and any(letter.isalpha() for letter in plain)


def _without_accents(words: str) -> str:
    if words.isascii():
        return words
    # ü is typed as v; other accents are left out
    parts = unicodedata.normalize("NFD", words.replace("ü", "v"))
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def distance(one: str, other: str, limit: int = 64) -> int:
    """Letters to put in, leave out, change or swap with the next to make one word of the other; ``limit`` at most.

    Examples
    --------
    >>> distance("yangguang", "yanggaung"), distance("ab", "abc"), distance("", "abc")
    (1, 1, 3)
    """
    if one == other:
        return 0
    if abs(len(one) - len(other)) >= limit:
        return limit
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        two_before, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, two_before[j - 2] + 1)
            row.append(cost)
    return min(row[-1], limit)
