"""The page as an application of its own: Gradio's, without what it tells others."""

import json
import os
from typing import Any, Final

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
from fastapi import FastAPI

from sfumato.serving.streams import OpenStreams
from sfumato.serving.studio import canvas_waiting, finer, reach, slots
from sfumato.serving.studio.build import heading_of, style, title_of
from sfumato.serving.studio.keys import KEYS
from sfumato.serving.studio.look import Dressed
from sfumato.serving.studio.news import GROUND, HEADING, fonts_of, script_of
from sfumato.serving.studio.palette import mode_of
from sfumato.serving.studio.theme import head_of, mode_script, style_of, theme_of

MAX_UPLOAD: Final = 50 * 2**20


def mounted(page: gr.Blocks, dressed: Dressed, made: str, *, css: str, outside: str | None) -> FastAPI:
    """Return an application that shows `page` in the look `dressed`, with `css` after all other rules.

    `made` tells this page from others, and `outside` is the address at which a proxy shows it. Raises
    RecipeError for a look that cannot be used.
    """
    mounted: Any = gr.mount_gradio_app(
        FastAPI(openapi_url=None, docs_url=None, redoc_url=None),
        page,
        path="",
        footer_links=["gradio", "settings"] if dressed.look.footer else [],
        run_history=False,
        show_error=False,
        max_file_size=MAX_UPLOAD,
        enable_monitoring=False,
        allowed_paths=[],
        app_kwargs={"openapi_url": None},
        theme=theme_of(dressed),
        css=_rules(dressed, css),
        head=_head(dressed, made, made),
        root_path=outside,
    )
    mounted.add_middleware(OpenStreams, page=page)
    return mounted


def repaint(page: gr.Blocks, dressed: Dressed, made: str, built: str, *, css: str) -> None:
    """Have `page`, which was mounted as `built`, wear `dressed` from now on, as `made`: a look of the same
    shape (see `wearing`). Raises RecipeError for a look that cannot be used; then the page stays as it is.
    """
    theme, rules, head = theme_of(dressed), _rules(dressed, css), _head(dressed, made, built)
    heading = heading_of(dressed)
    for one in page.blocks.values():
        if isinstance(one, gr.HTML) and one.elem_id == HEADING:
            one.value = heading
    page.theme, page.css, page.head, page.title = theme, rules, head, dressed.look.title
    # Private, and what mounting does; tests/serving/test_mounting.py fails if it moves.
    page._set_html_css_theme_variables()
    page.config = page.get_config_file()


def paint_of(page: gr.Blocks, dressed: Dressed, made: str, built: str) -> bytes:
    """Return all that a page of before needs to look as `page` does, which wears `dressed`: JSON."""
    paint = {
        "made": made,
        "built": built,
        "title": page.title,
        "heading": title_of(dressed),
        "theme": page.theme_css,
        "rules": page.css,
        "ground": head_of(dressed),
        "fonts": fonts_of(dressed),
    }
    return json.dumps(paint).encode()


def _rules(dressed: Dressed, css: str) -> str:
    return style() + style_of(dressed) + css


def _head(dressed: Dressed, made: str, built: str) -> str:
    own = (one.SCRIPT for one in (finer, reach, slots, canvas_waiting))
    scripts = KEYS + "".join(own) + script_of(dressed, made, built)
    return f'{mode_script(mode_of(dressed.look))}<style id="{GROUND}">{head_of(dressed)}</style>{scripts}'
