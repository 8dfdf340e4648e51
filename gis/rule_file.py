"""Rule sets as TOML text, the form of the presets: towns exchange them, people read and edit them.

The standard library reads TOML and does not write it; what is written here is the small part that a rule set needs.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

from gis.errors import InvalidInput
from gis.rule_set import Post, RuleSet, Tier

LONGEST = 100_000
"""Characters; the presets have two thousand."""


def write(rules: RuleSet) -> str:
    """A rule set as TOML; what has its usual value is left out. `gis.rule_set.load_file` gives the same back."""
    lines = [f"{key} = {_value(getattr(rules, key))}" for key in ("name_zh", "name_en", "source")]
    if not rules.is_verified:
        lines.append("is_verified = false")
    if rules.keep_buildings_whole:
        lines.append("keep_buildings_whole = true")
    if rules.weights:
        lines.append(f"weights = {_inline(dict(rules.weights))}")
    return "\n".join(lines + [line for tier in rules.tiers for line in _tier(tier)]) + "\n"


def read(content: str) -> dict[str, Any]:
    """TOML as plain nested data, whatever it says.

    Raises
    ------
    InvalidInput
        ``rules.unreadable``: too long, no TOML, or no tiers.
    """
    if len(content) > LONGEST:
        raise InvalidInput("rules.unreadable", path="", said=f"> {LONGEST}")
    try:
        data = tomllib.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("rules.unreadable", path="", said=str(error)) from error
    if not isinstance(data.get("tiers"), list):
        raise InvalidInput("rules.unreadable", path="", said="tiers")
    return data


def _tier(tier: Tier) -> list[str]:
    usual = Tier(ordinal=tier.ordinal, kind=tier.kind, name_zh="", name_en="")
    keys = ("cell_of", "households_min", "households_max", "households_target", "tolerance_ratio", "code_digits")
    lines = ["", "[[tiers]]", *(f"{key} = {_value(getattr(tier, key))}" for key in ("kind", "name_zh", "name_en"))]
    lines += [f"{key} = {_value(getattr(tier, key))}" for key in keys if getattr(tier, key) != getattr(usual, key)]
    if tier.posts:
        lines += ["posts = [", *(f"    {_inline(_post(post))}," for post in tier.posts), "]"]
    return lines


def _post(post: Post) -> dict[str, Any]:
    told: dict[str, Any] = {"code": post.code, "name_zh": post.name_zh, "name_en": post.name_en}
    if post.holders_min != 1:
        told["holders_min"] = post.holders_min
    if post.holders_max != 1:
        told["holders_max"] = post.holders_max or 0  # TOML has no null
    return told


def _inline(table: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{_key(key)} = {_value(value)}" for key, value in table.items()) + " }"


def _key(key: str) -> str:
    return key if key.replace("_", "").isalnum() and key.isascii() else _value(key)


def _value(value: str | float | bool) -> str:
    if isinstance(value, str):
        # TOML's basic strings are JSON's, but for DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
