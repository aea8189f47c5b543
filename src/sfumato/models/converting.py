"""From one layout to the other: a single file becomes a diffusers folder, and a folder a single file.

Tensors go over one at a time, mapped from where they lie, and unchanged to the last bit unless another kind
of number is asked for. Nothing is opened that could run, and what is written appears at once, or not at all.
"""

import json
import os
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from sfumato.errors import InputError, ModelFileError, OutputError
from sfumato.imaging.writing import make_folder, output_error, write_file
from sfumato.models.autoencoders import find_vae
from sfumato.models.baking import NOTHING, Baked, notes_with
from sfumato.models.files import LOW_RES, ModelFiles, locate, of_single
from sfumato.models.joint_files import THIRD, check_unet, tokenizer_files
from sfumato.models.network_files import Config, NetworkFiles, damaged
from sfumato.models.network_tensors import DTYPES, NetworkTensor, Tensors, shapes_in, tensors_of
from sfumato.models.original.sidecar import sidecar_path
from sfumato.models.original.single import read_single, vae_config
from sfumato.models.original.writing import (
    Target,
    changed_back,
    diffusers_structure,
    text_places,
    text_targets,
    unet_targets,
    vae_targets,
)
from sfumato.models.tensor_writer import ToWrite, write_tensors, writing_tensors
from sfumato.models.text import TextTokenizer
from sfumato.models.unsaid import sidecar_for
from sfumato.models.vae_fit import FITTING, unfit_vae
from sfumato.models.vocabulary import CLIP_MERGES, clip_byte_pairs, merges_txt, vocab_json

_STEM: Final = "diffusion_pytorch_model"
_STEMS: Final = {"unet": _STEM, "transformer": _STEM, "vae": _STEM}
_NO_PARTS: Final = ("safety_checker", "feature_extractor", "image_encoder")
#: Who wrote a configuration, and as what its weights were stored: neither is true any more.
_STALE: Final = ("_name_or_path", "_diffusers_version", "transformers_version", "torch_dtype", "dtype")


@dataclass(frozen=True)
class Converted:
    """What was written to `path`: so many `tensors` and bytes, and a `sidecar` where the single file cannot
    say everything.
    """

    path: Path
    tensors: int
    num_bytes: int
    sidecar: Path | None = None


#: A conversion on its way: yields the bytes of each piece that was written, and returns what came of it.
#: Closed early, it leaves nothing behind.
Writing: TypeAlias = Generator[int, None, Converted]


def to_folder(files: ModelFiles, folder: Path, dtype: str | None = None, baked: Baked = NOTHING) -> Converted:
    """Write a model as the diffusers folder `folder`, its weights as `dtype` (None: as they are stored), with
    adapters `baked` in.

    Raises ModelFileError for weights that cannot be carried over, OutputError for a folder that cannot be
    written or is there already.
    """
    return _finished(writing_folder(files, folder, dtype, baked))


def writing_folder(
    files: ModelFiles, folder: Path, dtype: str | None = None, baked: Baked = NOTHING
) -> Writing:
    """Do what `to_folder` does, piece by piece. Raises as it does."""
    _check_new(folder)
    count = 0
    notes = {"format": "pt", **notes_with(files, baked)}
    with _appearing(folder) as place:
        for network in files.networks:
            tensors = tensors_of(network, baked.changes.of(network.name))
            stem = _STEMS.get(network.name, "model")
            (place / network.name).mkdir()
            named = {_folder_name(network, name): one for name, one in tensors.items()}
            said = notes if network is files.unet else {"format": "pt"}
            weights = place / network.name / f"{stem}.safetensors"
            yield from writing_tensors(weights, _as_they_are(named, dtype), said)
            _write_json(place / network.name / "config.json", _fresh(network.config))
            count += len(tensors)
        _write_texts(files, place)
        _write_json(place / "scheduler" / "scheduler_config.json", _fresh(files.scheduler))
        if files.low_res is not None:
            _write_json(place / LOW_RES, _fresh(files.low_res))
        if files.defaults:
            _write_json(place / "sfumato.json", files.defaults)
        if files.tiny_decoder is not None and files.single is None:
            shutil.copytree(files.folder / files.tiny_decoder.name, place / files.tiny_decoder.name)
        index = {key: value for key, value in files.index.items() if key not in _STALE}
        index |= {part: [None, None] for part in _NO_PARTS if part in index}
        _write_json(place / "model_index.json", index)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Converted(folder, count, size)


