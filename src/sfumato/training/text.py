"""The text stage: a small CLIP tokenizer for the captions' words, and a warm start of the text encoder.

A text encoder that begins at random teaches the UNet little for a long time. Telling what a caption
describes from the state of its last token is learned in minutes, and is exactly what cross-attention needs
to find there.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel

from sfumato.errors import ModelFileError
from sfumato.models.files import locate_byte_pairs
from sfumato.models.network_files import read_json
from sfumato.models.text import TextTokenizer, clip_words
from sfumato.recipe.train import SceneData, TextStage
from sfumato.scenes import scene
from sfumato.scenes import vocabulary as words
from sfumato.training.autoencoder import scene_mix
from sfumato.training.loop import Batch

START, END = "<|startoftext|>", "<|endoftext|>"


def build_tokenizer(
    stage: TextStage, data: SceneData, seed: int
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Byte pairs learned from `stage.captions` captions: `(vocab, merges)` in CLIP's layout.

    The vocabulary is 256 bytes, the same at a word's end, the merges in order, start and end; so any text
    has tokens, and the words of the scenes have one each when `stage.vocabulary` allows.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = learn_merges(_word_counts(stage, data, seed), stage.vocabulary - 2 * len(alphabet) - 2)
    tokens = [
        *alphabet,
        *(symbol + "</w>" for symbol in alphabet),
        *("".join(pair) for pair in merges),
        START,
        END,
    ]
    vocab: dict[str, int] = {}
    for token in tokens:
        vocab.setdefault(token, len(vocab))
    return vocab, merges


def learn_merges(counts: Mapping[str, int], limit: int) -> list[tuple[str, str]]:
    """Byte-pair encoding (Sennrich et al. 2016, arXiv 1508.07909): the up to `limit` most frequent pairs of
    symbols in words that occur `counts` times, each counted after the ones before it were merged.

    Of equally frequent pairs the first in the alphabet goes first, so that equal counts give equal tokens;
    the trainer of `tokenizers` picks another one each time it is run.
    """
    words_now: dict[str, tuple[str, ...]] = {w: (*w[:-1], w[-1] + "</w>") for w in counts}
    totals: Counter[tuple[str, str]] = Counter()
    places: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for word, symbols in words_now.items():
        for pair in pairwise(symbols):
            totals[pair] += counts[word]
            places[pair].add(word)
    merges: list[tuple[str, str]] = []
    while totals and len(merges) < limit:
        best = min(totals, key=lambda pair: (-totals[pair], pair))
        merges.append(best)
        for word in places.pop(best):
            before = words_now[word]
            after = words_now[word] = _merged(before, best)
            for pair in pairwise(before):
                totals[pair] -= counts[word]
                if totals[pair] <= 0:
                    del totals[pair]
            for pair in pairwise(after):
                totals[pair] += counts[word]
                places[pair].add(word)
    return merges


def _merged(symbols: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    position = 0
    while position < len(symbols):
        width = 2 if symbols[position : position + 2] == pair else 1
        merged.append("".join(symbols[position : position + width]))
        position += width
    return tuple(merged)


def _word_counts(stage: TextStage, data: SceneData, seed: int) -> Counter[str]:
    mix = scene_mix(data)
    pipeline = clip_words(Tokenizer(BPE()))
    counts: Counter[str] = Counter()
    for index in range(stage.captions):
        rng = scene.stream_rng(seed, index)
        text = pipeline.normalizer.normalize_str(scene.caption(scene.sample(rng, mix), rng))
        counts.update(word for word, _ in pipeline.pre_tokenizer.pre_tokenize_str(text))
    return counts


def write_tokenizer(
    folder: Path, vocab: Mapping[str, int], merges: list[tuple[str, str]], max_length: int
) -> None:
    """Write `vocab.json`, `merges.txt`, `tokenizer_config.json` and `special_tokens_map.json` as CLIP
    tokenizers have them."""
    folder.mkdir(parents=True, exist_ok=True)
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": max_length,
        "do_lower_case": True,
        **special,
    }
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2), encoding="utf-8")


class CaptionEncoder:
    """Captions to padded token ids `(B,T)` int64: start, tokens, end, then end again up to `max_length`."""

    def __init__(self, folder: Path) -> None:
        """Load the files of `write_tokenizer`. Raises `ModelFileError` when they are damaged."""
        try:
            config = read_json(folder, "tokenizer_config.json")
            vocab, merges = locate_byte_pairs(folder)
            self._tokenizer = TextTokenizer.read(vocab, merges, config, config.get("model_max_length"))
        except ModelFileError as error:
            hint = "Run the text recipe again in another folder."
            raise ModelFileError(
                f"the tokenizer cannot be read: {error.message}",
                field="tokenizer",
                value=error.value,
                hint=hint,
            ) from error
        self.max_length = self._tokenizer.max_length
        self.start, self.end = self._tokenizer.start, self._tokenizer.end
        self.vocabulary = self._tokenizer.bpe.get_vocab_size()

    def __call__(self, captions: list[str]) -> Tensor:
        ids = torch.full((len(captions), self.max_length), self.end, dtype=torch.int64)
        for row, caption in enumerate(captions):
            # Cut off, where drawing goes on in another chunk.
            tokens = [self.start, *islice(self._tokenizer.tokens(caption), self.max_length - 2)]
            ids[row, : len(tokens)] = torch.tensor(tokens)
        return ids


def build_encoder(stage: TextStage, captions: CaptionEncoder) -> CLIPTextModel:
    """A fresh `CLIPTextModel` of the stage's size for this tokenizer."""
    config = CLIPTextConfig(
        vocab_size=captions.vocabulary,
        hidden_size=stage.width,
        intermediate_size=4 * stage.width,
        num_hidden_layers=stage.layers,
        num_attention_heads=stage.heads,
        max_position_embeddings=captions.max_length,
        hidden_act="gelu",
        projection_dim=stage.width,
        bos_token_id=captions.start,
        eos_token_id=captions.end,
        pad_token_id=captions.end,
    )
    return CLIPTextModel(config)


