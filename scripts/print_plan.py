"""``wangge print``: a plan as PDF: atlas, notice boards, report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from sqlalchemy import select

from gis import prints
from gis.errors import NotFound
from gis.exchange.town_file import replacing
from gis.models import Grid
from gis.permissions import SYSTEM
from gis.printing.paper import SHEETS_MM
from scripts.program import Program, pass_program
from scripts.targets import check_ending, check_targets
from scripts.transaction import transaction


@click.command("print")
@click.argument("plan_id", type=int)
@click.argument("kind", type=click.Choice(prints.KINDS))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Ends with .pdf.")
@click.option("--paper", type=click.Choice(list(SHEETS_MM)), default="A4", show_default=True)
@click.option("--orientation", type=click.Choice(["landscape", "portrait"]), help="Boards stand, atlases lie.")
@click.option("--grid", "grids", multiple=True, metavar="CODE", help="Only this grid; may be said again.")
@click.option("--phones", is_flag=True, help="With telephone numbers.")
@click.option("--lang", type=click.Choice(["zh", "en"]), help="Of the pages.")
@pass_program
def command(
    program: Program,
    plan_id: int,
    kind: str,
    out: Path,
    paper: str,
    orientation: str | None,
    grids: tuple[str, ...],
    phones: bool,
    lang: str | None,
) -> None:
    """Print PLAN_ID: an atlas of one page a grid, notice boards, or the plan's report."""
    check_ending(out, ".pdf")
    check_targets((), [(out, lambda path: path.read_bytes()[:5] in (b"", b"%PDF-"))])
    lies = orientation or ("portrait" if kind == "boards" else "landscape")
    with transaction(program) as session, replacing(out) as temporary:
        known = {row.code: row.id for row in session.execute(select(Grid.id, Grid.code).where(Grid.plan_id == plan_id))}
        for code in grids:
            if code not in known:
                raise NotFound("print.no_such_cell", plan=plan_id, cell=code)
        order = prints.Order(
            kind, paper, lies, tuple(known[code] for code in grids) or None, lang or program.language, phones
        )
        data = prints.make(session, plan_id, order, settings=program.settings, actor=SYSTEM, at=datetime.now(UTC))
        temporary.write_bytes(data)
    program.say("print.done", path=str(out), size_kb=len(data) // 1000)
