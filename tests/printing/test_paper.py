"""Round scales, and pages as a PDF reader finds them."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pypdf
import pytest
import shapely
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from gis import plan_lineage, plans, prints, staff
from gis.errors import InvalidInput, NotAllowed, NotFound, Unavailable
from gis.models import Department, Grid, PostRow, Staff
from gis.permissions import SYSTEM, Actor, Grant, Role
from gis.printing import documents, maps, pdf
from gis.printing.paper import SHEETS_MM, Paper, bar_metres, scale_for
from gis.settings import Settings
from gis.worktime import CHINA
from tests.usecases.builders import LONG_AGO, NOW, SmallTown, make_plan, make_town

MM = 72 / 25.4
SETTINGS = Settings(place_url="http://10.1.2.3/p/{code}")


@pytest.fixture
def town(session: Session) -> SmallTown:
    """Two communities of two grids with two micro-grids each; the first grid has its people."""
    made = make_town(session, communities=2)
    plan = make_plan(session, made, stack=0, title="东港试点方案")
    plans.publish(session, plan.id, effective_from=LONG_AGO + timedelta(days=1), actor=SYSTEM, now=LONG_AGO)
    office = Department(code="D01", name="街道办")
    session.add(office)
    session.flush()
    person = Staff(code="S1", name="欧阳明月", phone="13812345678", department_id=office.id)
    session.add(person)
    session.flush()
    cell = session.scalars(
        select(Grid).where(Grid.plan_id == plan.id, Grid.grid_depth == 1).order_by(Grid.code)
    ).first()
    assert cell is not None
    cell_id = cell.id
    post = session.scalars(select(PostRow.id).where(PostRow.code == "grid_leader")).first()
    assert post is not None
    since = LONG_AGO + timedelta(days=2)
    staff.assign(session, staff_id=person.id, post_id=post, grid_id=cell_id, valid_from=since, actor=SYSTEM, now=since)
    return made


def plan_id(session: Session) -> int:
    return int(session.scalar(text("SELECT max(id) FROM plan")) or 0)


def grid_ids(session: Session) -> list[int]:
    return list(session.scalars(select(Grid.id).where(Grid.plan_id == plan_id(session), Grid.grid_depth == 1)
                                .order_by(Grid.code)))  # fmt: skip


def printed(session: Session, *, actor: Actor = SYSTEM, **order: Any) -> pypdf.PdfReader:
    asked = prints.Order(**{"kind": "atlas", **order})
    data = prints.make(session, plan_id(session), asked, settings=SETTINGS, actor=actor, at=NOW)
    return pypdf.PdfReader(io.BytesIO(data))


def words(reader: pypdf.PdfReader, page: int) -> str:
    return "".join(reader.pages[page].extract_text().split())


@pytest.mark.parametrize(
    ("ground_m", "frame_mm", "scale"),
    [((300, 200), (180, 150), 2000), ((10, 10), (200, 150), 500), ((90_000, 10), (200, 150), 200_000)],
)
def test_ground_fits_at_a_round_scale(ground_m: Any, frame_mm: Any, scale: int) -> None:
    assert scale_for(*ground_m, frame_mm) == scale
    assert bar_metres(scale, 50) * 1000 / scale <= 50


@pytest.mark.usefixtures("town")
@pytest.mark.parametrize("paper", SHEETS_MM)
@pytest.mark.parametrize("orientation", ["landscape", "portrait"])
def test_pages_have_the_size_that_was_asked_for(session: Session, paper: str, orientation: str) -> None:
    reader = printed(session, paper=paper, orientation=orientation, cells=tuple(grid_ids(session)[:1]))
    wanted = Paper(paper, orientation).size_mm
    for page in reader.pages:
        assert (float(page.mediabox.width) / MM, float(page.mediabox.height) / MM) == pytest.approx(wanted, abs=0.2)


@pytest.mark.usefixtures("town")
def test_an_atlas_has_an_index_a_list_and_a_page_a_grid(session: Session) -> None:
    reader = printed(session)
    assert len(reader.pages) == 2 + 4
    assert "索引图" in words(reader, 0)
    assert "东港试点方案" in words(reader, 0)
    for code in session.scalars(select(Grid.code).where(Grid.id.in_(grid_ids(session)))):
        assert code in words(reader, 1)
    first = words(reader, 2)
    assert "欧阳明月" in first
    assert "空岗" in first, "a post without anybody is told"
    assert "微网格" in first
    assert "第3页/共6页" in first
    assert "1:" in first
    assert "▶4" in first, "the page of the neighbour at the edge"
    assert "▶" not in words(reader, 5).replace("▶8", "")


@pytest.mark.usefixtures("town")
def test_letters_are_embedded_and_nothing_is_asked_from_outside(session: Session) -> None:
    for kind in ("atlas", "boards"):
        reader = printed(session, kind=kind, cells=tuple(grid_ids(session)[:1]))
        fonts = [font for page in reader.pages for font in page["/Resources"].get("/Font", {}).values()]
        assert fonts
        for font in fonts:
            for below in font.get_object().get("/DescendantFonts", [font]):
                descriptor = below.get_object()["/FontDescriptor"].get_object()
                assert {"/FontFile", "/FontFile2", "/FontFile3"} & descriptor.keys(), descriptor
        assert any("Noto" in str(font.get_object()["/BaseFont"]) for font in fonts)


@pytest.mark.usefixtures("town")
def test_boards_name_people_and_bear_a_code(session: Session) -> None:
    reader = printed(session, kind="boards", orientation="portrait")
    assert len(reader.pages) == 4
    assert "欧阳明月" in words(reader, 0)
    assert "网格长" in words(reader, 3), "an empty post leaves room for a name"
    assert documents.qr("http://10.1.2.3/p/{code}", "210").startswith("<svg")
    assert documents.qr("{code}", "1") != documents.qr("{code}", "2")


def test_phones_only_where_asked_for_and_allowed(session: Session, town: SmallTown) -> None:
    assert "13812345678" not in words(printed(session, kind="boards", orientation="portrait"), 0)
    assert "13812345678" in words(printed(session, kind="boards", orientation="portrait", phones=True), 0)
    viewer = Actor(None, "v", (Grant(Role.VIEWER, town.street.path),))
    assert "欧阳明月" in words(printed(session, actor=viewer), 2)
    with pytest.raises(NotAllowed):
        printed(session, actor=viewer, phones=True)


def test_nobody_sees_the_grids_of_other_areas(session: Session, town: SmallTown) -> None:
    near = Actor(None, "v", (Grant(Role.VIEWER, town.communities[1].path),))
    reader = printed(session, actor=near)
    assert len(reader.pages) == 2 + 2
    everything = "".join(words(reader, number) for number in range(4))
    assert town.communities[1].code in everything
    assert town.communities[0].code not in everything
    assert "欧阳明月" not in everything
    with pytest.raises(NotFound) as refused:
        printed(session, actor=near, cells=tuple(grid_ids(session)[:1]))
    assert refused.value.code == "print.no_such_cell"
    far = Actor(None, "f", (Grant(Role.VIEWER, "999"),))
    with pytest.raises(NotFound):
        printed(session, actor=far)


@pytest.mark.usefixtures("town")
def test_chosen_pages_name_only_printed_neighbours(session: Session) -> None:
    reader = printed(session, cells=(grid_ids(session)[0],))
    assert len(reader.pages) == 3
    assert "▶4" not in words(reader, 2)


@pytest.mark.usefixtures("town")
def test_english_pages(session: Session) -> None:
    session.execute(text("UPDATE admin_area SET name_en = 'First Community' WHERE code = '210681001001'"))
    reader = printed(session, language="en", cells=tuple(grid_ids(session)[:1]))
    assert words(reader, 2).startswith("FirstCommunity001")
    assert "Indexmap" in words(reader, 0)
    assert "Responsible" in words(reader, 2)
    assert "households" in words(reader, 2)


@pytest.mark.usefixtures("town")
def test_long_atlases_are_laid_out_in_parts_that_make_one(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = printed(session)
    monkeypatch.setattr(prints, "PAGES_TOGETHER", 1)
    parts = printed(session)
    assert [words(parts, i) for i in range(6)] == [words(whole, i) for i in range(6)]


def test_the_report_goes_on_paper_with_its_maps(session: Session, town: SmallTown) -> None:
    reader = printed(session, kind="report")
    text_of = "".join(words(reader, number) for number in range(len(reader.pages)))
    assert "东港试点方案" in text_of
    assert "总图" in text_of
    near = Actor(None, "v", (Grant(Role.VIEWER, town.communities[1].path),))
    with pytest.raises(NotAllowed):
        printed(session, kind="report", actor=near)


def test_refusals(session: Session, town: SmallTown, monkeypatch: pytest.MonkeyPatch) -> None:
    for order, code in (({"paper": "B5"}, "print.bad_paper"), ({"kind": "poster"}, "print.bad_kind")):
        with pytest.raises(InvalidInput) as refused:
            printed(session, **order)
        assert refused.value.code == code
    empty = plans.create_draft(
        session, area_id=town.street.id, rule_set_id=plans.get(session, plan_id(session)).rule_set_id, title="空",
        actor=SYSTEM, now=NOW,
    )  # fmt: skip
    with pytest.raises(InvalidInput) as refused:
        prints.make(session, empty.id, prints.Order("atlas"), settings=SETTINGS, actor=SYSTEM, at=NOW)
    assert refused.value.code == "print.no_cells"
    monkeypatch.setattr(pdf, "has_chinese", lambda: False)
    with pytest.raises(Unavailable) as away:
        prints.make(session, empty.based_on_id or plan_id(session) - 1, prints.Order("report"), settings=SETTINGS,
                    actor=SYSTEM, at=NOW)  # fmt: skip
    assert away.value.code == "print.no_font"


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0'")
        return real(name, *rest, **more)

    pdf._library.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Unavailable) as refused:
        pdf.to_pdf("<p>字</p>")
    assert refused.value.code == "print.no_library"


def test_old_prints_are_cleared_away(tmp_path: Path) -> None:
    import os

    old, young = tmp_path / "prints" / ("a" * 32), tmp_path / "prints" / ("b" * 32)
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (1, 1))
    prints.sweep(Settings(home=tmp_path))
    assert not old.exists()
    assert young.exists()


def test_pages_of_a_draft_show_who_would_go_on_there(session: Session, town: SmallTown) -> None:
    draft = make_plan(session, town, pieces=(2, 4), title="草案")
    first = words(printed(session, kind="boards", cells=(grid_ids(session)[0],)), 0)
    assert "欧阳明月" in first
    assert "草案" in first
    others = words(printed(session, kind="boards", cells=(grid_ids(session)[1],)), 0)
    assert "欧阳明月" not in others
    day = (NOW + timedelta(days=9)).astimezone(CHINA)
    plans.publish(session, draft.id, effective_from=day, actor=SYSTEM, now=NOW)
    future = words(printed(session, kind="boards", cells=(grid_ids(session)[0],)), 0)
    assert "欧阳明月" in future
    assert f"人员以{day:%Y-%m-%d}为准" in future


def test_pages_of_a_draft_read_alone_as_among_all(session: Session, town: SmallTown) -> None:
    make_plan(session, town, pieces=(2, 4), title="草案")
    whole = printed(session, kind="boards")
    for number, grid in enumerate(grid_ids(session)):
        assert words(printed(session, kind="boards", cells=(grid,)), 0) == words(whole, number)


def test_a_community_alone_goes_on_from_the_cells_that_it_would_among_all(session: Session, town: SmallTown) -> None:
    draft = make_plan(session, town, pieces=(2, 4), title="草案")
    whole = plan_lineage.origins(session, draft.id)
    alone = [plan_lineage.origins(session, draft.id, communities=[one.id]) for one in town.communities]
    assert all(alone)
    assert alone[0] | alone[1] == whole
    assert not alone[0].keys() & alone[1].keys()


@pytest.mark.usefixtures("town")
def test_a_list_of_grids_stands_in_columns_beside_one_another(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "_list_shape", lambda _paper: (2, 2))
    at: dict[str, tuple[float, float]] = {}

    def note(words: str, page: Any, place: Any, *_font: Any) -> None:
        at[words.strip()] = (place[4] * page[0] + page[4], place[5] * page[3] + page[5])

    reader = printed(session)
    reader.pages[1].extract_text(visitor_text=note)
    codes = list(session.scalars(select(Grid.code).where(Grid.id.in_(grid_ids(session))).order_by(Grid.code)))
    spots = [next(spot for words, spot in at.items() if code in words) for code in codes]
    assert spots[0][0] == spots[1][0] < float(reader.pages[1].mediabox.width) / 2 < spots[2][0] == spots[3][0]
    assert (spots[0][1], spots[1][1]) == (spots[2][1], spots[3][1]), "a row of one line in either column"


def view() -> maps.View:
    return maps.View(west=0.0, north=100.0, scale=1000, width=100.0, height=100.0)


def test_words_on_a_map_do_not_lie_over_one_another() -> None:
    labels = maps.Labels(view())
    assert labels.put(np.array([50.0, 50.0]), "文庙社区", 3.0)
    assert not labels.put(np.array([55.0, 50.5]), "002", 3.0), "over the other"
    assert labels.put(np.array([55.0, 50.5]), "01", 3.0, must=True), "what the page is about is always there"
    assert not labels.put(np.array([98.0, 20.0]), "锦绣家园", 3.0), "beyond the frame"
    labels.keep_free(0.0, 90.0, 30.0, 100.0)
    assert not labels.put(np.array([10.0, 95.0]), "河", 3.0), "over the scale bar"
    assert len(labels.drawn) == 2


def test_a_border_that_two_cells_share_is_drawn_once_and_the_frame_is_none() -> None:
    cells = np.array([shapely.box(20, 20, 50, 120), shapely.box(50, 20, 80, 120)], dtype=object)
    drawn = maps._borders(view(), cells, "m")
    assert drawn.count("M") == 3, drawn
    ends = [tuple(map(float, pair.split(" "))) for pair in re.findall(r"[\d.]+ [\d.]+", drawn)]
    assert sum(y == 0.0 for _, y in ends) == 3, "three borders end at the frame, and none runs along it"
