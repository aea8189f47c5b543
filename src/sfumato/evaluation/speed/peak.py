"""The best this machine does: large matrix products and convolutions, in each library and precision."""

from collections.abc import Generator, Mapping
from contextlib import ExitStack
from itertools import product
from pathlib import Path

from sfumato.evaluation.speed.contestants import Contestant
from sfumato.evaluation.speed.events import Advanced
from sfumato.evaluation.speed.figures import spread
from sfumato.evaluation.speed.peak_player import operations
from sfumato.evaluation.speed.plan import Effort
from sfumato.evaluation.speed.report import Peak
from sfumato.evaluation.speed.turn_taking import Crew, job_of, rotated
from sfumato.evaluation.speed.turns import Turn

ROWS = 2  # pictures of the convolution: those of one guided step


def measure_peaks(
    effort: Effort, *, torch: bool, environ: Mapping[str, str], scratch: Path
) -> Generator[Advanced, None, tuple[Peak, ...]]:
    """Measure openvino and, with `torch`, torch, in float32 and bfloat16. What a processor lacks is left
    out; raises SfumatoError when a worker fails.
    """
    turns = (
        Turn("matmul", 1, effort.matrix, effort.matrix, effort.turn_seconds),
        Turn("convolution", ROWS, effort.grid, effort.grid, effort.turn_seconds),
    )
    libraries = ("openvino", "torch") if torch else ("openvino",)
    asked = [Contestant("peak", *names) for names in product(libraries, ("float32", "bfloat16"))]
    done, total = 0, len(asked) * (1 + len(turns) * (effort.peak + 1))
    rates: dict[tuple[Contestant, str], list[float]] = {}
    with ExitStack() as stack:
        crew = Crew(stack, environ)
        for one in asked:
            yield Advanced(f"peak: loading {one.library}", done, total)
            crew.add(one, job_of(one, "", str(scratch)))
            done += 1
        for number in range(effort.peak + 1):
            for turn in turns:
                for one in rotated(crew.members, number):
                    yield Advanced(f"peak: {one.library} {one.precision}", done, total)
                    taken = crew.take(one, turn)
                    done += 1
                    if number > 0:
                        rates.setdefault((one, turn.task), []).append(operations(turn) / taken.each / 1e9)
    return tuple(
        Peak(one.library, one.precision, task, spread(values)) for (one, task), values in rates.items()
    )
