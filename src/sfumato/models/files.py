"""The files of a diffusers model folder: found, read and checked before anything heavy is imported.

Every fault a folder can have that shows without running a network is found here and raised as one
`ModelFileError`: missing files, broken JSON, truncated safetensors, pickles (refused, never opened).
"""

import functools
import hashlib
import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sfumato.errors import ModelFileError
from sfumato.models.joint_files import TRANSFORMER, find_third
from sfumato.models.network_files import Config, NetworkFiles, find_network, read_json, required
from sfumato.models.tiny_decoder_files import find_tiny_decoder
from sfumato.models.vocabulary import CLIP_MERGES

if TYPE_CHECKING:
    from sfumato.models.original.parts import Part
    from sfumato.models.original.single import SingleFile

PROJECTING = "CLIPTextModelWithProjection"  # the class of text encoders that make a pooled text as well
# The parts of a text-to-image folder, the classes each may be, and the stem of its weights.
NETWORKS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "unet": (("UNet2DConditionModel",), "diffusion_pytorch_model"),
    "transformer": ((TRANSFORMER,), "diffusion_pytorch_model"),
    "vae": (("AutoencoderKL",), "diffusion_pytorch_model"),
    "text_encoder": (("CLIPTextModel", PROJECTING), "model"),
    "text_encoder_2": ((PROJECTING,), "model"),
}
TOKEN_MAP = "special_tokens_map.json"
SPECIAL_TOKENS = {  # and what CLIP has where nothing is said
    "bos_token": "<|startoftext|>",
    "eos_token": "<|endoftext|>",
    "pad_token": "<|endoftext|>",
}
BYTE_PAIRS = ("vocab.json", "merges.txt")
LOW_RES = "low_res_scheduler/scheduler_config.json"
NO_DIGESTS: Mapping[Path, str] = MappingProxyType({})

_digesting = threading.Lock()


@dataclass(frozen=True)
class ModelFiles:
    """A checked model folder: every file is there and readable, no tensor is loaded yet.

    `vocab` and `merges` are the byte pairs as CLIP was published (`vocab.json`, `merges.txt`); without
    `merges`, `vocab` is a `tokenizer.json` that holds both, as transformers 5 saves it. `tiny_decoder` is an
    AutoencoderTiny whose decoder makes previews, where the folder has one. `low_res` is there in upscalers:
    the scheduler that puts noise on the small picture; `max_noise_level` is as model_index.json has it.

    `text_encoder_2` and its `tokenizer_2`, `vocab_2` and `merges_2` are there in Stable Diffusion XL, whose
    text is that of two encoders. A folder with a `text_encoder_2` alone, as the refiner's, has it as
    `text_encoder`, and the same of its tokenizer. `index` is model_index.json. `token_maps` are the files
    special_tokens_map.json that say something else than the tokenizer's configuration, and are followed.

    In Stable Diffusion 3 `unet` is a transformer (`sfumato.models.joint_files.is_transformer`), and
    `text_encoder_3` is T5, with `pieces` as the file of its tokenizer, unless the folder goes without.

    Where all of it is one file of the original layout, `folder` is that file, and `single` what it says.

    Where another autoencoder is in the place of the model's, `vae` is that one, `vae_digest` its sha256
    (hex), and `own_vae` the model's.
    """

    folder: Path
    unet: NetworkFiles
    vae: NetworkFiles
    text_encoder: NetworkFiles
    scheduler: Config
    tokenizer: Config
    vocab: Path
    merges: Path | None
    defaults: Config
    tiny_decoder: NetworkFiles | None = None
    low_res: Config | None = None
    max_noise_level: object = None
    text_encoder_2: NetworkFiles | None = None
    tokenizer_2: Config | None = None
    vocab_2: Path | None = None
    merges_2: Path | None = None
    index: Config = field(default_factory=dict[str, Any])
    token_maps: tuple[Path, ...] = ()
    single: "SingleFile | None" = None
    own_vae: NetworkFiles | None = None
    vae_digest: str = ""
    text_encoder_3: NetworkFiles | None = None
    pieces: Path | None = None

    @property
    def settings_file(self) -> Path:
        """Where it is written how the model draws when nothing is asked for, if anywhere."""
        if self.single is None:
            return self.folder / "sfumato.json"
        from sfumato.models.original.sidecar import sidecar_path

        return sidecar_path(self.folder)

    @property
    def scheduler_file(self) -> Path:
        """The file that the schedule was read from."""
        if self.single is None:
            return self.folder / "scheduler" / "scheduler_config.json"
        return self.folder

    @property
    def networks(self) -> tuple[NetworkFiles, ...]:
        """Every network that decides what is drawn."""
        known = self.unet, self.vae, self.text_encoder, self.text_encoder_2, self.text_encoder_3
        return tuple(one for one in known if one is not None)

    @property
    def own_networks(self) -> tuple[NetworkFiles, ...]:
        """The same, with the autoencoder that the model brought."""
        own = self.vae if self.own_vae is None else self.own_vae
        return tuple(own if one is self.vae else one for one in self.networks)

    def drawn_digest(self, known: Mapping[Path, str] = NO_DIGESTS) -> str:
        """Return `digest`, or where another autoencoder is in the place of the model's that of the two: what
        is made of a model is kept under it.
        """
        digest = self.digest(known)
        if self.own_vae is None:
            return digest
        return hashlib.sha256(f"{digest} {self.vae_digest}".encode()).hexdigest()

    def digest(self, known: Mapping[Path, str] = NO_DIGESTS) -> str:
        """Return the sha256 (hex) of everything that decides what the model draws; files whose sha256 is
        `known` are not read for it.

        Names and contents of weights, network configurations, schedule and tokenizer; not the model card,
        not the tiny decoder, which only previews go through, and not `sfumato.json`, whose values end up in
        every resolved recipe anyway.

        Of a single file it is its sha256, as others have it, unless a person's file beside it changes what it
        draws. An autoencoder in the place of the model's own is no part of it.
        """
        if self.single is not None:
            return self._digest_of_single(self.single, known)
        parts = [path for one in self.own_networks for path in one.paths]
        parts += [one for one in (self.merges, self.vocab_2, self.merges_2, self.pieces) if one is not None]
        parts += [self.folder / one.name / "config.json" for one in self.own_networks]
        parts += [self.folder / "scheduler" / "scheduler_config.json"]
        vocabularies = [self.vocab] if self.vocab_2 is None else [self.vocab, self.vocab_2]
        parts += [vocab.parent / "tokenizer_config.json" for vocab in vocabularies] + [self.vocab]
        parts += self.token_maps
        parts += [] if self.low_res is None else [self.folder / LOW_RES]
        stamps = [(path, path.stat()) for path in sorted(parts)]
        whole = hashlib.sha256()
        for (path, _), part in zip(stamps, _sha256s(stamps, known), strict=True):
            whole.update(f"{path.relative_to(self.folder).as_posix()} {part}\n".encode())
        return whole.hexdigest()

    def _digest_of_single(self, single: "SingleFile", known: Mapping[Path, str]) -> str:
        paths = sorted({path for one in self.own_networks for path in one.paths})
        digests = _sha256s([(path, path.stat()) for path in paths], known)
        if len(digests) == 1 and not single.sidecar.decides:
            return digests[0]
        said = json.dumps(single.sidecar.decides, sort_keys=True)
        return hashlib.sha256("\n".join([*digests, said]).encode()).hexdigest()


