"""The adapters of a recipe, taken out of its prompts, and with nothing left open."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sfumato.errors import RecipeError
from sfumato.recipe.adapters import (
    Adapter,
    AdaptersPart,
    Embedding,
    ResolvedAdapter,
    ResolvedAdapters,
    ResolvedEmbedding,
    has_marks,
    taken_out,
    words_of,
)
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import MixPart, Part, RegionsPart, TextPart


@dataclass(frozen=True)
class AdapterFacts:
    """A file that was found: its name for people, its sha256, and what A1111 calls it by."""

    name: str
    digest: str
    hash: str


@dataclass(frozen=True)
class AdapterTable:
    """What was found for recipes: adapters and embeddings, by name and digest as the recipe has them, and the
    `words`, embeddings that prompts name, by name.
    """

    adapters: Mapping[tuple[str, str | None], AdapterFacts] = field(
        default_factory=dict[tuple[str, str | None], AdapterFacts]
    )
    embeddings: Mapping[tuple[str, str | None], AdapterFacts] = field(
        default_factory=dict[tuple[str, str | None], AdapterFacts]
    )
    words: Mapping[str, AdapterFacts] = field(default_factory=dict[str, AdapterFacts])


def prompts_of(recipe: Recipe) -> Iterator[str]:
    """Yield every prompt that says what the picture shows; not the negative one."""
    if recipe.text is not None:
        yield recipe.text.prompt
    if recipe.mix is not None:
        yield from (one.prompt for one in recipe.mix.prompts)
    if recipe.regions is not None:
        yield from (one.prompt for one in recipe.regions.regions)


def texts_of(recipe: Recipe) -> Iterator[str]:
    """Yield every prompt, the negative one as well."""
    yield from prompts_of(recipe)
    if recipe.text is not None:
        yield recipe.text.negative


def without_marks(recipe: Recipe) -> Recipe:
    """Return `recipe` with the adapters that its prompts name in its part adapters instead.

    Raises RecipeError for one that cannot be read, and one in the negative prompt.
    """
    if recipe.text is not None and has_marks(recipe.text.negative):
        raise RecipeError(
            "an adapter acts on the whole model, not on what a picture should not show",
            field="negative",
            value=recipe.text.negative,
            hint="Name it in the prompt; its weight may be below 0.",
        )
    if not any(map(has_marks, prompts_of(recipe))):
        return recipe
    found: dict[str, Adapter] = {}

    def clean(text: str) -> str:
        left, some = taken_out(text)
        found.update((one.model_dump_json(), one) for one in some)
        return left

    parts: list[Part] = []
    for part in recipe.parts:
        match part:
            case TextPart():
                parts.append(part.model_copy(update={"prompt": clean(part.prompt)}))
            case MixPart():
                mixed = tuple(one.model_copy(update={"prompt": clean(one.prompt)}) for one in part.prompts)
                parts.append(part.model_copy(update={"prompts": mixed}))
            case RegionsPart():
                regions = tuple(one.model_copy(update={"prompt": clean(one.prompt)}) for one in part.regions)
                parts.append(part.model_copy(update={"regions": regions}))
            case AdaptersPart():
                pass
            case _:
                parts.append(part)
    before = recipe.adapters
    listed = () if before is None else before.adapters
    embeddings = () if before is None else before.embeddings
    more = tuple(one for one in found.values() if one not in listed)
    parts.append(AdaptersPart(adapters=(*listed, *more), embeddings=embeddings))
    return recipe.model_copy(update={"parts": tuple(parts)})


def resolve_adapters(recipe: Recipe, table: AdapterTable) -> ResolvedAdapters | None:
    """Return the adapters of a recipe without marks; None when it has none. Raises RecipeError for one that
    was not found.
    """
    part = AdaptersPart() if recipe.adapters is None else recipe.adapters
    adapters = tuple(_resolved(one, table) for one in part.adapters)
    embeddings: dict[str, ResolvedEmbedding] = {}
    for one in part.embeddings:
        facts = _facts("embedding", one, table.embeddings)
        embeddings[one.name.casefold()] = ResolvedEmbedding(
            name=one.name, digest=facts.digest, hash=facts.hash
        )
    if table.words:
        text = "\n".join(texts_of(recipe))
        for name in words_of(text, table.words):
            facts = table.words[name]
            embeddings.setdefault(
                name.casefold(), ResolvedEmbedding(name=name, digest=facts.digest, hash=facts.hash)
            )
    if not adapters and not embeddings:
        return None
    return ResolvedAdapters(adapters=adapters, embeddings=tuple(embeddings.values()))


def _resolved(one: Adapter, table: AdapterTable) -> ResolvedAdapter:
    facts = _facts("lora", one, table.adapters)
    return ResolvedAdapter(
        name=facts.name,
        digest=facts.digest,
        hash=facts.hash,
        weight=one.weight,
        text_weight=one.weight if one.text_weight is None else one.text_weight,
        blocks=one.blocks or {},
    )


def _facts(
    field: str, one: Adapter | Embedding, table: Mapping[tuple[str, str | None], AdapterFacts]
) -> AdapterFacts:
    facts = table.get((one.name, one.digest))
    if facts is None:
        raise RecipeError("this adapter was not found", field=field, value=one.name)
    return facts
