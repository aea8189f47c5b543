"""CLIP's vocabulary."""

import hashlib
from pathlib import Path

import pytest
from transformers import CLIPTokenizer

from sfumato.models.text import TextTokenizer
from sfumato.models.vocabulary import CLIP_MERGES, END, SIZE, START, clip_byte_pairs, merges_txt, vocab_json

MERGES_SHA256 = (
    "9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a"  # of every published folder
)
TEXTS = [
    "a photo of a frog",
    "",
    "  spaces \t\n and   breaks  ",
    "ÉCOLE naïve Straße \u017f \ufb01",
    "it's we've DON'T l'été",
    "1234 v1.5 3.14 1,000",
    "日本語のカエル 한국어 العربية ไทย",
    "🐸🇨🇭👩‍👩‍👧 e\u0301 \u200b\u00a0x\ufeff",
    "(frog:1.2) [x|y] --ar 2:3 #!? ... ;;;",
    "supercalifragilisticexpialidocious" * 3,
    "\x00\x01 control \x7f",
]


@pytest.fixture(scope="module")
def ours() -> TextTokenizer:
    return TextTokenizer.read(CLIP_MERGES, None, {"model_max_length": 77, "pad_token": "!"}, 77)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> CLIPTokenizer:
    folder = tmp_path_factory.mktemp("clip")
    (folder / "vocab.json").write_bytes(vocab_json())
    (folder / "merges.txt").write_bytes(merges_txt())
    return CLIPTokenizer.from_pretrained(folder)


def test_it_is_the_published_one() -> None:
    vocabulary, merges = clip_byte_pairs()
    assert len(vocabulary) == SIZE == 49_408
    assert len(merges) == 48_894
    assert hashlib.sha256(merges_txt()).hexdigest() == MERGES_SHA256
    known = {"!": 0, "a": 64, "a</w>": 320, "photo</w>": 1125, "cat</w>": 2368, START: 49_406, END: 49_407}
    assert {token: vocabulary[token] for token in known} == known


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_are_those_of_transformers(text: str, ours: TextTokenizer, theirs: CLIPTokenizer) -> None:
    expected = theirs(text, add_special_tokens=False)["input_ids"]
    assert list(ours.tokens(text)) == expected


def test_marks_in_a_prompt_are_words_and_not_marks(ours: TextTokenizer) -> None:
    assert not {ours.start, ours.end} & set(ours.tokens("<|startoftext|> a <|endoftext|> b"))


def test_marks_and_padding(ours: TextTokenizer) -> None:
    assert (ours.start, ours.end, ours.pad, ours.max_length) == (49_406, 49_407, 0, 77)


def test_source_and_licence_lie_beside_it() -> None:
    assert "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a" in (
        (CLIP_MERGES.parent / "README.md").read_text()
    )
    assert "Permission is hereby granted" in Path(CLIP_MERGES.parent / "LICENSE").read_text()
