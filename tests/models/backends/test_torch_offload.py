"""Weights that are brought to their layers: the same numbers in every call, and little in memory between."""

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from joint_models import LATENTS, POOLED, joint_folder
from sfumato.errors import InputError
from sfumato.models.adapters.changes import Changes, NetworkChanges
from sfumato.models.adapters.kinds import Difference, Row
from sfumato.models.backends.base import NOTHING, Extra, FreeU
from sfumato.models.backends.torch import NOT_COMPILED, TorchBackend, load_torch
from sfumato.models.backends.torch_attention import recording
from sfumato.models.backends.torch_joint import load_joint
from sfumato.models.backends.torch_offload import (
    KEPT_LAYERS,
    Desk,
    InFile,
    InMemory,
    Keeping,
    Kept,
    KeptConv2d,
    KeptEmbedding,
    KeptLinear,
    OnHost,
    in_memory,
    keep,
    on_host,
)
from sfumato.models.backends.torch_storage import Packed, packed
from sfumato.models.controlnets import locate_controlnet
from sfumato.models.files import locate
from sfumato.models.joint_files import NUMBER
from sfumato.models.load import load_bundle
from sfumato.models.stored import Rows
from sfumato.models.tensor_file import TensorFile
from tiny_controlnets import write_controlnet
from tiny_families import FAMILIES, write_family, write_original
from tiny_models import tiny_folder, tiny_settings
from tiny_t2i import SD, write_t2i

MOVING = ("component", "sequential")
CPU = torch.device("cpu")
KEY = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"


def fresh(offload: str = "none", storage: str = "whole", dtype: str = "float32") -> TorchBackend:
    return load_torch(locate(tiny_folder()), "cpu", dtype, "off", offload, storage)


@functools.cache
def loaded(*asked: str) -> TorchBackend:
    """Return a backend that other tests have used as well: what they did must not matter."""
    return fresh(*asked)


@pytest.fixture
def whole() -> TorchBackend:
    return loaded()


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def ids() -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, 600, (2, 16))


def answers(backend: TorchBackend, extra: Extra = NOTHING) -> list[torch.Tensor]:
    """Return what every call of a backend that drawings make gives."""
    context, x = backend.encode_text(ids()), normal(2, 4, 8, 8)
    output = backend.predict(x, 500.0, context, extra)
    first, features = backend.predict_reusing(x, 500.0, context, None, extra)
    again, _ = backend.predict_reusing(x, 480.0, context, features, extra)
    pixels = backend.decode(output)
    latents = backend.encode_image(pixels)
    skipped = backend.encode_text(ids(), 1)
    return [context, output, first, features, again, torch.from_numpy(pixels), latents, skipped]


