"""Large: the networks of a published model at full size with random weights, called directly.

Two baselines stay loaded; Sfumato's contestants come one after the other, each in turns with both, as all of
them together would not fit into memory.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from sfumato.errors import InputError
from sfumato.evaluation.speed.contestants import Contestant
from sfumato.evaluation.speed.events import Advanced
from sfumato.evaluation.speed.figures import paired, spread
from sfumato.evaluation.speed.layers import decoder, flops, unet
from sfumato.evaluation.speed.machine import free_memory
from sfumato.evaluation.speed.plan import Effort
from sfumato.evaluation.speed.report import Cost, LargeReport, LargeRow, Peak, best
from sfumato.evaluation.speed.sd15 import Architecture
from sfumato.evaluation.speed.turn_taking import Crew, job_of, rotated
from sfumato.evaluation.speed.turns import Memory, Turn
from sfumato.evaluation.speed.weights import num_weights, write_random_model

GUIDANCE = 7.5
PARTS = ("encode", "step", "decode")
PICTURE = "picture"

# Bytes of memory for each weight, and for libraries and what a decoding holds at 512x512.
_BYTES_EACH = {"float32": 4, "bfloat16": 2, "int8": 2, "int8-full": 2}
_BESIDE = 2_500_000_000


@dataclass
class _Tally:
    """Seconds by task, one for each round, of a contestant and of the baselines beside it."""

    own: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    beside: dict[Contestant, dict[str, list[float]]] = field(
        default_factory=dict[Contestant, dict[str, list[float]]]
    )


def check_memory(
    architecture: Architecture, contestants: Sequence[Contestant], baselines: Sequence[Contestant]
) -> None:
    """Raise InputError when the memory that is free now does not hold the baselines and the largest
    contestant.
    """
    weights = num_weights(architecture)
    kept = sum(_BYTES_EACH[one.precision] * weights + _BESIDE for one in baselines)
    needed = kept + max(_BYTES_EACH[one.precision] * weights + _BESIDE for one in contestants)
    free = free_memory()
    if free is not None and free < needed:
        raise InputError(
            f"{architecture.name} at full size needs about {needed / 1e9:.0f} GB of memory, and "
            f"{free / 1e9:.1f} GB are free",
            field="memory",
            hint="Close other programs, or measure cold and warm only.",
        )


def measure_large(
    architecture: Architecture,
    contestants: Sequence[Contestant],
    baselines: Sequence[Contestant],
    peaks: tuple[Peak, ...],
    effort: Effort,
    steps: int,
    *,
    environ: Mapping[str, str],
    scratch: Path,
    notes: list[str],
) -> Generator[Advanced, None, LargeReport]:
    """Write random weights into `scratch` and measure every contestant beside the `baselines`.

    A picture is `steps` steps. `notes` gets a sentence for each contestant that cannot run. Raises
    SfumatoError when one fails, OutputError when the disk is full.
    """
    side = architecture.latent_side
    progress = _Progress(len(contestants), len(baselines), effort)
    yield progress.at("large: writing random weights")
    write_random_model(scratch / "model", architecture)
    tallies: dict[Contestant, _Tally] = {}
    memories: dict[Contestant, Memory] = {}
    with ExitStack() as stack:
        crew = Crew(stack, environ)

        def add(one: Contestant) -> bool:
            return crew.add(one, job_of(one, str(scratch / "model"), str(scratch), guidance=GUIDANCE))

        def take(one: Contestant, task: str, times: int = 1) -> float:
            seconds = effort.turn_seconds if task == "encode" else 0.0
            turn = Turn(task, 1, side, side, seconds)
            return sum(crew.take(one, turn).each for _ in range(times))

        def warm_up(one: Contestant) -> None:
            # A quick run touches everything at an eighth of the size only.
            small = side if effort.whole_pictures else max(1, side // 8)
            for task in PARTS:
                crew.take(one, Turn(task, 1, small, small))

        for one in baselines:
            yield progress.at(f"large: loading {one.name}")
            if add(one):
                warm_up(one)
        kept = crew.members
        for one in contestants:
            yield progress.at(f"large: loading {one.name}")
            if not add(one):
                continue
            warm_up(one)
            tally = _Tally(beside={base: {} for base in kept})
            for number in range(effort.large):
                for task in PARTS:
                    for player in rotated(crew.members, number):
                        yield progress.at(f"large: {player.name}, {task}")
                        seconds = take(player, task)
                        book = tally.own if player == one else tally.beside[player]
                        book.setdefault(task, []).append(seconds)
            if effort.whole_pictures:
                for player in rotated(crew.members, len(tallies)):
                    yield progress.at(f"large: {player.name}, a picture")
                    seconds = take(player, "encode") + take(player, "step", steps) + take(player, "decode")
                    book = tally.own if player == one else tally.beside[player]
                    book[PICTURE] = [seconds]
            tallies[one] = tally
            memories[one] = crew.worker(one).memory()
            crew.dismiss(one)
        for base in kept:
            memories[base] = crew.worker(base).memory()
        notes.extend(crew.notes)
        load_seconds = crew.load_seconds
    for tally in tallies.values():
        for book in (tally.own, *tally.beside.values()):
            if PICTURE not in book:
                book[PICTURE] = extrapolated(book, steps)
    step_flops = flops(unet(architecture.unet), 2, side, side, architecture.tokens)
    rows = [
        LargeRow(
            contestant=one.name,
            load_seconds=load_seconds[one.name],
            **{task: _cost(tally, task) for task in (*PARTS, PICTURE)},
            extrapolated=not effort.whole_pictures,
            memory=memories[one],
            step_share=share(step_flops, tally.own["step"], best(peaks, one.precision)),
        )
        for one, tally in [*_of_baselines(tallies, kept).items(), *tallies.items()]
    ]
    return LargeReport(
        architecture=architecture.name,
        side=architecture.side,
        steps=steps,
        num_weights=num_weights(architecture),
        step_flops=step_flops,
        decode_flops=flops(
            decoder(architecture.vae), 1, architecture.side, architecture.side, architecture.tokens
        ),
        peaks=peaks,
        rows=tuple(rows),
    )


def extrapolated(book: Mapping[str, Sequence[float]], steps: int) -> list[float]:
    """Return what a picture of `steps` steps would take, from the seconds of its parts, round by round."""
    rounds = zip(book["encode"], book["step"], book["decode"], strict=True)
    return [encode + steps * step + decode for encode, step, decode in rounds]


def share(operations: int, seconds: Sequence[float], gflops: float | None) -> float | None:
    """Return the rate of `operations` in the median of `seconds`, over a rate in 10^9 a second."""
    return None if gflops is None else operations / spread(seconds).median / 1e9 / gflops


def _of_baselines(
    tallies: Mapping[Contestant, _Tally], baselines: Sequence[Contestant]
) -> dict[Contestant, _Tally]:
    """Return the baselines' own tallies, over all rounds that they took part in."""
    joined: dict[Contestant, _Tally] = {}
    for base in baselines if tallies else ():
        tally = _Tally(beside={other: {} for other in baselines if other != base})
        for one in tallies.values():
            for task, seconds in one.beside[base].items():
                tally.own.setdefault(task, []).extend(seconds)
            for other, book in tally.beside.items():
                for task, seconds in one.beside[other].items():
                    book.setdefault(task, []).extend(seconds)
        joined[base] = tally
    return joined


def _cost(tally: _Tally, task: str) -> Cost:
    own = tally.own[task]
    ratios = {base.name: paired(book[task], own) for base, book in tally.beside.items()}
    return Cost(spread(own), ratios)


class _Progress:
    """Counts what is done, if everybody can run."""

    def __init__(self, contestants: int, baselines: int, effort: Effort) -> None:
        each = 1 + (baselines + 1) * (len(PARTS) * effort.large + effort.whole_pictures)
        self._total = 1 + baselines + contestants * each
        self._done = -1

    def at(self, label: str) -> Advanced:
        self._done += 1
        return Advanced(label, self._done, self._total)
