"""The first picture that somebody asks for is as quick as the others: what it needs is loaded before."""

import logging
from collections.abc import Callable
from contextlib import closing
from typing import Final

from sfumato.engine.gathering import NAMES_ONLY
from sfumato.engine.run import run
from sfumato.errors import SfumatoError
from sfumato.models.cache import ModelCache
from sfumato.models.folders import BUNDLED
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.settings import Settings

STEPS: Final = 2  # as few as have a preview
_LOG: Final = logging.getLogger("sfumato.serving")


def warm_up(settings: Settings, models: ModelCache, leave_off: Callable[[], bool]) -> None:
    """Load the bundled model into `models`, and draw with it what nobody sees; what is wrong is told to
    whoever draws. Ends early, at the next step, when it is told to `leave_off`. To be called in the thread
    that draws: what torch compiles belongs to it, and not every device likes to draw in two threads.
    """
    if leave_off():
        return
    recipe = Recipe(model=BUNDLED, steps=STEPS, seed=0, parts=(TextPart(prompt="a"),))
    try:
        with closing(run(recipe, settings, preview_every=1, cache=models, trust=NAMES_ONLY)) as events:
            for _ in events:
                if leave_off():
                    return
    except SfumatoError:
        pass
    except Exception:  # the thread has to draw all the same
        _LOG.exception("The bundled model could not be loaded ahead")
