from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from joint_models import WIDE, WIDTHS, joint_bundle, joint_folder, joint_pipeline
from sfumato.errors import ModelFileError
from sfumato.models.files import locate
from sfumato.models.text_long import LENGTH, LongText
from sfumato.models.text_pair import encode_pairs
from sfumato.recipe.prompt import compile_prompt
from tiny_models import MAX_LENGTH


def long_text() -> LongText:
    return LongText.load(locate(joint_folder("sd3")))


def prompt(text: str):
    return compile_prompt(text, 1).variants[0][0][1]


@pytest.mark.parametrize("text", ["", "a frog on a beach", "  frog,  cat!  ", "frog é 日", "frog " * 400])
def test_tokens_are_those_of_transformers(text: str) -> None:
    theirs = joint_pipeline("sd3").tokenizer_3(
        text, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="np"
    )
    mine = long_text().tokenise((((text, 1.0),),))
    np.testing.assert_array_equal(mine.ids, theirs.input_ids)
    assert (mine.weights == 1).all()
    assert mine.truncated == (text.count("frog") > 100)


def test_weights_belong_to_words_however_they_are_cut() -> None:
    long = long_text()
    marked = long.tokenise(prompt("a (red:1.5) frog BREAK a cat"))
    plain = long.tokenise(prompt("a red frog a cat"))
    np.testing.assert_array_equal(marked.ids, plain.ids)
    words = long.pieces.encode("a red frog a cat", add_special_tokens=False)
    red = [place for place, (start, stop) in enumerate(words.offsets) if stop > start and 2 <= start < 5]
    assert set(np.flatnonzero(marked.weights[0] != 1)) == set(red)
    assert (marked.weights[0, red] == np.float32(1.5)).all()


def test_no_text_stops_it() -> None:
    assert long_text().tokenise(((("\ud800 frog", 1.0),),)).ids.shape == (1, LENGTH)


@pytest.mark.parametrize("name", ["sd3", "sd3-no-t5"])
def test_the_context_is_that_of_diffusers(name: str) -> None:
    bundle, words = joint_bundle(name), "a frog on a beach"
    assert bundle.pair is not None
    made = encode_pairs(bundle.backend, bundle.pair, [prompt(words), ()])
    theirs, negative, pooled, other = joint_pipeline(name).encode_prompt(
        prompt=words, prompt_2=words, prompt_3=words, negative_prompt=""
    )
    for mine, context, projected in ((made[0], theirs, pooled), (made[1], negative, other)):
        assert mine.context.shape == (1, MAX_LENGTH + LENGTH, WIDE)
        np.testing.assert_allclose(mine.context, context.detach(), atol=2e-5)
        np.testing.assert_allclose(mine.pooled, projected.detach(), atol=2e-5)
    assert (made[0].context[:, :MAX_LENGTH, sum(WIDTHS) :] == 0).all()
    assert (made[0].context[:, MAX_LENGTH:] == 0).all() == (name == "sd3-no-t5")


def test_a_tokenizer_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    files = locate(joint_folder("sd3"))
    broken = tmp_path / "tokenizer.json"
    broken.write_text("{}")
    with pytest.raises(ModelFileError, match="makes no tokenizer"):
        LongText.load(replace(files, pieces=broken))
    third = files.text_encoder_3
    assert third is not None
    few = replace(third, config={**third.config, "vocab_size": 3})
    with pytest.raises(ModelFileError, match="it has 3"):
        LongText.load(replace(files, text_encoder_3=few))
