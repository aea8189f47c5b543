"""What Stable Diffusion XL reads of words, beside what diffusers' own pipeline makes of them."""

from typing import Any

import diffusers
import pytest
import torch

from family_models import family_bundle, family_folder
from sfumato.models.bundle import ModelBundle
from sfumato.models.text_pair import PairText, TextPair, encode_pairs, has_words
from sfumato.recipe.prompt import Prompt
from tiny_models import MAX_LENGTH

FROG = "a frog on a beach"


def prompt(*texts: str) -> Prompt:
    """A prompt of parts of one weight."""
    return tuple(((text, 1.0),) for text in texts)


def pair_of(bundle: ModelBundle) -> TextPair:
    assert bundle.pair is not None
    return bundle.pair


def read(*prompts: Prompt, family: str = "sdxl", skipped: int = 0) -> list[PairText]:
    bundle = family_bundle(family)
    return encode_pairs(bundle.backend, pair_of(bundle), prompts, skipped)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return diffusers.StableDiffusionXLPipeline.from_pretrained(family_folder("sdxl"))


@pytest.mark.parametrize("skipped", [0, 1, 2])
def test_both_encoders_and_the_pooled_text_equal_diffusers(pipeline: Any, skipped: int) -> None:
    (ours,) = read(prompt(FROG), skipped=skipped)
    with torch.no_grad():
        context, _, pooled, _ = pipeline.encode_prompt(
            FROG, do_classifier_free_guidance=False, clip_skip=skipped or None
        )
    assert torch.allclose(ours.context, context, atol=1e-5)
    assert torch.allclose(ours.pooled, pooled, atol=1e-5)


def test_an_empty_prompt_is_zeros_where_the_model_was_trained_so(pipeline: Any) -> None:
    empty, blank, frog = read(prompt(""), prompt("  ", "\n"), prompt(FROG))
    _, context, _, pooled = pipeline.encode_prompt(FROG, do_classifier_free_guidance=True)
    assert torch.equal(empty.context[:, :MAX_LENGTH], context)
    assert torch.equal(empty.pooled, pooled)
    assert float(blank.context.abs().sum()) == 0 < float(frog.context.abs().sum())
    (read_by_refiner,) = read(prompt(""), family="sdxl-refiner")
    assert float(read_by_refiner.context.abs().sum()) > 0 < float(read_by_refiner.pooled.abs().sum())


def test_the_refiner_reads_with_its_one_encoder() -> None:
    bundle = family_bundle("sdxl-refiner")
    pipe = diffusers.StableDiffusionXLImg2ImgPipeline.from_pretrained(family_folder("sdxl-refiner"))
    (ours,) = read(prompt(FROG), family="sdxl-refiner")
    with torch.no_grad():
        context, _, pooled, _ = pipe.encode_prompt(FROG, do_classifier_free_guidance=False)
    assert len(pair_of(bundle).tokenizers) == 1
    assert torch.allclose(ours.context, context, atol=1e-5)
    assert torch.allclose(ours.pooled, pooled, atol=1e-5)


def test_the_second_tokenizer_pads_in_its_own_way() -> None:
    first, second = pair_of(family_bundle("sdxl")).tokenizers
    assert first.pad == first.end
    assert second.pad == second.bpe.token_to_id("!") != second.end


def test_long_prompts_are_read_in_chunks_and_pooled_from_the_first() -> None:
    long = " ".join([FROG] * 6)
    whole, short = read(prompt(long), prompt(FROG))
    chunks = whole.context.shape[1] // MAX_LENGTH
    assert chunks > 1
    assert short.context.shape == whole.context.shape
    words = long.split(" ")[: MAX_LENGTH - 2]  # each is one token
    (first,) = read(prompt(" ".join(words)))
    assert torch.allclose(whole.context[:, :MAX_LENGTH], first.context, atol=1e-5)
    assert torch.allclose(whole.pooled, first.pooled, atol=1e-5)


def test_weights_of_words_act_on_each_encoder_and_not_on_the_pooled_text() -> None:
    plain, strong = read(prompt(FROG), ((("a", 1.0), ("frog", 1.5), ("on a beach", 1.0)),))
    assert torch.equal(plain.pooled, strong.pooled)
    for of_one in (slice(0, 32), slice(32, None)):
        a, b = plain.context[..., of_one], strong.context[..., of_one]
        kept = b[:, 1] / a[:, 1]  # "a", whose weight is one: only the mean was restored
        assert torch.allclose(kept, kept.mean().expand_as(kept), atol=1e-4)
        assert torch.allclose(b[:, 2] / a[:, 2], 1.5 * kept.mean().expand_as(kept), atol=1e-4)


@pytest.mark.parametrize(
    ("said", "expected"), [((), False), (prompt(""), False), (prompt(" ", "a"), True), (prompt("!"), True)]
)
def test_what_counts_as_words(said: Prompt, expected: bool) -> None:
    assert has_words(said) is expected
