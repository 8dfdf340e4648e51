"""Which characters of a label are what somebody typed, whether in characters, in pinyin or by initials."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from gis.addresses import clean
from gis.spelling import bare, is_latin, simplified, syllables


def marked(label: str, words: str) -> list[tuple[int, int]]:
    """Spans (from, to) of a label that match, in order and not touching.

    Examples
    --------
    >>> marked("阳光水岸3栋", "阳光水案三栋"), marked("阳光水岸", "ygs"), marked("阳光水岸", "yangguangsh")
    ([(0, 6)], [(0, 3)], [(0, 3)])
    """
    letters = [(at, plain) for at, letter in enumerate(label) if (plain := bare(letter))]
    sounds = _aligned(label, letters)
    hit: set[int] = set()
    for piece in _pieces(words):
        hit |= {letters[n][0] for n in _found(piece, [plain for _, plain in letters], sounds)}
    return _spans(sorted(hit))


def _aligned(label: str, letters: list[tuple[int, str]]) -> list[str]:
    sounds = list(syllables(label))
    return sounds if len(sounds) == len(letters) else [sound for _, plain in letters for sound in syllables(plain)[:1]]


def _pieces(words: str) -> Iterator[str]:
    """Runs of letters and of numbers; a number keeps its marker."""
    for piece in re.findall(r"\d+(?:号楼|单元|[栋幢座号室弄])?|[^\d\-#]+", clean(words)):
        yield bare(simplified(piece))


def _found(piece: str, letters: list[str], sounds: list[str]) -> set[int]:
    if not piece or not letters:
        return set()
    if is_latin(piece):
        return _by_letters(piece, sounds)
    asked = list(syllables(piece))
    if piece[0].isdigit():
        return _run(list(piece), letters) or _run(re.findall(r"\d", piece), letters)
    whole = _run(list(piece), letters) or _run(asked, sounds)
    if whole:
        return whole
    matcher = SequenceMatcher(a=asked, b=sounds, autojunk=False)
    return {n for block in matcher.get_matching_blocks() for n in range(block.b, block.b + block.size)}


def _run(asked: list[str], held: list[str]) -> set[int]:
    for start in range(len(held) - len(asked) + 1):
        if held[start : start + len(asked)] == asked:
            return set(range(start, start + len(asked)))
    return set()


def _by_letters(piece: str, sounds: list[str]) -> set[int]:
    """Latin letters as syllables, initials, or both mixed, from the first place where they all fit."""
    for start in range(len(sounds)):
        if end := _fits(piece, sounds, start):
            return set(range(start, end))
    matcher = SequenceMatcher(a=piece, b="".join(sounds), autojunk=False)
    hit: set[int] = set()
    owner = [n for n, sound in enumerate(sounds) for _ in sound]
    for block in matcher.get_matching_blocks():
        if block.size >= 3:
            hit |= set(owner[block.b : block.b + block.size])
    return hit


def _fits(rest: str, sounds: list[str], at: int) -> int:
    """Where the letters end if they begin at a syllable, or 0."""
    if not rest:
        return at
    if at == len(sounds):
        return 0
    sound = sounds[at]
    for taken in range(min(len(sound), len(rest)), 0, -1):
        if sound[:taken] != rest[:taken] or (1 < taken < len(sound) and taken < len(rest)):
            continue
        if end := _fits(rest[taken:], sounds, at + 1):
            return end
    return 0


def _spans(hit: list[int]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for at in hit:
        if spans and spans[-1][1] == at:
            spans[-1] = (spans[-1][0], at + 1)
        else:
            spans.append((at, at + 1))
    return spans
