"""Every code has its sentence in both languages."""

from __future__ import annotations

import ast
import json
import re
import string
from collections.abc import Iterator
from pathlib import Path

from gis import errors
from gis.errors import GridError
from gis.messages import LANGUAGES, catalogue
from gis.settings import ROOT
from tests.meta.sources import trees

KINDS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, GridError)}
SPEAKERS = {"Finding", "sentence", "say", "_note"} | KINDS


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_code(text: str) -> bool:
    return text.count(".") >= 1 and text.replace(".", "").replace("_", "").isalnum() and text == text.lower()


def _codes(tree: ast.Module) -> Iterator[str]:
    """Codes that a file raises, finds, or says: literal first arguments, and pairs of class and code in tables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in SPEAKERS:
            literals = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "code")]
        elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and _name(node.elts[0]) in KINDS:
            literals = node.elts[1:]
        else:
            continue
        for literal in literals:
            if isinstance(literal, ast.Constant) and isinstance(literal.value, str) and _is_code(literal.value):
                yield literal.value


def _fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_both_languages_have_the_same_codes() -> None:
    assert set(catalogue("zh")) == set(catalogue("en"))


def test_both_languages_quote_the_same_parameters() -> None:
    differing = {
        code: (_fields(template), _fields(catalogue("en")[code]))
        for code, template in catalogue("zh").items()
        if _fields(template) != _fields(catalogue("en").get(code, template))
    }
    assert not differing


def test_every_code_in_the_source_has_a_sentence() -> None:
    missing = {
        code: str(path) for path, tree in trees().items() for code in _codes(tree) if code not in catalogue("en")
    }
    assert not missing


def test_no_code_stands_in_two_files() -> None:
    for language in LANGUAGES:
        seen: dict[str, Path] = {}
        for file in sorted((ROOT / "gis" / "locale" / language).glob("*.json")):
            for code in json.loads(file.read_text(encoding="utf-8")):
                assert code not in seen, f"{code}: {seen.get(code)} and {file}"
                seen[code] = file


def test_chinese_sentences_are_chinese_and_english_ones_english() -> None:
    """Long ones at least; either may quote a word of the other."""

    def chinese_ratio(text: str) -> float:
        return sum("\u4e00" <= letter <= "\u9fff" for letter in text) / len(text)

    assert not [code for code, text in catalogue("en").items() if chinese_ratio(text) > 0.2]
    words = {code: re.sub(r"\{[^}]*\}", "", text) for code, text in catalogue("zh").items()}
    assert not [code for code, text in words.items() if len(text) > 20 and chinese_ratio(text) == 0]
