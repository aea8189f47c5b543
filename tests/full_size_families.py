"""One family at full size: random float16 weights in the original layout, loaded without a network.

    python tests/full_size_families.py sdxl                 # sfumato, and diffusers where it can
    python tests/full_size_families.py ssd-1b --only sfumato

Prints the parameters of the UNet and of everything, seconds, and the largest share of memory that was taken
beyond what the libraries themselves take. Each loader runs in a process of its own, after the file was read
once, so that both find it in the page cache. diffusers is given the derived configurations, as it would
otherwise ask the hub for them.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import tiny_families as tiny
from sfumato.models.original.vae import FIRST
from sfumato.models.tensor_writer import ToWrite, write_tensors
from sfumato.models.vocabulary import SIZE

SD1: dict[str, Any] = {"block_out_channels": (320, 640, 1280, 1280), "cross_attention_dim": 768}
SD1 |= {"attention_head_dim": 8}
SD2: dict[str, Any] = {**SD1, "cross_attention_dim": 1024, "use_linear_projection": True}
SD2 |= {"attention_head_dim": [5, 10, 20, 20]}
XL: dict[str, Any] = {
    **SD2,
    "block_out_channels": (320, 640, 1280),
    "cross_attention_dim": 2048,
    "attention_head_dim": [5, 10, 20],
    "projection_class_embeddings_input_dim": 2816,
    "transformer_layers_per_block": [1, 2, 10],
}
HALF = {
    "transformer_layers_per_block": [1, [2, 2], [4, 4]],
    "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 1],
}
VEGA = {
    "transformer_layers_per_block": [1, [1, 1], [2, 2]],
    "reverse_transformer_layers_per_block": [[2, 2, 2], [1, 1, 1], 1],
}
REFINER = {
    "block_out_channels": (384, 768, 1536, 1536),
    "attention_head_dim": [6, 12, 24, 24],
    "cross_attention_dim": 1280,
    "projection_class_embeddings_input_dim": 2560,
    "transformer_layers_per_block": 4,
}
#: What each tiny family is at full size, and its text encoders: width, layers, projection.
L, H, G = (768, 12, None), (1024, 23, None), (1280, 32, 1280)
FULL: dict[str, tuple[dict[str, Any], tuple[tuple[int, int, int | None], ...]]] = {
    "sd15": (SD1, (L,)),
    "sd15-inpainting": (SD1, (L,)),
    "lcm-sd15": (SD1, (L,)),
    "small-sd": (SD1, (L,)),
    "bk-sdm-small": (SD1, (L,)),
    "tiny-sd": ({**SD1, "block_out_channels": (320, 640, 1280)}, (L,)),
    "sd2-768-v": (SD2, (H,)),
    "sd2-inpainting": (SD2, (H,)),
    "x4-upscaler": (
        {**SD2, "block_out_channels": (256, 512, 512, 1024), "attention_head_dim": 8},
        (H,),
    ),
    "sdxl": (XL, (L, G)),
    "sdxl-inpainting": (XL, (L, G)),
    "sdxl-refiner": ({**XL, **REFINER}, (G,)),
    "ssd-1b": ({**XL, **HALF}, (L, G)),
    "vega": ({**XL, **VEGA}, (L, G)),
    "lcm-sdxl": (XL, (L, G)),
    "lcm-ssd-1b": ({**XL, **HALF}, (L, G)),
}


def write_full(name: str, path: Path) -> tuple[int, int]:
    """Write the family `name` at full size, and return how many numbers its UNet and all of it have."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config, texts = FULL[name]
    family = replace(tiny.FAMILIES[name], unet={**tiny.FAMILIES[name].unet, **config})
    kinds = {tiny.X: "CrossAttn", tiny.N: ""}
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(
            {
                **family.unet,
                "down_block_types": [f"{kinds[one]}DownBlock2D" for one in family.levels],
                "up_block_types": [f"{kinds[one]}UpBlock2D" for one in family.levels[::-1]],
            }
        ).state_dict()
        levels = family.vae_levels
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=(128, 256, 512, 512)[:levels],
            layers_per_block=2,
        ).state_dict()
        encoders = []
        for width, layers, projected in texts:
            made = CLIPTextConfig(
                vocab_size=SIZE,
                hidden_size=width,
                intermediate_size=4 * width,
                num_hidden_layers=layers,
                num_attention_heads=width // 64,
                projection_dim=projected or width,
            )
            kind = CLIPTextModel if projected is None else CLIPTextModelWithProjection
            encoders.append(kind(made).state_dict())
        found: dict[str, torch.Tensor] = {}
        depth = family.unet.get("layers_per_block", 2)
        for key, one in unet.items():
            found[f"model.diffusion_model.{tiny.unet_name(key, depth, family.levels)}"] = one
        for key, one in vae.items():
            found[f"first_stage_model.{tiny.vae_name(key, levels)}"] = tiny.convolved(key, one)
        for prefix, state in zip(tiny.text_prefixes(family), encoders, strict=True):
            packed = prefix.endswith("model.")
            found |= tiny.open_clip(state, prefix) if packed else tiny.transformers(state, prefix)
    assert f"first_stage_model.{FIRST}" in found
    pool = np.random.default_rng(0).standard_normal(1 << 20).astype(np.float16)

    def numbers(key: str, shape: tuple[int, ...]) -> Any:
        scale = max(int(np.prod(shape[1:])), 1) ** -0.5 if len(shape) > 1 else 0.1
        offset = 1 if "norm" in key and len(shape) == 1 else 0
        return np.resize(pool * np.float16(scale) + np.float16(offset), shape)

    shapes = {key: tuple(one.shape) for key, one in found.items() if "position_ids" not in key}
    writes = [
        ToWrite(key, "F16", shape, lambda key=key, shape=shape: numbers(key, shape))
        for key, shape in shapes.items()
    ]
    write_tensors(path, writes, {"format": "pt"})
    return sum(one.numel() for one in unet.values()), sum(int(np.prod(one)) for one in shapes.values())


