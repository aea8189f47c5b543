"""Recipes and prompts for property tests, and the settings they share."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from sfumato.recipe.adapters import Adapter, AdaptersPart, Embedding
from sfumato.recipe.areas import NAMED_AREAS
from sfumato.recipe.extras import Apg, ExtrasPart, FreeU
from sfumato.recipe.hires import METHODS, HiresPart, WindowsPart
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.recipe.parts import (
    Control,
    ControlPart,
    ExtendPart,
    ImagePart,
    MaskPart,
    MixPart,
    MixPrompt,
    Part,
    Region,
    RegionsPart,
    TextPart,
    VariationPart,
)
from sfumato.recipe.resolve import resolve
from sfumato.recipe.resolve_adapters import AdapterFacts, AdapterTable
from sfumato.recipe.sources import SourceFacts, stored_source
from sfumato.recipe.values import MAX_SEED

quick = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

SAMPLERS = ("euler", "euler_a", "heun", "ddim", "dpmpp_2m", "dpmpp_2m_sde", "unipc", "lcm")
SPACINGS = ("leading", "trailing", "linspace", "karras", "exponential", "sgm_uniform", "beta", "ays")

DEFAULTS = ModelDefaults(
    name="bundled",
    digest="0123456789abcdef" * 4,
    width=128,
    height=128,
    multiple=8,
    min_size=64,
    max_size=1024,
    steps=20,
    sampler="ddim",
    spacing="trailing",
    guidance=4.0,
    guidance_rescale=0.7,
    samplers=SAMPLERS,
    spacings=SPACINGS,
    fast_cache_interval=4,
    fast_guidance_start=0.1,
    fast_guidance_stop=0.6,
)

CAT = SourceFacts("c" * 64, "cat.png", 100, 60, has_alpha=True)
MASK = SourceFacts("d" * 64, "mask: a/b 🦊.png", 200, 120, has_alpha=False)
TALL = SourceFacts("e" * 64, "tall.jpg", 30, 3000, has_alpha=False)
SOURCES = {"cat.png": CAT, "over/there/mask.png": MASK, " tall": TALL}
SOURCES |= {stored_source(facts.sha256, facts.name): facts for facts in SOURCES.values()}
"""Pictures that recipes may name, by path and by digest."""

CONTROLS = {
    "edges": "1" * 64,
    "soft lines": "2" * 64,
    "over/there/grey": "3" * 64,
    "grey": "3" * 64,
    ".": "4" * 64,
}
"""ControlNets that recipes may name, and their digests."""

_PIECES = [
    *("(", ")", "[", "]", ":", "|", "\\", "AND", "BREAK", "AND ", " BREAK ", "\\AND"),
    *("0.4", "1.2", ":0.5", "7", "-3", ".", "a", "fox", "é", "🦊", "\ud83e", "\udd8a", "=", ",", '"', "'"),
    *(" ", "\n", "\t", "\r", "\x00", "\x7f", "\x85", "\u2028"),
    *("Negative prompt:", "Steps: 2, Sampler: Euler, Seed: 5", "Exact prompt: "),
]

# Every character, with the ones that mean something somewhere more often than chance would have them.
any_text = st.one_of(
    st.text(st.characters(exclude_categories=())),
    st.lists(
        st.sampled_from(_PIECES),
        max_size=14,
    ).map("".join),
)

fractions = st.floats(0.0, 1.0)
windows = st.one_of(
    st.just((None, None)),
    st.tuples(fractions, st.none()),
    st.tuples(st.none(), fractions),
    st.tuples(fractions, fractions).map(lambda ends: tuple(sorted(ends))),
)


@st.composite
def text_parts(draw: st.DrawFn) -> TextPart:
    start, stop = draw(windows)
    return TextPart(
        prompt=draw(any_text),
        negative=draw(any_text),
        guidance_rescale=draw(st.none() | fractions),
        guidance_start=start,
        guidance_stop=stop,
    )


ratios = st.floats(0.01, 1000.0)
mix_prompts = st.builds(MixPrompt, prompt=any_text, ratio=ratios)


@st.composite
def prompt_parts(draw: st.DrawFn) -> list[Part]:
    found: list[Part] = []
    with_text = draw(st.booleans())
    if with_text:
        found.append(draw(text_parts()))
    if draw(st.booleans()):
        mixed = draw(st.lists(mix_prompts, min_size=1, max_size=3))
        ratio = draw(st.none() | ratios) if with_text else None
        mode = draw(st.sampled_from(["branches", "embeddings", "bands"]))
        found.append(MixPart(prompts=tuple(mixed), ratio=ratio, mode=mode))
    if draw(st.booleans()):
        found.append(draw(extras_parts()))
    return found


@st.composite
def extras_parts(draw: st.DrawFn) -> ExtrasPart:
    """Any extras but tiling, which does not go with every part."""
    factors = st.floats(0.1, 4.0)
    return ExtrasPart(
        clip_skip=draw(st.none() | st.integers(1, 12)),
        apg=draw(st.none() | st.builds(Apg, eta=fractions, norm=fractions, momentum=st.floats(-1.0, 0.99))),
        threshold=draw(st.none() | st.floats(0.5, 1.0)),
        pag=draw(st.none() | st.floats(0.0, 100.0)),
        freeu=draw(st.none() | st.builds(FreeU, b1=factors, b2=factors, s1=factors, s2=factors)),
    )


@st.composite
def areas(draw: st.DrawFn, width: int = 64, height: int = 64) -> str:
    """A rectangle in a picture of that size: a name, pixels, fractions, or per cent."""
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    wide, high = draw(st.integers(1, width - left)), draw(st.integers(1, height - top))
    inside = (left / width, top / height, wide / width, high / height)
    ways = (
        draw(st.sampled_from(sorted(NAMED_AREAS))),
        f"{left},{top},{wide}x{high}",
        ",".join(map(repr, inside)),
        ", ".join(f"{100 * share!r}%" for share in inside),
    )
    return draw(st.sampled_from(ways))


@st.composite
def regions(draw: st.DrawFn) -> Region:
    place = draw(st.booleans())
    return Region(
        prompt=draw(any_text),
        area=draw(areas()) if place else None,
        source=None if place else draw(st.sampled_from(sorted(SOURCES))),
        ratio=draw(st.floats(0.001, 1.0)),
    )


@st.composite
def masks(draw: st.DrawFn, image: SourceFacts) -> MaskPart:
    ways: list[dict[str, object]] = [
        {"source": draw(st.sampled_from(sorted(SOURCES)))},
        {"area": draw(areas(image.width, image.height))},
        *([{"alpha": True}] if image.has_alpha else []),
    ]
    fields: dict[str, object] = {
        "invert": draw(st.booleans()),
        "grow": draw(st.integers(-16_384, 16_384)),
        "feather": draw(st.integers(0, 16_384)),
        "soft": draw(st.booleans()),
        "extent": draw(st.sampled_from(["whole", "masked"])),
        "padding": draw(st.integers(0, 16_384)),
        "fill": draw(st.sampled_from([None, "original", "noise", "blur"])),
    }
    return MaskPart.model_validate({**fields, **draw(st.sampled_from(ways))})


@st.composite
def extensions(draw: st.DrawFn) -> ExtendPart:
    sides = draw(st.tuples(*[st.integers(0, 500)] * 4).filter(any))
    left, right, top, bottom = sides
    fill = draw(st.sampled_from([None, "noise", "blur"]))
    return ExtendPart(left=left, right=right, top=top, bottom=bottom, fill=fill)


overlaps = st.none() | st.floats(0.0, 0.75)
windows_parts = st.builds(WindowsPart, size=st.none() | st.integers(64, 1024), overlap=overlaps)
hires_parts = st.builds(
    HiresPart,
    scale=st.floats(1.5, 16.0),
    strength=st.none() | fractions,
    method=st.sampled_from([None, *METHODS]),
    steps=st.none() | st.integers(1, 1000),
    passes=st.none() | st.integers(1, 4),
    keep=st.none() | fractions,
    window=st.none() | st.integers(64, 1024),
    overlap=overlaps,
)


@st.composite
def edit_parts(draw: st.DrawFn) -> list[Part]:
    """Regions, ControlNets, and an image with or without a mask or an extension: what `SOURCES`, `CONTROLS`
    and a drawing of 20 steps allow.
    """
    found: list[Part] = []
    if draw(st.booleans()):
        several = draw(st.lists(regions(), min_size=1, max_size=3))
        found.append(RegionsPart(regions=tuple(several), feather=draw(fractions)))
    if draw(st.booleans()):
        source = draw(st.sampled_from(sorted(SOURCES)))
        way = draw(st.sampled_from(["alone", "mask", "extend"]))
        if way == "mask":
            found.append(draw(masks(SOURCES[source])))
        if way == "extend":
            found.append(draw(extensions()))
        began = draw(st.sampled_from(["strength", "start_step", "neither"]))
        found.append(
            ImagePart(
                source=source,
                strength=draw(fractions) if began == "strength" else None,
                start_step=draw(st.integers(0, 20)) if began == "start_step" else None,
                fit=draw(st.sampled_from([None, "crop", "fill", "stretch"])) if way == "alone" else None,
                keep_colour=draw(st.booleans()),
            )
        )
    if draw(st.booleans()):
        found.append(draw(windows_parts))
    # In windows, an image may be drawn so large that nothing larger is possible.
    if draw(st.booleans()) and not any(
        isinstance(part, MaskPart | ExtendPart | WindowsPart) for part in found
    ):
        found.append(draw(hires_parts))
    if draw(st.booleans()):
        found.append(VariationPart(strength=draw(fractions), seed=draw(st.none() | st.integers(0, 2**40))))
    if draw(st.booleans()):
        found.append(draw(control_parts(any(isinstance(part, ImagePart) for part in found))))
    if draw(st.booleans()):
        found.append(draw(adapter_parts))
    return found


@st.composite
def control_parts(draw: st.DrawFn, with_image: bool) -> ControlPart:
    controls: list[Control] = []
    for _ in range(draw(st.integers(1, 3))):
        start, stop = sorted(draw(st.tuples(fractions, fractions)))
        named = st.sampled_from(sorted(SOURCES))
        controls.append(
            Control(
                model=draw(st.sampled_from(sorted(CONTROLS))),
                source=draw(st.none() | named if with_image else named),
                annotator=draw(st.sampled_from([None, "none", "canny", "segments"])),
                weight=draw(st.floats(0.0, 4.0)),
                start=start,
                stop=stop,
            )
        )
    return ControlPart(controls=tuple(controls))


_LORAS = {"foo": "1" * 64, "loras/bär: x": "2" * 64}
_WORDS = {"badhand": "3" * 64}


def _table(digests: dict[str, str]) -> dict[tuple[str, str | None], AdapterFacts]:
    return {
        (asked, digest): AdapterFacts(name.split("/")[-1], whole, whole[:12])
        for name, whole in digests.items()
        for asked in (name, name.split("/")[-1])
        for digest in (None, whole[:12], whole)
    }


ADAPTERS = AdapterTable(_table(_LORAS), _table(_WORDS))
"""Adapters that recipes may name, with and without their digests."""

strengths = st.floats(-10.0, 10.0)
adapter_parts = st.builds(
    AdaptersPart,
    adapters=st.lists(
        st.builds(
            Adapter,
            name=st.sampled_from(sorted(_LORAS)),
            weight=strengths,
            text_weight=st.none() | strengths,
            blocks=st.none()
            | st.dictionaries(st.sampled_from(["BASE", "IN04", "MID", "OUT11"]), strengths)
            | st.lists(strengths, min_size=12, max_size=12),
            digest=st.none(),
        ),
        max_size=2,
    ).map(tuple),
    embeddings=st.lists(st.builds(Embedding, name=st.just("badhand")), max_size=1).map(tuple),
)


def _shuffled(*lists: list[Part]) -> st.SearchStrategy[tuple[Part, ...]]:
    return st.permutations([part for parts in lists for part in parts]).map(tuple)


def _fitting(recipe: Recipe) -> Recipe:
    """Leave eta to ddim, which is also the default, and a step to begin at to runs that have it."""
    if recipe.sampler not in (None, "ddim"):
        recipe = recipe.model_copy(update={"eta": None})
    image = recipe.image
    if image is not None and image.start_step is not None and recipe.steps is not None:
        recipe = recipe.model_copy(update={"steps": max(recipe.steps, image.start_step)})
    return recipe


def _recipes(parts: st.SearchStrategy[tuple[Part, ...]]) -> st.SearchStrategy[Recipe]:
    return st.builds(
        Recipe,
        model=st.sampled_from(["bundled", "other, model: 2", ' "quoted" ', "modèle 🦊\x00"]),
        width=st.none() | st.integers(64, 1024),
        height=st.none() | st.integers(64, 1024),
        steps=st.none() | st.integers(1, 1000),
        sampler=st.none() | st.sampled_from([*SAMPLERS, "Euler a", "DPM++ 2M"]),
        spacing=st.none() | st.sampled_from([*SPACINGS, "Karras"]),
        eta=st.none() | fractions,
        guidance=st.none() | st.floats(0.0, 100.0),
        cache_interval=st.none() | st.integers(1, 16),
        fast=st.booleans(),
        seed=st.none() | st.integers(0, MAX_SEED - 10),
        count=st.integers(1, 10),
        parts=parts,
    ).map(_fitting)


prompt_recipes = _recipes(prompt_parts().flatmap(_shuffled))
"""Recipes of prompts alone: what the text that A1111 reads can hold."""

recipes = _recipes(st.tuples(prompt_parts(), edit_parts()).flatmap(lambda both: _shuffled(*both)))
"""Recipes with any parts; `SOURCES` are their pictures."""


@st.composite
def resolveds(draw: st.DrawFn, wanted: st.SearchStrategy[Recipe] = recipes) -> Resolved:
    """Any resolved recipe, being any of the pictures of its run."""
    resolved = resolve(
        draw(wanted), DEFAULTS, new_seed=lambda: 42, sources=SOURCES, controls=CONTROLS, adapters=ADAPTERS
    )
    return Resolved(**{**dict(resolved), "index": draw(st.integers(0, resolved.count - 1))})
