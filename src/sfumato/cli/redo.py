"""`sfumato redo`, `verify` and `show`: what a picture knows about itself, put to use."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli import flags, seeing_flags
from sfumato.cli.console import bar, examples, pairs, printable, result, result_json, talk, warn
from sfumato.cli.flags import Flags
from sfumato.errors import PictureError, RecipeError

REDO_EXAMPLES = examples(
    "sfumato redo frog.png",
    "sfumato redo frog.png --steps 50 --output better.png",
    'sfumato redo frog.png --prompt "a toad on a beach"',
    "sfumato redo frog.png --count 4 --output .",
)
VERIFY_EXAMPLES = examples("sfumato verify frog.png", "sfumato verify frog.png --json")
SHOW_EXAMPLES = examples(
    "sfumato show frog.png",
    "sfumato show frog.png --toml > frog.toml",
    "sfumato generate --recipe frog.toml --seed 8",
)

Source = Annotated[Path, typer.Argument(metavar="PICTURE", help="A PNG, JPEG or WebP drawn by Sfumato.")]


@flags.describes_a_picture
def redo(
    picture: Source,
    prompt: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Another prompt.", rich_help_panel=flags.WHAT),
    ] = None,
    *,
    asked: Flags,
    backend: flags.Backend = None,
    precision: flags.Precision = None,
    offload: flags.Offload = None,
    storage: flags.Storage = None,
    output: flags.Output = None,
    format_: flags.Format = None,
    preview: flags.Preview = None,
    trace: seeing_flags.Trace = None,
    animate: seeing_flags.Animate = None,
    animate_shows: seeing_flags.AnimateShows = None,
    exact_steps: seeing_flags.ExactSteps = False,
    attention: seeing_flags.Attention = None,
    as_json: flags.Json = False,
) -> None:
    """Draw a picture again from its own metadata, with anything changed.

    The new picture has the format of the old one, and never replaces it unless --output names it. Of a
    picture by another program that wrote A1111 parameters, these are read.
    """
    settings = flags.settings_with(backend, precision, offload, storage)
    from sfumato.cli.drawing import draw_to_files
    from sfumato.cli.outputs import wanted_suffix
    from sfumato.cli.recipes import read_picture, trust_of, warn_of_no_effect, with_flags, with_stdin
    from sfumato.imaging.io import suffix_of
    from sfumato.models.load import find_model
    from sfumato.recipe.numbers import number_of

    asked = replace(asked, prompt=prompt)
    base, before = read_picture(picture, settings if asked.model is None else None)
    recipe = with_flags(base, with_stdin(asked))
    warn_of_no_effect(recipe, asked)
    trust = trust_of(picture, asked)
    found = find_model(recipe.model, settings, paths=trust.model_paths)
    if asked.model is None and before is not None and found.defaults.digest != before.model_digest:
        warn(f"the model {recipe.model} has other weights than drew this picture; it will look different")
    seeing = None
    if exact_steps or any(one is not None for one in (trace, animate, animate_shows, attention)):
        from sfumato.cli.seeing import plan_seeing

        seeing = plan_seeing(trace, animate, animate_shows, attention, exact=exact_steps)
    draw_to_files(
        recipe,
        found,
        settings,
        output=output,
        suffix=wanted_suffix(format_, output, suffix_of(picture)),
        preview_every=0 if preview is None else number_of("preview", preview),
        as_json=as_json,
        near=(picture.parent, Path()),
        trust=trust,
        seeing=seeing,
    )


def verify(
    picture: Source,
    model: flags.Model = None,
    backend: flags.Backend = None,
    precision: flags.Precision = None,
    offload: flags.Offload = None,
    storage: flags.Storage = None,
    as_json: flags.Json = False,
) -> None:
    """Draw a picture again and say whether it is the same.

    Exits with 0 when no pixel differs by more than 1/255, with 1 otherwise. A JPEG or WebP is compared with
    the new drawing saved the same way. Backend and precision that are not asked for are those that drew the
    picture, where this machine has them.
    """
    settings = flags.settings_with(backend, precision, offload, storage)
    from sfumato.cli.verifying import compare

    with bar("drawing it again") as progress:
        comparison = compare(picture, model, settings, progress)
    if as_json:
        result_json(comparison.report())
    else:
        result(f"{picture}: {comparison}")
    if not comparison.identical:
        talk(comparison.advice)
        raise typer.Exit(1)


def show(
    picture: Source,
    as_json: Annotated[bool, typer.Option("--json", help="The full resolved recipe as JSON.")] = False,
    as_toml: Annotated[
        bool, typer.Option("--toml", help="A recipe for: sfumato generate --recipe FILE.")
    ] = False,
    parameters: Annotated[
        bool, typer.Option("--parameters", help="The text that other programs of this field read.")
    ] = False,
) -> None:
    """Show how a picture was made.

    A picture by another program that wrote A1111 parameters is shown as it says.
    """
    if as_json + as_toml + parameters > 1:
        raise RecipeError("only one of --json, --toml and --parameters is possible", field="show")
    from sfumato.cli.recipes import read_resolved
    from sfumato.imaging.metadata import read_metadata, read_parameters
    from sfumato.recipe.again import recipe_of, single
    from sfumato.recipe.codec import to_toml

    foreign = read_parameters(picture)
    if parameters:
        if not foreign:
            raise PictureError("no parameters in this picture", field="picture", value=str(picture))
        result(printable(foreign))
        return
    try:
        metadata = read_metadata(picture)
    except PictureError:
        if not foreign or as_json or as_toml:
            raise
        talk("No recipe, but the parameters of another program, or of what this was made from:")
        result(printable(foreign))
        return
    resolved = read_resolved(picture)
    if as_json:
        result_json(resolved.model_dump(mode="json"))
    elif as_toml:
        result(to_toml(recipe_of(single(resolved))).rstrip("\n"))
    else:
        from sfumato.cli.describing import described

        backend = {"backend": metadata.backend} if metadata.backend else {}
        if metadata.morph_json:
            from sfumato.cli.morphing import described_morph

            backend |= described_morph(picture, metadata.morph_json)
        result(printable(pairs({**described(resolved), **backend, "software": metadata.software})))
