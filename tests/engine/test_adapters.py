"""Adapters in drawings: pictures of both backends, against stock diffusers, and what is left of them."""

import copy
import warnings
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from numpy.typing import NDArray

from family_models import family_bundle, family_folder
from sfumato.engine.adapters import find_adapters, laid_over
from sfumato.engine.events import Picture, Started, StepDone
from sfumato.engine.run import draw, run
from sfumato.errors import ModelFileError, RecipeError
from sfumato.models.adapters.blocks import original_modules
from sfumato.models.adapters.target import target_of
from sfumato.models.ahead import load_compiled
from sfumato.models.backends.openvino.backend import load_openvino
from sfumato.models.bundle import ModelBundle
from sfumato.models.files import locate
from sfumato.models.names import current_name
from sfumato.models.text import encode, tokenise
from sfumato.models.text_pair import encode_pairs
from sfumato.recipe.adapters import Adapter, AdaptersPart, Embedding
from sfumato.recipe.again import recipe_of
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import Part, TextPart
from sfumato.recipe.resolve import resolve
from sfumato.settings import Settings
from tiny_adapters import kohya_lora, write_adapter
from tiny_models import tiny_bundle, tiny_folder, tiny_settings

FROG = TextPart(prompt="a frog on a beach")
FILES = locate(tiny_folder())


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with two LoRAs and an embedding of three vectors."""
    folder = tmp_path_factory.mktemp("adapters")
    write_adapter(folder / "loras" / "one.safetensors", kohya_lora(seed=1, size=0.2))
    write_adapter(folder / "loras" / "two.safetensors", kohya_lora(seed=2, size=0.2))
    random = np.random.default_rng(0)
    word = {"emb_params": random.normal(0, 0.4, (3, 32)).astype(np.float32)}
    write_adapter(folder / "embeddings" / "frogish.safetensors", word)
    return tiny_settings(folder)


@pytest.fixture(scope="module")
def compiled() -> ModelBundle:
    return replace(tiny_bundle(), backend=load_openvino(FILES, "float32"))


@pytest.fixture(scope="module")
def pipeline() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return StableDiffusionPipeline.from_pretrained(tiny_folder(), safety_checker=None)


def ready(
    settings: Settings, bundle: ModelBundle, *parts: Part, **fields: Any
) -> tuple[Resolved, ModelBundle]:
    recipe = Recipe(parts=parts, **{"seed": 7, "steps": 3, **fields})
    adapters = find_adapters((recipe,), FILES, settings)
    resolved = resolve(recipe, bundle.defaults, adapters=adapters.table)
    return resolved, laid_over(resolved, bundle, adapters)


def pixels(resolved: Resolved, bundle: ModelBundle) -> NDArray[np.uint8]:
    with closing(draw(resolved, bundle)) as events:
        return next(event.pixels for event in events if isinstance(event, Picture))


def drawn(settings: Settings, bundle: ModelBundle, *parts: Part, **fields: Any) -> NDArray[np.uint8]:
    return pixels(*ready(settings, bundle, *parts, **fields))


def loras(*some: Adapter) -> AdaptersPart:
    return AdaptersPart(adapters=some)


def bits(bundle: ModelBundle) -> dict[str, bytes]:
    networks = {"unet": bundle.backend.unet, "text": bundle.backend.text_encoder}
    return {
        f"{name}.{key}": tensor.contiguous().view(torch.uint8).numpy().tobytes()
        for name, network in networks.items()
        for key, tensor in network.state_dict().items()
    }


def distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    return int(np.abs(one.astype(int) - other).max())


BOTH = (Adapter(name="one", weight=0.7, text_weight=0.4), Adapter(name="two", blocks={"MID": 0.0}))


def test_pictures_of_both_backends_are_alike(settings: Settings, compiled: ModelBundle) -> None:
    plain = drawn(settings, tiny_bundle(), FROG)
    for parts in ((loras(*BOTH),), (TextPart(prompt="a frogish on a beach"),)):
        asked = (FROG, *parts) if parts[0].kind == "adapters" else parts
        torch_drew, openvino_drew = (drawn(settings, one, *asked) for one in (tiny_bundle(), compiled))
        assert distance(torch_drew, openvino_drew) <= 2
        assert distance(torch_drew, plain) > 40


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_a_backend_without_adapters_is_what_it_was(
    backend: str, settings: Settings, compiled: ModelBundle
) -> None:
    bundle = tiny_bundle() if backend == "torch" else compiled
    before = drawn(settings, bundle, FROG)
    with_them = drawn(settings, bundle, FROG, loras(*BOTH))
    assert (drawn(settings, bundle, FROG) == before).all()
    assert (drawn(settings, bundle, FROG, loras(*BOTH)) == with_them).all()
    nothing = drawn(settings, bundle, FROG, loras(Adapter(name="one", weight=0.0)))
    assert (nothing == before).all()


def test_weights_keep_every_bit_when_a_drawing_stops_half_way(settings: Settings) -> None:
    before = bits(tiny_bundle())
    resolved, bundle = ready(settings, tiny_bundle(), FROG, loras(*BOTH))
    with closing(draw(resolved, bundle)) as events:
        assert isinstance(next(event for event in events if isinstance(event, StepDone)), StepDone)
        assert bits(tiny_bundle()) == before
        assert bits(bundle) != before
    assert bits(tiny_bundle()) == before


def test_two_drawings_at_once_do_not_mix(settings: Settings) -> None:
    alone = [drawn(settings, tiny_bundle(), FROG, loras(Adapter(name=name))) for name in ("one", "two")]
    both = [draw(*ready(settings, tiny_bundle(), FROG, loras(Adapter(name=name)))) for name in ("one", "two")]
    found: dict[int, NDArray[np.uint8]] = {}
    with closing(both[0]), closing(both[1]):
        for pair in zip(*both, strict=True):
            found |= {place: one.pixels for place, one in enumerate(pair) if isinstance(one, Picture)}
    assert all((found[place] == alone[place]).all() for place in range(2))


def test_a_lora_draws_what_it_draws_in_diffusers(settings: Settings, pipeline: Any) -> None:
    """One prediction of the UNet, from a text of the same adapter."""
    _, bundle = ready(settings, tiny_bundle(), FROG, loras(Adapter(name="one", weight=0.8)))
    pipe = copy.deepcopy(pipeline)
    folder = settings.model_dirs[0] / "loras"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe.load_lora_weights(str(folder), weight_name="one.safetensors")
        pipe.fuse_lora(lora_scale=0.8)
    tokens = tokenise(bundle.tokenizer, ((("a frog on a beach", 1.0),),))
    context = encode(bundle.backend, tokens)
    theirs = pipe.text_encoder(torch.tensor(tokens.ids)).last_hidden_state
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = pipe.unet(x, torch.tensor(500.0), encoder_hidden_states=theirs).sample
    torch.testing.assert_close(context, theirs, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(bundle.backend.predict(x, 500.0, context), wanted, atol=1e-4, rtol=1e-4)


def test_a_word_means_what_it_means_in_diffusers(settings: Settings, pipeline: Any) -> None:
    _, bundle = ready(settings, tiny_bundle(), TextPart(prompt="a frogish frog"))
    pipe = copy.deepcopy(pipeline)
    path = settings.model_dirs[0] / "embeddings" / "frogish.safetensors"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe.load_textual_inversion(str(path), token="frogish")
        wanted, _ = pipe.encode_prompt("a frogish frog", "cpu", 1, do_classifier_free_guidance=False)
    for spoken in ("a frogish frog", "a <frogish> frog", "a FROGISH frog"):
        ours = encode(bundle.backend, tokenise(bundle.tokenizer, (((spoken, 1.0),),)))
        torch.testing.assert_close(ours, wanted, atol=1e-5, rtol=1e-5)


def test_a_mark_and_a_part_are_one_adapter(settings: Settings) -> None:
    listed = drawn(settings, tiny_bundle(), FROG, loras(Adapter(name="one", weight=0.5)))
    marked = drawn(settings, tiny_bundle(), TextPart(prompt=f"{FROG.prompt} <lora:one:0.5>"))
    assert (listed == marked).all()


def test_the_same_run_is_found_again_by_digest(settings: Settings, tmp_path: Path) -> None:
    resolved, bundle = ready(settings, tiny_bundle(), TextPart(prompt="a frogish beach"), loras(*BOTH))
    here = tiny_settings(tmp_path)
    for kind, name, moved in (
        ("loras", "one", "eins"),
        ("loras", "two", "sub/zwei"),
        ("embeddings", "frogish", "ähnlich"),
    ):
        path = tmp_path / kind / f"{moved}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((settings.model_dirs[0] / kind / f"{name}.safetensors").read_bytes())
    adapters = find_adapters((recipe_of(resolved),), FILES, here, paths=False, words=False)
    again = resolve(recipe_of(resolved), tiny_bundle().defaults, adapters=adapters.table)
    assert again == resolved
    assert (pixels(again, laid_over(again, tiny_bundle(), adapters)) == pixels(resolved, bundle)).all()
    (tmp_path / "loras" / "eins.safetensors").unlink()
    with pytest.raises(RecipeError, match=r"the adapter that is asked for is not here \(got 'one'\)"):
        find_adapters((recipe_of(resolved),), FILES, here, paths=False, words=False)


def test_words_are_looked_for_only_when_that_is_asked(settings: Settings) -> None:
    recipe = Recipe(parts=(TextPart(prompt="a frogish"),))
    assert find_adapters((recipe,), FILES, settings).table.words
    assert not find_adapters((recipe,), FILES, settings, words=False).files
    part = AdaptersPart(embeddings=(Embedding(name="frogish"),))
    listed = recipe.model_copy(update={"parts": (*recipe.parts, part)})
    found = find_adapters((listed,), FILES, settings)
    assert not found.table.words
    assert len(found.files) == 1


def test_a_word_that_is_a_pickle_is_said(tmp_path: Path) -> None:
    here = tiny_settings(tmp_path)
    (tmp_path / "embeddings").mkdir()
    (tmp_path / "embeddings" / "old.pt").write_bytes(b"\x80\x04.")
    resolved, bundle = ready(here, tiny_bundle(), TextPart(prompt="an old frog"))
    assert resolved.adapters is None
    assert bundle.notes[-1].startswith("The embedding 'old' is not used: old.pt is a pickle")
    assert ready(here, tiny_bundle(), FROG)[1] is tiny_bundle()


def test_a_partial_match_is_said_when_drawing_begins(settings: Settings, tmp_path: Path) -> None:
    tensors = kohya_lora()
    tensors["lora_unet_other.diff"] = np.zeros((2, 2), np.float32)
    path = write_adapter(tmp_path / "some.safetensors", tensors)
    recipe = Recipe(model=str(tiny_folder()), steps=1, parts=(FROG, loras(Adapter(name=str(path)))))
    with closing(run(recipe, settings)) as events:
        started = next(event for event in events if isinstance(event, Started))
    assert any("1 of its" in one and "'lora_unet_other'" in one for one in started.warnings)
    assert started.resolved.adapters is not None
    assert started.resolved.adapters.adapters[0].name == "some"  # where it lies is nobody's business


def test_numbers_that_are_not_finite_change_nothing(settings: Settings, tmp_path: Path) -> None:
    tensors = kohya_lora()
    key = list(tensors)[-1]
    tensors[key] = np.full_like(tensors[key], np.inf)
    path = write_adapter(tmp_path / "bad.safetensors", tensors)
    before = bits(tiny_bundle())
    with pytest.raises(ModelFileError, match=f"numbers in '{key}' that are not finite"):
        ready(settings, tiny_bundle(), FROG, loras(Adapter(name="one"), Adapter(name=str(path))))
    assert bits(tiny_bundle()) == before


def test_a_model_without_the_adapters_does_not_draw(settings: Settings) -> None:
    resolved, bundle = ready(settings, tiny_bundle(), FROG, loras(Adapter(name="one")))
    with (
        pytest.raises(RecipeError, match="has not the adapters"),
        closing(draw(resolved, tiny_bundle())) as events,
    ):
        next(events)
    plain = resolve(Recipe(parts=(FROG,)), bundle.defaults)
    with pytest.raises(RecipeError, match="has not the adapters"), closing(draw(plain, bundle)) as events:
        next(events)


def test_contents_that_changed_since_are_refused(settings: Settings) -> None:
    resolved, _ = ready(settings, tiny_bundle(), FROG, loras(Adapter(name="one")))
    other = find_adapters((Recipe(parts=(loras(Adapter(name="two")),)),), FILES, settings)
    with pytest.raises(RecipeError, match=r"is not the adapter this recipe was resolved for \(got 'one'\)"):
        laid_over(resolved, tiny_bundle(), other)


def test_compiled_graphs_with_adapters_are_never_stored(settings: Settings, tmp_path: Path) -> None:
    bundle = replace(
        tiny_bundle(), backend=load_compiled(FILES, replace(settings, data_dir=tmp_path, dtype="float32"))
    )
    adapted = drawn(settings, bundle, FROG, loras(*BOTH))
    _, with_them = ready(settings, bundle, FROG, loras(*BOTH))
    with_them.backend.store()
    stored = [path.name for path in tmp_path.rglob("*.graph")]
    bundle.backend.store()
    plain = drawn(settings, bundle, FROG)
    again = replace(
        tiny_bundle(), backend=load_compiled(FILES, replace(settings, data_dir=tmp_path, dtype="float32"))
    )
    assert len(stored) <= 1  # the decoder, which no adapter changes
    assert (drawn(settings, again, FROG, loras(*BOTH)) == adapted).all()
    assert (drawn(settings, again, FROG) == plain).all()


def large_lora(bundle_files: Any) -> dict[str, NDArray[np.float32]]:
    """A LoRA as kohya's programs write it for Stable Diffusion XL: the original blocks, and two encoders."""
    target = target_of(bundle_files)
    original = original_modules(key.rpartition(".")[0] for key in target.shapes["unet"])
    names = {f"unet.{name}": f"lora_unet_{theirs}" for name, theirs in original.items()}
    for network, prefix in (
        ("text_encoder", "lora_te1_text_model_"),
        ("text_encoder_2", "lora_te2_text_model_"),
    ):
        modules = {key.rpartition(".")[0] for key in target.shapes[network]}
        names |= {f"{network}.{name}": f"{prefix}{name}" for name in modules}
    random = np.random.default_rng(3)
    tensors: dict[str, NDArray[np.float32]] = {}
    for name, raw in names.items():
        network, _, module = name.partition(".")
        shape = target.shapes[network].get(f"{module}.weight", ())
        if module.endswith((".to_q", ".to_v", ".q_proj", ".out_proj", ".fc1", ".conv1")):
            flat = raw.replace(".", "_")
            down, up = (2, *shape[1:]), (shape[0], 2, *(1,) * (len(shape) - 2))
            tensors[f"{flat}.lora_down.weight"] = random.normal(0, 0.2, down).astype(np.float32)
            tensors[f"{flat}.lora_up.weight"] = random.normal(0, 0.2, up).astype(np.float32)
    return tensors


