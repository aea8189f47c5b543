import json
import subprocess
import sys
from pathlib import Path

from sfumato.evaluation.speed import modules_script


def test_it_runs_the_command_and_lists_what_was_loaded(tmp_path: Path) -> None:
    listing = tmp_path / "modules.json"
    command = [sys.executable, "-P", modules_script.__file__, str(listing), "--version"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("sfumato ")
    loaded = json.loads(listing.read_text())
    assert {"sfumato", "typer"} <= set(loaded)
    assert "torch" not in loaded


def test_it_ends_as_the_command_does(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-P",
        modules_script.__file__,
        str(tmp_path / "m.json"),
        "generate",
        "--nothing",
    ]
    assert subprocess.run(command, capture_output=True).returncode == 2
    assert (tmp_path / "m.json").is_file()
