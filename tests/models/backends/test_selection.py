"""What draws, and why: every rule as a table, and the files that give a GPU away."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.errors import InputError, MissingExtraError, SfumatoError
from sfumato.models.backends.selection import TORCH_STACK, Choice, Facts, choose, decide, gpu_in_sight
from sfumato.models.files import ModelFiles, locate
from sfumato.models.load import load_bundle
from sfumato.settings import Settings
from tiny_models import tiny_folder, tiny_settings

EVERYTHING = Facts()
NO_TORCH = Facts(missing="diffusers")
NO_OPENVINO = Facts(broken="openvino is not installed")
TOO_ODD = Facts(unsupported="its UNet is odd")
NOTHING = Facts(missing="torch", broken="openvino is not installed")


def settings(
    backend: str = "auto",
    device: str = "auto",
    dtype: str = "auto",
    offload: str = "auto",
    storage: str = "auto",
) -> Settings:
    return Settings(Path("x"), (), backend, device, dtype, offload=offload, storage=storage)


def files(**unet: object) -> ModelFiles:
    found = locate(tiny_folder())
    return replace(found, unet=replace(found.unet, config={**found.unet.config, **unet}))


@pytest.mark.parametrize(
    ("asked", "facts", "choice"),
    [
        (settings(), EVERYTHING, Choice("openvino", "fastest here; no GPU")),
        (settings(), NO_TORCH, Choice("openvino", "fastest here; no GPU")),
        (settings(device="cpu"), EVERYTHING, Choice("openvino", "fastest on a processor")),
        (settings(dtype="bfloat16"), EVERYTHING, Choice("openvino", "fastest here; no GPU")),
        (settings(dtype="int8"), EVERYTHING, Choice("openvino", "the only one for int8")),
        (settings(dtype="int8-full"), EVERYTHING, Choice("openvino", "the only one for int8-full")),
        (settings(), Facts(gpu="cuda", gpu_seen=True), Choice("torch", "fastest here; the GPU is cuda")),
        (settings(), Facts(gpu="mps", gpu_seen=True), Choice("torch", "fastest here; the GPU is mps")),
        (
            settings(),
            Facts(gpu_seen=True),
            Choice("openvino", "fastest here; this torch cannot use the GPU"),
        ),
        (
            settings(),
            Facts(missing="torch", gpu_seen=True),
            Choice("openvino", 'fastest without torch; for the GPU: pip install "sfumato[torch]"'),
        ),
        (settings(device="cuda:1"), EVERYTHING, Choice("torch", "the device cuda:1 was asked for")),
        (settings(device="mps"), EVERYTHING, Choice("torch", "the device mps was asked for")),
        (settings(backend="torch"), EVERYTHING, Choice("torch", "as asked")),
        (settings(backend="torch", dtype="float16"), EVERYTHING, Choice("torch", "as asked")),
        (settings(offload="none", storage="whole"), EVERYTHING, Choice("openvino", "fastest here; no GPU")),
        (
            settings(offload="component"),
            EVERYTHING,
            Choice("torch", "the one with the offload component"),
        ),
        (
            settings(device="cpu", dtype="bfloat16", storage="int8"),
            EVERYTHING,
            Choice("torch", "the one with the storage int8"),
        ),
        (
            settings(device="cuda", offload="sequential"),
            EVERYTHING,
            Choice("torch", "the device cuda was asked for"),
        ),
        (settings(backend="openvino"), EVERYTHING, Choice("openvino", "as asked")),
        (settings(backend="openvino", dtype="int8"), NO_TORCH, Choice("openvino", "as asked")),
    ],
)
def test_what_draws(asked: Settings, facts: Facts, choice: Choice) -> None:
    assert decide(asked, facts) == choice


@pytest.mark.parametrize(
    ("asked", "facts", "reason"),
    [
        (settings(), NO_OPENVINO, "openvino is not installed"),
        (settings(), TOO_ODD, "its UNet is odd"),
        (settings(dtype="float16"), EVERYTHING, "float16 is not compiled"),
        (settings(device="cpu"), TOO_ODD, "its UNet is odd"),
    ],
)
def test_a_slower_choice_is_said(asked: Settings, facts: Facts, reason: str) -> None:
    choice = decide(asked, facts)
    assert choice.backend == "torch"
    assert choice.reason.startswith(reason)
    assert choice.warning == f"Drawing with torch, which is slower here: {choice.reason}."


@pytest.mark.parametrize(
    ("asked", "facts", "kind", "line"),
    [
        (
            settings(backend="torch", dtype="int8"),
            EVERYTHING,
            InputError,
            "precision: only openvino draws with weights of eight bits, on the processor (got 'int8'). Use",
        ),
        (settings(device="cuda", dtype="int8"), EVERYTHING, InputError, "precision: only openvino"),
        (
            settings(backend="torch", dtype="int8-full"),
            EVERYTHING,
            InputError,
            "precision: only openvino draws with weights of eight bits, on the processor (got 'int8-full').",
        ),
        (settings(dtype="int8-full"), TOO_ODD, InputError, "precision: only openvino draws with weights"),
        (settings(dtype="int8"), TOO_ODD, InputError, "precision: only openvino draws with weights"),
        (
            settings(backend="openvino", offload="component"),
            EVERYTHING,
            InputError,
            "offload: is for the backend torch (got 'component'). Leave out offload, or let the backend be",
        ),
        (
            settings(backend="openvino", storage="float8"),
            EVERYTHING,
            InputError,
            "storage: is for the backend torch (got 'float8'). Leave out storage, or let the backend be",
        ),
        (
            settings(dtype="int8", offload="sequential"),
            EVERYTHING,
            InputError,
            "precision: is for openvino, and the offload sequential for torch (got 'int8'). Use bf16 or f32;",
        ),
        (settings(storage="int8"), NO_TORCH, MissingExtraError, "diffusers is not installed. Run: pip"),
        (
            settings(backend="openvino", device="cuda:0"),
            EVERYTHING,
            InputError,
            "device: openvino draws on the processor here (got 'cuda:0'). For a GPU use the backend torch",
        ),
        (settings(backend="openvino", device="mps"), EVERYTHING, InputError, "device: openvino draws"),
        (
            settings(backend="openvino", dtype="float16"),
            EVERYTHING,
            InputError,
            "precision: the compiled backend does not compute in float16 (got 'float16'). Use bf16 or f32",
        ),
        (
            settings(backend="openvino"),
            TOO_ODD,
            InputError,
            "backend: cannot draw this model: its UNet is odd (got 'openvino'). Use the backend torch.",
        ),
        (
            settings(backend="openvino"),
            NO_OPENVINO,
            MissingExtraError,
            "openvino is not installed. Run: pip install",
        ),
        (
            settings(backend="torch"),
            NO_TORCH,
            MissingExtraError,
            'diffusers is not installed. Run: pip install "sfumato[torch]"',
        ),
        (
            settings(device="cuda"),
            NO_TORCH,
            MissingExtraError,
            'diffusers is not installed. Run: pip install "sfumato[torch]"',
        ),
        (
            settings(),
            NOTHING,
            MissingExtraError,
            "this is drawn with torch, as openvino is not installed, and torch is not installed. Run: pip",
        ),
        (
            settings(dtype="float16"),
            NO_TORCH,
            MissingExtraError,
            "this is drawn with torch, as float16 is not compiled (bf16 and f32 are), and diffusers is",
        ),
    ],
)
def test_what_cannot_be_is_one_line(
    asked: Settings, facts: Facts, kind: type[SfumatoError], line: str
) -> None:
    with pytest.raises(kind) as caught:
        decide(asked, facts)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "name", ["proc/driver/nvidia/version", "dev/nvidiactl", "dev/dxg", "dev/kfd", "System32/nvcuda.dll"]
)
def test_drivers_give_a_gpu_away(name: str, tmp_path: Path) -> None:
    system = "win32" if name.startswith("System32") else "linux"
    assert not gpu_in_sight(tmp_path, system, "x86_64")
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).touch()
    assert gpu_in_sight(tmp_path, system, "x86_64")
    assert not gpu_in_sight(tmp_path, "freebsd14", "x86_64")


def test_apple_silicon_has_a_gpu(tmp_path: Path) -> None:
    assert gpu_in_sight(tmp_path, "darwin", "arm64")
    assert not gpu_in_sight(tmp_path, "darwin", "x86_64")


def test_the_tiny_model_is_compiled_or_not() -> None:
    assert choose(files(), settings(device="cpu")) == Choice("openvino", "fastest on a processor")
    assert choose(files(), settings(backend="torch")) == Choice("torch", "as asked")
    odd = choose(files(down_block_types=["KDownBlock2D", "DownBlock2D"]), settings(device="cpu"))
    assert odd.backend == "torch"
    assert odd.warning is not None
    with pytest.raises(InputError, match=r"^backend: cannot draw this model: "):
        choose(files(down_block_types=["KDownBlock2D", "DownBlock2D"]), settings(backend="openvino"))


def test_the_bundle_is_of_the_chosen_backend() -> None:
    automatic = replace(tiny_settings(), backend="auto")
    compiled = load_bundle(str(tiny_folder()), automatic)
    assert (compiled.backend.name, compiled.notes) == ("openvino cpu float32", ())
    second_best = load_bundle(str(tiny_folder()), replace(automatic, dtype="float16"))
    assert second_best.backend.name == "torch cpu float16"
    assert [note[:31] for note in second_best.notes] == ["Drawing with torch, which is sl"]


@pytest.mark.parametrize(("asked", "imported"), [("auto", "openvino"), ("torch", None)])
def test_deciding_imports_no_torch(asked: str, imported: str | None) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from sfumato.models.backends.selection import choose\n"
        "from sfumato.models.load import find_model\n"
        "from sfumato.settings import Settings\n"
        f"settings = Settings(data_dir=Path('x'), backend={asked!r}, device='cpu')\n"
        "choose(find_model('bundled', settings).files, settings)\n"
        f"print(*({{*{TORCH_STACK}, 'openvino'}} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ([] if imported is None else [imported])


@pytest.mark.parametrize("fault", ["raise ImportError('no such\\nsymbol')", "raise OSError('no libtbb')"])
def test_a_broken_openvino_is_passed_over(fault: str, tmp_path: Path) -> None:
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino" / "__init__.py").write_text(fault)
    code = (
        "import sys\nfrom pathlib import Path\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "from sfumato.models.backends.selection import choose\n"
        "from sfumato.models.load import find_model\n"
        "from sfumato.settings import Settings\n"
        "settings = Settings(data_dir=Path('x'), device='cpu')\n"
        "choice = choose(find_model('bundled', settings).files, settings)\n"
        "print(choice.backend, choice.warning)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    start = "torch Drawing with torch, which is slower here: openvino cannot be imported (no "
    assert ran.stdout.startswith(start)
    assert ran.stdout.count("\n") == 1
