"""The tokenizer against transformers' CLIPTokenizer, chunks, and word weights against their formula."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from transformers import CLIPTokenizer

from recording import Recorder
from sfumato.models.text import MAX_CHUNKS, encode, encode_equal_length, tokenise
from sfumato.recipe.prompt import Prompt, compile_prompt
from tiny_models import MAX_LENGTH, tiny_bundle, tiny_folder

ROOM = MAX_LENGTH - 2
theirs = CLIPTokenizer.from_pretrained(tiny_folder() / "tokenizer")


def prompt(text: str) -> Prompt:
    return compile_prompt(text, 1).variants[0][0][1]


@given(st.text(max_size=200))
def test_tokens_equal_transformers(text: str) -> None:
    if "<|" in text:  # transformers reads special tokens out of prompts; here text is only text
        return
    assert list(tiny_bundle().tokenizer.tokens(text)) == theirs(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize("text", ["A  Frog's\n tail, 1234!", "naïve 日本 🐸🐸", "don't  stop", "e\u0301", ""])
def test_rows_equal_transformers_with_padding(text: str) -> None:
    row = tokenise(tiny_bundle().tokenizer, (((text, 1.0),),)).ids
    expected = theirs(text, padding="max_length", truncation=True, max_length=MAX_LENGTH).input_ids
    if len(theirs(text).input_ids) <= MAX_LENGTH:
        assert row.tolist() == [expected]


def test_blocks_of_a_long_text_change_no_token() -> None:
    text = "a frog, two rabbits; " * 1000
    assert list(tiny_bundle().tokenizer.tokens(text)) == theirs(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\x00", "x" * 1_000_000, " " * 1_000_000])
def test_no_text_is_too_odd(text: str) -> None:
    started = time.perf_counter()
    tokens = tokenise(tiny_bundle().tokenizer, (((text, 1.0),),))
    assert len(tokens.ids) <= MAX_CHUNKS
    assert tokens.truncated == (text[0] == "x")
    assert time.perf_counter() - started < 10


def test_long_prompts_become_chunks_and_the_rest_is_dropped() -> None:
    tokenizer = tiny_bundle().tokenizer
    word = next(iter(tokenizer.tokens("a")))
    full = tokenise(tokenizer, ((("a " * ROOM, 1.0),),))
    assert full.ids.shape == (1, MAX_LENGTH)
    assert full.ids[0].tolist() == [tokenizer.start, *[word] * ROOM, tokenizer.end]
    more = tokenise(tokenizer, ((("a " * (ROOM + 1), 1.0),),))
    assert more.ids.shape == (2, MAX_LENGTH)
    assert more.ids[1].tolist() == [tokenizer.start, word, tokenizer.end, *[tokenizer.pad] * (ROOM - 1)]
    most = tokenise(tokenizer, ((("a " * (ROOM * MAX_CHUNKS), 1.0),),))
    assert (len(most.ids), most.truncated) == (MAX_CHUNKS, False)
    beyond = tokenise(tokenizer, ((("a " * (ROOM * MAX_CHUNKS + 1), 1.0),),))
    assert (len(beyond.ids), beyond.truncated) == (MAX_CHUNKS, True)


def test_a_full_chunk_ends_at_its_last_comma() -> None:
    def rows(text: str) -> list[str]:
        ids = tokenise(tokenizer, ((((text), 1.0),),)).ids
        special = {tokenizer.start, tokenizer.end, tokenizer.pad}
        return [" ".join(names[i] for i in row if i not in special) for row in ids.tolist()]

    tokenizer = tiny_bundle().tokenizer
    names = {
        next(iter(tokenizer.tokens("a"))): "a",
        next(iter(tokenizer.tokens(","))): ",",
    }
    room = ["a"] * ROOM
    assert rows(" ".join([*room[:9], ",", *room[:6]])) == [
        " ".join([*room[:9], ","]),
        " ".join(room[:6]),
    ]
    # A comma that comes next, or a prompt that fits, moves nothing.
    full = " ".join([*room[:5], ",", *room[6:]])
    assert rows(full) == [full]
    assert rows(f"{full} , a") == [full, ", a"]
    # A comma counts once: what it gave away is not moved again.
    assert rows(" ".join([",", *room[1:], "a", *room])) == [",", " ".join(room), " ".join(room)]


@pytest.mark.parametrize(("behind", "stays"), [(19, 42), (20, 61)])
def test_a_comma_too_far_back_is_left_alone(behind: int, stays: int) -> None:
    wide = replace(tiny_bundle().tokenizer, max_length=62)
    text = ["a"] * 61
    text[60 - behind - 1] = ","
    ids = tokenise(wide, (((" ".join(text), 1.0),),)).ids
    assert ids[0].tolist().index(wide.end) == stays


def test_break_begins_a_new_chunk() -> None:
    tokens = tokenise(tiny_bundle().tokenizer, prompt("a frog BREAK snow"))
    first = tokenise(tiny_bundle().tokenizer, prompt("a frog"))
    second = tokenise(tiny_bundle().tokenizer, prompt("snow"))
    assert np.array_equal(tokens.ids, np.concatenate([first.ids, second.ids]))


def test_the_empty_prompt_is_one_chunk() -> None:
    tokenizer = tiny_bundle().tokenizer
    expected = [tokenizer.start, tokenizer.end, *[tokenizer.pad] * (MAX_LENGTH - 2)]
    for empty in ((), ((),), prompt("")):
        assert tokenise(tokenizer, empty).ids.tolist() == [expected]


def test_plain_prompts_are_encoded_without_a_change() -> None:
    bundle = tiny_bundle()
    tokens = tokenise(bundle.tokenizer, prompt("a frog"))
    assert torch.equal(encode(bundle.backend, tokens), bundle.backend.encode_text(tokens.ids))


def test_weights_scale_words_and_keep_the_mean() -> None:
    bundle = tiny_bundle()
    tokens = tokenise(bundle.tokenizer, prompt("a (frog:1.5) in [snow]"))
    plain = bundle.backend.encode_text(tokens.ids)
    scaled = plain * torch.tensor(tokens.weights)[:, :, None]
    weighted = encode(bundle.backend, tokens)
    assert torch.allclose(weighted, scaled * (plain.mean() / scaled.mean()), atol=1e-4)
    assert float(weighted.mean()) == pytest.approx(float(plain.mean()), rel=1e-3)
    assert sorted(set(tokens.weights.ravel().tolist())) == pytest.approx([1 / 1.1, 1, 1.5], rel=1e-6)


def test_an_encoder_without_a_mean_keeps_its_size() -> None:
    class Centred(Recorder):
        def encode_text(self, ids: NDArray[np.int64], skipped: int = 0) -> torch.Tensor:
            hidden = super().encode_text(ids)
            return hidden - hidden.mean(dim=(1, 2), keepdim=True)

    bundle = tiny_bundle()
    tokens = tokenise(bundle.tokenizer, prompt("a (frog:1.5) in [snow]"))
    plain = Centred(bundle.backend).encode_text(tokens.ids)
    weighted = encode(Centred(bundle.backend), tokens)
    assert float((weighted**2).mean()) == pytest.approx(float((plain**2).mean()), rel=1e-4)
    assert torch.allclose(weighted / weighted.norm(), plain / plain.norm(), atol=0.1)


@given(st.floats(-10, 10))
def test_no_weight_makes_the_context_infinite(weight: float) -> None:
    bundle = tiny_bundle()
    assert torch.isfinite(encode(bundle.backend, tokenise(bundle.tokenizer, ((("frog", weight),),)))).all()


def test_prompts_of_a_batch_get_one_length() -> None:
    bundle = tiny_bundle()
    short, long = (tokenise(bundle.tokenizer, prompt(text)) for text in ("a frog", "a " * 40))
    contexts = encode_equal_length(bundle.backend, bundle.tokenizer, [short, long])
    assert [context.shape for context in contexts] == [(1, 3 * MAX_LENGTH, 32)] * 2
    empty = encode(bundle.backend, tokenise(bundle.tokenizer, ()))
    assert torch.allclose(contexts[0][:, MAX_LENGTH : 2 * MAX_LENGTH], empty, atol=1e-5)
    assert torch.allclose(contexts[0][:, :MAX_LENGTH], encode(bundle.backend, short), atol=1e-5)
