"""Pages that hold everything they show: no other file, no network, light and dark as the reader likes it."""

import base64
import json
from html import escape
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.imaging.io import encode_picture

STYLE: Final = """\
:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #22252b; --faint: #6a6f78; --line: #d9d6ce; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #1b1d21; --ink: #e6e4df; --faint: #a2a6ad; --line: #3a3d44; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
p { max-width: 48rem; }
.faint { color: var(--faint); }
a { color: inherit; }
img { display: block; max-width: 100%; height: auto; border: 1px solid var(--line); }
:focus-visible { outline: 3px solid #0072b2; outline-offset: 2px; }
"""


def page(title: str, body: str, *, style: str = "", script: str = "") -> str:
    """Return a whole HTML page. `body`, `style` and `script` are ours; `title` may be anybody's text."""
    # What is written into the page is all it may load: a prompt can bring in nothing.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{text(title)}</title>
<style>
{STYLE}{style}</style>
</head>
<body>
{body}
{f"<script>{script}</script>" if script else ""}
</body>
</html>
"""


def text(value: str) -> str:
    """Return `value` as text of a page: nothing in it is markup, and what no file can hold is escaped."""
    return escape(value).encode("utf-8", "backslashreplace").decode()


def data_of(value: object) -> str:
    """Return `value` as JSON that may stand inside a script element. Raises ValueError for a NaN."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def picture_source(picture: NDArray[np.uint8], longest: int) -> str:
    """Return `picture`, uint8 `(H,W,3)`, as the address of itself: WebP, at most `longest` pixels a side."""
    image = Image.fromarray(picture)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    data = base64.b64encode(encode_picture(image, ".webp")).decode("ascii")
    return f"data:image/webp;base64,{data}"
