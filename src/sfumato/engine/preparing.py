"""What a drawing is made ready with before its first step: sizes and batches, texts, and what it begins with.

What only some drawings need is imported when it is asked for, as pictures from words alone are drawn in half
a second.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sfumato.engine.conditions import compile_plan
from sfumato.engine.plan import Conditioning, Plan
from sfumato.engine.steering import Controls, Steering
from sfumato.engine.texts import Texts
from sfumato.engine.windows import Windows, windows_of
from sfumato.imaging.inputs import Inputs
from sfumato.models.backends.base import Array
from sfumato.models.bundle import ModelBundle, rows_within
from sfumato.models.controlnets import ControlFiles
from sfumato.models.text import Tokens, encode_equal_length, tokenise
from sfumato.models.text_pair import encode_pairs
from sfumato.recipe.image import Resolved
from sfumato.recipe.prompt import Prompt

if TYPE_CHECKING:
    from sfumato.engine.edits import Edit
    from sfumato.engine.low_res import LowRes
    from sfumato.engine.outpaint import Outpainting

LONG: Final = "A prompt is longer than what the third text encoder reads; it left out the rest."
UNREAD: Final = "This model is told the guidance, and so reads no negative prompt."
MAX_BATCH: Final = 8  # larger batches gain little speed, and make the first picture wait


def latent_shape(resolved: Resolved, bundle: ModelBundle) -> tuple[int, int, int]:
    """Return the channels, height and width of one picture's latents."""
    factor = bundle.downsample
    return bundle.latent_channels, resolved.height // factor, resolved.width // factor


def windows_for(resolved: Resolved, bundle: ModelBundle) -> Windows | None:
    """Return the windows that the drawing is predicted in; None when it is no larger than one."""
    part = resolved.windows
    if part is None:
        return None
    windows = windows_of(part.size, part.overlap, bundle.downsample)
    return windows if windows.needed(*latent_shape(resolved, bundle)[1:]) else None


