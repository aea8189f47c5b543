"""What leads from one tab to another, and what is in a picture that somebody drops."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image, PngImagePlugin

from sfumato.errors import PictureError
from sfumato.serving.desk import Desk
from sfumato.serving.studio import create, edit, finer, gallery_tab, links, models_tab
from sfumato.serving.studio.create import FORM
from sfumato.serving.studio.links import recipe_in
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.opening import Opening
from sfumato.serving.studio.words import words_of
from tiny_studio import asked_by, drawn, frog, handler, open_tiny_desk

WORDS = words_of(Look())
LONG_SEED = "x\nSteps: 9, Seed: " + "9" * 5000
PARAMETERS = """a <b>red</b> fox
Negative prompt: snow
Steps: 9, Sampler: Euler a, CFG scale: 5, Seed: 42, Size: 160x104, Model: some"""
Page = tuple[gr.Blocks, dict[str, create.Parts]]
Picture = Callable[..., Path]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path / "home") as desk:
        yield desk


@pytest.fixture
def page(desk: Desk) -> Page:
    with gr.Blocks(analytics_enabled=False) as page:
        tabs = gr.Tabs()
        built = (("create", create.build), ("gallery", gallery_tab.build))
        parts = {name: build(desk, WORDS, Look()) for name, build in built}
        links.connect(Opening(), desk, WORDS, parts, tabs)
    return page, parts


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    """Write a picture with texts in it."""

    def write(name: str = "dropped.png", **texts: str) -> Path:
        info = PngImagePlugin.PngInfo()
        for key, text in texts.items():
            info.add_text(key, text)
        Image.new("RGB", (8, 8)).save(tmp_path / name, pnginfo=info)
        return tmp_path / name

    return write


def form(values: list[Any]) -> dict[str, Any]:
    return dict(zip(FORM, values, strict=False))


def test_a_picture_of_ours_gives_its_own_recipe(desk: Desk) -> None:
    kept = drawn(desk, frog(count=3))
    recipe = recipe_in(kept.path)
    assert (recipe.seed, recipe.count, recipe.model) == (7, 1, "tiny")
    assert recipe.text is not None
    assert recipe.text.prompt == "a frog"


def test_parameters_of_other_programs_are_read(picture: Picture) -> None:
    recipe = recipe_in(picture(parameters=PARAMETERS))
    assert recipe.text is not None
    assert (recipe.text.prompt, recipe.text.negative) == ("a <b>red</b> fox", "snow")
    assert (recipe.steps, recipe.seed, recipe.width) == (9, 42, 160)


def test_a_picture_without_any_is_refused(picture: Picture) -> None:
    with pytest.raises(PictureError, match="no Sfumato recipe in this picture"):
        recipe_in(picture())


def test_what_is_dropped_fills_the_form(page: Page, picture: Picture) -> None:
    fill = handler(page[0], page[1]["create"]["drop"], "upload")
    values = form(fill(str(picture(parameters=PARAMETERS))))
    assert values["prompt"] == "a <b>red</b> fox"
    assert values["size"].value == "Wide 160 x 104"
    assert values["model"] == "bundled"  # theirs is not here
    assert (values["seed"], values["steps"], values["guidance"]) == ("42", "9", "5")
    assert len(fill(None)) == len(FORM) + 2


@pytest.fixture
def with_edit(desk: Desk) -> Page:
    with gr.Blocks(analytics_enabled=False) as page:
        built = (("create", create.build), ("edit", edit.build))
        parts = {name: build(desk, WORDS, Look()) for name, build in built}
        links.connect(Opening(), desk, WORDS, parts, gr.Tabs())
    return page, parts


def test_a_picture_that_says_nothing_may_be_edited(with_edit: Page, page: Page, picture: Picture) -> None:
    made = with_edit[1]["create"]
    photo = str(picture())
    *_, line, button = handler(with_edit[0], made["drop"], "upload")(photo)
    assert "This picture carries no settings." in line
    assert button.visible
    canvas, tabs = handler(with_edit[0], made["edit_dropped"])(photo)
    assert canvas["background"].shape == (8, 8, 3)
    assert tabs.selected == "edit"
    for line, button in (
        handler(with_edit[0], made["drop"], "upload")(str(picture("other.png", parameters=PARAMETERS)))[-2:],
        handler(with_edit[0], made["drop"], "clear")(),
    ):
        assert line == ""
        assert not button.visible
    # Where there is no tab to edit it on, it is only said.
    *_, line, button = handler(page[0], page[1]["create"]["drop"], "upload")(photo)
    assert line
    assert not button.visible


def test_a_dropped_picture_that_went_away_is_said(with_edit: Page, tmp_path: Path) -> None:
    for path in (None, str(tmp_path / "gone.png")):
        with pytest.raises(gr.Error) as caught:
            handler(with_edit[0], with_edit[1]["create"]["edit_dropped"])(path)
        assert str(tmp_path) not in caught.value.message


def test_the_button_says_how_large(page: Page, desk: Desk) -> None:
    kept = drawn(desk, frog())
    area = page[1]["create"]["area"]
    (say,) = [
        one.fn
        for one in page[0].fns.values()
        if (area.chosen._id, "change") in one.targets and area.buttons["upscale"] in one.outputs
    ]
    assert say is not None
    assert say(asked_by("me"), kept.id) == f"Larger: {2 * kept.width} x {2 * kept.height}"
    for visitor, number in (("me", 0), ("somebody else", kept.id), ("me", 999)):
        assert say(asked_by(visitor), number) == "Larger"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg onload=alert(1)>",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a" + bytes(40),
        b"RIFF\xff\xff\xff\xffWEBPVP8 ",
    ],
)
def test_what_is_no_picture_is_said_without_where_it_lies(page: Page, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "dropped.png"
    path.write_bytes(content)
    with pytest.raises(gr.Error) as caught:
        handler(page[0], page[1]["create"]["drop"], "upload")(str(path))
    assert "'dropped.png'" in caught.value.message
    assert str(tmp_path) not in caught.value.message
    assert not caught.value.print_exception


@pytest.mark.parametrize(
    "text", ["{", "x" * 100_000, "Steps: nan, Sampler: <script>", "a\nSteps: 9" * 1000, LONG_SEED]
)
def test_what_pictures_say_is_text(page: Page, picture: Picture, text: str) -> None:
    fill = handler(page[0], page[1]["create"]["drop"], "upload")
    values = form(fill(str(picture(parameters=text))))
    assert isinstance(values["prompt"], str)
    assert values["sampler"] == ""


def test_what_pictures_say_is_bounded(page: Page, picture: Picture) -> None:
    fill = handler(page[0], page[1]["create"]["drop"], "upload")
    path = picture(parameters="x" * 3_000_000)
    with pytest.raises(gr.Error) as caught:
        fill(str(path))
    assert str(path.parent) not in caught.value.message


def test_a_bomb_is_refused_before_it_is_read(tmp_path: Path, page: Page) -> None:
    """80 MB of text in a few kilobytes."""
    whole = Image.new("1", (8, 8))
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "x" * 80_000_000, zip=True)
    whole.save(tmp_path / "bomb.png", pnginfo=info)
    assert (tmp_path / "bomb.png").stat().st_size < 200_000
    with pytest.raises(gr.Error, match="picture"):
        handler(page[0], page[1]["create"]["drop"], "upload")(str(tmp_path / "bomb.png"))


def test_settings_of_a_picture_are_used_again(page: Page, desk: Desk) -> None:
    kept = drawn(desk, frog(steps=3))
    reuse = handler(page[0], page[1]["gallery"]["reuse"])
    *values, tabs = reuse(asked_by("me"), kept.id)
    assert form(values)["seed"] == "7"
    assert form(values)["steps"] == "3"
    assert tabs.selected == "create"
    for visitor, number in (("me", 0), ("somebody else", kept.id), ("me", 999)):
        with pytest.raises(gr.Error):
            reuse(asked_by(visitor), number)


def test_buttons_that_lead_nowhere_are_not_seen(desk: Desk) -> None:
    with gr.Blocks(analytics_enabled=False) as page:
        tabs = gr.Tabs()
        parts = {"gallery": gallery_tab.build(desk, WORDS, Look())}
        before = len(page.fns)
        links.connect(Opening(), desk, WORDS, parts, tabs)
    assert len(page.fns) == before + 1  # a film that goes on is taken up when the page is loaded
    assert not any(parts["gallery"][one].visible for one in ("reuse", "vary", "upscale"))
    with gr.Blocks(analytics_enabled=False) as page:
        parts = {"create": create.build(desk, WORDS, Look())}
        links.connect(Opening(), desk, WORDS, parts, gr.Tabs())
    assert not parts["create"]["area"].buttons["edit_this"].visible
    with gr.Blocks(analytics_enabled=False) as page:
        parts = {"edit": edit.build(desk, WORDS, Look())}
        links.connect(Opening(), desk, WORDS, parts, gr.Tabs())
    assert handler(page, parts["edit"]["area"].buttons["edit_this"])


def test_a_model_to_draw_with_brings_its_shapes_and_what_it_can_do(desk: Desk) -> None:
    with gr.Blocks(analytics_enabled=False) as page:
        tabs = gr.Tabs()
        built = (("create", create.build), ("models", models_tab.build))
        parts = {name: build(desk, WORDS, Look()) for name, build in built}
        links.connect(Opening(), desk, WORDS, parts, tabs)
    use = handler(page, parts["models"]["use"])
    model, size, _, *shown = use("tiny", "")
    assert (model.value, size.value) == ("tiny", "Square 64 x 64")
    assert [one["visible"] for one in shown] == [
        name in ("pag", "freeu", "refiner", "refine_from", "cache_interval") for name in finer.BOUND
    ]
    with pytest.raises(gr.Error, match="Choose a model"):
        use("gone", "")


def test_what_a_picture_asks_for_and_is_not_here_is_said(
    page: Page, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(gr, "Info", told.append)
    fill = handler(page[0], page[1]["create"]["drop"], "upload")
    text = f"{PARAMETERS}, Clip skip: 2, VAE: theirs.safetensors, Refiner: other, Refiner switch at: 0.7"
    values = form(fill(str(picture(parameters=text))))
    assert (values["finer_vae"], values["finer_clip_skip"]) == ("", "")
    (line,) = told
    assert line == "What is not here is left out: Model “some”, Autoencoder (VAE), Refiner, Clip skip."
