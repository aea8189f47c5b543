"""Adapters of a drawing: found for a recipe, checked against the model, and laid over it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sfumato.errors import RecipeError, shown
from sfumato.models.adapters.building import changes_of, word_ids
from sfumato.models.adapters.finding import Kind, find_adapter, known_adapters
from sfumato.models.adapters.layouts import match
from sfumato.models.adapters.reading import AdapterFile, open_adapter
from sfumato.models.adapters.target import Target, target_of
from sfumato.models.adapters.textual import keys_of
from sfumato.models.bundle import ModelBundle
from sfumato.models.files import ModelFiles
from sfumato.recipe.adapters import words_of
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.resolve_adapters import AdapterFacts, AdapterTable, texts_of, without_marks
from sfumato.settings import Settings

Asked = tuple[str, str | None]  # what a recipe says of an adapter: a name or a path, and a digest


@dataclass(frozen=True, eq=False)
class Adapters:
    """The files that recipes name: what `resolve` needs to know of them, each by its sha256, and the networks
    that they are laid over. `warnings` are sentences for people about words that are no embeddings here.
    """

    table: AdapterTable = field(default_factory=AdapterTable)
    files: Mapping[str, AdapterFile] = field(default_factory=dict[str, AdapterFile])
    target: Target | None = None
    warnings: tuple[str, ...] = ()


def find_adapters(
    recipes: Sequence[Recipe],
    files: ModelFiles,
    settings: Settings,
    *,
    paths: bool = True,
    words: bool = True,
) -> Adapters:
    """Find the adapters that `recipes` and their prompts name, and check that they fit the model.

    `paths` False takes names only. `words` False looks for no embeddings but those that a recipe lists.
    Raises RecipeError and ModelFileError as `find_adapter` does, and ModelFileError for one that does not
    fit.
    """
    clean = [without_marks(recipe) for recipe in recipes]
    parts = [recipe.adapters for recipe in clean if recipe.adapters is not None]
    loras = dict.fromkeys((one.name, one.digest) for part in parts for one in part.adapters)
    listed = dict.fromkeys((one.name, one.digest) for part in parts for one in part.embeddings)
    named = {name.casefold() for name, _ in listed}
    spoken, warnings = _spoken(clean, settings, named) if words else ({}, ())
    if not loras and not listed and not spoken:
        return Adapters(warnings=warnings)
    target = target_of(files)
    model = files.folder.name
    found: dict[str, AdapterFile] = {}

    def facts(file: AdapterFile) -> AdapterFacts:
        if file.field == "lora":
            match(file, target, model)
        else:
            keys_of(file, target, model)
        digest = file.digests().whole
        found[digest] = file
        return AdapterFacts(file.name, digest, file.hash)

    def asked(kind: Kind, some: Iterable[Asked]) -> dict[Asked, AdapterFacts]:
        return {
            (name, digest): facts(find_adapter(kind, name, settings, digest=digest, paths=paths))
            for name, digest in some
        }

    table = AdapterTable(
        asked("lora", loras),
        asked("embedding", listed),
        {word: facts(file) for word, file in spoken.items()},
    )
    return Adapters(table, found, target, warnings)


def laid_over(resolved: Resolved, bundle: ModelBundle, adapters: Adapters) -> ModelBundle:
    """Return `bundle` with the adapters of a resolved recipe over its weights, and its embeddings among its
    words; `bundle` itself stays as it is.

    Raises RecipeError for an adapter that is missing or has other contents than it was resolved with, and
    ModelFileError for numbers that are not finite; nothing was changed then.
    """
    part = resolved.adapters
    bundle = replace(bundle, notes=(*bundle.notes, *adapters.warnings)) if adapters.warnings else bundle
    if part is None:
        return bundle
    named = (*part.adapters, *part.embeddings)
    missing = next((one.name for one in named if one.digest not in adapters.files), None)
    if missing is not None or adapters.target is None:
        raise RecipeError(
            "is not the adapter this recipe was resolved for",
            field="lora",
            value=missing,
            hint="Find that file, or resolve the recipe again.",
        )
    files, target = adapters.files, adapters.target
    changes, warnings = changes_of(part, files, target, bundle.name)
    first, *more = word_ids(part, files, target, bundle.name)
    tokenizer, pair = replace(bundle.tokenizer, words=first), bundle.pair
    if pair is not None:
        both = zip(pair.tokenizers, (first, *more), strict=True)
        pair = replace(pair, tokenizers=tuple(replace(one, words=ids) for one, ids in both))
    return replace(
        bundle,
        backend=bundle.backend.adapted(changes),
        tokenizer=tokenizer,
        pair=pair,
        notes=(*bundle.notes, *warnings),
        adapters=part,
    )


def _spoken(
    recipes: Iterable[Recipe], settings: Settings, listed: set[str]
) -> tuple[dict[str, AdapterFile], tuple[str, ...]]:
    """Return the embeddings that stand in prompts, but for those that are `listed`; and what is to be said of
    those that cannot be used.
    """
    known = known_adapters("embedding", settings)
    names = [name for name in known if name.casefold() not in listed]
    text = "\n".join(text for recipe in recipes for text in texts_of(recipe)) if names else ""
    found = {name: known[name] for name in words_of(text, names)}
    warnings = tuple(
        f"The embedding {shown(name)} is not used: {one.path.name} {one.problem}."
        for name, one in found.items()
        if one.problem is not None
    )
    usable = {name: one.path for name, one in found.items() if one.problem is None}
    return {name: open_adapter(path, "embedding", name) for name, path in usable.items()}, warnings
