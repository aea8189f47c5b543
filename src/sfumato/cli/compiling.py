"""Compile a model, compare it with float32, and print what came of it."""

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from sfumato.cli.console import Bar, bar, result, result_json, table
from sfumato.errors import InputError, InterruptedRun
from sfumato.evaluation.parity import Observed, Outputs, Parity, compare, observe, parity_of, store
from sfumato.imaging.writing import make_folder
from sfumato.models.backends.openvino import unsupported
from sfumato.models.backends.openvino.cache import COMPILED, CachePlace
from sfumato.models.backends.openvino.ranges import INT8_FULL, RANGES_FILE
from sfumato.models.backends.selection import choose
from sfumato.models.bundle import ModelBundle
from sfumato.models.defaults import downsampling
from sfumato.models.load import FoundModel, find_model, load, make_bundle
from sfumato.recipe.numbers import whole
from sfumato.settings import Settings

MAX_PICTURES = 1000
REFERENCE = "float32"


@dataclass(frozen=True)
class Compiled:
    """What was stored in `folder`: `num_graphs` files of `num_bytes`. `omitted` names the networks that are
    not stored.
    """

    folder: Path
    backend: str
    num_graphs: int
    num_bytes: int
    omitted: tuple[str, ...]

    @property
    def note(self) -> str | None:
        """Why something is not stored, as a sentence."""
        if not self.omitted:
            return None
        *names, last = self.omitted
        names = f"{', '.join(names)} and {last}" if names else last
        return f"Not stored: {names}. A network this large is compiled as fast as it is read."


def compile_model(name: str, settings: Settings, *, pictures: str | None, as_json: bool) -> None:
    """Compile the model called `name` in the precision of `settings`, store what is worth it and the report
    on its parity, and print both.

    Raises InputError for a model or precision that cannot be compiled, RecipeError and ModelFileError for one
    that cannot be found or is damaged, OutputError when something cannot be written, NumericalError for
    numbers that are not finite, and InterruptedRun on Ctrl-C: graphs that are stored by then stay.
    """
    count = None if pictures is None else whole("pictures", pictures)
    if count is not None and not 0 <= count <= MAX_PICTURES:
        raise InputError(f"must be between 0 and {MAX_PICTURES}", field="pictures", value=count)
    settings = replace(settings, device="cpu")  # of the environment; graphs are for processors
    found = find_model(name, settings)
    reason = unsupported(found.files)
    if reason is not None:
        hint = "It is drawn with torch."
        raise InputError(f"cannot be compiled: {reason}", field="model", value=name, hint=hint)
    choose(found.files, settings)  # raises for what is not installed, and for float16
    try:
        with bar("compiling") as progress:
            compiled, dtype = _compile(found, settings, progress)
            parity = _compare(found, replace(settings, dtype=dtype), compiled, count, progress)
    except KeyboardInterrupt:
        raise InterruptedRun("the report was not written; graphs that are whole stay") from None
    if as_json:
        result_json(_report(compiled, parity))
    else:
        result(_text(compiled, parity))


def _compile(found: FoundModel, settings: Settings, progress: Bar) -> tuple[Compiled, str]:
    """Return what was stored, and the precision that auto stands for."""
    from sfumato.models.backends.openvino.backend import load_openvino
    from sfumato.models.backends.openvino.compiling import Usual, compile_graphs, omitted

    place = CachePlace(settings.data_dir / COMPILED, found.defaults.digest, storing=True)
    if settings.dtype == INT8_FULL:
        _calibrate(found, place.of_precision(INT8_FULL), progress)
    backend = load_openvino(found.files, settings.dtype, place)
    folder = place.of_precision(backend.dtype)
    make_folder(folder)  # before the work
    factor = downsampling(found.files)
    sides = found.defaults.height // factor, found.defaults.width // factor
    usual = Usual(found.tokenizer.max_length, found.files.unet.config["in_channels"], *sides)
    num_graphs = num_bytes = 0
    with closing(compile_graphs(backend, usual)) as events:
        for event in events:
            progress.update(event.finished, event.total)
            num_graphs, num_bytes = event.num_graphs, event.num_bytes
    left_out = omitted(found.files, backend.dtype)
    return Compiled(folder, backend.name, num_graphs, num_bytes, left_out), backend.dtype


def _calibrate(found: FoundModel, folder: Path, progress: Bar) -> None:
    from sfumato.evaluation.calibration import calibrate, effort_for

    make_folder(folder)  # before the work
    progress.label("measuring ranges")
    with closing(calibrate(found, folder / RANGES_FILE, effort_for(found))) as events:
        for event in events:
            progress.update(event.finished, event.total)
    progress.label("compiling")


def _compare(
    found: FoundModel, settings: Settings, compiled: Compiled, count: int | None, progress: Bar
) -> Parity | None:
    """Store and return the report; None where float32 would be compared with itself."""
    from sfumato.models.backends.openvino.backend import load_openvino
    from sfumato.models.backends.openvino.networks import is_small

    if settings.dtype == REFERENCE and compiled.num_graphs == 0:
        return None
    count = (8 if is_small(found.files.unet) else 1) if count is None else count
    progress.label("drawing in float32")
    # One after the other: a large model would fill the memory twice.
    reference = _observed(
        make_bundle(found, load_openvino(found.files, REFERENCE), {}), count, None, progress
    )
    progress.label("comparing")
    bundle = replace(load(found, settings), max_latents=None)  # tiles would be compared as well
    differences = compare(reference, _observed(bundle, count, reference, progress))
    parity = parity_of(differences, bundle, found.files, reference.backend, settings.dtype)
    make_folder(compiled.folder)
    store(parity, compiled.folder)
    return parity


def _observed(bundle: ModelBundle, count: int, like: Outputs | None, progress: Bar) -> Outputs:
    with closing(observe(bundle, count, like)) as events:
        for event in events:
            if isinstance(event, Observed):
                progress.update(event.finished, event.total)
            else:
                return event
    raise AssertionError("the last event is Outputs")


def _text(compiled: Compiled, parity: Parity | None) -> str:
    stored = f"{compiled.num_graphs} graphs, {compiled.num_bytes / 1e6:.0f} MB, in {compiled.folder}"
    lines = [f"{compiled.backend}: {stored if compiled.num_graphs else 'nothing stored'}"]
    lines += [] if compiled.note is None else [compiled.note]
    if parity is None:
        return "\n".join([*lines, "Other precisions are compared with float32, so there is no report on it."])
    rows = [(name, f"{error:.2e}") for name, error in parity.errors.items()]
    lines += ["", table(rows, ("NETWORK", f"ERROR AGAINST {REFERENCE.upper()}"))]
    if parity.pictures:
        near = parity.pictures_text()
        near += "" if parity.lowest_psnr is None else f" (median), {parity.lowest_psnr:.1f} dB (lowest)"
        number = f"{parity.pictures} picture{'' if parity.pictures == 1 else 's'}"
        lines += ["", f"PSNR of {number} of {parity.width}x{parity.height} against {REFERENCE}: {near}"]
    return "\n".join(lines)


def _report(compiled: Compiled, parity: Parity | None) -> dict[str, object]:
    return {
        "backend": compiled.backend,
        "folder": str(compiled.folder),
        "graphs": compiled.num_graphs,
        "bytes": compiled.num_bytes,
        "note": compiled.note,
        "parity": None if parity is None else parity.model_dump(mode="json"),
    }
