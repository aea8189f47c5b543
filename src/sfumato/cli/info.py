"""`sfumato samplers` and `doctor`: what there is to choose from, and what this machine can do."""

from dataclasses import asdict
from typing import Annotated

import typer

from sfumato.cli import flags
from sfumato.cli.console import bar, examples, result, result_json, table

SAMPLERS_EXAMPLES = examples("sfumato samplers", "sfumato samplers --orders")
DOCTOR_EXAMPLES = examples(
    "sfumato doctor",
    "sfumato doctor --backend torch",
    "SFUMATO_DEVICE=cuda sfumato doctor",
    "sfumato doctor --json",
)

Json = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


def samplers(
    orders: Annotated[
        bool,
        typer.Option("--orders", help="Measure how fast each sampler converges on an exactly known problem."),
    ] = False,
    as_json: Json = False,
) -> None:
    """List the samplers and spacings that --sampler and --spacing can name.

    Both take the names of A1111 as well: "DPM++ 2M Karras" is the sampler dpmpp_2m with the spacing karras.
    EVALUATIONS counts calls of the network per step, ORDER how fast errors shrink with more steps.
    """
    if orders:
        _orders(as_json)
        return
    from sfumato.samplers.solvers import SOLVERS
    from sfumato.samplers.spacings import SPACINGS

    if as_json:
        facts = ("name", "label", "about", "evaluations", "noise", "order")
        result_json(
            {
                "samplers": [{fact: vars(row)[fact] for fact in facts} for row in SOLVERS.values()],
                "spacings": [
                    {"name": row.name, "label": row.label, "about": row.about} for row in SPACINGS.values()
                ],
            }
        )
        return
    rows = [
        (
            row.name,
            row.label,
            str(row.evaluations),
            "-" if row.order is None else str(row.order),
            row.about,
        )
        for row in SOLVERS.values()
    ]
    result(table(rows, ("SAMPLER", "A1111 NAME", "EVALUATIONS", "ORDER", "")))
    result("")
    spacings = [(row.name, row.label, row.about) for row in SPACINGS.values()]
    result(table(spacings, ("SPACING", "A1111 NAME", "")))


def doctor(
    backend: flags.Backend = None,
    precision: flags.Precision = None,
    offload: flags.Offload = None,
    storage: flags.Storage = None,
    as_json: Json = False,
) -> None:
    """Say what this machine has, what pictures will be drawn with, and why.

    Loads the bundled model to find out. Exits with 1 when that fails.
    """
    settings = flags.settings_with(backend, precision, offload, storage)
    from sfumato.cli.examination import examine

    with bar("loading the bundled model"):
        examination = examine(settings)
    if as_json:
        result_json(examination.report())
    else:
        result(examination.text())
    if examination.problem is not None:
        raise typer.Exit(1)


def _orders(as_json: bool) -> None:
    from sfumato.samplers.orders import STEPS, measure_orders

    measured = measure_orders()
    if as_json:
        result_json({"steps": STEPS, "samplers": [asdict(row) for row in measured]})
        return
    rows = [
        (
            row.name,
            "-" if row.expected is None else str(row.expected),
            "-" if row.measured is None else f"{row.measured:.2f}",
            *(f"{error:.1e}" for error in row.errors),
        )
        for row in measured
    ]
    result(table(rows, ("SAMPLER", "ORDER", "MEASURED", *(f"ERROR {n}" for n in STEPS))))
