"""A report on speed as text: one table for each section."""

import math
from collections.abc import Mapping, Sequence

from sfumato.cli.console import table
from sfumato.evaluation.speed.contestants import DIFFUSERS, DIFFUSERS_BFLOAT16
from sfumato.evaluation.speed.figures import Spread
from sfumato.evaluation.speed.machine import Machine
from sfumato.evaluation.speed.report import (
    ColdReport,
    Cost,
    LargeReport,
    LargeRow,
    Report,
    Side,
    Subject,
    WarmReport,
)

NONE = "-"
GB = 1e9
MB = 1e6


def report_text(report: Report) -> str:
    """Return the whole report: the machine, a table for each section, and how to read them."""
    parts = [_machine(report.machine)]
    if report.cold is not None:
        parts.append(cold_text(report.cold) + _others(report, "cold"))
    if report.warm is not None:
        parts.append(warm_text(report.warm) + _others(report, "warm"))
    if report.large is not None:
        parts.append(large_text(report.large) + _others(report, "large"))
    parts.append(
        f"Medians, with the smallest and the largest in brackets; ratios say how many times faster than "
        f"diffusers in the same round. Measured in {report.seconds:.0f} s."
    )
    return "\n\n".join(parts)


def cold_text(cold: ColdReport) -> str:
    """Return the table of fresh processes."""
    rows = [
        ("sfumato", *_side(cold.sfumato), _times(cold.ratio)),
        ("sfumato, first run", *_side(cold.first), _times(cold.first_ratio)),
    ]
    if cold.diffusers is not None:
        rows.append(("diffusers", *_side(cold.diffusers), NONE))
    head = f"COLD: {_subject(cold.subject)}; sfumato draws with {cold.backend}; n = {cold.sfumato.seconds.n}"
    stages = [f"{name} {spent:.3f}" for name, spent in cold.stages.items() if spent >= 0.0005]
    lines = [
        head,
        table(rows, ("", "START TO PICTURE", "TO THE END", "PEAK MEMORY", "FASTER")),
        f"seconds of sfumato: {', '.join(stages)}",
        "a first run finds no stored graphs: it compiles them, and stores them after its picture",
        f"modules of torch's stack in sfumato: {', '.join(cold.modules) or 'none'}",
    ]
    if cold.psnr is not None:
        same = "equal" if cold.psnr == float("inf") else f"{cold.psnr:.1f} dB PSNR apart"
        lines.append(f"the two pictures are {same}")
    return "\n".join(lines)


def warm_text(warm: WarmReport) -> str:
    """Return the table of loaded models."""
    rows = [
        (
            row.contestant,
            str(row.batch),
            _rate(row.steps_per_second),
            _times(row.step_ratio),
            _rate(row.pictures_per_second),
            _times(row.picture_ratio),
            _rate(row.fast_per_second),
            _times(row.fast_gain),
        )
        for row in warm.rows
    ]
    n = warm.rows[0].steps_per_second.n if warm.rows else 0
    return "\n".join(
        [
            f"WARM: {_subject(warm.subject)}; n = {n}",
            table(rows, ("", "BATCH", "GUIDED STEPS/S", "FASTER", "PICTURES/S", "FASTER", "--fast", "GAIN")),
        ]
    )


def large_text(large: LargeReport) -> str:
    """Return the tables of a full-size model: time, ratios, memory, and the machine's best."""
    n = large.rows[-1].step.seconds.n if large.rows else 0
    head = (
        f"LARGE: {large.architecture} with random weights ({large.num_weights / 1e6:.0f} million), "
        f"{large.side}x{large.side}; a guided step is {large.step_flops / 1e12:.3f} TFLOP, "
        f"a decoding {large.decode_flops / 1e12:.3f}; n = {n}"
    )
    mark = "*" if any(row.extrapolated for row in large.rows) else ""
    times = [
        (
            row.contestant,
            _seconds(row.encode.seconds),
            _seconds(row.step.seconds),
            _seconds(row.decode.seconds),
            _seconds(row.picture.seconds),
            NONE if row.step_share is None else f"{100 * row.step_share:.0f} %",
            _bytes(row.memory.peak),
            _bytes(row.memory.anonymous),
        )
        for row in large.rows
    ]
    header = ("SECONDS", "ENCODE", "STEP", "DECODE", f"{large.steps} STEPS{mark}", "OF PEAK", "MEMORY", "OWN")
    lines = [head, table(times, header)]
    if mark:
        lines.append(f"* put together: encoding, {large.steps} times a step, decoding")
    for base in (DIFFUSERS.name, DIFFUSERS_BFLOAT16.name):
        rows = [_ratios(row, base) for row in large.rows if base in row.step.ratios]
        if rows:
            lines += ["", table(rows, (f"FASTER THAN {base}", "ENCODE", "STEP", "DECODE", "PICTURE"))]
    peaks = [(f"{one.library} {one.precision}", one.task, _rate(one.gflops)) for one in large.peaks]
    if peaks:
        lines += ["", table(peaks, ("PEAK", "", "GFLOP/S"))]
    return "\n".join(lines)


def _ratios(row: LargeRow, base: str) -> tuple[str, ...]:
    costs: Sequence[Cost] = (row.encode, row.step, row.decode, row.picture)
    return (row.contestant, *(_times(cost.ratios.get(base)) for cost in costs))


def _machine(machine: Machine) -> str:
    memory = "" if machine.memory_bytes is None else f", {machine.memory_bytes / GB:.1f} GB of memory"
    abilities = f" ({' '.join(machine.abilities)})" if machine.abilities else ""
    load = (
        ""
        if machine.load is None
        else f"\nload at the start: {', '.join(f'{one:.2f}' for one in machine.load)}"
    )
    libraries = _listed(machine.libraries)
    return (
        f"{machine.processor}{abilities}, {machine.cores} cores{memory}, {machine.system}\n"
        f"python {machine.python}, {libraries}{load}"
    )


def _listed(libraries: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in libraries.items())


def _others(report: Report, section: str) -> str:
    share = report.others.get(section)
    return "" if share is None else f"\nother processes took {100 * share:.1f} % of the processor"


def _subject(subject: Subject) -> str:
    return (
        f"{subject.prompt!r}, {subject.width}x{subject.height}, {subject.steps} steps of ddim, "
        f"guidance {subject.guidance:g}, model {subject.model}"
    )


def _side(side: Side) -> tuple[str, str, str]:
    memory = NONE if side.peak_bytes is None else f"{side.peak_bytes.median / MB:.0f} MB"
    return _seconds(side.seconds), _seconds(side.exit_seconds), memory


def _seconds(found: Spread) -> str:
    return _shown(found, "")


def _rate(found: Spread | None) -> str:
    return NONE if found is None else _shown(found, "")


def _times(ratio: Spread | None) -> str:
    return NONE if ratio is None else _shown(ratio, "x")


def _shown(found: Spread, unit: str) -> str:
    middle = f"{short(found.median)}{unit}"
    return middle if found.n == 1 else f"{middle} [{short(found.low)}, {short(found.high)}]"


def short(value: float) -> str:
    """Return three digits of a positive number, without powers of ten: "0.0123", "4.60", "1155"."""
    if value <= 0:
        return "0"
    before = math.floor(math.log10(value)) + 1  # digits before the point
    return f"{value:.{max(0, 3 - before)}f}"


def _bytes(size: int | None) -> str:
    return NONE if size is None else f"{size / GB:.2f} GB"