def to_single(files: ModelFiles, path: Path, dtype: str | None = None, baked: Baked = NOTHING) -> Converted:
    """Write a model as the single file `path` of the original layout, its weights as `dtype` (None: as they
    are stored), with adapters `baked` in. What such a file cannot say goes into a file beside it.

    Raises ModelFileError for a model that has no place in this layout, OutputError for a file that cannot be
    written or is there already.
    """
    return _finished(writing_single(files, path, dtype, baked))


def writing_single(
    files: ModelFiles, path: Path, dtype: str | None = None, baked: Baked = NOTHING
) -> Writing:
    """Do what `to_single` does, piece by piece. Raises as it does."""
    _check_new(path)
    _check_new(sidecar_path(path))
    check_single(files)
    unet = tensors_of(files.unet, baked.changes.of(files.unet.name))
    encoders = tuple(one for one in (files.text_encoder, files.text_encoder_2) if one is not None)
    structure = diffusers_structure(shapes_in(unet))
    places = text_places(structure, tuple(one.class_name for one in encoders))
    if len(places) != len(encoders):
        raise damaged(files.unet.described, f"goes with {len(places)} text encoders, not {len(encoders)}")
    written = list(_moved(unet, unet_targets(shapes_in(unet), files.unet.weights), dtype))
    vae = tensors_of(files.vae)
    written += _moved(vae, vae_targets(shapes_in(vae), files.vae.weights), dtype)
    for encoder, (prefix, packed) in zip(encoders, places, strict=True):
        texts = tensors_of(encoder, baked.changes.of(encoder.name))
        targets = text_targets(shapes_in(texts), encoder.weights, prefix, packed=packed)
        written += _moved(texts, targets, dtype)
    said = sidecar_for(files, path, {one.name: (one.dtype, one.shape) for one in written})
    written += [_mark(name) for name in said.marks]
    yield from writing_tensors(path, written, {**notes_with(files, baked), **said.notes}, new=True)
    beside = None
    if said.sidecar:
        beside = sidecar_path(path)
        write_file(beside, json.dumps(said.sidecar, indent=2).encode())
    return Converted(path, len(written), path.stat().st_size, beside)


def vae_to(vae: NetworkFiles, path: Path, dtype: str | None = None) -> Converted:
    """Write an autoencoder alone: as a single file of the original layout where `path` ends in .safetensors,
    else as a diffusers folder. Raises as the others do.
    """
    _check_new(path)
    tensors = tensors_of(vae)
    if path.suffix.lower() == ".safetensors":
        written = list(_moved(tensors, vae_targets(shapes_in(tensors), vae.weights, ""), dtype))
        write_tensors(path, written, {"format": "pt"})
        return Converted(path, len(written), path.stat().st_size)
    with _appearing(path) as place:
        weights = place / f"{_STEMS['vae']}.safetensors"
        write_tensors(weights, _as_they_are(tensors, dtype), {"format": "pt"})
        _write_json(place / "config.json", _fresh(vae.config))
    return Converted(path, len(tensors), (path / weights.name).stat().st_size)


def check_single(files: ModelFiles) -> None:
    """Raise ModelFileError for a model that no single file can hold, as far as its configuration tells."""
    check_unet(files.unet)
    _check_vocabulary(files)


def num_bytes_of(files: ModelFiles, dtype: str | None = None) -> int:
    """Return about how many bytes a model takes on disk with its weights as `dtype`: those of its tensors.
    Raises ModelFileError for a file that cannot be read.
    """
    tensors = [one for network in files.networks for one in _as_they_are(tensors_of(network), dtype)]
    return sum(one.num_bytes for one in tensors)


def _finished(writing: Writing) -> Converted:
    while True:
        try:
            next(writing)
        except StopIteration as end:
            return end.value


def files_to_convert(place: Path, vae: Path | None) -> ModelFiles:
    """Return the files of the model at `place`, with the autoencoder of the file or folder `vae` in the place
    of its own, or where it has none. Raises ModelFileError, and InputError as `with_vae` does.
    """
    if vae is None:
        return locate(place)
    other = find_vae(vae)
    if place.is_file():
        single = read_single(place)
        if single.vae is None:  # then the one that is brought along fills the gap
            return of_single(single, replace(other, config=vae_config(single, other.config)))
    return with_vae(locate(place), other)


def with_vae(files: ModelFiles, vae: NetworkFiles) -> ModelFiles:
    """Return `files` with another autoencoder, whose latents keep the scale of the model's: that is what its
    UNet was trained on. Raises InputError for one of another shape.
    """
    fault = unfit_vae(files.vae.config, vae.config)
    if fault is not None:
        raise InputError(fault, field="vae", value=str(vae.weights), hint=f"{FITTING}.")
    kept = {
        key: files.vae.config[key]
        for key in ("scaling_factor", "shift_factor", "sample_size", "latents_mean", "latents_std")
        if key in files.vae.config
    }
    return replace(files, vae=replace(vae, config={**vae.config, **kept}))


