"""The finer points of a drawing: what else a recipe can say, as a form and back.

One form for the tabs that draw. What is empty is left to the model, exactly as on the command line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sfumato.errors import RecipeError
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.hires import HiresPart, WindowsPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.micro import MicroPart

#: The kinds of parts that have fields here.
KINDS: Final = frozenset(
    {"extras", "refine", "vae", "hires", "windows", "schedule", "variation", "micro"},
)
_APG: Final = ("eta", "norm", "momentum")
_FREEU: Final = ("b1", "b2", "s1", "s2")
_HIRES: Final = ("strength", "method", "steps", "passes", "keep")
_MICRO: Final = ("original", "crop", "target", "negative_original", "score", "negative_score")


@dataclass(frozen=True)
class Finer:
    """None, "" and False stand for what the model likes. Numbers have the ranges that recipes give them.

    `apg` are one to three numbers, `freeu` four, `clip_skip` 1 the last layer. `refiner` and `vae` are names;
    "own" is the model's own autoencoder. `hires` is how many times as large it is drawn again, in windows of
    `window` pixels that overlap by the share `overlap`; with `windows` the first drawing has windows as well.
    Sizes are (width, height), `crop` is (left, top), in pixels.
    """

    rescale: float | None = None
    image_guidance: float | None = None
    apg: tuple[float, ...] | None = None
    threshold: float | None = None
    pag: float | None = None
    freeu: tuple[float, ...] | None = None
    refiner: str = ""
    refine_from: float | None = None
    vae: str = ""
    clip_skip: int | None = None
    hires: float | None = None
    hires_strength: float | None = None
    hires_method: str = ""
    hires_steps: int | None = None
    hires_passes: int | None = None
    hires_keep: float | None = None
    windows: bool = False
    window: int | None = None
    overlap: float | None = None
    fast: bool = False
    cache_interval: int | None = None
    eta: float | None = None
    tiling: str = ""
    prediction: str = ""
    zero_snr: bool | None = None
    variation: float | None = None
    variation_seed: int | None = None
    original: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    target: tuple[int, int] | None = None
    negative_original: tuple[int, int] | None = None
    score: float | None = None
    negative_score: float | None = None


PLAIN: Final = Finer()


def with_finer(fields: Mapping[str, Any], finer: Finer) -> dict[str, Any]:
    """Return the fields of a recipe, of which the first part is a text, with what the finer points ask for.
    Raises RecipeError for what stands alone and needs another field.
    """
    text, *others = fields["parts"]
    parts = [{**text, "guidance_rescale": finer.rescale}, *others]
    made = (_extras, _refine, _vae, _windows, _hires, _schedule, _variation, _micro)
    parts += [part for part in (make(finer) for make in made) if part is not None]
    return {
        **fields,
        "image_guidance": finer.image_guidance,
        "cache_interval": finer.cache_interval,
        "fast": finer.fast,
        "eta": finer.eta,
        "parts": parts,
    }


def finer_of(recipe: Recipe) -> Finer:
    """Return the finer points that ask for what `recipe` does, as far as they can; see `lost_in`."""
    extras = recipe.extras or ExtrasPart()
    hires, windows = recipe.hires, recipe.windows
    seen: WindowsPart | None = windows
    if windows is None and hires is not None:
        seen = WindowsPart(size=hires.window, overlap=hires.overlap)
    schedule, micro = recipe.schedule, recipe.micro or MicroPart()
    return Finer(
        rescale=None if recipe.text is None else recipe.text.guidance_rescale,
        image_guidance=recipe.image_guidance,
        apg=None if extras.apg is None else (extras.apg.eta, extras.apg.norm, extras.apg.momentum),
        threshold=extras.threshold,
        pag=extras.pag,
        freeu=None
        if extras.freeu is None
        else (extras.freeu.b1, extras.freeu.b2, extras.freeu.s1, extras.freeu.s2),
        refiner="" if recipe.refine is None else recipe.refine.model,
        refine_from=None if recipe.refine is None else recipe.refine.start,
        vae="" if recipe.vae is None else recipe.vae.name,
        clip_skip=extras.clip_skip,
        **_of_hires(hires),
        windows=windows is not None,
        window=None if seen is None else seen.size,
        overlap=None if seen is None else seen.overlap,
        fast=recipe.fast,
        cache_interval=recipe.cache_interval,
        eta=recipe.eta,
        tiling=extras.tiling or "",
        prediction="" if schedule is None else schedule.prediction or "",
        zero_snr=None if schedule is None else schedule.zero_snr,
        variation=None if recipe.variation is None else recipe.variation.strength,
        variation_seed=None if recipe.variation is None else recipe.variation.seed,
        original=micro.original,
        crop=micro.crop,
        target=micro.target,
        negative_original=micro.negative_original,
        score=micro.score,
        negative_score=micro.negative_score,
    )


def lost_in(recipe: Recipe) -> tuple[str, ...]:
    """Return the kinds of parts of which the finer points have fields for a part only."""
    lost: list[str] = []
    hires, windows, micro = recipe.hires, recipe.windows, recipe.micro
    if hires is not None and windows is not None:
        same = (None, windows.size), (None, windows.overlap)
        if hires.window not in same[0] or hires.overlap not in same[1]:
            lost.append("hires")
    if micro is not None and (micro.negative_crop is not None or micro.negative_target is not None):
        lost.append("micro")
    return tuple(lost)


def _extras(finer: Finer) -> dict[str, Any] | None:
    asked: dict[str, Any] = {
        "clip_skip": finer.clip_skip,
        "tiling": finer.tiling or None,
        "apg": _table("apg", _APG, finer.apg),
        "threshold": finer.threshold,
        "pag": finer.pag,
        "freeu": _table("freeu", _FREEU, finer.freeu),
    }
    return _part("extras", asked)


def _refine(finer: Finer) -> dict[str, Any] | None:
    if not finer.refiner:
        if finer.refine_from is not None:
            raise _alone("there is no refiner", "refine-from", finer.refine_from, "Choose a refiner as well.")
        return None
    return _part("refine", {"model": finer.refiner, "start": finer.refine_from})


def _vae(finer: Finer) -> dict[str, Any] | None:
    return _part("vae", {"name": finer.vae or None})


def _windows(finer: Finer) -> dict[str, Any] | None:
    if finer.windows:
        return {"kind": "windows", "size": finer.window, "overlap": finer.overlap}
    for field, value in (("windows", finer.window), ("window-overlap", finer.overlap)):
        if value is not None and finer.hires is None:
            hint = "Ask for windows, or for a larger picture."
            raise _alone("there are no windows", field, value, hint)
    return None


def _hires(finer: Finer) -> dict[str, Any] | None:
    asked: dict[str, Any] = {name: vars(finer)[f"hires_{name}"] for name in _HIRES}
    asked["method"] = finer.hires_method or None
    if finer.hires is None:
        for name, value in asked.items():
            if value is not None:
                hint = "Say how many times as large."
                raise _alone("nothing is drawn again", f"hires-{name}", value, hint)
        return None
    window = None if finer.windows else finer.window
    return _part("hires", {"scale": finer.hires, **asked, "window": window, "overlap": finer.overlap})


def _schedule(finer: Finer) -> dict[str, Any] | None:
    return _part("schedule", {"prediction": finer.prediction or None, "zero_snr": finer.zero_snr})


def _variation(finer: Finer) -> dict[str, Any] | None:
    if finer.variation is None:
        if finer.variation_seed is not None:
            hint = "Say how much of another noise."
            raise _alone("there is no variation", "variation-seed", finer.variation_seed, hint)
        return None
    return _part("variation", {"strength": finer.variation, "seed": finer.variation_seed})


def _micro(finer: Finer) -> dict[str, Any] | None:
    return _part("micro", {name: vars(finer)[name] for name in _MICRO})


def _of_hires(part: HiresPart | None) -> dict[str, Any]:
    if part is None:
        return {}
    values = {f"hires_{name}": value for name, value in part.model_dump().items() if name in _HIRES}
    return {"hires": part.scale, **values, "hires_method": part.method or ""}


def _part(kind: str, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a part with what is asked for of it; None where that is nothing."""
    given = {name: value for name, value in asked.items() if value is not None}
    return {"kind": kind, **given} if given else None


def _table(field: str, names: Sequence[str], numbers: Sequence[float] | None) -> dict[str, float] | None:
    if numbers is None:
        return None
    least = len(names) if names == _FREEU else 1
    if not least <= len(numbers) <= len(names):
        hint = "For example 1.2, 1.4, 0.9, 0.2." if names == _FREEU else "For example 0, or 0, 0.06, -0.5."
        value = ", ".join(f"{number:g}" for number in numbers)
        raise RecipeError(f"must be numbers for {', '.join(names)}", field=field, value=value, hint=hint)
    return dict(zip(names, numbers, strict=False))


def _alone(what: str, field: str, value: object, hint: str) -> RecipeError:
    return RecipeError(what, field=field, value=value, hint=hint)
