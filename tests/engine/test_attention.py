"""Which row of the network belongs to which words of which picture, on a real network."""

from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from recording import Recorder
from sfumato.engine.attention import AttentionRecorder, attention_recorder
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.errors import InputError, RecipeError
from sfumato.models.backends.torch_attention import UP, cross_layers
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import MixPart, MixPrompt, Region, RegionsPart, TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle


def resolved_of(*parts: Any, prompt: str = "a frog on a beach", **fields: Any) -> Resolved:
    parts = (TextPart(prompt=prompt), *parts)
    recipe = Recipe(seed=7, parts=parts, **{"steps": 3, "guidance": 3.0, **fields})
    return resolve(recipe, tiny_bundle().defaults)


def drawn(resolved: Resolved) -> tuple[list[NDArray[np.uint8]], list[dict[str, Any]], AttentionRecorder]:
    """Return pictures, the maps of each by word (the last of equal ones), and what recorded them."""
    bundle = tiny_bundle()
    recorder = attention_recorder(resolved, bundle)
    pictures: list[NDArray[np.uint8]] = []
    maps: list[dict[str, Any]] = []
    with closing(draw(resolved, bundle, attending=recorder)) as events:
        for event in events:
            if isinstance(event, Picture):
                pictures.append(event.pixels)
                maps.append({one.word: one.heat for one in recorder.word_maps(event.index)})
    return pictures, maps, recorder


def plain(resolved: Resolved) -> list[NDArray[np.uint8]]:
    with closing(draw(resolved, tiny_bundle())) as events:
        return [event.pixels for event in events if isinstance(event, Picture)]


def test_a_drawing_that_is_watched_is_the_same_drawing() -> None:
    resolved = resolved_of(count=2, sampler="heun")
    for one, other in zip(drawn(resolved)[0], plain(resolved), strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_word_has_a_map_and_together_they_are_one() -> None:
    resolved = resolved_of()
    _, _, recorder = drawn(resolved)
    maps = recorder.word_maps(0)
    assert [one.word for one in maps] == ["a", "frog", "on", "a", "beach"]
    assert all(one.heat.shape == (8, 8) and one.heat.dtype == np.float32 for one in maps)
    assert sum(float(one.heat.sum()) for one in maps) == pytest.approx(1)
    assert recorder.word_maps(1) == ()


def test_only_the_positive_row_counts() -> None:
    """Sums are over steps and layers of a softmax, so the rows that were added can be counted."""
    resolved = resolved_of(prompt="frog", steps=4)
    bundle = tiny_bundle()
    recorder = attention_recorder(resolved, bundle)
    places = recorder.lines[next(iter(recorder.lines))]
    # As if the one word held every token: its map then counts steps times layers.
    every = tuple(range(bundle.tokenizer.max_length))
    recorder = replace(recorder, lines={prompt: ((0, every),) for prompt in recorder.lines})
    list(draw(resolved, bundle, attending=recorder))
    layers = len(cross_layers(bundle.backend.unet, UP))  # type: ignore[attr-defined]
    assert places == ((0, (1,)),)
    np.testing.assert_allclose(recorder._sums[0], 4 * layers, rtol=1e-5)


def test_guidance_and_a_negative_prompt_change_nothing_of_what_a_row_sees_first() -> None:
    """With one step, the positive row of the network sees the same, whatever is drawn beside it."""
    (alone,) = drawn(resolved_of(steps=1, guidance=1.0))[1]
    (beside,) = drawn(resolved_of(steps=1, guidance=5.0))[1]
    for word, heat in alone.items():
        np.testing.assert_allclose(beside[word], heat, rtol=1e-4)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_pictures_keep_their_maps_however_rows_are_batched(rows: int, monkeypatch: Any) -> None:
    resolved = resolved_of(count=3)
    whole = drawn(resolved)[1]
    monkeypatch.setattr("sfumato.models.backends.torch.MAX_ROWS", rows)
    cut = drawn(resolved)[1]
    assert len(cut) == 3
    for one, other in zip(whole, cut, strict=True):
        for word, heat in one.items():
            np.testing.assert_allclose(other[word], heat, rtol=1e-3, atol=1e-6)
    assert np.abs(whole[0]["frog"] - whole[1]["frog"]).max() > 1e-5


def test_steps_that_reuse_features_and_samplers_that_ask_twice_are_watched_too() -> None:
    resolved = resolved_of(steps=4, cache_interval=2, sampler="heun")
    pictures, (maps,), _ = drawn(resolved)
    assert all(float(heat.sum()) > 0 for heat in maps.values())
    np.testing.assert_array_equal(pictures[0], plain(resolved)[0])


def test_every_prompt_that_is_not_negative_has_words() -> None:
    mix = MixPart(prompts=(MixPrompt(prompt="a rabbit", ratio=0.5),))
    region = RegionsPart(regions=(Region(area="left", prompt="a horse"),))
    resolved = resolved_of(mix, region, prompt="a [frog|cat] AND snow")
    _, (maps,), recorder = drawn(resolved)
    assert set(recorder.words) == {"a", "frog", "cat", "snow", "rabbit", "horse"}
    assert all(float(maps[word].sum()) > 0 for word in maps)


def test_what_is_drawn_away_from_has_no_words() -> None:
    recorder = attention_recorder(resolved_of(prompt="a frog AND snow:-0.5"), tiny_bundle())
    assert recorder.words == ("a", "frog")


def test_a_recorder_forgets_what_was_before(monkeypatch: Any) -> None:
    monkeypatch.setattr("sfumato.engine.preparing.MAX_BATCH", 1)
    resolved = resolved_of(count=2)
    _, _, recorder = drawn(resolved)
    assert recorder.word_maps(0) == ()
    (before, *_) = recorder.word_maps(1)
    list(draw(resolved, tiny_bundle(), attending=recorder))
    (after, *_) = recorder.word_maps(1)
    np.testing.assert_array_equal(after.heat, before.heat)


def test_prompts_blended_as_text_share_the_row() -> None:
    mix = MixPart(prompts=(MixPrompt(prompt="a rabbit", ratio=0.5),), mode="embeddings")
    _, (maps,), _ = drawn(resolved_of(mix, prompt="a frog"))
    np.testing.assert_array_equal(maps["frog"], maps["rabbit"])


def test_without_words_there_is_nothing_to_map() -> None:
    with pytest.raises(RecipeError, match="attention: there is no word to map"):
        attention_recorder(resolved_of(prompt=", !"), tiny_bundle())


def test_another_backend_is_refused() -> None:
    bundle = tiny_bundle()
    other = replace(bundle, backend=Recorder(bundle.backend))
    with pytest.raises(InputError, match=r"need the torch backend .*--backend torch"):
        attention_recorder(resolved_of(), other)
