"""Where every word of a prompt acted: cross-attention summed over heads, layers and steps.

These are the attribution maps of Tang et al. 2022 ("What the DAAM", arXiv 2210.04885), Section 2.2: at every
place a token has a share of the attention that the place gives the text, and the shares are added up over
heads, layers and steps. Of the layers only those after the middle of the UNet are taken: in the bundled model
the others give the word of an object no more attention at the object than elsewhere
(docs/how-to/see-it-happen.md has the figures).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.plan import Conditioning
from sfumato.errors import InputError, RecipeError
from sfumato.models.bundle import ModelBundle
from sfumato.models.text import tokenise
from sfumato.models.words import words_of
from sfumato.recipe.image import Resolved
from sfumato.recipe.prompt import Prompt, compile_prompt
from sfumato.recipe.resolved_parts import ResolvedMix, ResolvedRegions

USE_TORCH: Final = "Use it: --backend torch."

Map = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class WordMap:
    """A word and where it acted: `heat (h,w)`, its share at each latent of all attention that all words of
    the prompt get anywhere. The maps of all words together sum to one.
    """

    word: str
    heat: Map


@dataclass(eq=False)
class AttentionRecorder:
    """Sums up attention while `draw` draws, if it is handed one; of one batch of pictures at a time.

    `words` are all that the prompts say over the run, in order; `lines` says for each prompt which of the
    context's places belong to which words. `blocks` are the parts of the UNet whose layers are summed, by
    diffusers' names; None for those after the middle.
    """

    unet: Any  # a diffusers UNet: what sees it lies in sfumato.models.backends
    words: tuple[str, ...]
    lines: dict[Prompt, tuple[tuple[int, tuple[int, ...]], ...]]
    blocks: tuple[str, ...] | None = None
    _batch: tuple[int, ...] = ()
    _sums: dict[int, NDArray[np.float64]] = field(default_factory=dict[int, NDArray[np.float64]])

    def begin(self, batch: tuple[int, ...]) -> None:
        """Forget what was, and sum up for the pictures `batch`."""
        self._batch = batch
        self._sums.clear()

    @contextmanager
    def during(self, asked: Sequence[Conditioning], size: tuple[int, int]) -> Iterator[None]:
        """Record one evaluation: of every conditioning of `asked` a row for each picture of the batch, for
        latents of `size (h,w)`.
        """
        from sfumato.models.backends.torch_attention import UP, recording

        with recording(self.unet, size, self.blocks or UP) as heat:
            yield
        total = heat.total()
        if total is None:  # a step that reuses features may run no layer that attends
            return
        for number, conditioning in enumerate(asked):
            lines = [line for _, one in conditioning.blend for line in self.lines.get(one, ())]
            if not lines or conditioning.perturbed:
                continue
            for row, index in enumerate(self._batch):
                maps = total[number * len(self._batch) + row]
                if index not in self._sums:
                    self._sums[index] = np.zeros((len(self.words), *size))
                for word, places in lines:
                    self._sums[index][word] += maps[list(places)].sum(axis=0)

    def word_maps(self, index: int) -> tuple[WordMap, ...]:
        """Return where every word acted in picture `index` of the last batch; empty if no step was drawn."""
        sums = self._sums.get(index)
        if sums is None:
            return ()
        shares = sums / sums.sum()
        return tuple(
            WordMap(word, heat.astype(np.float32)) for word, heat in zip(self.words, shares, strict=True)
        )


def attention_recorder(resolved: Resolved, bundle: ModelBundle) -> AttentionRecorder:
    """Return what records where the words of a recipe's prompts act; those it draws away from are left out.

    The n-th "frog" of one prompt and the n-th of another, as ``[day|night]`` makes, are one word. Raises
    InputError for a backend other than torch and for a model without cross-attention, RecipeError when there
    is no word, and for a picture that is drawn in windows. With hires, the maps are of the first drawing.
    """
    if resolved.extras is not None and resolved.extras.tiling is not None:
        hint = "Leave one of the two out."
        raise RecipeError("is not possible together with tiling", field="attention", hint=hint)
    unet = _unet_of(bundle)
    windows = resolved.windows
    if windows is not None and max(resolved.width, resolved.height) > windows.size:
        hint = "Leave out --windows, or --attention."
        raise RecipeError("cannot be seen in windows", field="attention", hint=hint)
    numbers: dict[tuple[str, int], int] = {}
    lines: dict[Prompt, tuple[tuple[int, tuple[int, ...]], ...]] = {}
    for prompt in _prompts(resolved):
        counts: dict[str, int] = {}
        line: list[tuple[int, tuple[int, ...]]] = []
        for word in words_of(bundle.tokenizer, tokenise(bundle.tokenizer, prompt)):
            counts[word.text] = counts.get(word.text, 0) + 1
            number = numbers.setdefault((word.text, counts[word.text]), len(numbers))
            line.append((number, word.places))
        lines[prompt] = tuple(line)
    if not numbers:
        raise RecipeError("there is no word to map", field="attention", hint="Give a prompt.")
    return AttentionRecorder(unet, tuple(word for word, _ in numbers), lines)


def _prompts(resolved: Resolved) -> Iterator[Prompt]:
    """Yield every reading of every prompt of `resolved` that it draws towards; some more than once."""
    texts = [] if resolved.text is None else [resolved.text.prompt]
    for part in resolved.parts:
        match part:
            case ResolvedMix():
                texts += [one.prompt for one in part.prompts]
            case ResolvedRegions():
                texts += [one.prompt for one in part.regions]
            case _:
                pass
    for text in texts:
        for composite in compile_prompt(text, resolved.steps).variants:
            yield from (prompt for weight, prompt in composite if weight > 0)


def _unet_of(bundle: ModelBundle) -> Any:
    try:
        from sfumato.models.backends.torch import TorchBackend
        from sfumato.models.backends.torch_attention import cross_layers
    except ImportError as error:
        raise _needs_torch(bundle) from error
    if not isinstance(bundle.backend, TorchBackend):
        raise _needs_torch(bundle)
    if bundle.defaults.joint:
        raise InputError(
            "words are traced in UNets, and this model is a transformer (Stable Diffusion 3)",
            field="attention",
            value=bundle.name,
            hint="Leave it out, or use another model.",
        )
    if not cross_layers(bundle.backend.unet):
        raise InputError("this model does not attend to words", field="attention", value=bundle.name)
    return bundle.backend.unet


def _needs_torch(bundle: ModelBundle) -> InputError:
    return InputError(
        "attention maps need the torch backend", field="attention", value=bundle.backend.name, hint=USE_TORCH
    )
