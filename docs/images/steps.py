"""Draw steps.webp and entropy.svg from a trace of 20 steps: python docs/images/steps.py FOLDER"""

import re
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

STEPS = (1, 4, 8, 12, 16, 18, 20)
SIDE, GAP, HEAD, LEFT = 128, 6, 18, 72
PAPER, INK = (251, 250, 247), (34, 37, 43)


def strip(folder: Path) -> Image.Image:
    """Return some of the steps side by side: the latent above, what the network expects below."""
    size = LEFT + len(STEPS) * (SIDE + GAP), HEAD + 2 * (SIDE + GAP)
    image = Image.new("RGB", size, PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(12)
    for row, (kind, words) in enumerate((("noisy", "the latent"), ("x0", "expected"))):
        y = HEAD + row * (SIDE + GAP)
        draw.text((GAP, y + 4), words, INK, font)
        for column, step in enumerate(STEPS):
            x = LEFT + column * (SIDE + GAP)
            draw.text((x, 2), f"step {step}", INK, font)
            with Image.open(folder / f"step-{step:03d}-{kind}.png") as picture:
                image.paste(picture, (x, y))
    return image


def entropy(folder: Path) -> str:
    """Return the plot of the entropy from the trace's page, on paper of its own and without the marker."""
    page = (folder / "index.html").read_text(encoding="utf-8")
    (plot,) = re.findall(r'<svg[^>]*aria-label="Entropy.*?</svg>', page, re.DOTALL)
    paper = '<rect width="100%" height="100%" fill="#fbfaf7"/>'
    plot = plot.replace(' fill="currentColor">', f' fill="currentColor" color="#22252b">\n{paper}', 1)
    return re.sub(r'<line class="marker".*?/>\n', "", plot) + "\n"


if __name__ == "__main__":
    here, trace = Path(__file__).parent, Path(sys.argv[1])
    strip(trace).save(here / "steps.webp", quality=88, method=6)
    (here / "entropy.svg").write_text(entropy(trace), encoding="utf-8")
