"""Scenes for the scripts that measure the bundled model: seeded, none of them held out of its training."""

from collections.abc import Callable

import numpy as np

from sfumato.scenes.scene import Scene, held_out


def scenes(seed: int, make: Callable[[np.random.Generator], Scene], number: int) -> list[Scene]:
    """Return the first `number` scenes of `make` that training may have shown."""
    rng = np.random.default_rng(seed)
    found: list[Scene] = []
    while len(found) < number:
        scene = make(rng)
        if not held_out(scene):
            found.append(scene)
    return found
