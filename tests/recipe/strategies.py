"""Recipes and prompts for property tests, and the settings they share."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from sfumato.recipe.image import MAX_SEED, MixPart, MixPrompt, Recipe, Resolved, TextPart
from sfumato.recipe.resolve import ModelDefaults, resolve

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
def parts(draw: st.DrawFn) -> tuple[TextPart | MixPart, ...]:
    found: list[TextPart | MixPart] = []
    with_text = draw(st.booleans())
    if with_text:
        found.append(draw(text_parts()))
    if draw(st.booleans()):
        mixed = draw(st.lists(mix_prompts, min_size=1, max_size=3))
        ratio = draw(st.none() | ratios) if with_text else None
        mode = draw(st.sampled_from(["branches", "embeddings"]))
        found.append(MixPart(prompts=tuple(mixed), ratio=ratio, mode=mode))
    return tuple(draw(st.permutations(found)))


def _fitting(recipe: Recipe) -> Recipe:
    """Leave eta to ddim, which is also the default."""
    return recipe if recipe.sampler in (None, "ddim") else recipe.model_copy(update={"eta": None})


recipes = st.builds(
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
    parts=parts(),
).map(_fitting)


@st.composite
def resolveds(draw: st.DrawFn) -> Resolved:
    """Any resolved recipe, being any of the pictures of its run."""
    resolved = resolve(draw(recipes), DEFAULTS, new_seed=lambda: 42)
    return Resolved(**{**dict(resolved), "index": draw(st.integers(0, resolved.count - 1))})
