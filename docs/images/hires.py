"""The picture of docs/how-to/upscale.md that was drawn again: run `python docs/images/hires.py OUT.webp` from
the repository. It takes some minutes; with LARGE.png behind, the large picture is kept there, or taken from
there. Marks beside the last part say where windows of the last step begin and end.
"""

import os
import sys
from contextlib import closing
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from sfumato import Picture, Recipe, Settings, TextPart, run
from sfumato.engine.windows import windows_of
from sfumato.models.load import load_bundle
from sfumato.recipe.hires import HiresPart
from sfumato.recipe.parts import Part
from sfumato.recipe.resolve import resolve

SIDE, GAP, HEAD = 380, 10, 20
PAPER, INK, MARK = (251, 250, 247), (34, 37, 43), (200, 60, 50)
SCALE = 16.0
CORNER = (1040, 660)  # of the part that is shown at full size


def recipe_of(*parts: Part) -> Recipe:
    return Recipe(seed=7, parts=(TextPart(prompt="a frog on a beach"), *parts))


def drawn(settings: Settings, *parts: Part) -> Image.Image:
    with closing(run(recipe_of(*parts), settings)) as events:
        return Image.fromarray(next(event.pixels for event in events if isinstance(event, Picture)))


def borders(settings: Settings, size: int) -> tuple[set[int], set[int]]:
    """Return where windows of the last step begin and end across and down, in pixels."""
    bundle = load_bundle("bundled", settings)
    hires = resolve(recipe_of(HiresPart(scale=SCALE)), bundle.defaults).hires
    assert hires is not None
    windows = windows_of(hires.window, hires.overlap, bundle.downsample)
    side = size // bundle.downsample
    last = windows.at(hires.steps - 1, side, side)
    across = {*last.lefts, *(left + last.tile_width for left in last.lefts)}
    down = {*last.tops, *(top + last.tile_height for top in last.tops)}
    return {bundle.downsample * one for one in across}, {bundle.downsample * one for one in down}


def main(out: Path, kept: Path | None) -> None:
    settings = Settings.from_environment(os.environ)
    if kept is not None and kept.exists():
        with Image.open(kept) as image:
            large = image.convert("RGB")
    else:
        large = drawn(settings, HiresPart(scale=SCALE))
        if kept is not None:
            large.save(kept)
    cells = [
        ("128x128, its pixels", drawn(settings).resize((SIDE, SIDE), Image.Resampling.NEAREST)),
        ("--hires 4 --hires-strength 0", drawn(settings, HiresPart(scale=4.0, strength=0.0))),
        ("--hires 4", drawn(settings, HiresPart(scale=4.0))),
        (
            "... --hires-strength 0.5 --hires-keep 0",
            drawn(settings, HiresPart(scale=4.0, strength=0.5, keep=0.0)),
        ),
        (f"--hires {SCALE:g}, made smaller", large),
        ("a part of it at full size", large.crop((*CORNER, CORNER[0] + SIDE, CORNER[1] + SIDE))),
    ]
    room = SIDE + GAP
    sheet = Image.new("RGB", (3 * room + GAP, 2 * (room + HEAD)), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    left, top = GAP, HEAD
    for place, (said, cell) in enumerate(cells):
        left, top = GAP + place % 3 * room, HEAD + place // 3 * (room + HEAD)
        draw.text((left, top - HEAD + 3), said, INK, font)
        sheet.paste(cell.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (left, top))
    across, down = borders(settings, large.width)
    for x in (left + one - CORNER[0] for one in across if 0 <= one - CORNER[0] < SIDE):
        draw.line((x, top + SIDE + 1, x, top + SIDE + GAP - 2), MARK, 2)
    for y in (top + one - CORNER[1] for one in down if 0 <= one - CORNER[1] < SIDE):
        draw.line((left + SIDE + 1, y, left + SIDE + GAP - 2, y), MARK, 2)
    sheet.save(out, quality=84, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
