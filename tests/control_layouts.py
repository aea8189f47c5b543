"""ControlNets of Stable Diffusion 1, 2 and XL at full size: written with random weights as a file of the
original layout and as a diffusers folder, loaded without a network, and compared tensor by tensor.

    python tests/control_layouts.py --where FOLDER
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import ControlNetModel
from safetensors import safe_open

from family_layouts import no_network
from full_size_families import SD1, SD2, XL
from sfumato.models.backends.torch_control import build_control
from sfumato.models.backends.torch_weights import load_network
from sfumato.models.controlnets import locate_controlnet
from sfumato.models.tensor_writer import write_tensors
from tiny_controlnets import original_controlnet
from tiny_families import write_json
from written_families import to_write

TOLD = {"addition_embed_type": "text_time", "addition_time_embed_dim": 256}
LEVELS = ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D")
FULL: Final[dict[str, dict[str, Any]]] = {
    "sd1": SD1,
    "sd2": SD2,
    "sdxl": {**XL, **TOLD, "down_block_types": LEVELS},
}
#: Numbers of control_v11p_sd15 as it was published.
PUBLISHED: Final = {"sd1": 361_279_120}


def differing(name: str, original: bool, place: Path) -> tuple[int, int, tuple[str, ...]]:
    """Write and load the ControlNet for `name`, and return how many tensors and numbers it has, and the names
    of tensors that differ from what was written.
    """
    with torch.device("meta"):
        net = ControlNetModel(**FULL[name])
    state = net.state_dict()
    named = original_controlnet(state) if original else state
    writes = [to_write(key, one, "F16") for key, one in named.items()]
    path = place / "net.safetensors"
    if not original:
        write_json(place / "net" / "config.json", {"_class_name": "ControlNetModel", **net.config})
        path = place / "net" / "diffusion_pytorch_model.safetensors"
    write_tensors(path, writes, {"format": "pt"})
    files = locate_controlnet(path if original else place / "net")
    loaded: Any = load_network(files.network, build_control, torch.device("cpu"), torch.float16)
    found = loaded.state_dict()
    found = original_controlnet(found) if original else found
    with safe_open(path, framework="pt") as file:
        bad = [key for key in named if key not in found or not torch.equal(found[key], file.get_tensor(key))]
    return len(found), sum(one.numel() for one in state.values()), tuple(bad)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--where", type=Path, help="the folder to write them into")
    arguments = parser.parse_args()
    no_network()
    print("| ControlNet for | parameters | file fp16 | folder |\n|---|---|---|---|")
    for name in FULL:
        cells: list[str] = []
        count = 0
        for original in (True, False):
            with tempfile.TemporaryDirectory(dir=arguments.where) as folder:
                tensors, count, bad = differing(name, original, Path(folder))
            cells.append(f"{tensors}" if not bad else f"{len(bad)} differ")
        wrong = " (not as published)" if PUBLISHED.get(name, count) != count else ""
        print(f"| {name} | {count:,}{wrong} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
