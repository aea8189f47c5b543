"""The page as an application of its own: Gradio's, without what it tells others."""

import os
from typing import Any, Final

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
from fastapi import FastAPI

from sfumato.serving.streams import OpenStreams
from sfumato.serving.studio import reach, slots
from sfumato.serving.studio.build import style
from sfumato.serving.studio.keys import KEYS
from sfumato.serving.studio.look import Dressed
from sfumato.serving.studio.news import script_of
from sfumato.serving.studio.palette import mode_of
from sfumato.serving.studio.theme import head_of, mode_script, style_of, theme_of

MAX_UPLOAD: Final = 50 * 2**20


def mounted(page: gr.Blocks, dressed: Dressed, made: str, *, css: str, outside: str | None) -> FastAPI:
    """Return an application that shows `page` in the look `dressed`, with `css` after all other rules.

    `made` tells this page from others, and `outside` is the address at which a proxy shows it. Raises
    RecipeError for a look that cannot be used.
    """
    look = dressed.look
    mounted: Any = gr.mount_gradio_app(
        FastAPI(openapi_url=None, docs_url=None, redoc_url=None),
        page,
        path="",
        footer_links=["gradio", "settings"] if look.footer else [],
        run_history=False,
        show_error=False,
        max_file_size=MAX_UPLOAD,
        enable_monitoring=False,
        allowed_paths=[],
        app_kwargs={"openapi_url": None},
        theme=theme_of(dressed),
        css=style() + style_of(dressed) + css,
        head=mode_script(mode_of(look))
        + head_of(dressed)
        + KEYS
        + reach.SCRIPT
        + slots.SCRIPT
        + script_of(dressed, made),
        root_path=outside,
    )
    mounted.add_middleware(OpenStreams, page=page)
    return mounted
