"""What a recipe names beside its model, found and checked before anything is loaded: pictures, ControlNets,
adapters and a refiner. Every front end goes through here, so that a recipe means the same in all of them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sfumato.engine.steering import NO_CONTROLS, Controls
from sfumato.imaging.inputs import NO_INPUTS, Inputs, read_inputs
from sfumato.models.adapters.finding import may_need_adapters
from sfumato.models.ahead import Ahead
from sfumato.models.bundle import ModelBundle
from sfumato.models.defaults import schedule_of
from sfumato.models.load import FoundModel, load
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.resolve import NO_ADAPTERS, random_seed, resolve
from sfumato.settings import Settings

if TYPE_CHECKING:  # imported when a recipe names some
    from sfumato.engine.adapters import Adapters
    from sfumato.models.cache import ModelCache


@dataclass(frozen=True)
class Trust:
    """What a recipe may open, by where it came from. `model_paths`, `paths` and `adapter_paths`: files and
    folders of its choice (the model; ControlNets and the like; adapters), not only what the library knows by
    name. `words`: embeddings that its prompts name, not only those it lists. `vae_paths`: an autoencoder at a
    path of its choice; `beside`: one that lies beside the model, though it names none. `refiner_paths`: a
    refiner at a path of its choice.
    """

    model_paths: bool = True
    paths: bool = True
    adapter_paths: bool = True
    words: bool = True
    vae_paths: bool = True
    beside: bool = True
    refiner_paths: bool = True


TRUSTED: Final = Trust()
#: It came from a visitor, who may draw with what the library knows, and may not look around on this machine.
NAMES_ONLY: Final = Trust(
    model_paths=False, paths=False, adapter_paths=False, vae_paths=False, refiner_paths=False
)
DISTRUSTED: Final = Trust(False, False, False, False, False, False, False)  # it came out of a picture


@dataclass(frozen=True, eq=False)
class Gathered:
    """A model, and what recipes name beside it; no network is loaded."""

    found: FoundModel
    inputs: Inputs = NO_INPUTS
    controls: Controls = field(default_factory=lambda: NO_CONTROLS)
    adapters: "Adapters | None" = None
    refiner: FoundModel | None = None

    def resolved(
        self, recipe: Recipe, settings: Settings, new_seed: Callable[[], int] = random_seed
    ) -> Resolved:
        """Return `recipe`, of those that this was gathered for, with nothing left open.

        Raises RecipeError, and PictureError for a mask that cannot be used.
        """
        digests = dict[str, str]()
        if self.controls:
            from sfumato.engine.controls import digests_of

            digests = digests_of(self.controls)
        run = resolve(
            recipe,
            self.found.defaults,
            new_seed=new_seed,
            settings=settings,
            sources=self.inputs.facts,
            controls=digests,
            adapters=NO_ADAPTERS if self.adapters is None else self.adapters.table,
            refiner=None if self.refiner is None else self.refiner.defaults,
        )
        if self.refiner is not None:
            from sfumato.engine.refining import hand_over

            hand_over(run, schedule_of(self.found.files), schedule_of(self.refiner.files))
        if run.mask is not None:
            from sfumato.engine.masking import check_mask

            check_mask(run, self.inputs)
        return run

    def load(self, resolved: Resolved, settings: Settings, ahead: Ahead | None = None) -> ModelBundle:
        """Load the model, which `ahead` may have begun, ready for `resolved`. Raises as
        `sfumato.models.load.load` does, and as `over`.
        """
        bundle = load(self.found, settings, ahead, (resolved.width, resolved.height), self.refiner)
        return self.over(resolved, bundle, settings)

    @contextmanager
    def leased(self, resolved: Resolved, settings: Settings, cache: "ModelCache") -> Iterator[ModelBundle]:
        """Give what `load` returns, of models that `cache` holds or loads, as long as the context lasts."""
        size = resolved.width, resolved.height
        with ExitStack() as stack:
            bundle = stack.enter_context(cache.lease(self.found, settings, size, self.refiner))
            if self.refiner is not None:
                alike = settings if bundle.settings is None else bundle.settings
                refiner = stack.enter_context(cache.lease(self.refiner, alike, size))
                bundle = replace(bundle, refiner=refiner)
            yield self.over(resolved, bundle, settings)

    def over(self, resolved: Resolved, bundle: ModelBundle, settings: Settings) -> ModelBundle:
        """Return `bundle`, the model as it was loaded, with the adapters of `resolved` over its weights, and
        with its refiner.

        Raises RecipeError and ModelFileError as `sfumato.engine.adapters.laid_over` and
        `sfumato.models.load.load` do.
        """
        if self.refiner is not None or bundle.refiner is not None:
            from sfumato.engine.refining import with_refiner

            bundle = with_refiner(resolved, bundle, self.refiner, settings)
        if self.adapters is None:
            return bundle
        from sfumato.engine.adapters import laid_over

        return laid_over(resolved, bundle, self.adapters)


def gather(
    recipe: Recipe,
    found: FoundModel,
    settings: Settings,
    *,
    near: Iterable[Path] = (),
    trust: Trust = TRUSTED,
    frames: Sequence[Recipe] = (),
    inputs: Inputs | None = None,
) -> Gathered:
    """Find what `recipe` names beside the model `found`, and what the prompts of `frames` name: those of an
    animation, which are like it but for their words.

    Pictures named by digest are also looked for in the folders `near`; `inputs` are those of `recipe` where
    they were read already. Raises RecipeError, PictureError and
    ModelFileError.
    """
    inputs = read_inputs(recipe, settings, near) if inputs is None else inputs
    if recipe.vae is not None or recipe.schedule is not None or found.files.single is not None:
        from sfumato.models.given import with_given

        found = with_given(recipe, found, settings, paths=trust.vae_paths, beside=trust.beside)
    controls, adapters = NO_CONTROLS, None
    if recipe.control is not None:
        from sfumato.engine.controls import find_controls

        controls = find_controls(recipe, found.files, settings, paths=trust.paths)
    recipes = (recipe, *frames)
    if any(may_need_adapters(one, settings) for one in recipes):
        from sfumato.engine.adapters import find_adapters

        adapters = find_adapters(recipes, found.files, settings, paths=trust.adapter_paths, words=trust.words)
    refiner = None
    if recipe.refine is not None:
        from sfumato.models.refiners import find_refiner

        refiner = find_refiner(recipe.refine.model, found, settings, paths=trust.refiner_paths)
    return Gathered(found, inputs, controls, adapters, refiner)
