"""From a training recipe to a finished run: builds the stage's task, runs the one loop, and writes what the
next stage needs.

Every run lives in `runs/NAME/`: `step-*` checkpoints and its result (`vae/`, `tokenizer/` and
`text_encoder/`, `model/`, `tiny_decoder/`, `controlnet/`, `upscaler/`, shards, or `judge.safetensors`).
Running a recipe again resumes it; running a finished one only writes the same result again.
"""

import hashlib
import tempfile
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from safetensors import SafetensorError
from transformers import CLIPTextModel

from sfumato.errors import OutputError
from sfumato.models.judge import Judge, JudgeNet, bundled_judge, load_judge, save_judge
from sfumato.models.tiny_decoder import decoder_config, save_decoder
from sfumato.models.upscaler_net import UpscalerNet, save_upscaler
from sfumato.recipe.train import (
    AutoencoderStage,
    ControlNetStage,
    DiffusionStage,
    JudgeStage,
    LatentStage,
    TextStage,
    TinyDecoderStage,
    TrainRecipe,
    UpscalerStage,
)
from sfumato.scenes import scene
from sfumato.settings import Settings
from sfumato.training import (
    autoencoder,
    controlnet,
    diffusion,
    latents,
    text,
    tiny_decoder,
    upscaler,
)
from sfumato.training import judge as judging
from sfumato.training.export import export_pipeline, replacing, save_network, write_json
from sfumato.training.latents import CacheStep
from sfumato.training.loop import TrainStep
from sfumato.training.runs import (
    Run,
    Steps,
    digest,
    earlier_results,
    load_averages,
    load_vae,
    sha256_of,
    steps_of,
)
from sfumato.training.samples import write_samples

#: What the bundled model draws with when nothing is asked for; chosen with `sfumato evaluate`.
DEFAULTS = {
    "width": 128,
    "height": 128,
    "steps": 20,
    "sampler": "ddim",
    "spacing": "trailing",
    "guidance": 2.0,
    "guidance_rescale": 0.0,
}

T = TypeVar("T")


def start(
    recipe: TrainRecipe, *, runs: Path, settings: Settings
) -> Generator[TrainStep, None, None] | Generator[CacheStep, None, None]:
    """Run `recipe` to its end, from where it stopped if it was begun before; yields its progress.

    Nothing happens before the first step is asked for. Raises `RecipeError` and `InputError` when the
    recipe cannot run here or needs an earlier stage, `OutputError` when its folder cannot be written, and
    what `loop.train` raises. Closing the generator stops the run; the last checkpoint stays.
    """
    run = Run(recipe, runs, settings)
    match recipe.task:
        case AutoencoderStage() as stage:
            return _writing(run, _autoencoder(run, stage))
        case LatentStage() as stage:
            return _writing(run, _latents(run, stage))
        case TextStage() as stage:
            return _writing(run, _text(run, stage))
        case DiffusionStage() as stage:
            return _writing(run, _diffusion(run, stage))
        case TinyDecoderStage() as stage:
            return _writing(run, _tiny_decoder(run, stage))
        case JudgeStage() as stage:
            return _writing(run, _judge(run, stage))
        case ControlNetStage() as stage:
            return _writing(run, _controlnet(run, stage))
        case UpscalerStage() as stage:
            return _writing(run, _upscaler(run, stage))


def _writing(run: Run, steps: Generator[T, None, None]) -> Generator[T, None, None]:
    """`steps`, after a look whether the run's folder can be written; `OutputError` when it cannot, then or
    later."""
    try:
        place = run.folder
        while not place.exists() and place != place.parent:
            place = place.parent
        with tempfile.TemporaryFile(dir=place):
            pass
        with closing(steps):
            yield from steps
    except (OSError, SafetensorError) as error:
        hint = "Make room or choose another place for runs; the last checkpoint, if there is one, is intact."
        raise OutputError(
            f"the run's files cannot be written: {error}", field="runs", value=str(run.folder), hint=hint
        ) from error


# --- the stages -------------------------------------------------------------------------------------------


def _autoencoder(run: Run, stage: AutoencoderStage) -> Steps:
    task = autoencoder.AutoencoderTask(stage, run.recipe.data, run.recipe.seed)
    yield from steps_of(run, task)
    vae = autoencoder.build(stage, run.recipe.data.size)
    load_averages(run, {"vae": vae})
    rows = _scenes(run, 0, 256, autoencoder.scene_mix(run.recipe.data))
    autoencoder.normalise(vae.eval(), torch.cat([picture for picture, _ in rows]))
    with replacing(run.folder / "vae") as draft:
        save_network(vae, draft)


