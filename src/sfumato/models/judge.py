"""The judge: a small classifier of scenes that knows nothing of any generator, trained on freshly drawn ones.

It says which objects a 128x128 picture shows, on which background, at which time of day and in which style;
its features measure how far two sets of pictures are apart.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from sfumato.errors import ModelFileError
from sfumato.scenes import vocabulary as words

Floats = NDArray[np.float32]

#: Single-choice questions: name -> number of classes. Objects are answered one by one: several may be there.
QUESTIONS: dict[str, int] = {
    "background": len(words.BACKGROUNDS),
    "time": len(words.TIMES),
    "style": len(words.STYLE_NAMES),
}
FEATURES = 256
SIDE = 128


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the judge says of `N` pictures.

    `objects (N, len(OBJECT_NAMES))` are logits, each object on its own; `background`, `time`, `style` are
    logits over the classes of `scenes.vocabulary`, in its order; `features (N, 256)` are the mean activations
    before the answers. All float32.
    """

    objects: Floats
    background: Floats
    time: Floats
    style: Floats
    features: Floats


class _Block(nn.Module):
    """Residual block with two 3x3 convolutions, the first of which may halve the picture."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.GroupNorm(8, after), nn.GroupNorm(8, after)])
        self.skip = nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.silu(self.norms[0](self.first(x)))
        return functional.silu(self.skip(x) + self.norms[1](self.second(hidden)))


class JudgeNet(nn.Module):
    """Pictures `(B,3,128,128)` in -1..1 to logits by question, and features `(B,256)` as `features`."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.width = width
        widths = (width, 2 * width, 4 * width, FEATURES)
        self.stem = nn.Conv2d(3, width, 5, 2, 2)
        pairs = zip((width, *widths[:-1]), widths, strict=True)
        self.blocks = nn.ModuleList([_Block(a, b, 2) for a, b in pairs])
        self.answers = nn.ModuleDict(
            {name: nn.Linear(2 * FEATURES, classes) for name, classes in QUESTIONS.items()}
        )
        self.answers["objects"] = nn.Linear(2 * FEATURES, len(words.OBJECTS))

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        x = functional.silu(self.stem(pictures))
        for block in self.blocks:
            x = block(x)
        mean = x.mean(dim=(2, 3))
        # Maxima find small objects, means find backgrounds.
        pooled = torch.cat([mean, x.amax(dim=(2, 3))], dim=1)
        return {"features": mean, **{name: answer(pooled) for name, answer in self.answers.items()}}


class Judge:
    """A loaded judge. Pictures of other sizes are resized to 128x128 first."""

    def __init__(self, net: JudgeNet) -> None:
        self._net = net.eval()

    @torch.no_grad()
    def __call__(self, pictures: NDArray[np.uint8], batch: int = 64) -> Verdict:
        """Judge `pictures (N,H,W,3)` uint8."""
        rows: dict[str, list[Tensor]] = {}
        for start in range(0, len(pictures), batch):
            pixels = torch.from_numpy(np.ascontiguousarray(pictures[start : start + batch]))
            x = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
            if x.shape[-2:] != (SIDE, SIDE):
                x = functional.interpolate(
                    x, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False
                )
            for name, value in self._net(x).items():
                rows.setdefault(name, []).append(value.float())
        return Verdict(**{name: torch.cat(parts).numpy() for name, parts in rows.items()})


def save_judge(net: JudgeNet, path: Path, facts: dict[str, object]) -> None:
    """Write the judge as float16 safetensors with `facts` (its accuracy and training) in the header."""
    tensors = {key: value.half().contiguous() for key, value in net.state_dict().items()}
    header = {"width": net.width, "objects": list(words.OBJECT_NAMES), **facts}
    draft = path.with_suffix(".draft")
    save_file(tensors, draft, metadata={"judge": json.dumps(header)})
    draft.rename(path)


def judge_facts(path: Path) -> dict[str, object]:
    """What `save_judge` was told, without loading weights.

    Raises `ModelFileError` for a file that is not a judge, or that is one of another vocabulary.
    """
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {}).get("judge", "null"))
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelFileError(f"the judge cannot be read: {error}", field="judge", value=str(path)) from error
    if not isinstance(facts, dict) or not isinstance(facts.get("width"), int):
        raise ModelFileError("this is not a judge", field="judge", value=str(path))
    if facts.get("objects") != list(words.OBJECT_NAMES):
        hint = "train it again with recipes/train/judge.toml"
        raise ModelFileError(
            "the judge was trained on other objects", field="judge", value=str(path), hint=hint
        )
    return facts


def load_judge(path: Path) -> Judge:
    """The judge in `path`. Raises `ModelFileError` for a damaged file or one of another vocabulary."""
    facts = judge_facts(path)
    net = JudgeNet(int(str(facts["width"])))
    load_weights(net, path)
    return Judge(net)


def load_weights(net: JudgeNet, path: Path) -> None:
    """Give `net` the weights of the judge in `path`, of the same width. Raises `ModelFileError`."""
    try:
        with safe_open(path, "pt") as file:
            keys = file.keys()
            net.load_state_dict({key: file.get_tensor(key).float() for key in keys})
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ModelFileError(f"the judge cannot be read: {error}", field="judge", value=str(path)) from error


def bundled_judge() -> Path:
    """Where the judge that ships with the package lies."""
    return Path(__file__).parent / "bundled" / "judge.safetensors"
