"""The ground of many communities at once, without anything built on it: what is timed, and what maps can be made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gis.partition import kernel
from gis.partition.ground import Ground, survey
from gis.partition.site import Job, parts_of, plot_of
from gis.spreading import Signals, spread


def survey_job(job: Job, _signals: Signals | None = None) -> Ground:
    """Survey the ground of one community."""
    parts, _ = parts_of(job)
    return survey(plot_of(job, parts), job.zone)


def survey_all(
    jobs: Sequence[Job], *, processes: int | None = None, cluster: str | None = None
) -> Iterator[tuple[int, Ground]]:
    """Survey communities; each ground with the number of its job, as soon as it is there (`spreading.spread`)."""
    order = sorted(range(len(jobs)), key=lambda i: (-len(jobs[i].buildings), i))
    return spread(survey_job, jobs, order=order, processes=processes, cluster=cluster, warm=kernel.warm)