def _folder_name(network: NetworkFiles, name: str) -> str:
    """Return what a published folder calls the tensor `name`: of a text encoder, all but the matrix behind it
    begins with "text_model.", which every transformers reads.
    """
    if not network.name.startswith("text_encoder") or name.startswith("text_projection."):
        return name
    if network.name == THIRD:
        return name
    return f"text_model.{name}"


def _as_they_are(tensors: Tensors, dtype: str | None) -> Iterator[ToWrite]:
    for name, one in tensors.items():
        kind = one.dtype if dtype is None else DTYPES[dtype]
        yield ToWrite(name, kind, one.shape, _bits((one,), kind, None))


def _moved(tensors: Tensors, targets: Iterable[Target], dtype: str | None) -> Iterator[ToWrite]:
    for target in targets:
        sources = tuple(tensors[name] for name in target.sources)
        kinds = {one.dtype for one in sources}
        # Parts of one tensor that are stored in different kinds fit together exactly in the widest.
        stored = kinds.pop() if len(kinds) == 1 else "F32"
        kind = stored if dtype is None else DTYPES[dtype]
        first, *others = (changed_back(one.shape, target.back) for one in sources)
        shape = (first[0] + sum(one[0] for one in others), *first[1:])
        yield ToWrite(target.name, kind, shape, _bits(sources, kind, target))


def _bits(sources: tuple[NetworkTensor, ...], kind: str, target: Target | None) -> Callable[[], Any]:
    def read() -> Any:
        parts = [one.bits(kind) for one in sources]
        if target is not None and target.back == "transposed":
            parts = [one.T for one in parts]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return whole[:, :, None, None] if target is not None and target.back == "convolution" else whole

    return read


def _mark(name: str) -> ToWrite:
    return ToWrite(name, "F32", (0,), lambda: np.zeros(0, np.float32))


def _write_texts(files: ModelFiles, place: Path) -> None:
    """Write the tokenizers, each with its vocabulary."""
    first = files.text_encoder.name.replace("text_encoder", "tokenizer")
    rows = [(first, files.tokenizer, files.vocab, files.merges)]
    if files.tokenizer_2 is not None and files.vocab_2 is not None:
        rows.append(("tokenizer_2", files.tokenizer_2, files.vocab_2, files.merges_2))
    for name, config, vocab, merges in rows:
        _write_json(place / name / "tokenizer_config.json", _fresh(config))
        if vocab == CLIP_MERGES:
            write_file(place / name / "vocab.json", vocab_json())
            write_file(place / name / "merges.txt", merges_txt())
            continue
        for path in (vocab, merges):
            if path is not None:
                write_file(place / name / path.name, path.read_bytes())
    for path in tokenizer_files(files.pieces):
        (place / path.parent.name).mkdir(exist_ok=True)
        write_file(place / path.parent.name / path.name, path.read_bytes())


def _check_vocabulary(files: ModelFiles) -> None:
    """Refuse a model whose words are not CLIP's: a single file does not bring its vocabulary."""
    for vocab, merges, config in (
        (files.vocab, files.merges, files.tokenizer),
        (files.vocab_2, files.merges_2, files.tokenizer_2),
    ):
        if vocab is None or vocab == CLIP_MERGES or config is None:
            continue
        known = TextTokenizer.read(vocab, merges, config, 77).bpe.get_vocab()
        # Words that were added stand behind CLIP's own.
        if any(known.get(token) != number for token, number in clip_byte_pairs()[0].items()):
            raise ModelFileError(
                "its words are not CLIP's, and a single file brings no vocabulary",
                field="model",
                value=str(files.folder),
                hint="Keep it as a folder.",
            )


def _fresh(config: Config) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in _STALE}


def _check_new(path: Path) -> None:
    if path.exists() or path.is_symlink():
        hint = "Remove it first, or choose another name."
        raise OutputError("is there already", field="output", value=str(path), hint=hint)


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `folder` when the block ends well, and is gone otherwise."""
    make_folder(folder.absolute().parent)
    temporary = folder.absolute().parent / f".sfumato-{os.urandom(8).hex()}.part"
    try:
        temporary.mkdir()
        try:
            yield temporary
            os.rename(temporary, folder)
        except BaseException:  # Ctrl-C too
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    except OSError as error:
        raise output_error(folder, error.errno) from error


def _write_json(path: Path, data: object) -> None:
    path.parent.mkdir(exist_ok=True)
    write_file(path, (json.dumps(data, indent=2) + "\n").encode())
