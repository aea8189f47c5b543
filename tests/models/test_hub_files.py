import pytest

from sfumato.errors import InputError, ModelFileError
from sfumato.models.hub_files import Remote, Wanted, choose, is_safe, parse_wanted


def remotes(*names: str) -> list[Remote]:
    return [Remote(name, 1, None, None) for name in names]


def chosen(*names: str, file: str | None = None) -> set[str]:
    return {one.name for one in choose(remotes(*names), Wanted("frogs/green", file, None))}


def test_names_are_read_with_file_and_revision() -> None:
    assert parse_wanted("a/b") == Wanted("a/b", None, None)
    assert parse_wanted("a/b.c-1/x/y.safetensors@v1.0") == Wanted("a/b.c-1", "x/y.safetensors", "v1.0")
    for name in ("a", "a/b/../c", "a/b/.git/x", "https://a/b", "a/b/c:d", "ä/b"):
        with pytest.raises(InputError, match="no name of a model on the hub"):
            parse_wanted(name)


UNET = ("model_index.json", "unet/config.json")
WEIGHTS = "unet/diffusion_pytorch_model"


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [
        ((".safetensors", ".fp16.safetensors", ".bin", ".non_ema.safetensors"), {".safetensors"}),
        ((".fp16.safetensors", ".fp16.bin"), {".fp16.safetensors"}),
        (
            ("-00001-of-00002.safetensors", "-00002-of-00002.safetensors", ".safetensors.index.json"),
            {"-00001-of-00002.safetensors", "-00002-of-00002.safetensors", ".safetensors.index.json"},
        ),
    ],
)
def test_of_several_variants_one_is_chosen(weights: tuple[str, ...], wanted: set[str]) -> None:
    found = chosen(*UNET, *(WEIGHTS + one for one in weights), "safety_checker/model.safetensors", "x.ckpt")
    assert found == {*UNET, *(WEIGHTS + one for one in wanted)}


def test_a_network_alone_is_a_model_too() -> None:
    names = ("config.json", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin", "run.py")
    assert chosen(*names) == set(names[:2])


def test_pickles_alone_are_no_model() -> None:
    with pytest.raises(ModelFileError, match="but pickles"):
        chosen("model_index.json", "unet/config.json", f"{WEIGHTS}.bin")


@pytest.mark.parametrize(
    "name", ["/a", "../a", "a/../b", "a\\b", "C:a", ".git/a", "a/./b", "a\nb", "a//b/.."]
)
def test_names_that_lead_elsewhere_are_not_safe(name: str) -> None:
    assert not is_safe(name)


def test_names_of_repositories_are_safe() -> None:
    assert all(is_safe(name) for name in ("a", "a/b.safetensors", "größe/a b.json", "a-1_2.x"))
