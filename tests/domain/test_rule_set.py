"""Rule sets as values: presets, files, and what they may not be."""

from __future__ import annotations

import pickle

import pytest

from gis.errors import InvalidInput, NotFound
from gis.rule_set import load_file, load_preset, preset_codes


def test_every_preset_loads():
    assert {load_preset(code).code for code in preset_codes()} >= {"bishan", "donggang", "tongliang"}


def test_an_unknown_preset_is_told_with_those_there_are():
    with pytest.raises(NotFound) as told:
        load_preset("banana")
    assert told.value.code == "rules.unknown_preset"
    assert told.value.params["known"] == preset_codes()
    assert pickle.loads(pickle.dumps(told.value)).params == told.value.params


@pytest.mark.parametrize("text", ["tiers = 3", "name_zh = 'x'", "[[tiers]]\nkind = 'grid'", "="])
def test_a_file_that_is_no_rule_set_is_refused(tmp_path, text):
    path = tmp_path / "x.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput):
        load_file(path)