def same(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("offload", MOVING)
def test_every_call_is_bit_by_bit_that_of_a_model_in_memory(offload: str, whole: TorchBackend) -> None:
    backend = loaded(offload)
    assert same(answers(backend), answers(whole))
    assert backend.name == whole.name
    altered = Extra(freeu=FreeU(1.3, 1.5, 0.8, 0.3), perturbed=True)
    assert same(answers(backend, altered), answers(whole, altered))
    assert not same(answers(whole, altered), answers(whole))


@pytest.mark.parametrize("offload", MOVING)
@pytest.mark.parametrize("storage", ["float8", "int8"])
def test_offloading_changes_nothing_of_weights_in_eight_bits(offload: str, storage: str) -> None:
    assert same(answers(loaded(offload, storage, "bfloat16")), answers(loaded("none", storage, "bfloat16")))


@pytest.mark.parametrize("storage", ["float8", "int8"])
def test_weights_in_eight_bits_are_near(storage: str, whole: TorchBackend) -> None:
    backend = loaded("none", storage)
    assert backend.name == f"torch cpu float32 {storage}"
    ours, theirs = backend.encode_text(ids()), whole.encode_text(ids())
    assert not torch.equal(ours, theirs)
    assert (ours - theirs).norm() / theirs.norm() < (0.06 if storage == "float8" else 0.015)
    unet: Any = backend.unet
    assert isinstance(unet.mid_block.resnets[0].conv1.kept.take(), torch.Tensor)
    assert type(unet.conv_in) is nn.Conv2d
    assert type(unet.time_embedding.linear_1) is nn.Linear
    vae: Any = backend.vae
    assert not any(isinstance(layer, KEPT_LAYERS) for layer in vae.modules())
    pixels = normal(1, 3, 64, 64).numpy()
    assert torch.equal(backend.encode_image(pixels), whole.encode_image(pixels))


def test_component_keeps_the_networks_at_work(whole: TorchBackend) -> None:
    backend = fresh("component")
    assert backend.keeping is not None
    desk = backend.keeping.desk
    assert desk.num_kept == 0
    context = backend.encode_text(ids())
    texts = desk.num_kept
    assert texts == sum(isinstance(one, KEPT_LAYERS) for one in backend.text_encoder.modules())
    backend.predict(normal(2, 4, 8, 8), 500.0, context)
    unets = desk.num_kept
    assert unets == sum(isinstance(one, KEPT_LAYERS) for one in backend.unet.modules())
    backend.decode(normal(1, 4, 8, 8))
    # The encoder of the autoencoder is left alone.
    decoder: Any = backend.vae.decoder
    assert desk.num_kept == 1 + sum(isinstance(one, KEPT_LAYERS) for one in decoder.modules())
    assert torch.equal(backend.encode_text(ids()), whole.encode_text(ids()))
    assert desk.num_kept == texts


def test_sequential_keeps_nothing() -> None:
    backend = loaded("sequential")
    assert backend.keeping is not None
    answers(backend)
    assert backend.keeping.desk.num_kept == 0
    moving = [one for one in backend.unet.modules() if isinstance(one, KEPT_LAYERS)]
    assert all(one.weight.is_meta for one in moving)
    there = sum(one.numel() for one in backend.unet.parameters() if not one.is_meta)
    assert there < 0.1 * sum(one.numel() for one in backend.unet.parameters())


@pytest.mark.parametrize("offload", MOVING)
def test_controlnets_move_as_well(offload: str, whole: TorchBackend, tmp_path: Path) -> None:
    write_controlnet(tmp_path)
    backend = fresh(offload)
    x, context, hint = normal(2, 4, 8, 8), normal(2, 16, 32, seed=2), normal(1, 3, 64, 64, seed=3)
    found: list[torch.Tensor] = []
    for one in (backend, whole):
        down, mid = one.control(locate_controlnet(tmp_path)).residuals(x, 321.5, context, hint, 0.7)
        found.append(one.predict(x, 321.5, context, Extra(down=down, mid=mid)))
    assert torch.equal(*found)
    assert backend.keeping is not None
    control: Any = backend.control(locate_controlnet(tmp_path))
    networks = (backend.unet, control.network)
    kept = sum(isinstance(one, KEPT_LAYERS) for network in networks for one in network.modules())
    # They work with the UNet, so neither makes room for the other.
    assert backend.keeping.desk.num_kept == (kept if offload == "component" else 0)


@pytest.mark.parametrize("offload", MOVING)
def test_t2i_adapters_move_as_well(offload: str, whole: TorchBackend, tmp_path: Path) -> None:
    write_t2i(tmp_path, SD)
    files, hint = locate_controlnet(tmp_path), normal(1, 3, 64, 64, seed=3)
    ours, theirs = (one.t2i_adapter(files).features(hint) for one in (fresh(offload), whole))
    assert same(list(ours), list(theirs))


@pytest.mark.parametrize("offload", MOVING)
def test_two_drawings_at_once_take_turns(offload: str, whole: TorchBackend) -> None:
    backend, x, context = loaded(offload), normal(1, 4, 8, 8), normal(1, 16, 32, seed=2)

    def predict(_: int) -> bool:
        return torch.equal(backend.predict(x, 500.0, context), predicted)

    def decode(_: int) -> bool:
        return bool((backend.decode(x) == decoded).all())

    predicted, decoded = whole.predict(x, 500.0, context), whole.decode(x)
    with ThreadPoolExecutor(2) as pool:
        found = [*pool.map(predict, range(3)), *pool.map(decode, range(3)), *pool.map(predict, range(3))]
        both = [pool.submit(one, 0) for one in (predict, decode) * 3]
        assert all([*found, *(one.result() for one in both)])


@pytest.mark.parametrize("offload", MOVING)
def test_attention_can_be_watched(offload: str, whole: TorchBackend) -> None:
    found: list[Any] = []
    for backend in (loaded(offload), whole):
        with recording(backend.unet, (8, 8)) as heat:
            backend.predict(normal(2, 4, 8, 8), 500.0, normal(2, 16, 32, seed=2))
        found.append(heat.total())
    np.testing.assert_array_equal(*found)


def test_sdxl_from_one_file(tmp_path: Path) -> None:
    """Packed matrices are taken apart, and others turned, on their way from the file."""
    folder = write_family(tmp_path / "folder", FAMILIES["sdxl"])
    files = locate(write_original(folder, tmp_path / "one.safetensors", FAMILIES["sdxl"]))
    token = np.full((1, 77), 49407)
    found: list[list[torch.Tensor]] = []
    for offload in ("none", *MOVING):
        backend = load_torch(files, "cpu", "float32", "off", offload)
        (first, _), (second, pooled) = (backend.encode_pooled(token, number) for number in (0, 1))
        assert pooled is not None
        extra = Extra(pooled=pooled, time_ids=torch.tensor([[128.0, 128, 0, 0, 128, 128]]))
        context = torch.cat([first, second], dim=-1)
        found.append([context, pooled, backend.predict(normal(1, 4, 16, 16), 500.0, context, extra)])
    assert same(found[0], found[1])
    assert same(found[0], found[2])


@pytest.mark.parametrize("offload", MOVING)
def test_a_transformer_and_t5_move_as_well(offload: str) -> None:
    files = locate(joint_folder("sd35-medium"))
    found: list[list[torch.Tensor]] = []
    for asked in ("none", offload):
        backend: Any = load_joint(files, load_torch(files, "cpu", "float32", "off", asked))
        context, pooled = backend.encode_pooled(np.full((1, 8), 3), NUMBER)
        assert pooled is None
        extra = Extra(pooled=normal(1, sum(POOLED), seed=2))
        found.append([context, backend.predict(normal(1, LATENTS, 8, 8), 500.0, context, extra)])
    assert same(*found)
    assert isinstance(backend.text_encoder_3.shared, KeptEmbedding)


def test_layers_that_compute_in_another_dtype_are_given_it() -> None:
    """T5 in float16 has some in float32."""
    layer: Any = nn.Linear(4, 3)
    weight = normal(3, 4).to(torch.float16)
    keep(layer, Kept(InMemory(weight), Desk(keeps=False), "text"), (3, 4), torch.float16)
    layer.float()
    x = normal(2, 4)
    assert torch.equal(layer(x), nn.functional.linear(x, weight.float(), layer.bias))


def test_compiled_kernels_are_not_made_for_weights_that_move() -> None:
    backend = load_torch(locate(tiny_folder()), "cpu", "float32", "on", "sequential")
    parts: Any = backend.unet
    assert parts._compiled_call_impl is None
    assert backend.notes == (NOT_COMPILED,)
    assert loaded().notes == ()


def test_words_of_settings() -> None:
    assert Keeping.asked("auto", "auto") is None
    assert Keeping.asked("none", "whole") is None
    component = Keeping.asked("component", "auto")
    assert component is not None
    assert (component.offload, component.storage, component.desk.keeps) == ("component", "whole", True)
    packing = Keeping.asked("auto", "int8")
    assert packing is not None
    assert (packing.offload, packing.storage, packing.desk.keeps) == ("none", "int8", False)
    assert Keeping.asked("auto", "int8", "mps") is not None
    with pytest.raises(InputError, match="storage: a Mac's GPU has no such numbers"):
        Keeping.asked("auto", "float8", "mps")


def in_file(tmp_path: Path, tensor: torch.Tensor, **given: Any) -> InFile:
    save_file({"other": torch.zeros(3), "a": tensor}, tmp_path / "w.safetensors")
    given = {"shape": tuple(tensor.shape), "dtype": tensor.dtype, **given}
    return InFile(TensorFile(tmp_path / "w.safetensors"), "a", **given)


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_a_weight_is_read_as_it_is_in_the_file(kind: str, tmp_path: Path) -> None:
    stored = normal(6, 4).to(vars(torch)[kind])
    source = in_file(tmp_path, stored, dtype=torch.float32)
    assert torch.equal(source.load(), stored.float())  # type: ignore[arg-type]
    assert source.mapped().dtype == stored.dtype
    part = in_file(tmp_path, stored, shape=(2, 4), dtype=torch.float32, change=Rows(2, 4))
    assert torch.equal(part.load(), stored[2:4].float())  # type: ignore[arg-type]


def test_what_has_the_dtype_is_not_copied_and_can_be_let_go_of(tmp_path: Path) -> None:
    source = in_file(tmp_path, normal(64, 64))
    weight = source.load()
    assert isinstance(weight, torch.Tensor)
    assert weight.data_ptr() == source.mapped().data_ptr()
    before = weight.clone()
    source.let_go()
    assert torch.equal(weight, before)  # it is read again


def test_kernels_lie_as_asked_for(tmp_path: Path) -> None:
    source = in_file(tmp_path, normal(6, 4, 3, 3), layout=torch.channels_last)
    kernel = source.load()
    assert isinstance(kernel, torch.Tensor)
    assert kernel.is_contiguous(memory_format=torch.channels_last)


def difference(key: str, shape: tuple[int, ...], number: float) -> NetworkChanges:
    return NetworkChanges(
        {key: ((Row(key, key, "difference", Difference(np.full(shape, number, np.float32))), 1.0),)}
    )


def test_changes_are_laid_over_every_kind_of_source(tmp_path: Path) -> None:
    weight = normal(4, 64).to(torch.bfloat16)
    changes = difference("a", (4, 64), 0.25)
    expected = (weight.float() + 0.25).to(torch.bfloat16)
    file = in_file(tmp_path, weight)
    for source in (file, OnHost(weight, CPU), InMemory(weight)):
        changed = source.laid_over(changes, "a")
        assert torch.equal(changed.load(), expected)  # type: ignore[arg-type]
        assert torch.equal(source.load(), weight)  # type: ignore[arg-type]
        twice = changed.laid_over(changes, "a")
        assert torch.equal(twice.load(), (expected.float() + 0.25).to(torch.bfloat16))  # type: ignore[arg-type]
        changed.let_go()


@pytest.mark.parametrize("storage", ["float8", "int8"])
def test_changed_weights_in_eight_bits_are_packed_again(storage: str) -> None:
    form = packed(normal(4, 64), storage, torch.float32)
    made = InMemory(form).laid_over(difference("a", (4, 64), 0.25), "a").load()
    assert isinstance(made, Packed)
    assert made.data.dtype == form.data.dtype
    error = made.whole() - form.whole() - 0.25
    assert error.norm() / form.whole().norm() < (0.04 if storage == "float8" else 0.008)


@pytest.mark.parametrize("storage", ["float8", "int8"])
def test_changed_weights_of_a_file_are_rounded_once(storage: str, tmp_path: Path) -> None:
    weight = normal(4, 64)
    file = in_file(tmp_path, weight, storage=storage)
    changes = difference("a", (4, 64), 0.25)
    expected = packed(weight + 0.25, storage, torch.float32).whole()
    for source in (file, in_memory(file, CPU), on_host(file.load(), CPU, file)):
        made = source.laid_over(changes, "a").load()
        assert isinstance(made, Packed)
        assert torch.equal(made.whole(), expected)


def test_what_is_on_the_host_is_copied_to_the_device() -> None:
    weight, form = normal(4, 64), packed(normal(4, 64), "int8", torch.float32)
    assert on_host(weight, CPU).load() is weight
    away = on_host(weight, torch.device("meta")).load()
    assert isinstance(away, torch.Tensor)
    assert away.is_meta
    moved = on_host(form, CPU).load()
    assert isinstance(moved, Packed)
    assert torch.equal(moved.whole(), form.whole())


def test_a_desk_lets_go_of_what_nobody_has() -> None:
    desk = Desk(keeps=True)
    first, second = InMemory(normal(2, 2)), InMemory(normal(2, 2))
    desk.take("unet", first)
    desk.take("unet", second)
    assert desk.num_kept == 2
    del second
    assert desk.num_kept == 1
    desk.take("vae", first)
    assert desk.num_kept == 1


@pytest.mark.parametrize("offload", MOVING)
@pytest.mark.parametrize("storage", ["whole", "int8"])
def test_adapters_are_those_of_a_model_in_memory(offload: str, storage: str) -> None:
    network = difference(KEY, (16, 16), 0.1)
    text = difference("encoder.layers.0.mlp.fc1.bias", (64,), 0.1)
    changes = Changes("one", {"unet": network, "text_encoder": text})
    ours, theirs = loaded(offload, storage), loaded("none", storage)
    before = answers(ours)
    adapted = answers(ours.adapted(changes))
    assert same(adapted, answers(theirs.adapted(changes)))
    assert not torch.equal(adapted[0], before[0])
    assert not torch.equal(adapted[1], before[1])
    assert same(answers(ours), before)


@pytest.mark.parametrize("offload", MOVING)
def test_new_words_are_found_in_a_table_that_moves(offload: str, whole: TorchBackend) -> None:
    encoder: Any = whole.text_encoder
    known = encoder.get_input_embeddings().weight.shape[0]
    rows = np.random.default_rng(0).normal(size=(2, 32)).astype(np.float32)
    changes = Changes("words", {"text_encoder": NetworkChanges(words=rows)})
    told = np.array([[known, known + 1, *range(14)]])
    ours, theirs = loaded(offload).adapted(changes), whole.adapted(changes)
    assert torch.equal(ours.encode_text(told), theirs.encode_text(told))
    table = ours.text_encoder.get_input_embeddings()
    assert isinstance(table, KeptEmbedding)
    assert table.weight.shape == (known + 2, 32)


def test_the_layers_are_still_those_that_others_look_for() -> None:
    backend = loaded("sequential")
    kinds = {type(layer) for layer in backend.unet.modules() if isinstance(layer, KEPT_LAYERS)}
    assert kinds == {KeptLinear, KeptConv2d}
    assert backend.unet.dtype == torch.float32
    assert loaded("sequential", "int8", "bfloat16").unet.dtype == torch.bfloat16


def test_openvino_is_not_asked_for_what_only_torch_has() -> None:
    asked = replace(tiny_settings(tiny_folder().parent), backend="auto", offload="sequential")
    assert load_bundle("tiny", asked).backend.name == "torch cpu float32"
    with pytest.raises(InputError, match="offload: is for the backend torch"):
        load_bundle("tiny", replace(asked, backend="openvino"))