_RELATIONS = (None, *words.RELATIONS, words.MIXED)
_TIMES = tuple(words.TIMES)
_SIZES = tuple(words.SIZES)
#: What a caption says, as classes: name -> number of classes.
QUESTIONS: dict[str, int] = {
    "first": len(words.OBJECTS),
    "second": len(words.OBJECTS) + 1,
    "background": len(words.BACKGROUNDS),
    "time": len(_TIMES),
    "style": len(words.STYLE_NAMES),
    "relation": len(_RELATIONS),
    "count": 3,
    "size": len(_SIZES),
}


def answers(shown: scene.Scene) -> dict[str, int]:
    """The class of each of `QUESTIONS` for a scene; without a second object it is the last class."""
    names = words.OBJECT_NAMES
    return {
        "first": names.index(shown.objects[0]),
        "second": names.index(shown.objects[1]) if len(shown.objects) == 2 else len(names),
        "background": words.BACKGROUNDS.index(shown.background),
        "time": _TIMES.index(shown.time),
        "style": words.STYLE_NAMES.index(shown.style),
        "relation": _RELATIONS.index(shown.relation),
        "count": shown.count - 1,
        "size": _SIZES.index(shown.size),
    }


class TextTask:
    """Answer every one of `QUESTIONS` from the text encoder's state at the caption's end."""

    def __init__(self, stage: TextStage, data: SceneData, seed: int, captions: CaptionEncoder) -> None:
        self._stage = stage
        self._seed = seed
        self._mix = scene_mix(data)
        self._captions = captions

    def modules(self) -> dict[str, nn.Module]:
        heads = nn.ModuleDict(
            {name: nn.Linear(self._stage.width, classes) for name, classes in QUESTIONS.items()}
        )
        return {"text_encoder": build_encoder(self._stage, self._captions), "heads": heads}

    def batch(self, step: int, size: int) -> Batch:
        texts: list[str] = []
        rows: list[dict[str, int]] = []
        for index in range(step * size, (step + 1) * size):
            rng = scene.stream_rng(self._seed, index)
            shown = scene.sample(rng, self._mix)
            texts.append(scene.caption(shown, rng))
            rows.append(answers(shown))
        labels = {name: torch.from_numpy(np.array([row[name] for row in rows])) for name in QUESTIONS}
        return {"ids": self._captions(texts), "labels": labels}

    def loss(
        self, modules: Mapping[str, nn.Module], batch: Batch, random: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        encoder, heads = modules["text_encoder"], cast(Mapping[str, nn.Module], modules["heads"])
        device = next(encoder.parameters()).device
        ids = batch["ids"].to(device)
        output: Any = encoder(input_ids=ids)
        # The last position is always an end token that has seen the whole caption.
        state = output.last_hidden_state[:, -1]
        loss = torch.zeros((), device=device)
        right = torch.ones(len(ids), dtype=torch.bool)
        for name, classes in batch["labels"].items():
            logits = heads[name](state).float()
            loss = loss + functional.cross_entropy(logits, classes.to(device))
            right &= logits.argmax(dim=1).cpu() == classes
        return loss, {"all_right": float(right.float().mean())}
