"""What a measurement tells while it goes on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Advanced:
    """What is being done now, after `done` of the `total` pieces of a section's work."""

    label: str
    done: int
    total: int
