import numpy as np
import pytest

from sfumato.models.adapters.building import changes_of, fingerprint, word_ids
from sfumato.models.adapters.changes import TOKENS
from sfumato.models.adapters.reading import open_adapter
from sfumato.recipe.adapters import ResolvedAdapter, ResolvedAdapters, ResolvedEmbedding
from tiny_adapters import kohya_lora, tiny_target, write_adapter


@pytest.fixture
def files(tmp_path):
    tensors = {"a": kohya_lora(seed=1), "b": kohya_lora(seed=2)}
    words = {"w": np.ones((2, 32), np.float32), "v": np.zeros((1, 32), np.float32)}
    tensors |= {name: {"emb_params": vectors} for name, vectors in words.items()}
    opened = [
        open_adapter(write_adapter(tmp_path / f"{name}.safetensors", some), "lora")
        for name, some in tensors.items()
    ]
    return {file.name: file for file in opened}


def part(files, *loras, words=()):
    def digest(name):
        return files[name].digests().whole

    return ResolvedAdapters(
        adapters=tuple(
            ResolvedAdapter(
                name=name,
                digest=digest(name),
                hash=files[name].hash,
                weight=weight,
                text_weight=text,
                blocks=blocks,
            )
            for name, weight, text, blocks in loras
        ),
        embeddings=tuple(
            ResolvedEmbedding(name=name, digest=digest(name), hash=files[name].hash) for name in words
        ),
    )


def built(files, *loras, words=()):
    by_digest = {file.digests().whole: file for file in files.values()}
    return changes_of(part(files, *loras, words=words), by_digest, tiny_target(), "tiny")


def strengths(changes, network):
    return {key: [strength for _, strength in rows] for key, rows in changes.of(network).rows.items()}


def test_weights_are_those_of_the_recipe_in_its_order(files):
    changes, warnings = built(files, ("b", 0.5, 0.25, {}), ("a", -1.0, 2.0, {}))
    assert warnings == ()
    assert {tuple(some) for some in strengths(changes, "unet").values()} == {(0.5, -1.0)}
    assert {tuple(some) for some in strengths(changes, "text_encoder").values()} == {(0.25, 2.0)}


def test_blocks_multiply_the_weight(files):
    changes, _ = built(files, ("a", 2.0, 1.0, {"MID": 0.5, "IN01": 0.0, "BASE": 0.25}))
    found = strengths(changes, "unet")
    assert found["mid_block.attentions.0.proj_in.weight"] == [1.0]
    assert not [key for key in found if key.startswith("down_blocks.0.resnets.0.")]
    assert found["up_blocks.1.resnets.0.conv1.weight"] == [2.0]
    assert {tuple(some) for some in strengths(changes, "text_encoder").values()} == {(0.25,)}


def test_a_weight_of_nothing_changes_nothing(files):
    changes, _ = built(files, ("a", 0.0, 0.0, {}))
    assert changes.networks == {}


def test_words_get_tokens_behind_the_others(files):
    known = tiny_target().shapes["text_encoder"][TOKENS][0]
    changes, _ = built(files, words=("w", "v"))
    words = changes.of("text_encoder").words
    assert words is not None
    assert (words == [[1.0] * 32, [1.0] * 32, [0.0] * 32]).all()
    by_digest = {file.digests().whole: file for file in files.values()}
    (ids,) = word_ids(part(files, words=("w", "v")), by_digest, tiny_target(), "tiny")
    assert ids == {"w": (known, known + 1), "v": (known + 2,)}


def test_the_fingerprint_is_of_all_that_decides(files):
    base = part(files, ("a", 1.0, 1.0, {}), words=("w",))
    renamed = base.model_copy(update={"adapters": (base.adapters[0].model_copy(update={"name": "z"}),)})
    assert fingerprint(renamed) == fingerprint(base)
    others = [
        part(files, ("a", 0.9, 1.0, {}), words=("w",)),
        part(files, ("a", 1.0, 0.9, {}), words=("w",)),
        part(files, ("a", 1.0, 1.0, {"MID": 0.5}), words=("w",)),
        part(files, ("b", 1.0, 1.0, {}), words=("w",)),
        part(files, ("a", 1.0, 1.0, {}), words=("v",)),
        part(files, ("a", 1.0, 1.0, {}), ("b", 1.0, 1.0, {}), words=("w",)),
        part(files, ("b", 1.0, 1.0, {}), ("a", 1.0, 1.0, {}), words=("w",)),
        part(files, ("a", 1.0, 1.0, {})),
    ]
    assert len({fingerprint(one) for one in (base, *others)}) == len(others) + 1
