"""The fold "Finer points" of the tabs that draw: what else the command line can say about one drawing, in
groups. What the chosen model cannot do is neither shown nor sent.
"""

from collections.abc import Mapping
from html import escape
from typing import Any, Final

import gradio as gr

from sfumato.errors import SfumatoError
from sfumato.models.folders import BUNDLED
from sfumato.models.load import find_model
from sfumato.recipe.hires import METHODS
from sfumato.recipe.of_model import OWN
from sfumato.serving.desk import Desk
from sfumato.serving.studio.binding import CLICK, QUIET, kindly
from sfumato.serving.studio.finer_forms import PLAIN, Finer
from sfumato.serving.studio.finer_library import present, refiners_of, vaes_of
from sfumato.serving.studio.finer_reading import KIND_OF, NO, YES, not_offered, read, set_in, without, written
from sfumato.serving.studio.opening import Opening
from sfumato.serving.studio.words import Words

Parts = dict[str, Any]
_FIRST: Final = "finer_"  # of their names among the parts of a tab
#: The fields among the parts of a tab, in their order.
FORM: Final = tuple(_FIRST + name for name in KIND_OF)
#: Those that some models cannot follow: shown or not, as the model is chosen.
BOUND: Final = (
    *("image_guidance", "pag", "freeu", "refiner", "refine_from", "cache_interval"),
    *("original", "crop", "target", "negative_original", "score", "negative_score"),
)
#: What stands in each group, row by row.
GROUPS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "guidance": (("rescale", "image_guidance"), ("apg", "threshold"), ("pag", "freeu")),
    "models": (("refiner", "refine_from"), ("vae", "clip_skip")),
    "size": (
        ("hires", "hires_strength"),
        ("hires_method", "hires_steps"),
        ("hires_passes", "hires_keep"),
        ("windows",),
        ("window", "overlap"),
    ),
    "speed": (("fast",), ("cache_interval",)),
    "curious": (
        ("eta", "tiling"),
        ("variation", "variation_seed"),
        ("prediction", "zero_snr"),
        ("original", "crop"),
        ("target", "negative_original"),
        ("score", "negative_score"),
    ),
}
#: Presses one hidden button for all fields: Gradio goes through all of the page for each that it heeds.
SCRIPT: Final = """
<script>
["change", "focusout"].forEach((kind) => document.addEventListener(kind, (event) => {
  const fold = event.target.closest?.('[id^="sf-"][id$="-finer"]');
  clearTimeout(fold?.left);
  if (fold) { fold.left = setTimeout(() => fold.querySelector(".sf-finer-left")?.click(), 50); }
}));
</script>
"""
TILINGS: Final = ("x", "y", "both")
PREDICTIONS: Final = ("eps", "v", "x0")


def build(desk: Desk, words: Words, name: str) -> Parts:
    """Make the fold, in the place that is open, and return its fields; `name` is that of the tab."""
    own = find_model(BUNDLED, desk.settings).defaults
    hidden = not_offered(own)
    parts: Parts = {}
    # What is set, while it is folded: a picture whose settings are used again may have brought it.
    parts["finer_set"] = gr.HTML("", padding=False, elem_id=f"sf-{name}-finer-set")
    with gr.Accordion(words("finer"), open=False, elem_id=f"sf-{name}-finer"):
        gr.Markdown(words("finer_about"), elem_classes="sf-quiet")
        parts["finer_left"] = gr.Button("left", elem_classes="sf-finer-left", visible="hidden")
        for group, rows in GROUPS.items():
            with gr.Accordion(words(f"finer_group_{group}"), open=False):
                for row in rows:
                    with gr.Row():
                        for field in row:
                            parts[_FIRST + field] = _made(field, words, desk, visible=field not in hidden)
    return parts


def form_of(values: Mapping[str, Any], desk: Desk) -> Finer:
    """Return the form that stands on the page, by the names of `FORM`, beside its `model`: what that cannot
    do is left out. Raises RecipeError for what is no number.
    """
    finer = read({name: values[_FIRST + name] for name in KIND_OF})
    return without(finer, _not_offered(values["model"], finer.refiner, desk))


def filled(finer: Finer, model: str, desk: Desk) -> dict[str, Any]:
    """Return what the fields become when `finer` stands in them, with the model of this name. Refiners and
    autoencoders that are not here are left out.
    """
    there = present(finer, desk.settings)
    hidden = _not_offered(model, there.refiner, desk)
    values = written(without(there, hidden))
    shown = {name: gr.update(value=values[name], visible=name not in hidden) for name in BOUND}
    return {_FIRST + name: value for name, value in (values | shown).items()}


def emptied() -> dict[str, Any]:
    """Return values of the fields when nothing is asked for."""
    return {_FIRST + name: value for name, value in written(PLAIN).items()}


def shown_for(model: str, refiner: str, desk: Desk) -> list[Any]:
    """Return which of `BOUND` are shown with a model and a refiner. Raises SfumatoError for one that is not
    here.
    """
    hidden = _not_offered(model, refiner or "", desk)
    return [gr.update(visible=name not in hidden) for name in BOUND]


def bound(parts: Parts) -> list[Any]:
    """Return the fields that `shown_for` is about."""
    return [parts[_FIRST + name] for name in BOUND]