def load_sfumato(path: Path, place: Path) -> Any:
    """Load every network with Sfumato's torch backend, as float16."""
    from sfumato.models.backends.torch import load_torch
    from sfumato.models.files import locate

    return load_torch(locate(path), "cpu", "float16")


def load_diffusers(path: Path, place: Path) -> Any:
    """Load every network with diffusers, as float16, with the configurations in `place`."""
    import diffusers

    index = json.loads((place / "model_index.json").read_text())
    kind = getattr(diffusers, index["_class_name"])
    pipe = kind.from_single_file(
        str(path), config=str(place), local_files_only=True, torch_dtype=torch.float16, safety_checker=None
    )
    pipe.vae.to(torch.float32)  # as Sfumato has it: common ones overflow float16
    return pipe


LOADERS = {"sfumato": load_sfumato, "diffusers": load_diffusers}


def write_configs(path: Path, place: Path) -> None:
    """Write a folder of the derived configurations, without weights, for diffusers."""
    from sfumato.models.files import locate
    from sfumato.models.vocabulary import merges_txt, vocab_json

    files = locate(path)
    for network in files.networks:
        tiny.write_json(place / network.name / "config.json", dict(network.config))
        if network.name.startswith("text_encoder"):
            folder = place / network.name.replace("text_encoder", "tokenizer")
            config = files.tokenizer if network.name == "text_encoder" else files.tokenizer_2
            tiny.write_json(folder / "tokenizer_config.json", dict(config or {}))
            (folder / "vocab.json").write_bytes(vocab_json())
            (folder / "merges.txt").write_bytes(merges_txt())
    tiny.write_json(place / "scheduler" / "scheduler_config.json", dict(files.scheduler))
    if files.low_res is not None:
        tiny.write_json(place / "low_res_scheduler" / "scheduler_config.json", dict(files.low_res))
    tiny.write_json(place / "model_index.json", dict(files.index))


def measure(loader: str, path: Path, place: Path) -> None:
    """Load in this process, and print seconds and MB as JSON."""
    import diffusers.models.autoencoders.autoencoder_kl
    import diffusers.models.unets.unet_2d_condition  # noqa: F401 - what both import is not measured
    from transformers import CLIPTextModel  # noqa: F401

    if loader == "diffusers":
        from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline  # noqa: F401
    else:
        import sfumato.models.backends.torch
        import sfumato.models.original.single  # noqa: F401
    before, private, started = _resident(), _private(), time.perf_counter()
    kept = LOADERS[loader](path, place)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak - before, "private_mb": _private() - private}))
    del kept


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def _private() -> float:
    """Return the MB that are this process's alone: without pages of the file, which are the system's."""
    rows = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(row.split()[1]) for row in rows if row.startswith("Anonymous:")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("family", choices=FULL)
    parser.add_argument("--only", choices=LOADERS)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        loader, path, place = arguments.measure
        measure(loader, Path(path), Path(place))
        return
    with tempfile.TemporaryDirectory() as folder:
        path, place = Path(folder) / "model.safetensors", Path(folder) / "configs"
        network, whole = write_full(arguments.family, path)
        size = path.stat().st_size
        print(
            f"{arguments.family}: UNet {network:,} parameters, {whole:,} in all, {size:,} bytes", flush=True
        )
        write_configs(path, place)
        for loader in [arguments.only] if arguments.only else LOADERS:
            command = [sys.executable, __file__, arguments.family, "--measure", loader, str(path), str(place)]
            environment = {"HF_HUB_OFFLINE": "1", "PATH": "", "PYTHONPATH": ":".join(sys.path)}
            done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
            print(loader, done.stdout.strip() or done.stderr.strip().splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
