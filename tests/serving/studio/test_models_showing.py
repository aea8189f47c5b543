"""What the tab Models shows, of files that nobody checked."""

import base64
import io
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfumato.imaging.io import save_picture
from sfumato.models.cache import CachedModel
from sfumato.models.digests import digests_of
from sfumato.serving.studio import models_showing
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.models_shelf import Item, Shelf
from sfumato.serving.studio.models_showing import details_of, loaded_of, memory_line, preview_of, table_of
from sfumato.serving.studio.words import words_of
from sfumato.settings import Settings
from tiny_adapters import kohya_lora, write_adapter
from tiny_models import tiny_folder

WORDS = words_of(Look())
NASTY = "<img src=x onerror=alert(1)>"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, device="cpu", offline=True)


def lora(settings: Settings, name: str = "ink", **metadata: str) -> Item:
    path = settings.data_dir / "models" / "loras" / f"{name}.safetensors"
    write_adapter(path, kohya_lora(seed=1), metadata=metadata)
    return next(one for one in Shelf(settings).look() if one.entry.name == name)


def test_a_row_tells_what_it_is(settings: Settings) -> None:
    item = lora(settings, **{"modelspec.license": "CC0", "ss_tag_frequency": '{"a": {"ink style": 12}}'})
    table = table_of([item], 5, WORDS, item.key)
    assert re.findall(r"<td[^>]*>([^<]*)</td>", table) == ["LoRA", "", "0.07", "float32", "CC0", ""]
    assert "<small>ink style</small>" in table
    assert 'aria-pressed="true"' in table
    assert "1 of 5" in table
    assert str(settings.data_dir) not in table


def test_too_many_rows_are_counted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    item = lora(settings)
    monkeypatch.setattr(models_showing, "MOST_ROWS", 2)
    table = table_of([item] * 5, 5, WORDS)
    assert table.count("<tr data-key") == 2
    assert "3 more" in table
    assert WORDS("models_none") in table_of([], 5, WORDS)


def test_details_are_those_of_models_info(settings: Settings) -> None:
    item = lora(settings, **{"modelspec.title": "Ink", "modelspec.author": "A. Frog"})
    details = details_of(item, WORDS, settings, paths=True)
    for told in ("13,984", "kohya layout", "A. Frog", "&lt;lora:ink:0.8&gt;", str(item.entry.path)):
        assert told in details
    assert WORDS("models_no_hash") in details
    assert WORDS("models_no_licence") in details
    digests = digests_of(item.entry.path, settings)
    hashed = details_of(item, WORDS, settings, paths=False)
    assert digests.whole in hashed
    assert digests.auto_v3 in hashed
    assert str(settings.data_dir) not in hashed


def test_the_bundled_model_is_told_of_with_its_memory(settings: Settings) -> None:
    bundled = Shelf(settings).look()[0]
    details = details_of(bundled, WORDS, settings, paths=False)
    assert "draws 128x128 in about" in details
    assert re.search(r"<dd>[0-9a-f]{64}</dd>", details)
    assert "<dt>Licence</dt><dd>apache-2.0</dd>" in details
    assert "Sfumato&#x27;s own" in details
    assert 'class="sf-licence">apache-2.0</td>' in table_of([bundled], 1, WORDS)


def test_nothing_a_card_says_can_act(settings: Settings) -> None:
    folder = shutil.copytree(tiny_folder(), settings.data_dir / "models" / "carded")
    card = f"---\nlicense: '{NASTY}'\nlibrary_name: diffusers\nbase_model: {NASTY}\n---\n"
    (folder / "README.md").write_text(card, encoding="utf-8")
    item = next(one for one in Shelf(settings).look() if one.entry.name == "carded")
    shown = details_of(item, WORDS, settings, paths=False) + table_of([item], 1, WORDS)
    assert "<img" not in shown
    assert shown.count("&lt;img") == 3
    assert "<dt>Library</dt><dd>diffusers</dd>" in shown


def test_nothing_a_file_says_can_act(settings: Settings) -> None:
    item = lora(settings, **{"modelspec.title": NASTY, "modelspec.author": "x" * 10_000, "license": NASTY})
    shown = details_of(item, WORDS, settings, paths=True) + table_of([item], 1, WORDS)
    assert "<img" not in shown
    assert "&lt;img" in shown
    assert len(shown) < 6000
    used = [CachedModel(NASTY, 5_000_000_000, 1), CachedModel("tiny", 1_000_000, 0)]
    assert "<img" not in loaded_of(used, WORDS)
    assert loaded_of(used, WORDS).index("tiny") < loaded_of(used, WORDS).index("5.0 GB, drawing")
    assert WORDS("models_now_none") in loaded_of([], WORDS)


def test_what_cannot_be_used_says_why(settings: Settings) -> None:
    folder = settings.data_dir / "models"
    folder.mkdir()
    (folder / "torn.safetensors").write_bytes(b"\xff" * 64)
    torn = next(one for one in Shelf(settings).look() if one.entry.name == "torn")
    assert 'role="alert"' in details_of(torn, WORDS, settings, paths=True)
    assert "Cannot be used" in table_of([torn], 1, WORDS)


def test_a_picture_beside_the_file_is_made_small_and_written_anew(settings: Settings) -> None:
    item = lora(settings)
    assert preview_of(item.entry.path, settings) is None
    noise = np.random.default_rng(0).integers(0, 256, (600, 900, 3)).astype(np.uint8)
    save_picture(noise, item.entry.path.with_name("ink.png"))
    flat = np.full((300, 200, 3), 200, np.uint8)
    save_picture(flat, item.entry.path.with_name("ink.preview.png"))
    shown = preview_of(item.entry.path, settings)
    assert shown is not None
    picture = Image.open(io.BytesIO(shown))
    assert (picture.format, picture.size) == ("JPEG", (200, 300))  # that called preview counts first
    item.entry.path.with_name("ink.preview.png").write_bytes(b"GIF89a" + NASTY.encode())
    shown = preview_of(item.entry.path, settings)
    assert shown is not None
    assert Image.open(io.BytesIO(shown)).size == (384, 256)
    details = details_of(item, WORDS, settings, paths=False)
    assert base64.b64encode(shown).decode() in details


def test_a_picture_that_leads_out_or_is_too_large_is_not_shown(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Settings(data_dir=tmp_path / "data")
    item = lora(own)
    secret = tmp_path / "secret.png"
    save_picture(np.zeros((8, 8, 3), np.uint8), secret)
    os.symlink(secret, item.entry.path.with_name("ink.png"))
    assert preview_of(item.entry.path, own) is None
    (item.entry.path.with_name("ink.png")).unlink()
    secret.rename(item.entry.path.with_name("ink.png"))
    assert preview_of(item.entry.path, own) is not None
    monkeypatch.setattr(models_showing, "MOST_PREVIEW_BYTES", 10)
    assert preview_of(item.entry.path, own) is None


def test_memory_is_told_where_the_system_tells() -> None:
    assert memory_line(1_000_000_000, 2_500_000_000, WORDS).endswith("2.5 GB of memory now (1.5 GB more).")
    assert memory_line(2_000_000_000, 1_500_000_000, WORDS).endswith("(500 MB less).")
    assert memory_line(None, 5, WORDS) == ""
