"""More of a picture in the gallery: with other seeds, or larger. It is drawn, told of and shown on Create."""

from typing import Any, Final

import gradio as gr

from sfumato.recipe.image import Recipe
from sfumato.serving.studio.area import Area, again, larger
from sfumato.serving.studio.binding import CLICK
from sfumato.serving.studio.forms import reseeded

Parts = dict[str, Any]
BUTTONS: Final = ("vary", "upscale")  # by their names among the parts of the gallery and the page's words
#: Shows the tab, and there, as soon as it is in sight, the place where its pictures stand.
_TO_CREATE: Final = """() => {
  const place = document.getElementById("sf-create-results")?.closest(".sf-slot");
  const show = (left) => {
    if (place?.offsetParent) place.scrollIntoView({block: "nearest"});
    else if (left) requestAnimationFrame(() => show(left - 1));
  };
  show(300);
  return {__type__: "update", selected: "create"};
}"""


def connect(gallery: Parts, create: Parts, tabs: gr.Tabs) -> None:
    """Have the buttons of the gallery draw on Create, as many with other seeds as the slider there says."""
    area: Area = create["area"]
    again(area, gallery["vary"], _like, gallery["chosen"], create["count"])
    again(area, gallery["upscale"], larger, gallery["chosen"])
    gr.on([gallery[one].click for one in BUTTONS], None, None, tabs, js=_TO_CREATE, **CLICK)


def _like(recipe: Recipe, count: float) -> Recipe:
    return reseeded(recipe, int(count))
