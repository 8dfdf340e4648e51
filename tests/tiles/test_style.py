"""Styles for other programs: only what the layers have, only addresses of this service, the pages' own look."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gis.settings import ROOT
from tiles import style
from tiles.layers import LAYERS

WEB = ROOT / "api" / "web"
BASE = "http://wangge.test"
needs_node = pytest.mark.skipif(
    not (WEB / "node_modules" / ".bin" / "rolldown").exists(), reason="the pages' packages are not installed"
)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


def fields(expression: Any) -> Iterator[str]:
    """Properties that an expression reads."""
    if isinstance(expression, list):
        if len(expression) == 2 and expression[0] in ("get", "has"):
            yield expression[1]
        for one in expression:
            yield from fields(one)
    elif isinstance(expression, dict):
        for one in expression.values():
            yield from fields(one)


@pytest.mark.parametrize("role", sorted(style.NAMES))
def test_a_style_draws_what_the_layers_have(role: str) -> None:
    made = style.style(role, base=BASE, shown=set(LAYERS))
    assert "glyphs" not in made
    assert "sprite" not in made
    for layer in made["layers"]:
        if layer["type"] == "background":
            continue
        held = LAYERS[layer["source-layer"]]
        assert layer["source"] in made["sources"]
        assert set(fields(layer)) <= set(held.fields), layer["id"]
    ids = [layer["id"] for layer in made["layers"]]
    assert len(ids) == len(set(ids))
    addresses = [word for word in strings(made) if "://" in word]
    assert addresses
    assert all(word.startswith(f"{BASE}/tiles/") for word in addresses)


def test_what_somebody_may_not_see_is_not_named() -> None:
    made = style.style("command", base=BASE, shown=set(LAYERS) - {"incidents"})
    assert "incidents" not in json.dumps(made)
    assert "incidents" in json.dumps(style.style("command", base=BASE, shown=set(LAYERS)))
    assert "incidents" not in json.dumps(style.style("planner", base=BASE, shown=set(LAYERS)))


def test_styles_are_given_with_the_addresses_of_the_service(shared: Any) -> None:
    for role in style.NAMES:
        answer = shared.as_("viewer").get(f"/tiles/style/{role}.json")
        assert answer.status_code == 200
        for source in answer.json()["sources"].values():
            assert source["url"].startswith("http://wangge.test/tiles/")
            assert shared.as_("viewer").get(source["url"]).json()["tilejson"] == "3.0.0"
    assert shared.as_("viewer").get("/tiles/style/king.json").status_code == 422
    assert shared.as_(None).get("/tiles/style/field.json").status_code == 401
    assert shared.as_("nobody").get("/tiles/style/field.json").status_code == 403


@needs_node
@pytest.mark.parametrize("role", sorted(style.NAMES))
def test_maplibre_finds_no_fault_in_a_style(role: str, tmp_path: Path) -> None:
    path = tmp_path / "style.json"
    path.write_text(json.dumps(style.style(role, base=BASE, shown=set(LAYERS))), encoding="utf-8")
    command = [str(WEB / "node_modules" / ".bin" / "gl-style-validate"), str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@needs_node
def test_the_base_map_is_that_of_the_pages(tmp_path: Path) -> None:
    map_folder = WEB / "src" / "map"
    entry = tmp_path / "entry.mjs"
    entry.write_text(
        f"import {{ baseStyle }} from {json.dumps(str(map_folder / 'base_style.ts'))};\n"
        f"import * as colours from {json.dumps(str(map_folder / 'colours.ts'))};\n"
        "const { CELLS: cells, BAND: band, INK: ink, OUTLINE: outline, CHOSEN: chosen, STATUS: status } = colours;\n"
        "const { layers, sources } = baseStyle('http://x');\n"
        "console.log(JSON.stringify({ layers, sources, colours: { cells, band, ink, outline, chosen, status } }));\n",
        encoding="utf-8",
    )
    bundle = tmp_path / "bundle.mjs"
    rolldown = [str(WEB / "node_modules" / ".bin" / "rolldown"), str(entry), "--file", str(bundle), "--format", "esm"]
    subprocess.run(rolldown, cwd=WEB, capture_output=True, check=True, timeout=240)
    told = json.loads(subprocess.run(["node", str(bundle)], capture_output=True, check=True, timeout=240).stdout)
    assert told["colours"] == style.look()["colours"]
    assert told["layers"] == style.look()["layers"]
    used = style.style("planner", base="http://x", shown=set(LAYERS))["sources"]
    assert told["sources"].items() <= used.items()
