"""The sheet of docs/how-to/adapters.md: run `python docs/images/adapters.py OUT.webp` from the repository.

The LoRA of the first three rows is not trained but solved for: in every layer that looks at the text it maps
what "a frog ..." becomes to what "a rabbit ..." becomes, and leaves other objects alone, as Gandikota et al.
2023 (arXiv 2308.14761, Equation 7) edit concepts; its products are cut to rank 16. The embedding of the last
row is the mean of two words.
"""

import os
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from safetensors.numpy import save_file

from sfumato import Picture, Recipe, Settings, TextPart, run
from sfumato.models.adapters.changes import TOKENS
from sfumato.models.adapters.target import target_of
from sfumato.models.backends.openvino.weights import weights_of
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import find_model, load
from sfumato.models.text import encode, tokenise

Floats = NDArray[np.float32]
SIDE, LEFT, TOP, GAP, RANK = 128, 130, 18, 4, 16
PLACES = ("on a beach", "in the snow", "in a meadow", "in space", "at night", "on a blue background", "")
OTHERS = ("a cat", "a dog", "an apple", "a castle", "a rocket", "a horse", "a rose", "a house")
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
ROWS = ("a frog on a beach", "a frog in the snow", "a cat on a beach")


def contexts(bundle: ModelBundle, words: tuple[str, ...]) -> Floats:
    """Return what the network sees of each thing at each place, `(tokens, D)`."""
    prompts = [f"{word} {place}".strip() for word in words for place in PLACES]
    seen = [encode(bundle.backend, tokenise(bundle.tokenizer, (((one, 1.0),),))) for one in prompts]
    return np.concatenate([bundle.backend.to_numpy(one)[0] for one in seen])


def swap(bundle: ModelBundle, settings: Settings, path: Path) -> None:
    """Write a LoRA that turns frogs into rabbits."""
    frog, rabbit, others = (contexts(bundle, one) for one in (("a frog",), ("a rabbit",), OTHERS))
    gram = frog.T @ frog + 0.3 * others.T @ others
    turn = (
        (rabbit - frog).T @ frog @ np.linalg.inv(gram + 1e-3 * np.eye(len(gram)) * np.trace(gram) / len(gram))
    )
    files = find_model("bundled", settings).files
    weights, tensors = weights_of(files.unet), dict[str, Floats]()
    for key in target_of(files).shapes["unet"]:
        if key.endswith(("attn2.to_k.weight", "attn2.to_v.weight")):
            left, sizes, right = np.linalg.svd(weights.array(key) @ turn)
            raw = f"lora_unet_{key.removesuffix('.weight').replace('.', '_')}"
            tensors[f"{raw}.lora_up.weight"] = (left[:, :RANK] * sizes[:RANK]).astype(np.float32)
            tensors[f"{raw}.lora_down.weight"] = np.ascontiguousarray(right[:RANK], np.float32)
    path.parent.mkdir(parents=True)
    save_file(tensors, path)


def mean_word(bundle: ModelBundle, settings: Settings, path: Path) -> None:
    """Write an embedding that lies between two words."""
    table = weights_of(find_model("bundled", settings).files.text_encoder).array(TOKENS)
    first, second = (table[list(bundle.tokenizer.tokens(word))].mean(axis=0) for word in ("frog", "rabbit"))
    path.parent.mkdir(parents=True)
    save_file({"emb_params": ((first + second) / 2)[None]}, path)


def drawn(settings: Settings, prompt: str, seed: int) -> NDArray[np.uint8]:
    with closing(run(Recipe(seed=seed, parts=(TextPart(prompt=prompt),)), settings)) as events:
        return next(event.pixels for event in events if isinstance(event, Picture))


def main(out: Path) -> None:
    settings = Settings.from_environment(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(settings, model_dirs=(Path(folder),))
        bundle = load(find_model("bundled", settings), settings)
        swap(bundle, settings, Path(folder) / "loras" / "frog-to-rabbit.safetensors")
        mean_word(bundle, settings, Path(folder) / "embeddings" / "frabbit.safetensors")
        rows = [(row, [f"{row} <lora:frog-to-rabbit:{one}>" for one in STRENGTHS]) for row in ROWS]
        words = ("frog", "rabbit", "frabbit", "frabbit", "frabbit")
        rows.append(("frog, rabbit, and\nfrabbit, between", [f"a {word} on a beach" for word in words]))
        size = (LEFT + len(STRENGTHS) * (SIDE + GAP), TOP + len(rows) * (SIDE + GAP))
        sheet = Image.new("RGB", size, "white")
        pen = ImageDraw.Draw(sheet)
        for column, one in enumerate(STRENGTHS):
            pen.text((LEFT + column * (SIDE + GAP), 3), f"weight {one:g}", fill="black")
        for row, (name, prompts) in enumerate(rows):
            top = TOP + row * (SIDE + GAP)
            pen.text((4, top + SIDE // 2), name, fill="black")
            for column, prompt in enumerate(prompts):
                seed = 7 if row < len(ROWS) else 7 + max(column - 2, 0)
                place = LEFT + column * (SIDE + GAP), top
                sheet.paste(Image.fromarray(drawn(settings, prompt, seed)), place)
    sheet.save(out, quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