def batch_size(plan: Plan, max_rows: int) -> int:
    """Return how many pictures are drawn at once where the network takes `max_rows` rows."""
    return min(MAX_BATCH, max(1, max_rows // plan.max_branches))


def batches_of(indices: tuple[int, ...], size: int) -> list[tuple[int, ...]]:
    """Return pictures' `indices` in batches of `size`; the last one may be smaller."""
    return [indices[at : at + size] for at in range(0, len(indices), size)]


def batch_of(resolved: Resolved, bundle: ModelBundle, index: int) -> tuple[int, ...]:
    """Return the pictures that `sfumato.engine.run.draw` draws in one batch with picture `index` when it
    draws the whole run: a network rounds differently in batches of another size.
    """
    shape, windows = latent_shape(resolved, bundle)[1:], windows_for(resolved, bundle)
    plan, seen = compile_plan(resolved), shape if windows is None else windows.size(*shape)
    if plan.tiling is not None:
        from sfumato.engine.wrapping import larger, margin_of

        seen = larger(seen, margin_of(plan.tiling, *seen))
    size = batch_size(plan, rows_within(bundle, *seen))
    first = index - index % size
    return tuple(range(first, min(first + size, resolved.count)))


def tokenise_plan(plan: Plan, bundle: ModelBundle) -> dict[Prompt, Tokens]:
    """Return the tokens of every prompt of `plan`."""
    prompts = (prompt for branch in plan.branches for _, prompt in branch.conditioning.blend)
    return {prompt: tokenise(bundle.tokenizer, prompt) for prompt in dict.fromkeys(prompts)}


def encode_plan(
    plan: Plan, tokens: Mapping[Prompt, Tokens], bundle: ModelBundle, skipped: int = 0
) -> tuple[Texts, tuple[str, ...]]:
    """Return the texts of every conditioning of `plan`, and warnings.

    `tokens` are those of `tokenise_plan`; so many of the text encoder's last layers are `skipped`.
    """
    conditionings = dict.fromkeys(branch.conditioning for branch in plan.branches)
    if bundle.pair is None:
        encoded = encode_equal_length(bundle.backend, bundle.tokenizer, list(tokens.values()), skipped)
        texts = Texts(_blended(conditionings, dict(zip(tokens, encoded, strict=True))))
    else:
        pairs = encode_pairs(bundle.backend, bundle.pair, list(tokens), skipped)
        texts = Texts(
            _blended(conditionings, {prompt: one.context for prompt, one in zip(tokens, pairs, strict=True)}),
            _blended(conditionings, {prompt: one.pooled for prompt, one in zip(tokens, pairs, strict=True)}),
        )
        if any(one.cut for one in pairs):
            return texts, (LONG,)
    if any(one.truncated for one in tokens.values()):
        limit = max(len(one.ids) for one in tokens.values()) * (bundle.tokenizer.max_length - 2)
        return texts, (f"A prompt is longer than {limit} tokens; the rest was left out.",)
    return texts, ()


def unread(resolved: Resolved) -> tuple[str, ...]:
    """Return warnings about what a recipe says and its model does not read."""
    if resolved.embedded and resolved.text is not None and resolved.text.negative:
        return (UNREAD,)
    return ()


def _blended(
    conditionings: Iterable[Conditioning], encoded: Mapping[Prompt, Array]
) -> dict[Conditioning, Array]:
    """Return what every conditioning blends of `encoded` prompts."""
    return {one: sum(encoded[prompt] * share for share, prompt in one.blend) for one in conditionings}


def edit_and_steering(
    resolved: Resolved, bundle: ModelBundle, inputs: Inputs, controls: Controls
) -> tuple["Edit | None", tuple[Steering, ...], tuple[ControlFiles, ...]]:
    """Return what a drawing begins with, what steers it, and the files of the ControlNets that do."""
    edit: Edit | None = None
    if resolved.image is not None and (resolved.extend is None or resolved.extend.reach == 0):
        from sfumato.engine.edits import prepare

        edit = prepare(resolved, bundle, inputs)
    if resolved.control is None:
        return edit, (), ()
    from sfumato.engine.controls import chosen, prepare_controls

    files = chosen(resolved, controls)
    return edit, prepare_controls(resolved, bundle, inputs, files, edit), files


def outpainting_for(resolved: Resolved, bundle: ModelBundle, inputs: Inputs) -> "Outpainting | None":
    """Return how an extension is drawn that is drawn in passes; None when there is none."""
    if resolved.extend is None or resolved.extend.reach == 0:
        return None
    from sfumato.engine.outpaint import outpainting

    return outpainting(resolved, bundle, inputs)


def low_res_for(resolved: Resolved, bundle: ModelBundle, inputs: Inputs) -> "LowRes | None":
    """Return the small picture that is made larger, if there is one."""
    if resolved.low_res is None and bundle.low_res is None:
        return None
    from sfumato.engine.low_res import prepare_low_res

    return prepare_low_res(resolved, bundle, inputs)


def with_arrays(
    plan: Plan, resolved: Resolved, bundle: ModelBundle, inputs: Inputs, edit: "Edit | None"
) -> Plan:
    """Return `plan` with the arrays that belong to it at the drawing's size."""
    if resolved.regions is not None or resolved.bands is not None:
        from sfumato.engine.regions import share_maps  # most drawings have none

        maps = share_maps(resolved, *latent_shape(resolved, bundle)[1:], inputs)
        plan = replace(plan, maps=bundle.backend.asarray(maps))
    if bundle.shown is not None or resolved.image_guidance is not None:
        from sfumato.engine.instructing import check_instructed, shown_channels

        check_instructed(resolved, bundle)
        plan = replace(plan, channels=shown_channels(bundle, edit))
    if bundle.inpaints:
        channels = None if edit is None else edit.channels
        if channels is None:
            from sfumato.engine.edits import nothing_kept

            channels = nothing_kept(bundle, resolved.width, resolved.height)
        plan = replace(plan, channels=channels)
    return plan
