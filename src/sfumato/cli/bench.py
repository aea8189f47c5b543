"""`sfumato bench`: how fast Sfumato is beside stock diffusers, on this machine."""

from typing import Annotated

import typer

from sfumato.cli import flags
from sfumato.cli.console import examples

EXAMPLES = examples(
    "sfumato bench --quick",
    "sfumato bench cold --repeats 11",
    "sfumato bench large --backend openvino --precision bf16",
    "sfumato bench --json > speed.json",
)


def bench(
    section: Annotated[
        str, typer.Argument(metavar="SECTION", help="What to measure: cold, warm, large or all.")
    ] = "all",
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Fewer rounds, backends and precisions: two minutes on two cores."),
    ] = False,
    repeats: Annotated[
        str | None,
        typer.Option(metavar="N", help="Rounds of each section. Without it: 7 cold, 7 warm, 3 large."),
    ] = None,
    steps: Annotated[str, typer.Option(metavar="N", help="Denoising steps of a picture, 1 to 1000.")] = "20",
    model: Annotated[
        str, typer.Option(metavar="NAME", help="The model of cold and warm; see: sfumato models.")
    ] = "bundled",
    backend: flags.Backend = None,
    precision: flags.Precision = None,
    as_json: flags.Json = False,
) -> None:
    """Measure how fast Sfumato is, side by side with stock diffusers.

    Cold: fresh processes, from their start to the picture on disk. Warm: steps and pictures a second of a
    loaded model, by batch. Large: networks of Stable Diffusion 1.5's full size with random weights (2.2 GB
    in a temporary folder), what a guided step at 512x512 costs and which share of the processor's best that
    is, and memory. Rounds take turns, and ratios compare what was measured side by side. Everything runs on
    the processor; leave the machine alone meanwhile. Without torch there is nothing to compare with.
    """
    settings = flags.settings_with(backend, precision)
    from sfumato.cli.benchmark import run_benchmark

    run_benchmark(
        settings, section=section, quick=quick, repeats=repeats, steps=steps, model=model, as_json=as_json
    )
