"""The torch backend against diffusers and transformers loading the same folder."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from sfumato.errors import InputError
from sfumato.models.backends.base import Extra
from sfumato.models.backends.torch import TorchBackend, load_torch
from sfumato.models.files import locate
from tiny_models import tiny_bundle, tiny_folder, write_tiny_model


@pytest.fixture(scope="module")
def backend() -> TorchBackend:
    return load_torch(locate(tiny_folder()), "cpu", "float32")


def normal(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def ids() -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, 600, (2, 16))


def test_text_equals_transformers(backend: TorchBackend) -> None:
    theirs = CLIPTextModel.from_pretrained(tiny_folder() / "text_encoder")(torch.tensor(ids()))
    assert torch.allclose(backend.encode_text(ids()), theirs.last_hidden_state, atol=1e-5)


def test_the_unet_equals_diffusers(backend: TorchBackend) -> None:
    unet = UNet2DConditionModel.from_pretrained(tiny_folder() / "unet")
    x, context = torch.tensor(normal(2, 4, 8, 8)), backend.encode_text(ids())
    ours = backend.predict(x, 500.0, context)
    assert torch.allclose(ours, unet(x, 500, context).sample, atol=1e-5)
    assert not torch.allclose(ours, backend.predict(x, 500.5, context), atol=1e-5)


def test_reusing_features_of_the_same_inputs_gives_the_same_output(backend: TorchBackend) -> None:
    x, context = torch.tensor(normal(2, 4, 8, 8)), backend.encode_text(ids())
    whole, features = backend.predict_reusing(x, 500.0, context, None)
    assert torch.equal(whole, backend.predict(x, 500.0, context))
    again, same = backend.predict_reusing(x, 500.0, context, features)
    assert torch.allclose(again, whole, atol=1e-6)
    assert torch.equal(same, features)
    cut, _ = backend.predict_reusing(x[:1], 500.0, context[:1], features[:1])
    assert torch.allclose(cut, whole[:1], atol=1e-5)
    assert not whole.requires_grad
    assert not features.requires_grad
    assert not features.is_inference()


def test_residuals_reach_their_connections_alone_and_together(backend: TorchBackend) -> None:
    x, context = torch.tensor(normal(2, 4, 8, 8)), backend.encode_text(ids())
    shapes = [(16, 8), (16, 8), (16, 4), (32, 4)]
    down = tuple(torch.tensor(normal(2, channels, side, side)) for channels, side in shapes)
    mid = torch.tensor(normal(2, 32, 4, 4))

    def predicted(extra: Extra) -> torch.Tensor:
        whole, features = backend.predict_reusing(x, 500.0, context, None, extra)
        output = backend.predict(x, 500.0, context, extra)
        assert torch.equal(whole, output)
        assert torch.allclose(
            backend.predict_reusing(x, 500.0, context, features, extra)[0], whole, atol=1e-6
        )
        return output

    plain = predicted(Extra())
    zeros = tuple(torch.zeros_like(one) for one in down)
    assert torch.allclose(predicted(Extra(down=zeros, mid=torch.zeros_like(mid))), plain, atol=1e-6)
    assert torch.allclose(predicted(Extra(down=zeros)), plain, atol=1e-6)
    together, only_down = predicted(Extra(down=down, mid=mid)), predicted(Extra(down=down))
    assert torch.allclose(only_down, predicted(Extra(down=down, mid=torch.zeros_like(mid))), atol=1e-6)
    assert torch.allclose(predicted(Extra(mid=mid)), predicted(Extra(down=zeros, mid=mid)), atol=1e-6)
    outputs = (plain, together, only_down)
    assert all(not torch.allclose(a, b, atol=1e-2) for n, a in enumerate(outputs) for b in outputs[n + 1 :])


def test_guidance_is_told_only_to_a_unet_that_takes_it(backend: TorchBackend) -> None:
    x, context = torch.tensor(normal(2, 4, 8, 8)), backend.encode_text(ids())
    with pytest.raises(InputError, match="guidance: is told to a UNet that takes none"):
        backend.predict(x, 500.0, context, Extra(guidance=7.5))
    config = {**backend.unet.config, "time_cond_proj_dim": 8}
    told = replace(backend, unet=UNet2DConditionModel.from_config(config).eval())
    weak, strong = (told.predict(x, 500.0, context, Extra(guidance=scale)) for scale in (1.0, 9.0))
    assert not torch.allclose(weak, strong, atol=1e-4)


def test_added_conditions_reach_a_unet_built_like_sdxl(backend: TorchBackend) -> None:
    added = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 16 + 6 * 8,
    }
    unet = UNet2DConditionModel.from_config({**backend.unet.config, **added}).eval()
    like_sdxl = replace(backend, unet=unet)
    x, context = torch.tensor(normal(2, 4, 8, 8)), backend.encode_text(ids())
    extra = Extra(
        pooled=torch.tensor(normal(2, 16)), time_ids=torch.tensor([[1024.0, 999, 0, 3, 1024, 1024]] * 2)
    )
    given = {"text_embeds": extra.pooled, "time_ids": extra.time_ids}
    theirs = unet(x, 500, context, added_cond_kwargs=given).sample
    assert torch.allclose(like_sdxl.predict(x, 500.0, context, extra), theirs, atol=1e-5)
    whole, features = like_sdxl.predict_reusing(x, 500.0, context, None, extra)
    assert torch.equal(whole, like_sdxl.predict(x, 500.0, context, extra))
    assert torch.allclose(like_sdxl.predict_reusing(x, 500.0, context, features, extra)[0], whole, atol=1e-6)


def test_the_autoencoder_equals_diffusers(backend: TorchBackend) -> None:
    vae = AutoencoderKL.from_pretrained(tiny_folder() / "vae")
    latents = torch.tensor(normal(2, 4, 8, 8))
    pixels = backend.decode(latents)
    assert pixels.shape == (2, 3, 64, 64)
    assert np.allclose(pixels, vae.decode(latents / 0.5).sample.detach().numpy(), atol=1e-5)
    mean = vae.encode(torch.tensor(pixels)).latent_dist.mean * 0.5
    assert torch.allclose(backend.encode_image(pixels), mean, atol=1e-5)


def test_numpy_goes_there_and_back(backend: TorchBackend) -> None:
    array = normal(2, 3)
    assert np.array_equal(backend.to_numpy(backend.asarray(array)), array)
    assert backend.asarray(array).dtype == torch.float32


def test_no_call_makes_or_needs_gradients(backend: TorchBackend) -> None:
    x = torch.tensor(normal(1, 4, 8, 8), requires_grad=True)
    context = backend.encode_text(ids()[:1])
    out = backend.predict(x, 3.0, context)
    assert not out.requires_grad
    assert not out.is_inference()
    assert torch.is_grad_enabled()
    assert not any(weight.requires_grad for weight in backend.unet.parameters())
    assert not backend.unet.training


def test_half_precision_weights_run_in_float32_on_a_cpu(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "half", dtype=torch.float16)
    half = load_torch(locate(folder), "cpu", "auto")
    assert half.name == "torch cpu float32"
    assert next(half.unet.parameters()).dtype == torch.float32
    full = tiny_bundle().backend
    x = torch.tensor(normal(1, 4, 8, 8))
    difference = half.predict(x, 9.0, half.encode_text(ids()[:1])) - full.predict(
        x, 9.0, full.encode_text(ids()[:1])
    )
    assert 0 < difference.abs().max() < 0.1


def test_bfloat16_crosses_the_border_as_float32() -> None:
    backend = load_torch(locate(tiny_folder()), "cpu", "bfloat16")
    context = backend.encode_text(ids()[:1])
    out = backend.predict(torch.tensor(normal(1, 4, 8, 8)), 9.0, context)
    assert (context.dtype, out.dtype, backend.unet.dtype) == (torch.float32, torch.float32, torch.bfloat16)
    assert backend.decode(out).dtype == np.float32
    again, features = backend.predict_reusing(torch.tensor(normal(1, 4, 8, 8)), 9.0, context, None)
    assert torch.equal(again, out)
    assert features.dtype == torch.bfloat16


def test_names_of_older_files_are_understood(tmp_path: Path, backend: TorchBackend) -> None:
    folder = Path(shutil.copytree(tiny_folder(), tmp_path / "old"))
    text = folder / "text_encoder" / "model.safetensors"
    weights = {f"text_model.{key}": tensor for key, tensor in load_file(text).items()}
    weights["text_model.embeddings.position_ids"] = torch.arange(16)[None]
    save_file(weights, text)
    vae = folder / "vae" / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for key, tensor in load_file(vae).items():
        for new_name, old_name in old.items():
            if f".{new_name}." in key:
                key = key.replace(new_name, old_name)
                tensor = tensor[:, :, None, None] if tensor.ndim == 2 else tensor
        renamed[key] = tensor
    assert any("proj_attn" in key for key in renamed)
    save_file({key: tensor.contiguous() for key, tensor in renamed.items()}, vae)
    loaded = load_torch(locate(folder), "cpu", "float32")
    assert torch.equal(loaded.encode_text(ids()), backend.encode_text(ids()))
    latents = torch.tensor(normal(1, 4, 8, 8))
    assert np.array_equal(loaded.decode(latents), backend.decode(latents))


def test_rows_are_bounded_by_memory(backend: TorchBackend) -> None:
    assert backend.max_rows(8, 8) == 64
    assert backend.max_rows(100_000, 100_000) == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch uses what it advises against itself
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a processor")
def test_a_unet_of_torch_compile_computes_the_same(backend: TorchBackend) -> None:
    compiled = load_torch(locate(tiny_folder()), "cpu", "float32", "graphs")
    x, context = torch.randn(2, 4, 8, 8), backend.encode_text(np.zeros((2, 16), np.int64))
    expected = backend.predict(x, 500.0, context)
    for _ in range(2):
        assert torch.allclose(compiled.predict(x, 500.0, context), expected, atol=1e-4)
    output, features = compiled.predict_reusing(x, 500.0, context, None)
    assert torch.allclose(output, expected, atol=1e-4)
    assert torch.allclose(compiled.predict_reusing(x, 500.0, context, features)[0], expected, atol=1e-4)
