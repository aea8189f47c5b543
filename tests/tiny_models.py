"""Tiny random Stable Diffusion models of the real classes, written as diffusers folders.

They draw noise-like pictures, but everything about them is real:
`diffusers.StableDiffusionPipeline.from_pretrained` loads the folder. Networks are scaled so that outputs,
text influence and pixels have the sizes of trained ones, and comparisons between pictures mean something.
"""

import atexit
import functools
import json
import re
import shutil
import tempfile
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler, UNet2DConditionModel
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel

from sfumato.models.bundle import ModelBundle
from sfumato.models.load import load_bundle
from sfumato.settings import Settings

MAX_LENGTH = 16
CORPUS = [
    "a frog next to a rabbit on a beach at night",
    "a black cat riding a horse in the snow, watercolour",
    "two red apples above a tree, pencil sketch of a house at sunset",
    "an astronaut in space, oil painting, pixel art, photo of a rose",
]


def tiny_folder(prediction: str = "v_prediction", zero_terminal_snr: bool = True) -> Path:
    """Return a tiny model's folder, the same one all through a test run. Copy it before damaging it."""
    return _folder(prediction, zero_terminal_snr)


def tiny_bundle(prediction: str = "v_prediction", zero_terminal_snr: bool = True) -> ModelBundle:
    """Return the tiny model of `tiny_folder`, loaded on the CPU, the same one all through a test run."""
    return _bundle(prediction, zero_terminal_snr)


def tiny_settings(*model_dirs: Path) -> Settings:
    """Return settings that see no model folders of this machine and run torch on the CPU in float32."""
    return Settings(
        data_dir=temporary_folder() / "data",
        model_dirs=model_dirs,
        backend="torch",
        device="cpu",
        dtype="float32",
    )


def write_tiny_model(
    folder: Path,
    *,
    seed: int = 0,
    prediction: str = "v_prediction",
    zero_terminal_snr: bool = True,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write a model of 64x64 pictures and 8x8 latents of 4 channels into `folder`, and return it.

    About 0.3 million weights; the chunk length is 16 tokens, so that long prompts need few words.
    """
    vocab_size = write_tokenizer(folder / "tokenizer")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text = _text_encoder(vocab_size)
        unet = _unet(text)
        vae = _vae()
    for name, network in (("text_encoder", text), ("unet", unet), ("vae", vae)):
        network.to(dtype).save_pretrained(folder / name)
    DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=prediction,
        rescale_betas_zero_snr=zero_terminal_snr,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    ).save_pretrained(folder / "scheduler")
    _write_json(folder / "model_index.json", _model_index())
    defaults = {"steps": 4, "sampler": "ddim", "spacing": "trailing", "guidance": 3.0}
    _write_json(folder / "sfumato.json", {**defaults, "guidance_rescale": 0.0})
    return folder


def write_tiny_decoder(folder: Path, *, latent_channels: int = 4, levels: int = 4, width: int = 8) -> Path:
    """Write a random AutoencoderTiny, encoder and all, as people have it, into `folder`, and return it."""
    widths, blocks = (width,) * levels, (2, *(1,) * (levels - 1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tiny = AutoencoderTiny(
            latent_channels=latent_channels,
            encoder_block_out_channels=widths,
            decoder_block_out_channels=widths,
            num_encoder_blocks=(1,) * levels,
            num_decoder_blocks=blocks,
        )
    tiny.save_pretrained(folder)
    return folder


def write_tokenizer(folder: Path) -> int:
    """Write byte pairs that spell the words of a few captions as CLIPTokenizer files; return their number.

    A word is merged letter by letter, so the files are the same each time (training them breaks ties at
    random).
    """
    merges: list[tuple[str, str]] = []
    for word in dict.fromkeys(re.findall(r"[a-z]+", " ".join(CORPUS))):
        letters = [*word[:-1], word[-1] + "</w>"]
        merges += [("".join(letters[:at]), letters[at]) for at in range(1, len(letters))]
    merges = list(dict.fromkeys(merges))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*alphabet, *(letter + "</w>" for letter in alphabet), *(left + right for left, right in merges)]
    pieces = list(dict.fromkeys([*pieces, "<|startoftext|>", "<|endoftext|>"]))
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "vocab.json", {piece: index for index, piece in enumerate(pieces)})
    (folder / "merges.txt").write_text(
        "\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges), ""]), encoding="utf-8"
    )
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    special = {**special, "pad_token": "<|endoftext|>"}
    config = {**special, "model_max_length": MAX_LENGTH, "tokenizer_class": "CLIPTokenizer"}
    _write_json(folder / "tokenizer_config.json", config)
    _write_json(folder / "special_tokens_map.json", special)
    return len(pieces)


# The caches sit behind functions with defaults: a cache tells apart calls that leave a default out.
@functools.cache
def _folder(prediction: str, zero_terminal_snr: bool) -> Path:
    parent = temporary_folder() / prediction / ("zero-snr" if zero_terminal_snr else "plain")
    return write_tiny_model(parent / "tiny", prediction=prediction, zero_terminal_snr=zero_terminal_snr)


@functools.cache
def _bundle(prediction: str, zero_terminal_snr: bool) -> ModelBundle:
    return load_bundle(str(_folder(prediction, zero_terminal_snr)), tiny_settings())


@functools.cache
def temporary_folder() -> Path:
    """Return a folder that lasts as long as the test run."""
    folder = Path(tempfile.mkdtemp(prefix="sfumato-tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _text_encoder(vocab_size: int) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=MAX_LENGTH,
        bos_token_id=vocab_size - 2,
        eos_token_id=vocab_size - 1,
        pad_token_id=vocab_size - 1,
    )
    model = CLIPTextModel(config).eval()
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(20)
        model.final_layer_norm.bias.add_(0.1)  # CLIP's text has a mean of about a tenth of its size
    return model


def _unet(text: CLIPTextModel) -> UNet2DConditionModel:
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=32,
        attention_head_dim=2,
    ).eval()
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if "attn2.to_" in name and name.endswith("weight"):
                weight.mul_(3)
        context = text(torch.randint(0, 500, (4, MAX_LENGTH))).last_hidden_state
        out = unet(torch.randn(4, 4, 8, 8), torch.tensor(500), encoder_hidden_states=context).sample
        unet.conv_out.weight.div_(out.std())
    return unet


def _vae() -> AutoencoderKL:
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=64,
        scaling_factor=0.5,
    ).eval()
    with torch.no_grad():
        out = vae.decode(torch.randn(2, 4, 8, 8) / 0.5).sample
        vae.decoder.conv_out.weight.div_(2 * out.std())
    return vae


def _model_index() -> dict[str, object]:
    return {
        "_class_name": "StableDiffusionPipeline",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }


def _write_json(path: Path, data: object) -> None:
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False), encoding="utf-8")