def _sha256s(stamps: Iterable[tuple[Path, os.stat_result]], known: Mapping[Path, str]) -> list[str]:
    with _digesting:  # whoever comes second waits for what the first one finds
        return [
            known[path] if path in known else _sha256(path, now.st_size, now.st_mtime_ns)
            for path, now in stamps
        ]


@functools.lru_cache(maxsize=256)
def _sha256(path: Path, size: int, changed: int) -> str:
    """Return the digest of a file that has so many bytes, and was changed then: a process reads a file once
    as long as nobody writes to it.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def locate(folder: Path, *, whole: bool = True) -> ModelFiles:
    """Find and check the files of the diffusers folder `folder`, or of the single file that it is. Unless
    `whole`, a single file may have no autoencoder: `vae` then describes the one it needs, and `is_absent`.

    Raises ModelFileError for a folder that is no Stable Diffusion folder, and for every missing, unreadable,
    truncated or pickled file; for a single file as `sfumato.models.original.single.read_single` does.
    """
    if folder.is_file():
        return _of_file(folder, whole=whole)
    index = read_json(folder, "model_index.json")
    drawing = "unet" if _named(index, "transformer") is None else "transformer"
    unet, vae = (_network(folder, name, index) for name in (drawing, "vae"))
    first, *second = _text_parts(index)
    vocab, merges = locate_byte_pairs(folder, f"tokenizer{first}/")
    vocab_2, merges_2 = locate_byte_pairs(folder, "tokenizer_2/") if second else (None, None)
    tokenizer, token_map = _tokenizer(folder, f"tokenizer{first}")
    tokenizer_2, token_map_2 = _tokenizer(folder, "tokenizer_2") if second else (None, None)
    third, pieces = find_third(folder, index)
    return ModelFiles(
        folder=folder,
        unet=unet,
        vae=vae,
        text_encoder=_network(folder, f"text_encoder{first}", index),
        scheduler=read_json(folder, "scheduler/scheduler_config.json"),
        tokenizer=tokenizer,
        vocab=vocab,
        merges=merges,
        defaults=read_json(folder, "sfumato.json") if (folder / "sfumato.json").is_file() else {},
        tiny_decoder=find_tiny_decoder(folder, vae.config),
        low_res=read_json(folder, LOW_RES) if index.get("low_res_scheduler") is not None else None,
        max_noise_level=index.get("max_noise_level"),
        text_encoder_2=_network(folder, "text_encoder_2", index) if second else None,
        tokenizer_2=tokenizer_2,
        vocab_2=vocab_2,
        merges_2=merges_2,
        index=index,
        token_maps=tuple(one for one in (token_map, token_map_2) if one is not None),
        text_encoder_3=third,
        pieces=pieces,
    )


def _of_file(path: Path, *, whole: bool) -> ModelFiles:
    from sfumato.models.original.single import read_single  # not needed where drawing begins with a folder

    single = read_single(path)
    if single.vae is not None:
        return of_single(single, network_of(single.vae))
    if whole:
        raise no_vae(path)
    from sfumato.models.original.single import missing_vae

    return of_single(
        single, NetworkFiles("vae", missing_vae(single), path, stored={}, num_stored=0, derived=True)
    )


def no_vae(path: Path) -> ModelFileError:
    """Return the error for a single file that is to draw without an autoencoder."""
    return ModelFileError(
        "this file has no autoencoder (VAE)",
        field="model",
        value=str(path),
        hint="Give one with --vae, lay it beside the model as NAME.vae.safetensors, or put it into a copy: "
        "sfumato convert MODEL OUT --vae FILE",
    )


def of_single(single: "SingleFile", vae: NetworkFiles) -> ModelFiles:
    """Return the files of a model in one file, with the autoencoder `vae`, which may be another's."""
    unet, text, *second = (network_of(one) for one in (single.unet, *single.texts))
    return ModelFiles(
        folder=single.path,
        unet=unet,
        vae=vae,
        text_encoder=text,
        scheduler=single.scheduler,
        tokenizer=single.tokenizers[0],
        vocab=CLIP_MERGES,
        merges=None,
        defaults=single.sidecar.defaults,
        low_res=single.low_res,
        max_noise_level=single.max_noise_level,
        text_encoder_2=second[0] if second else None,
        tokenizer_2=single.tokenizers[1] if second else None,
        vocab_2=CLIP_MERGES if second else None,
        index=single.index,
        single=single,
    )