def test_the_large_model_is_diffusers_with_both_encoders(tmp_path: Path) -> None:
    """Weights with a LoRA, and a text with a word of its own, against StableDiffusionXLPipeline."""
    files, bundle = locate(family_folder("sdxl")), family_bundle("sdxl")
    path = write_adapter(tmp_path / "loras" / "large.safetensors", large_lora(files))
    random = np.random.default_rng(1)
    rows = {
        key: random.normal(0, 0.4, (2, width)).astype(np.float32)
        for key, width in (("clip_l", 32), ("clip_g", 48))
    }
    word = write_adapter(tmp_path / "embeddings" / "frogish.safetensors", rows)
    recipe = Recipe(steps=1, parts=(TextPart(prompt="a frogish frog <lora:large:0.8>"),))
    adapters = find_adapters((recipe,), files, tiny_settings(tmp_path))
    resolved = resolve(recipe, bundle.defaults, adapters=adapters.table)
    adapted = laid_over(resolved, bundle, adapters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe = StableDiffusionXLPipeline.from_pretrained(family_folder("sdxl"))
        pipe.load_lora_weights(str(tmp_path / "loras"), weight_name=path.name)
        pipe.fuse_lora(lora_scale=0.8)
        pipe.unload_lora_weights()
        for key, encoder, tokenizer in (
            ("clip_l", pipe.text_encoder, pipe.tokenizer),
            ("clip_g", pipe.text_encoder_2, pipe.tokenizer_2),
        ):
            vectors = {"frogish": torch.from_numpy(rows[key])}
            pipe.load_textual_inversion(vectors, token="frogish", text_encoder=encoder, tokenizer=tokenizer)
        context, _, pooled, _ = pipe.encode_prompt("a frogish frog", do_classifier_free_guidance=False)
    assert word.is_file()
    for ours, theirs in (
        (adapted.backend.unet, pipe.unet),
        (adapted.backend.text_encoder, pipe.text_encoder),
        (adapted.backend.text_encoder_2, pipe.text_encoder_2),
    ):
        wanted = {current_name(key): value for key, value in theirs.state_dict().items()}
        for key, value in ours.state_dict().items():
            torch.testing.assert_close(value, wanted[current_name(key)], atol=1e-5, rtol=1e-5)
    assert adapted.pair is not None
    (read,) = encode_pairs(adapted.backend, adapted.pair, [((("a frogish frog", 1.0),),)])
    torch.testing.assert_close(read.context, context, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(read.pooled, pooled, atol=1e-4, rtol=1e-4)
    assert pixels(resolved, adapted).shape[2] == 3
