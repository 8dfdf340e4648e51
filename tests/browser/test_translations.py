"""The words of the pages: both languages have the same keys, and every key is used."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "api" / "web" / "src"
LANGUAGES = ("zh", "en")


def catalogue(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((SOURCE / "i18n" / f"{language}.json").read_text(encoding="utf-8"))
    return found


def sources() -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(SOURCE.rglob("*.ts*")))


def test_both_languages_have_the_same_keys_in_the_same_order() -> None:
    assert list(catalogue("zh")) == list(catalogue("en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_empty(language: str) -> None:
    assert [key for key, sentence in catalogue(language).items() if not sentence.strip()] == []


def test_both_languages_have_the_same_parameters() -> None:
    zh, en = catalogue("zh"), catalogue("en")

    def parameters(sentence: str) -> list[str]:
        return sorted(re.findall(r"{(\w+)}", sentence))

    assert [key for key in zh if parameters(zh[key]) != parameters(en[key])] == []


def test_every_key_that_the_pages_ask_for_is_there() -> None:
    asked = set(re.findall(r'\bt\(\s*"([^"]+)"', sources()))
    assert asked - set(catalogue("zh")) == set()


def test_every_key_is_asked_for() -> None:
    """By its name, as a word of a group, or with an ending that a template puts to it."""
    text = sources()
    groups = tuple(f"{group}." for group in re.findall(r'\bword\(\s*"([^"]+)"', text))
    begun = tuple(re.findall(r"\bt\(\s*`([^`$]+)\$\{", text))
    unused = [key for key in catalogue("zh") if f'"{key}"' not in text and not key.startswith(groups + begun)]
    assert unused == []


def test_the_pages_name_no_other_host() -> None:
    """An address in a source file would be one that a closed network cannot reach."""
    addresses = re.findall(r"https?://[^\s\"'`)]+", sources())
    assert addresses == []