def network_of(part: "Part") -> NetworkFiles:
    """Return a network that lies in a single file."""
    first = next(iter(part.stored.values())).path
    return NetworkFiles(
        part.name, part.config, first, part.class_name, part.stored, part.num_bytes, derived=True
    )


def locate_byte_pairs(folder: Path, inside: str = "") -> tuple[Path, Path | None]:
    """Return `vocab` and `merges` of `ModelFiles`, looked for in `folder / inside`; raises ModelFileError."""
    whole = folder / f"{inside}tokenizer.json"
    if whole.is_file() and not any((folder / f"{inside}{name}").is_file() for name in BYTE_PAIRS):
        return whole, None
    vocab, merges = (required(folder, f"{inside}{name}") for name in BYTE_PAIRS)
    return vocab, merges


def _tokenizer(folder: Path, name: str) -> tuple[Config, Path | None]:
    """Return the configuration of a tokenizer, and special_tokens_map.json where that changes it: Stable
    Diffusion 2 says there alone what it is padded with, and transformers follows it.
    """
    config = read_json(folder, f"{name}/tokenizer_config.json")
    if not (folder / name / TOKEN_MAP).is_file():
        return config, None
    said = read_json(folder, f"{name}/{TOKEN_MAP}")
    special = {key: said[key] for key in SPECIAL_TOKENS if key in said}
    now = {**SPECIAL_TOKENS, **config}
    if all(_content(now[key]) == _content(value) for key, value in special.items()):
        return config, None
    return {**config, **special}, folder / name / TOKEN_MAP


def _content(token: object) -> object:
    # Written as a plain string, or as the fields of an added token.
    return token.get("content") if isinstance(token, dict) else token


def _text_parts(index: Config) -> tuple[str, ...]:
    """Return what follows "text_encoder" and "tokenizer" in the names of the parts there are, in order."""
    there = tuple(part for part in ("", "_2") if _named(index, f"text_encoder{part}") is not None)
    return there or ("",)


def _named(index: Config, name: str) -> str | None:
    """Return the class that model_index.json gives a part; None for a part that is not there."""
    entry = index.get(name)
    return entry[1] if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], str) else None


def _network(folder: Path, name: str, index: Config) -> NetworkFiles:
    wanted, stem = NETWORKS[name]
    actual = _named(index, name)
    if actual not in wanted:
        raise ModelFileError(
            f"model_index.json must name {' or '.join(wanted)} as its {name}",
            field="model",
            value=str(folder),
            hint=f"It names {actual}; models built like Stable Diffusion 1, 2, 3 and XL are supported.",
        )
    config = read_json(folder, f"{name}/config.json")
    return find_network(folder / name, config, stem, actual)
