import numpy as np
import pytest

from sfumato.errors import ModelFileError, RecipeError
from sfumato.models.adapters.finding import find_adapter, is_digest, known_adapters, may_need_adapters
from sfumato.models.adapters.reading import REMEMBERED
from sfumato.models.digests import known_digests, taken
from sfumato.recipe.adapters import Adapter, AdaptersPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import MixPart, MixPrompt, TextPart
from sfumato.settings import Settings
from tiny_adapters import kohya_lora, write_adapter


def some(number: float) -> dict:
    return {"x": np.full(3, number, np.float32)}


@pytest.fixture
def settings(tmp_path):
    models, data = tmp_path / "models", tmp_path / "data"
    write_adapter(models / "loras" / "foo.safetensors", some(1))
    write_adapter(models / "Lora" / "styles" / "bär.safetensors", some(2))
    write_adapter(data / "loras" / "foo.safetensors", some(3))
    write_adapter(data / "embeddings" / "bad.safetensors", some(4))
    return Settings(data_dir=data, model_dirs=(models, tmp_path / "not there"))


def test_names_are_those_of_files(settings, tmp_path):
    known = known_adapters("lora", settings)
    assert sorted(known) == ["bär", "foo", "styles/bär"]
    assert known["foo"].path == tmp_path / "models" / "loras" / "foo.safetensors"
    assert list(known_adapters("embedding", settings)) == ["bad"]
    assert find_adapter("lora", "styles/bär", settings).name == "bär"


def test_a_file_is_found_by_its_path(settings, tmp_path):
    path = write_adapter(tmp_path / "here" / "other.safetensors", some(5))
    assert find_adapter("lora", str(path), settings).name == "other"
    with pytest.raises(RecipeError, match="unknown adapter"):
        find_adapter("lora", str(path), settings, paths=False)


def test_a_digest_goes_before_the_name(settings, tmp_path):
    bär = find_adapter("lora", "bär", settings)
    for digits in (bär.digests().whole, bär.digests().body[:12], bär.hash, bär.digests().whole[:10]):
        assert is_digest(bär, digits)
        found = find_adapter("lora", "foo", settings, digest=digits, paths=False)
        assert (found.path, found.name) == (bär.path, "foo")
        assert find_adapter("lora", "renamed", settings, digest=digits).path == bär.path


def test_what_is_missing_is_said_with_its_hash(settings):
    for name, why in (("foo", "has other contents here"), ("gone", "is not here")):
        with pytest.raises(RecipeError) as error:
            find_adapter("lora", name, settings, digest="0123456789abcdef")
        assert f"lora: the adapter that is asked for {why} (got '{name}')" in str(error.value)
        assert "hash 0123456789ab into a folder loras" in str(error.value)


def test_a_name_that_is_not_known_is_guessed(settings):
    with pytest.raises(RecipeError, match='Did you mean "foo"'):
        find_adapter("lora", "fooo", settings)
    with pytest.raises(RecipeError, match=r"unknown embedding .*Known: bad; or give a file"):
        find_adapter("embedding", "zzzzzz", settings)
    with pytest.raises(RecipeError, match="There is no such file"):
        find_adapter("lora", "/nowhere/foo", settings)
    for odd in ("", "\0", "x" * 5000, "../loras/foo", "foo.safetensors"):
        with pytest.raises(RecipeError):
            find_adapter("lora", odd, settings, paths=False)


def test_a_pickle_is_refused(settings, tmp_path):
    for path, name in (
        (tmp_path / "word.pt", str(tmp_path / "word.pt")),
        (tmp_path / "data" / "embeddings" / "old.pt", "old"),
    ):
        path.write_bytes(b"\x80\x04.")
        with pytest.raises(ModelFileError, match="is a pickle"):
            find_adapter("embedding", name, settings)


def test_most_recipes_need_none(settings, tmp_path):
    empty = Settings(data_dir=tmp_path / "empty")
    text = TextPart(prompt="a frog")
    assert not may_need_adapters(Recipe(), settings)
    assert not may_need_adapters(Recipe(parts=(text,)), empty)
    assert may_need_adapters(Recipe(parts=(text,)), settings)  # there is an embedding
    mix = MixPart(prompts=(MixPrompt(prompt="<lora:foo>", ratio=1),))
    assert may_need_adapters(Recipe(parts=(text, mix)), empty)
    assert may_need_adapters(Recipe(parts=(AdaptersPart(adapters=(Adapter(name="a"),)),)), empty)


def test_a_damaged_file_is_not_in_the_way_of_another(settings, tmp_path):
    bär = find_adapter("lora", "bär", settings)
    (tmp_path / "models" / "loras" / "a.safetensors").write_bytes(b"half of a download")
    found = find_adapter("lora", "renamed", settings, digest=bär.digests().whole, paths=False)
    assert found.path == bär.path
    with pytest.raises(RecipeError, match="is not here"):
        find_adapter("lora", "renamed", settings, digest="0" * 64, paths=False)


def test_those_among_models_are_found_by_name_and_by_digest(tmp_path):
    plain = tmp_path / "plain"
    lora = write_adapter(plain / "styles" / "ink.safetensors", kohya_lora())
    write_adapter(plain / "model.safetensors", some(1))
    (plain / "page.safetensors").write_bytes(b"<html>")
    settings = Settings(data_dir=tmp_path / "data", model_dirs=(plain,))
    found = find_adapter("lora", "ink", settings, paths=False)
    assert (found.path, found.name) == (lora, "ink")
    assert find_adapter("lora", "styles/ink", settings, paths=False).path == lora
    digest = found.digests().whole
    assert find_adapter("lora", "renamed", settings, digest=digest, paths=False).path == lora
    for name in ("model", "page"):
        with pytest.raises(RecipeError, match="unknown adapter"):
            find_adapter("lora", name, settings, paths=False)
    # A word in a prompt is no file among models.
    assert known_adapters("embedding", settings) == {}


def test_digests_of_large_ones_are_remembered(tmp_path):
    data = tmp_path / "data"
    big = write_adapter(data / "loras" / "big.safetensors", {"x": np.zeros(REMEMBERED, np.int8)})
    write_adapter(data / "loras" / "small.safetensors", some(1))
    settings = Settings(data_dir=data)
    for name in ("big", "small"):
        file = find_adapter("lora", name, settings)
        assert file.digests() == taken(file.path)
    assert known_digests(big, settings) == taken(big)
    assert len(list((data / "digests").iterdir())) == 1
