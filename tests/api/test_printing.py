"""Plans on paper over HTTP: a few pages at once, many by the queue, for whoever asked."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pypdf
import pytest

from gis import jobs, prints


@pytest.fixture
def service(service: Any, tmp_path: Path) -> Any:
    """With a home folder of its own."""
    here = service.app.state.services
    service.app.state.services = replace(here, settings=here.settings.model_copy(update={"home": tmp_path / "home"}))
    return service


def work(service: Any) -> None:
    here = service.app.state.services
    # In a thread of its own: a browser of another test may have left a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(jobs.work, service.url, here.engine, settings=here.settings, once=True).result()


def pages(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    return ["".join(page.extract_text().split()) for page in pypdf.PdfReader(io.BytesIO(answer.content)).pages]


def test_a_few_pages_come_at_once_and_only_of_what_the_caller_sees(service: Any) -> None:
    first = service.grid_id("210681001001001")
    path = f"/api/v1/plans/{service.plan_id}"
    made = pages(service.as_("viewer").get(f"{path}/atlas.pdf", params={"cells": [first], "paper": "A3"}))
    assert len(made) == 3
    assert "210681001001001" in made[2]
    assert len(pages(service.as_("viewer1").get(f"{path}/boards.pdf"))) == 2
    assert service.as_("viewer1").get(f"{path}/atlas.pdf", params={"cells": [first]}).status_code == 404
    assert "Report" in pages(service.as_("viewer").get(f"{path}/report.pdf?lang=en"))[0]
    assert service.as_("viewer1").get(f"{path}/report.pdf").status_code == 403
    assert service.as_("nobody").get(f"{path}/atlas.pdf").status_code == 403


REFUSED = [
    ("viewer", "atlas.pdf?phones=true", 403, "access.not_allowed"),
    ("viewer", "atlas.pdf?paper=A5", 422, "http.invalid"),
    ("viewer", "atlas.pdf?cells=999999", 404, "print.no_such_cell"),
    ("viewer", "prints/" + "0" * 32, 404, "print.unknown"),
    ("viewer", "prints/xyz", 422, "http.invalid"),
]


@pytest.mark.parametrize(("who", "asked", "status", "code"), REFUSED)
def test_refusals(service: Any, who: str, asked: str, status: int, code: str) -> None:
    refused = service.as_(who).get(f"/api/v1/plans/{service.plan_id}/{asked}")
    assert (refused.status_code, refused.json()["code"]) == (status, code)


def test_many_pages_are_made_by_the_queue_for_their_asker(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prints, "PAGES_AT_ONCE", 1)
    path = f"/api/v1/plans/{service.plan_id}"
    asked = service.as_("viewer1").get(f"{path}/boards.pdf")
    assert asked.status_code == 202
    where = asked.headers["Location"]
    assert where.endswith(asked.json()["ticket"])
    assert service.as_("viewer1").get(where).json()["state"] == "queued"
    assert service.as_("viewer").get(where).status_code == 404, "another's print"
    work(service)
    assert len(pages(service.as_("viewer1").get(where))) == 2, "of the asker's areas only"
    assert service.as_("viewer1").get(f"{path}/atlas.pdf?phones=true").status_code == 403


def test_a_print_that_fails_says_so(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from gis.printing import pdf

    monkeypatch.setattr(prints, "PAGES_AT_ONCE", 1)
    monkeypatch.setattr(pdf, "has_chinese", lambda: False)
    asked = service.as_("viewer").get(f"/api/v1/plans/{service.plan_id}/atlas.pdf")
    work(service)
    failed = service.as_("viewer").get(asked.headers["Location"])
    assert (failed.status_code, failed.json()["code"]) == (503, "print.failed")
    assert failed.json()["params"]["reason"] == "print.no_font"
