"""What works after `pip install sfumato` alone, and what the drawing everybody starts with imports.

Each command runs in a fresh interpreter. The base install is one in which the modules of the extra `[torch]`
cannot be found.
"""

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from sfumato.models.safetensors_header import read_header

ROOT = Path(__file__).parent.parent
EXTRA = ("torch", "diffusers", "transformers", "accelerate")
FROG = ("generate", "a frog", "--seed", "7", "--steps", "2", "--output", "frog.png")
MARK = "modules loaded:"
HIDING = f"""
import sys
from importlib.machinery import PathFinder

class BaseFinder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {EXTRA} else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = BaseFinder
"""


def sfumato(here: Path, *arguments: str, base: bool, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run one command line in the folder `here`; the last line of stdout names the modules of the extra that
    are loaded then. `base`: without the extra.
    """
    code = [
        HIDING if base else "import sys",
        "from sfumato.cli import main",
        f"sys.argv = ['sfumato', *{list(arguments)}]",
        "try:",
        "    main()",
        "finally:",
        "    loaded = {name.partition('.')[0] for name in sys.modules}",
        f"    print({MARK!r}, *sorted(loaded & {{*{EXTRA}, 'openvino'}}))",
    ]
    settings = {"SFUMATO_HOME": str(here / "home"), "SFUMATO_DEVICE": "cpu", **environ}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SFUMATO_")}
    return subprocess.run(
        [sys.executable, "-c", "\n".join(code)],
        capture_output=True,
        text=True,
        cwd=here,
        env={**inherited, **settings},
    )


def loaded(ran: subprocess.CompletedProcess[str]) -> list[str]:
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.rpartition(MARK)[2].split()


def test_drawing_with_the_bundled_model_imports_no_torch(tmp_path: Path) -> None:
    assert loaded(sfumato(tmp_path, *FROG, base=False)) == ["openvino"]
    with Image.open(tmp_path / "frog.png") as image:
        assert image.size == (128, 128)


@pytest.mark.parametrize("arguments", [["--help"], ["generate", "--help"], ["models"], ["samplers"]])
def test_looking_around_imports_neither(arguments: list[str], tmp_path: Path) -> None:
    assert loaded(sfumato(tmp_path, *arguments, base=False)) == []


def test_the_base_draws_and_verifies(tmp_path: Path) -> None:
    ran = sfumato(tmp_path, *FROG, "--json", base=True)
    assert loaded(ran) == ["openvino"]
    report = json.loads(ran.stdout.rpartition(MARK)[0])
    assert report["backend"].startswith("openvino cpu ")
    assert report["warnings"] == []
    assert loaded(sfumato(tmp_path, "verify", "frog.png", base=True)) == ["openvino"]


def test_the_base_draws_with_a_lora_and_a_word(tmp_path: Path) -> None:
    """A random LoRA for the attention of the bundled model, in kohya's layout, and an embedding."""
    folder = files("sfumato.models").joinpath("bundled/model")
    random = np.random.default_rng(0)
    factors: dict[str, np.ndarray] = {}
    for network, prefix in (("unet", "lora_unet_"), ("text_encoder", "lora_te_text_model_")):
        (path,) = Path(str(folder / network)).glob("*.safetensors")
        for key, shape in read_header(path).shapes.items():
            name = key.removeprefix("text_model.").removesuffix(".weight")
            if name.endswith((".to_q", ".to_v", ".q_proj")):
                raw = prefix + name.replace(".", "_")
                for part, sides in (("up", (shape[0], 2)), ("down", (2, shape[1]))):
                    factors[f"{raw}.lora_{part}.weight"] = random.normal(0, 0.2, sides).astype(np.float32)
    word = {"emb_params": random.normal(0, 0.02, (2, 192)).astype(np.float32)}
    for place, tensors in (("loras/some.safetensors", factors), ("embeddings/blorp.safetensors", word)):
        target = tmp_path / "home" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, target)
    asked = ("generate", "a blorp frog <lora:some:0.8>", *FROG[2:])
    assert loaded(sfumato(tmp_path, *asked, base=True)) == ["openvino"]
    shown = sfumato(tmp_path, "show", "frog.png", base=True)
    assert loaded(shown) == []
    assert "some (" in shown.stdout
    assert "blorp (" in shown.stdout


def test_the_base_lists_models_and_says_what_draws(tmp_path: Path) -> None:
    ran = sfumato(tmp_path, "models", base=True)
    assert loaded(ran) == []
    assert ran.stdout.splitlines()[1].startswith("bundled ")
    ran = sfumato(tmp_path, "doctor", base=True)
    assert loaded(ran) == ["openvino"]
    assert "(fastest on a processor)" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["train", str(ROOT / "recipes" / "train" / "autoencoder.toml")], "training needs transformers"),
        (["evaluate", "--scenes", "4"], "the judge needs torch"),
        ([*FROG, "--backend", "torch"], "torch is not installed"),
    ],
    ids=["train", "evaluate", "generate"],
)
def test_what_needs_the_extra_says_so_in_one_line(arguments: list[str], line: str, tmp_path: Path) -> None:
    ran = sfumato(tmp_path, *arguments, base=True)
    assert ran.returncode == 2
    assert ran.stderr == f'error: {line}. Run: pip install "sfumato[torch]"\n'
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_needs_the_extra(tmp_path: Path) -> None:
    ran = sfumato(tmp_path, *FROG, base=True, SFUMATO_DEVICE="cuda")
    assert ran.returncode == 2
    assert ran.stderr == 'error: torch is not installed. Run: pip install "sfumato[torch]"\n'