def connect(desk: Desk, words: Words, parts: Parts, advanced: gr.Accordion) -> None:
    """Have what is shown follow the refiner, which may be told what the model is not; and say what is set,
    from when `advanced` is opened.
    """

    @kindly
    def follow(model: str, refiner: str) -> list[Any]:
        return shown_for(model, refiner, desk)

    def tell(model: str, *values: Any) -> Any:
        try:
            return said(form_of({"model": model, **dict(zip(FORM, values, strict=True))}, desk), words)
        except SfumatoError:  # it is said when something is to be drawn
            return gr.skip()

    refiner = parts[f"{_FIRST}refiner"]
    refiner.input(follow, [parts["model"], refiner], bound(parts), queue=False, **CLICK)
    fields = [parts[name] for name in FORM]
    # What fills a form changes seeds and steps, and parts that are folded away tell nobody that they changed.
    filled_in = [parts[name].change for name in ("model", "seed", "steps")]
    gr.on(
        [advanced.expand, parts["finer_left"].click, *filled_in],
        tell,
        [parts["model"], *fields],
        parts["finer_set"],
        trigger_mode="always_last",
        **QUIET,
    )


def said(finer: Finer, words: Words) -> str:
    """Return the line that says what is set; nothing where nothing is."""
    names = ", ".join(words(_FIRST + name) for name in set_in(finer))
    return f'<div class="sf-quiet">{escape(words("finer_set", names))}</div>' if names else ""


def late(parts: Parts) -> list[Any]:
    """Return what is not taken up when the page is loaded again: choices that are filled in later, and what
    means nothing without them.
    """
    return [*_lists(parts), parts[f"{_FIRST}refine_from"]]


def _lists(parts: Parts) -> list[Any]:
    return [parts[f"{_FIRST}refiner"], parts[f"{_FIRST}vae"]]


def refreshes(opening: Opening, desk: Desk, words: Words, parts: Mapping[str, Parts]) -> None:
    """Have the lists of refiners and autoencoders know what came and went: when the page is opened, when
    somebody looks again, and after a conversion.
    """
    if "create" not in parts and "edit" not in parts:
        return
    lists = [one for name in ("create", "edit") if name in parts for one in _lists(parts[name])]

    def now(*values: str) -> list[gr.Dropdown]:
        both = refiners(desk, words), vaes(desk, words)
        made: list[gr.Dropdown] = []
        for place, value in enumerate(values):
            choices = both[place % 2]
            there = any(value == one for _, one in choices)
            made.append(gr.Dropdown(choices=choices) if there else gr.Dropdown(choices=choices, value=""))
        return made

    built = [one.choices for one in lists[:2]]
    opened = opening.when("finer", lambda owner: [refiners(desk, words), vaes(desk, words)] != built)
    opened(now, lists, lists, **QUIET)
    if "models" in parts:
        parts["models"]["look_again"].click(now, lists, lists, **QUIET)
        parts["models"]["converted"].then(now, lists, lists, **QUIET)


def _made(field: str, words: Words, desk: Desk, *, visible: bool) -> Any:
    label, kind = words(_FIRST + field), KIND_OF[field]
    if kind == "switch":
        return gr.Checkbox(False, label=label)
    if kind == "choice":
        choices = _choices(field, words, desk)
        return gr.Dropdown(choices, value="", label=label, visible=visible, min_width=160)
    info = words(f"{_FIRST}{field}_info") if f"{_FIRST}{field}_info" in words.table else None
    return gr.Textbox("", label=label, info=info, max_lines=1, visible=visible, min_width=160)


def _choices(field: str, words: Words, desk: Desk) -> list[tuple[str, str]]:
    left_open = (words("left_open"), "")
    if field == "refiner":
        return refiners(desk, words)
    if field == "vae":
        return [left_open, (words("finer_vae_own"), OWN)]  # the others when the page is opened
    if field == "hires_method":
        return [left_open, *((one, one) for one in METHODS)]
    if field == "tiling":
        return [(words("finer_tiling_off"), ""), *((words(f"finer_tiling_{one}"), one) for one in TILINGS)]
    of_files = (words("finer_as_files_say"), "")
    if field == "prediction":
        return [of_files, *((words(f"finer_prediction_{one}"), one) for one in PREDICTIONS)]
    return [of_files, (words("finer_zero_snr_yes"), YES), (words("finer_zero_snr_no"), NO)]


def refiners(desk: Desk, words: Words) -> list[tuple[str, str]]:
    """Return what can be chosen as a refiner: what it says, and what it means."""
    return [(words("finer_refiner_none"), ""), *((one, one) for one in refiners_of(desk.settings))]


def vaes(desk: Desk, words: Words) -> list[tuple[str, str]]:
    """Return what can be chosen as an autoencoder: what it says, and what it means."""
    own = [(words("left_open"), ""), (words("finer_vae_own"), OWN)]
    return [*own, *((one, one) for one in vaes_of(desk.settings))]


def _not_offered(model: str, refiner: str, desk: Desk) -> frozenset[str]:
    found = find_model(model, desk.settings, paths=False).defaults
    second = find_model(refiner, desk.settings, paths=False).defaults if refiner else None
    return not_offered(found, second)
