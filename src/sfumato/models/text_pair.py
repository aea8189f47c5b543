"""The text of Stable Diffusion XL: two encoders side by side, and a pooled text.

Of every encoder the hidden states before its last layer are read, without the final layer norm; the two lie
side by side along the features. The pooled text is the projection that the last encoder makes (Podell et al.
2023, arXiv 2307.01952, Section 2.1). The refiner reads its one encoder the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sfumato.errors import ModelFileError
from sfumato.models.backends.base import Array, Backend
from sfumato.models.files import ModelFiles
from sfumato.models.joint_files import is_transformer
from sfumato.models.text import TextTokenizer, filled, tokenise, weighed, within_vocabulary
from sfumato.models.text_long import LongText, with_long
from sfumato.recipe.prompt import Prompt
from sfumato.samplers.arrays import array_namespace


@dataclass(frozen=True, eq=False)
class TextPair:
    """How a model that is told a pooled text reads words: the tokenizer of each of its encoders.

    `zero_empty` says that zeros stand for a prompt without words (`force_zeros_for_empty_prompt` in
    model_index.json), as in the model's training. `long` is what follows in Stable Diffusion 3, whose pooled
    text is that of both encoders.
    """

    tokenizers: tuple[TextTokenizer, ...]
    zero_empty: bool
    long: LongText | None = None

    @classmethod
    def load(cls, files: ModelFiles, first: TextTokenizer) -> "TextPair":
        """Build the pair of a checked model folder whose `first` tokenizer is there. Raises ModelFileError
        when its files do not fit.
        """
        # diffusers' pipeline assumes true where nothing is said.
        joint = is_transformer(files.unet)
        zero_empty = bool(files.index.get("force_zeros_for_empty_prompt", not joint))
        long = LongText.load(files) if joint else None
        second = files.text_encoder_2
        if second is None or files.vocab_2 is None or files.tokenizer_2 is None:
            return cls((first,), zero_empty)
        longest = second.config.get("max_position_embeddings", 77)
        tokenizer = TextTokenizer.read(files.vocab_2, files.merges_2, files.tokenizer_2, longest)
        within_vocabulary(tokenizer, files.vocab_2, second)
        # Both make chunks of one length, as their texts lie side by side.
        length = min(first.max_length, tokenizer.max_length)
        both = replace(first, max_length=length), replace(tokenizer, max_length=length)
        return cls(both, zero_empty, long)


@dataclass(frozen=True, eq=False)
class PairText:
    """An encoded prompt: `context (1,n*T,D)` of n chunks, with the features of all encoders, and `pooled
    (1,P)`, of its first chunk. `cut`: a third encoder did not read all of it.
    """

    context: Array
    pooled: Array
    cut: bool = False


def encode_pairs(
    backend: Backend, pair: TextPair, prompts: Sequence[Prompt], skipped: int = 0
) -> list[PairText]:
    """Return the encoded prompts, all of one length: shorter ones are filled up with chunks of the empty
    prompt.

    Weights of words act on each encoder's states by themselves, as in `sfumato.models.text.encode`, and not
    on the pooled text.
    """
    tokens = [[tokenise(one, prompt) for one in pair.tokenizers] for prompt in prompts]
    longest = max(len(one.ids) for each in tokens for one in each)
    empty = [tokenise(one, ()) for one in pair.tokenizers]
    made: list[PairText] = []
    for prompt, each in zip(prompts, tokens, strict=True):
        states: list[Array] = []
        projections: list[Array] = []
        for number, (one, nothing) in enumerate(zip(each, empty, strict=True)):
            whole = filled(one, nothing, longest)
            hidden, projected = backend.encode_pooled(whole.ids, number, skipped)
            projections += [] if projected is None else [projected[:1]]
            states.append(weighed(backend, whole, hidden))
        if not projections:
            raise ModelFileError("no text encoder of this model makes a pooled text", field="model")
        xp, pooled, cut = array_namespace(states[0]), projections[-1], False
        context = xp.concat(states, axis=2)
        context = context.reshape(1, -1, context.shape[-1])
        if pair.long is not None:
            context, cut = with_long(backend, pair.long, prompt, context)
            pooled = xp.concat(projections, axis=1)
        if pair.zero_empty and not has_words(prompt):
            context, pooled = context * 0, pooled * 0
        made.append(PairText(context, pooled, cut))
    return made


def has_words(prompt: Prompt) -> bool:
    """Tell whether a prompt says anything at all."""
    return any(text.strip() for part in prompt for text, _ in part)