def _latents(run: Run, stage: LatentStage) -> Generator[CacheStep, None, None]:
    folder = run.result(stage.autoencoder, "vae")
    data = run.recipe.model_dump(mode="json", exclude={"name": True, "reporting": True, "task": {"count"}})
    weights = (folder / "diffusion_pytorch_model.safetensors").read_bytes()
    # Latents of another autoencoder of the same name are another cache.
    name = sha256_of({**data, "weights": hashlib.sha256(weights).hexdigest()})
    vae = load_vae(folder)
    yield from latents.encode(
        stage, run.recipe.data, seed=run.recipe.seed, vae=vae, folder=run.folder, digest=name
    )


def _text(run: Run, stage: TextStage) -> Steps:
    folder = run.folder / "tokenizer"
    if not folder.exists():
        vocab, merges = text.build_tokenizer(stage, run.recipe.data, run.recipe.seed)
        with replacing(folder) as draft:
            text.write_tokenizer(draft, vocab, merges, stage.max_length)
    captions = text.CaptionEncoder(folder)
    task = text.TextTask(stage, run.recipe.data, run.recipe.seed, captions)
    yield from steps_of(run, task)
    modules = task.modules()
    load_averages(run, modules)
    with replacing(run.folder / "text_encoder") as draft:
        save_network(cast(CLIPTextModel, modules["text_encoder"]), draft)


def _diffusion(run: Run, stage: DiffusionStage) -> Steps:
    cache = latents.load([run.result(name, ".") for name in stage.latents])
    origin = diffusion.Origin(
        stage=stage,
        seed=run.recipe.seed,
        text=run.result(stage.text, "text_encoder"),
        latent_channels=cache.latents.shape[1],
        side=cache.latents.shape[2],
        model=None if stage.start is None else run.result(stage.start, "model"),
    )
    tokenizer = run.result(stage.text, "tokenizer")
    export = _Export(run, origin, load_vae(run.result(stage.autoencoder, "vae")), tokenizer)
    task = diffusion.DiffusionTask(origin, run.plan.steps, cache, text.CaptionEncoder(tokenizer))
    yield from _with_samples(run, steps_of(run, task, earlier_results(run.recipe, run.runs)), export)
    export.write(run.folder / "model")


def _tiny_decoder(run: Run, stage: TinyDecoderStage) -> Steps:
    cache = latents.load([run.result(name, ".") for name in stage.latents])
    vae = load_vae(run.result(stage.autoencoder, "vae"))
    task = tiny_decoder.TinyDecoderTask(stage, run.recipe.seed, cache.latents, vae)
    yield from steps_of(run, task, earlier_results(run.recipe, run.runs))
    net = tiny_decoder.build(stage, cache.latents.shape[1])
    load_averages(run, {"decoder": net})
    psnr = tiny_decoder.fidelity(net.eval(), vae.cpu(), cache.latents[-stage.held_out :])
    facts = {"psnr": round(psnr, 2), "held_out": stage.held_out, "recipe": digest(run.recipe)}
    config = decoder_config(cache.latents.shape[1], stage.width, stage.blocks)
    with replacing(run.folder / "tiny_decoder") as draft:
        write_json(draft / "config.json", config)
        save_decoder(net, draft, facts)


def _judge(run: Run, stage: JudgeStage) -> Steps:
    begin = None if stage.start is None else run.result(stage.start, "judge.safetensors")
    task = judging.JudgeTask(stage, run.recipe.data, run.recipe.seed, begin)
    yield from steps_of(run, task, earlier_results(run.recipe, run.runs))
    net = JudgeNet(stage.width)
    load_averages(run, {"judge": net})
    facts = {"accuracy": _judge_accuracy(run, net), "recipe": digest(run.recipe)}
    save_judge(net, run.folder / "judge.safetensors", facts)


def _controlnet(run: Run, stage: ControlNetStage) -> Steps:
    model = run.result(stage.model, "model")
    cache = latents.load([run.result(stage.latents, ".")])
    begin = None if stage.start is None else run.result(stage.start, "controlnet")
    task = controlnet.ControlNetTask(stage, run.recipe.data, run.recipe.seed, model, cache, begin)
    yield from steps_of(run, task, earlier_results(run.recipe, run.runs))
    modules = task.modules()
    load_averages(run, modules)
    net = cast(ControlNetModel, modules["controlnet"])
    with replacing(run.folder / "controlnet") as draft:
        save_network(net.half(), draft)
        (draft / "README.md").write_text(controlnet.card(net, run.recipe.data.size), encoding="utf-8")


