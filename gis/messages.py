"""Sentences for people, in Chinese and English, found by code.

Each file ``gis/locale/<language>/<subject>.json`` is a flat object from code to a ``str.format`` template; the same
codes stand in both languages (a test compares them).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

LANGUAGES = ("zh", "en")


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """All templates of one language, by code.

    Parameters
    ----------
    language : str
        One of `LANGUAGES`; anything else reads as Chinese.
    """
    folder = files("gis") / "locale" / (language if language in LANGUAGES else "zh")
    templates: dict[str, str] = {}
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".json"):
            templates |= json.loads(file.read_text(encoding="utf-8"))
    return templates


def text(code: str, params: Mapping[str, Any], *, language: str = "zh") -> str:
    """Put a code and its parameters into a sentence.

    A parameter that the template names and the caller forgot is shown as ``?`` rather than failing: this function
    runs while an error is being reported. A parameter ``remedy`` is itself a code with parameters, whose sentence
    follows.
    """
    template = catalogue(language).get(code)
    if template is None:
        return code + (f" {dict(params)}" if params else "")
    words = {key: _readable(key, value, language) for key, value in params.items()}
    return template.format_map(_Lenient(words)) + _remedy(params.get("remedy"), language)


def _remedy(remedy: Any, language: str) -> str:
    if not isinstance(remedy, Mapping) or remedy.get("code") not in catalogue(language):
        return ""
    way = text(remedy["code"], remedy.get("params", {}), language=language)
    return ("" if language == "zh" else " ") + text("relax.cheapest", {"way": way}, language=language)


_WORDS = frozenset({"action", "possible", "role", "state", "status"})
"""Parameters whose values are words of ours: told by the sentence ``word.<value>`` where there is one."""


def _readable(key: str, value: Any, language: str) -> Any:
    """A list as people write it, a word of ours in their language, anything else as it is."""
    if isinstance(value, list | tuple):
        return ("、" if language == "zh" else ", ").join(str(_readable(key, item, language)) for item in value)
    if key in _WORDS and isinstance(value, str):
        return catalogue(language).get(f"word.{value}", value)
    return value


class _Lenient(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"
