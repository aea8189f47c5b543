"""What is told of a model."""

from pathlib import Path

from sfumato.models.facts import read_facts
from sfumato.models.folders import find_folder
from sfumato.models.report import lines_of, memory_line, memory_of, report_of
from sfumato.settings import Settings
from tiny_adapters import kohya_lora, write_adapter


def test_a_report_becomes_lines_without_what_is_not_known(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, device="cpu")
    notes = {"modelspec.title": "Ink\n", "ss_tag_frequency": '{"a": {"ink": 3}}'}
    path = write_adapter(tmp_path / "ink.safetensors", kohya_lora(seed=1), metadata=notes)
    report = report_of(read_facts(path), settings, {"sha256": "f" * 64, "auto_v3": "abc"})
    lines = lines_of(report)
    assert lines["file"] == str(path)
    assert (lines["title"], lines["words"], lines["AutoV3"]) == ("Ink", "ink (3)", "abc")
    assert report["memory"] is None
    assert not {"memory", "licence", "digest", "predicts"} & lines.keys()


def test_a_folder_is_told_with_its_card(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, device="cpu")
    lines = lines_of(report_of(read_facts(find_folder("bundled", settings)), settings, {}))
    assert lines["family"] == "sfumato (Sfumato's own, of captioned scenes)"
    assert (lines["licence"], lines["library"], lines["task"]) == (
        "apache-2.0",
        "diffusers",
        "text-to-image",
    )


def test_what_drawing_takes_is_told_of_whole_models(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, device="cpu")
    memory = memory_of(read_facts(find_folder("bundled", settings)), settings)
    assert memory is not None
    assert (memory["width"], memory["height"], memory["backend"]) == (128, 128, "openvino")
    assert memory["drawing"] > memory["loaded"] > 0
    line = memory_line(memory)
    assert line is not None
    assert line.startswith("draws 128x128 in about 0.")
    assert "loads in" in (memory_line({**memory, "backend": "torch"}) or "")
    assert memory_line(None) is None
