"""What is news to somebody who follows jobs: a few in a second, but what matters at once."""

from collections.abc import Sequence
from typing import Final

from sfumato.serving.jobs import Job

APART: Final = 0.2  # seconds from one news to the next: who follows a job shall not slow it


def is_news(job: Job, last: Job | None, version: int, seconds: float, patience: float) -> bool:
    """Tell whether who saw `last`, `seconds` ago, or a job of this `version`, shall be shown `job`."""
    if job.version <= version:
        return seconds >= patience and not job.finished
    if last is None or seconds >= APART:
        return True
    return job.finished or job.pictures != last.pictures


def are_news(jobs: Sequence[Job], last: Sequence[Job], seconds: float, patience: float) -> bool:
    """Tell whether who saw `last`, `seconds` ago, shall be shown `jobs`: at once where one came, began or
    ended, or has a picture.
    """
    if [(one.id, one.version) for one in jobs] == [(one.id, one.version) for one in last]:
        return seconds >= patience
    return seconds >= APART or _matters(jobs) != _matters(last)


def _matters(jobs: Sequence[Job]) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(one.id, one.state, one.pictures) for one in jobs]