def _upscaler(run: Run, stage: UpscalerStage) -> Steps:
    vae = load_vae(run.result(stage.autoencoder, "vae"))
    task = upscaler.UpscalerTask(stage, run.recipe.data, run.recipe.seed, vae)
    last: TrainStep | None = None
    with closing(steps_of(run, task, earlier_results(run.recipe, run.runs))) as steps:
        for last in steps:
            yield last
    net = UpscalerNet(upscaler.shape_of(stage))
    load_averages(run, {"upscaler": net})
    net.half().float().eval()  # as it is stored
    rows = upscaler.score(net, vae, run.recipe.data, run.recipe.seed, stage.held_out)
    facts = {"psnr": rows, "seed": run.recipe.seed, "recipe": digest(run.recipe)}
    with replacing(run.folder / "upscaler") as draft:
        save_upscaler(net, draft, facts)
    if last is not None:  # once more, with what came of it
        figures = {f"{kind} {who}": row[who] for kind, row in rows.items() for who in ("learned", "lanczos")}
        yield replace(last, figures=figures)


# --- what they share --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Export:
    """Writes a diffusion run's newest averaged weights as a model folder."""

    run: Run
    origin: diffusion.Origin
    vae: AutoencoderKL
    tokenizer: Path

    def write(self, folder: Path) -> None:
        modules = self.origin.networks()
        load_averages(self.run, modules)
        size = self.run.recipe.data.size
        export_pipeline(
            folder,
            vae=self.vae,
            unet=cast(UNet2DConditionModel, modules["unet"]),
            text_encoder=cast(CLIPTextModel, modules["text_encoder"]),
            tokenizer=self.tokenizer,
            scheduler=diffusion.SCHEDULER,
            defaults={**DEFAULTS, "width": size, "height": size},
        )


def _with_samples(run: Run, steps: Steps, export: _Export) -> Steps:
    """Every `reporting.sample` steps (at a checkpoint): a sheet of pictures, and the judge's score among the
    figures."""
    every = run.recipe.reporting.sample
    judge: Judge | None = load_judge(bundled_judge()) if every and bundled_judge().exists() else None
    with closing(steps):
        for step in steps:
            if not every or step.checkpoint is None or step.step % every:
                yield step
                continue
            model = run.folder / "sample-model"
            export.write(model)
            sheet = run.folder / "samples" / f"step-{step.step:09d}.png"
            score = write_samples(model, sheet, run.settings, judge)
            if score is None:
                yield step
            else:
                figures = {"objects": score.objects, "backgrounds": score.backgrounds, "styles": score.styles}
                yield replace(step, figures={**step.figures, **figures})


def _scenes(run: Run, first: int, count: int, mix: scene.SceneMix) -> list[tuple[torch.Tensor, scene.Scene]]:
    """Fresh scenes that no training step of this run has seen (another stream): pictures `(1,3,H,W)` in
    -1..1 and what they show."""
    data, font = run.recipe.data, autoencoder.scene_font(run.recipe.data)
    rows = [scene.example(run.recipe.seed + 10_000, first + i, mix, font, data.size) for i in range(count)]
    return [(autoencoder.to_tensor([picture]), shown) for picture, _, shown in rows]


def _judge_accuracy(run: Run, net: JudgeNet, count: int = 2000) -> dict[str, float]:
    """The judge's accuracy on fresh real renders, single objects: the ceiling of every score it gives."""
    mix = replace(autoencoder.scene_mix(run.recipe.data), pairs=0.0, counts=0.0, mixes=0.0)
    judge = Judge(net)
    right: dict[str, list[bool]] = {"objects": [], "background": [], "time": [], "style": []}
    for first in range(0, count, 200):
        rows = _scenes(run, first, min(200, count - first), mix)
        pixels = torch.cat([picture for picture, _ in rows])
        verdict = judge(np.asarray(((pixels + 1) * 127.5).round().byte().permute(0, 2, 3, 1)))
        expected = {name: value.numpy() for name, value in judging.labels([s for _, s in rows]).items()}
        right["objects"] += list(verdict.objects.argmax(1) == expected["objects"].argmax(1))
        answers = {"background": verdict.background, "time": verdict.time, "style": verdict.style}
        for name, logits in answers.items():
            asked = expected[name] >= 0
            right[name] += list(logits.argmax(1)[asked] == expected[name][asked])
    return {name: float(np.mean(rows)) for name, rows in right.items()}
