"""The text stage: one tokenizer for training, drawing and everybody else, and a warm start that learns."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE
from transformers import CLIPTokenizer

from sfumato.errors import ModelFileError
from sfumato.models.files import ModelFiles
from sfumato.models.network_files import NetworkFiles
from sfumato.models.text import TextTokenizer, clip_words, tokenise
from sfumato.recipe.train import SceneData, TextStage
from sfumato.scenes import scene
from sfumato.training.loop import step_generator
from sfumato.training.text import (
    QUESTIONS,
    CaptionEncoder,
    TextTask,
    answers,
    build_encoder,
    build_tokenizer,
    learn_merges,
    write_tokenizer,
)

STAGE = TextStage(stage="text", vocabulary=900, captions=300, max_length=24, width=16, layers=1, heads=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("text") / "tokenizer"
    vocab, merges = build_tokenizer(STAGE, SceneData(), 3)
    write_tokenizer(place, vocab, merges, STAGE.max_length)
    return place


@pytest.fixture(scope="module")
def captions(folder: Path) -> CaptionEncoder:
    return CaptionEncoder(folder)


def drawing_tokenizer(folder: Path, vocabulary: int) -> TextTokenizer:
    """The tokenizer that draws, from the same files."""
    config = {"vocab_size": vocabulary, "max_position_embeddings": 24}
    network = NetworkFiles("text_encoder", config, folder)
    return TextTokenizer.load(
        ModelFiles(
            folder=folder,
            unet=network,
            vae=network,
            text_encoder=network,
            scheduler={},
            tokenizer={"model_max_length": 24},
            vocab=folder / "vocab.json",
            merges=folder / "merges.txt",
            defaults={},
        )
    )


def drawn_row(folder: Path, captions: CaptionEncoder, text: str) -> list[int]:
    """What drawing makes of `text`, as one row: what is beyond it, drawing puts in more chunks."""
    tokenizer = drawing_tokenizer(folder, captions.vocabulary)
    ids = [tokenizer.start, *tokenizer.tokens(text)][:23]
    row = ids + [tokenizer.end] * (24 - len(ids))
    whole = tokenise(tokenizer, (((text, 1.0),),)).ids.tolist()
    assert len(whole) > 1 or whole == [row]
    return row


def test_the_vocabulary_is_laid_out_as_clip_s(folder: Path, captions: CaptionEncoder) -> None:
    assert 700 < captions.vocabulary <= 900
    assert captions.start == captions.vocabulary - 2
    assert captions.end == captions.vocabulary - 1
    assert captions.max_length == 24
    vocab = json.loads((folder / "vocab.json").read_text())
    assert vocab["!"] == 0
    assert vocab["!</w>"] == 256


def test_the_tokenizer_is_the_recipe_s(folder: Path) -> None:
    vocab, merges = build_tokenizer(STAGE, SceneData(), 3)
    assert json.loads((folder / "vocab.json").read_text()) == vocab
    assert (folder / "merges.txt").read_text().splitlines()[1:] == [" ".join(pair) for pair in merges]
    assert build_tokenizer(STAGE, SceneData(), 4)[1] != merges


def test_merges_are_the_most_frequent_pairs() -> None:
    counts = {"low": 5, "lower": 2, "newest": 6, "widest": 3}  # the example of arXiv 1508.07909
    first = [("e", "s"), ("es", "t</w>"), ("l", "o"), ("e", "w"), ("ew", "est</w>"), ("n", "ewest</w>")]
    assert learn_merges(counts, 6) == first
    assert learn_merges(counts, 99)[:6] == first
    # Pairs that overlap are merged from the left, and counted anew.
    assert learn_merges({"aaaa": 1}, 9) == [("a", "a"), ("a", "a</w>"), ("aa", "aa</w>")]
    assert learn_merges({}, 9) == []


def test_common_words_are_one_token(captions: CaptionEncoder) -> None:
    ids = captions(["a red background"])[0].tolist()
    assert ids[0] == captions.start
    assert ids[4:] == [captions.end] * 20


TEXTS = [
    "a frog on a beach",
    "An  ASTRONAUT\triding a horse's back, it's 2026!",
    "café, ÅNGSTRÖM 水彩画 🐸 #1",
    "",
    "word " * 60,
]


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_training_drawing_and_transformers_agree(folder: Path, captions: CaptionEncoder, text: str) -> None:
    ids = captions([text])[0]
    theirs = CLIPTokenizer.from_pretrained(folder)
    encoded = theirs(text, padding="max_length", truncation=True, max_length=24).input_ids
    assert ids.tolist() == encoded
    assert ids.tolist() == drawn_row(folder, captions, text)


def test_marks_typed_into_a_text_are_text(folder: Path, captions: CaptionEncoder) -> None:
    # transformers lets a prompt end itself; nobody who writes the mark wants that.
    ids = captions(["a<|endoftext|>b"])[0].tolist()
    assert ids.index(captions.end) > 5
    assert ids == drawn_row(folder, captions, "a<|endoftext|>b")


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_training_and_drawing_agree_on_any_text(folder: Path, captions: CaptionEncoder, text: str) -> None:
    assert captions([text])[0].tolist() == drawn_row(folder, captions, text)


def test_captions_are_plain_byte_pairs(folder: Path, captions: CaptionEncoder) -> None:
    files = (str(folder / "vocab.json"), str(folder / "merges.txt"))
    plain = clip_words(Tokenizer(BPE.from_file(*files, unk_token="<|endoftext|>", end_of_word_suffix="</w>")))
    for index in range(200):
        rng = scene.stream_rng(1, index)
        text = scene.caption(scene.sample(rng, scene.SceneMix(pairs=0.6)), rng)
        tokens = [captions.start, *plain.encode(text, add_special_tokens=False).ids[:22]]
        assert captions([text])[0].tolist() == tokens + [captions.end] * (24 - len(tokens))


@pytest.mark.parametrize("name", ["vocab.json", "tokenizer_config.json", "merges.txt"])
def test_damaged_files_are_reported(folder: Path, tmp_path: Path, name: str) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).unlink()
    with pytest.raises(ModelFileError, match="the tokenizer cannot be read"):
        CaptionEncoder(tmp_path)


def test_every_scene_has_an_answer_to_every_question() -> None:
    for index in range(300):
        shown = scene.sample(np.random.default_rng(index), scene.SceneMix(pairs=0.4, counts=0.3))
        given_answers = answers(shown)
        assert given_answers.keys() == QUESTIONS.keys()
        assert all(0 <= given_answers[name] < number for name, number in QUESTIONS.items())


def test_the_encoder_fits_the_tokenizer(captions: CaptionEncoder) -> None:
    encoder = build_encoder(STAGE, captions)
    assert encoder.config.vocab_size == captions.vocabulary
    hidden = encoder(input_ids=captions(["a frog", "a horse"])).last_hidden_state
    assert hidden.shape == (2, 24, 16)


def test_the_data_of_a_step_is_a_function_of_the_step(captions: CaptionEncoder) -> None:
    task = TextTask(STAGE, SceneData(), 3, captions)
    first, again = task.batch(2, 4), task.batch(2, 4)
    assert torch.equal(first["ids"], again["ids"])
    assert first["ids"].shape == (4, 24)
    assert all(torch.equal(first["labels"][name], again["labels"][name]) for name in QUESTIONS)
    assert not torch.equal(first["ids"], task.batch(3, 4)["ids"])


def test_it_learns_what_a_caption_says(captions: CaptionEncoder) -> None:
    torch.manual_seed(0)
    task = TextTask(STAGE, SceneData(), 3, captions)
    modules = task.modules()
    optimizer = torch.optim.Adam([p for module in modules.values() for p in module.parameters()], lr=1e-2)
    batch = task.batch(0, 16)
    history: list[SimpleNamespace] = []
    for step in range(40):
        loss, figures = task.loss(modules, batch, step_generator(0, step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(SimpleNamespace(loss=float(loss.detach()), right=figures["all_right"]))
    assert history[-1].loss < 0.3 * history[0].loss
    assert 0 <= history[0].right <= history[-1].right <= 1
