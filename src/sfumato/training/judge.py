"""The judge stage: learning to name what freshly drawn scenes show."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn

from sfumato.models.judge import JudgeNet, load_weights
from sfumato.recipe.train import JudgeStage, SceneData
from sfumato.scenes import drawing, scene
from sfumato.scenes import vocabulary as words
from sfumato.training.autoencoder import scene_font, scene_mix, to_tensor
from sfumato.training.loop import Batch
from sfumato.training.objectives import scene_labels_loss


def labels(scenes: list[scene.Scene]) -> dict[str, Tensor]:
    """Targets of `scene_labels_loss`: objects `(B,N)` multi-hot; background, time and style `(B,)` classes,
    -1 where a picture cannot tell."""
    objects = np.zeros((len(scenes), len(words.OBJECTS)), np.float32)
    for row, shown in enumerate(scenes):
        objects[row, [words.OBJECT_NAMES.index(name) for name in shown.objects]] = 1
    times = tuple(words.TIMES)
    # Whoever sees no colour cannot tell a plain one, so the judge is not asked.
    unknown_colour = [s.background in words.COLOURS and s.style in words.COLOURLESS_STYLES for s in scenes]
    background = [
        -1 if unknown else words.BACKGROUNDS.index(s.background)
        for s, unknown in zip(scenes, unknown_colour, strict=True)
    ]
    time = [
        times.index(s.time)
        if s.background in words.TIMED_PLACES and s.style not in words.COLOURLESS_STYLES
        else -1
        for s in scenes
    ]
    style = [words.STYLE_NAMES.index(s.style) for s in scenes]
    return {
        "objects": torch.from_numpy(objects),
        "background": torch.tensor(background),
        "time": torch.tensor(time),
        "style": torch.tensor(style),
    }


class JudgeTask:
    """Name objects, background, time and style. Noise and blur are added, so that slightly soft pictures
    can still be named."""

    def __init__(self, stage: JudgeStage, data: SceneData, seed: int, begin: Path | None = None) -> None:
        """`begin` is the file of another judge, whose weights this one begins with."""
        self._stage = stage
        self._begin = begin
        self._data = data
        self._seed = seed
        self._mix = scene_mix(data)
        self._font = scene_font(data)

    def modules(self) -> dict[str, nn.Module]:
        net = JudgeNet(self._stage.width)
        if self._begin is not None:
            load_weights(net, self._begin)
        return {"judge": net}

    def batch(self, step: int, size: int) -> Batch:
        pictures, scenes = [], []
        for index in range(step * size, (step + 1) * size):
            picture, _, shown = scene.example(self._seed, index, self._mix, self._font, self._data.size)
            rng = np.random.default_rng([self._seed, index, 3])
            if self._stage.shifted and rng.random() < self._stage.shifted:
                furthest = round(self._data.size * drawing.FURTHEST)
                down, right = (int(pixels) for pixels in rng.integers(-furthest, furthest + 1, 2))
                picture = Image.fromarray(drawing.moved(np.asarray(picture), down, right))
            if rng.random() < self._stage.blur:
                picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.4)))
            pictures.append(picture)
            scenes.append(shown)
        return {"pictures": to_tensor(pictures), "labels": labels(scenes)}

    def loss(
        self, modules: Mapping[str, nn.Module], batch: Batch, random: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        net = modules["judge"]
        device = next(net.parameters()).device
        pictures = batch["pictures"]
        amount = self._stage.noise * torch.rand(len(pictures), 1, 1, 1, generator=random)
        pictures = pictures + amount * torch.randn(pictures.shape, generator=random)
        logits = {name: value.float() for name, value in net(pictures.to(device)).items()}
        expected = {name: value.to(device) for name, value in batch["labels"].items()}
        loss = scene_labels_loss(logits, expected)
        single = expected["objects"].sum(dim=1) == 1
        right = logits["objects"].argmax(dim=1) == expected["objects"].argmax(dim=1)
        styles = logits["style"].argmax(dim=1) == expected["style"]
        return loss, {
            "single_objects": float(right[single].float().mean()) if bool(single.any()) else 0.0,
            "styles": float(styles.float().mean()),
        }
