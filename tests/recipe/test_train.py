"""Training recipes: the shipped ones load, and every mistake is one line."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from pydantic import ValidationError

from sfumato.errors import RecipeError
from sfumato.recipe.codec import from_json, from_toml, to_json, to_toml
from sfumato.recipe.train import (
    MAX_FILE_BYTES,
    ControlNetStage,
    DiffusionStage,
    TinyDecoderStage,
    TrainRecipe,
    UpscalerStage,
    load_train_recipe,
    schema,
    schema_text,
)

SHIPPED = sorted((Path(__file__).parents[2] / "recipes" / "train").glob("*.toml"))
TEXT = (
    'name = "text"\n[task]\nstage = "text"\n[optimisation]\nsteps = 4\nbatch_size = 2\nlearning_rate = 1e-3\n'
)


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def complaint(folder: Path, text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_train_recipe(write(folder, text))
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.exit_code == 2
    return line


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_load_and_round_trip(path: Path) -> None:
    recipe = load_train_recipe(path)
    assert recipe.task.stage in path.stem or path.stem in (
        "edges",
        "edges-more",
        "hybrids",
        "hybrids-more",
        "hybrids-pairs",
    )  # named for what it learns
    assert from_toml(to_toml(recipe), TrainRecipe) == recipe
    assert from_json(to_json(recipe), TrainRecipe) == recipe


def test_every_stage_is_shipped_and_named_as_the_next_one_needs_it() -> None:
    recipes = {load_train_recipe(path).name: load_train_recipe(path) for path in SHIPPED}
    assert {recipe.task.stage for recipe in recipes.values()} == {
        "autoencoder", "latents", "text", "diffusion", "tiny-decoder", "controlnet", "judge",
        "upscaler",
    }  # fmt: skip
    for recipe in recipes.values():
        if isinstance(recipe.task, DiffusionStage):
            assert {recipe.task.autoencoder, recipe.task.text, *recipe.task.latents} <= recipes.keys()
        if isinstance(recipe.task, TinyDecoderStage):
            assert {recipe.task.autoencoder, *recipe.task.latents} <= recipes.keys()
        if isinstance(recipe.task, ControlNetStage):
            origin = recipes[recipe.task.latents]
            assert (recipe.task.latents_seed, recipe.data) == (origin.seed, origin.data)
            assert recipes[recipe.task.model].task.stage == "diffusion"
        if isinstance(recipe.task, UpscalerStage):
            assert recipe.task.autoencoder in recipes


def test_a_whole_number_will_do_for_a_rate(tmp_path: Path) -> None:
    recipe = load_train_recipe(write(tmp_path, TEXT + "weight_decay = 0\n"))
    assert recipe.optimisation is not None
    assert recipe.optimisation.weight_decay == 0.0
    assert isinstance(recipe.optimisation.weight_decay, float)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("steps = 4", "steps = 0", "optimisation.steps: must be at least 1 (got 0)"),
        ("steps = 4", "steps = 4.5", "optimisation.steps: must be a whole number (got 4.5)"),
        ("steps = 4", "steps = true", "optimisation.steps: must be a whole number (got True)"),
        ("steps = 4", 'steps = "4"', "optimisation.steps: must be a whole number (got '4')"),
        ("steps = 4", "", "optimisation.steps: is missing"),
        ("steps = 4", "stepz = 4", "optimisation.stepz: no such field (got 4). Did you mean steps?"),
        ("= 1e-3", "= nan", "optimisation.learning_rate: must be a finite number (got nan)"),
        ("= 1e-3", "= -1", "optimisation.learning_rate: must be above 0.0 (got -1)"),
        ("= 1e-3", "= 1e-3\nbetas = [0.9, 1.0]", "optimisation.betas[1]: must be below 1.0 (got 1.0)"),
        ("= 1e-3", "= 1e-3\ncompile = 1", "optimisation.compile: input should be a valid boolean (got 1)"),
        (
            "= 1e-3",
            '= 1e-3\noptimizer = "sgd"',
            "optimisation.optimizer: must be 'adamw' or 'muon' (got 'sgd')",
        ),
        (
            'stage = "text"',
            'stage = "texts"',
            "task.stage: must be one of 'autoencoder', 'latents', 'text', 'diffusion', 'tiny-decoder', "
            "'controlnet', 'judge', 'upscaler' (got 'texts'). Did you mean text?",
        ),
        ('stage = "text"', "width = 8", "task.stage: is missing"),
        (
            'stage = "text"',
            'stage = "text"\nwidht = 8',
            "task.widht: no such field (got 8). Did you mean width?",
        ),
        ('stage = "text"', 'stage = "text"\nlayers = 0', "task.layers: must be at least 1 (got 0)"),
        (
            'stage = "text"',
            'stage = "text"\nwidth = 10\nheads = 4',
            "task: heads 4 must divide every width it applies to; it does not divide 10",
        ),
        ('name = "text"', 'name = "../up"', "name: string should match pattern"),
        ("[optimisation]", "[reporting]\nkeep = 1\n[optimization]", "optimization: no such field"),
        (
            "[optimisation]",
            "[reporting]\ncheckpoint = 100\nsample = 250\n[optimisation]",
            "reporting: sample 250 must be a multiple of checkpoint 100",
        ),
        (
            "[optimisation]",
            "[data]\npairs = 0.9\ncounts = 0.2\n[optimisation]",
            "data: pairs, counts, sizes and mixes exclude each other: together at most 1",
        ),
        (
            'name = "text"',
            'name = "text"\nversion = 2',
            "version: made by a newer version of Sfumato (got 2). This one reads up to 1: update Sfumato.",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_mistakes_are_one_line(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in TEXT
    assert complaint(tmp_path, TEXT.replace(old, new)).startswith(expected)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("channels = [8, 16]\nattention = [true]", "task: attention needs one entry per level, 2, and has 1"),
        ("channels = [8, 12, 16]", "task: groups 16 must divide every width"),
        ("channels = []", "task.channels: must not be empty"),
        ("channels = [16, 0, 16]", "task.channels[1]: must be at least 1 (got 0)"),
        ("heads = 3", "task: heads 3 must divide every width it applies to; it does not divide 128"),
        ("latents = []", "task.latents: must not be empty"),
    ],
    ids=str,
)
def test_a_diffusion_stage_fits_together(tmp_path: Path, task: str, expected: str) -> None:
    needed = {"autoencoder": '"a"', "text": '"t"', "latents": '["l"]'}
    lines = [f"{name} = {value}" for name, value in needed.items() if f"{name} =" not in task]
    text = TEXT.replace('stage = "text"', "\n".join(['stage = "diffusion"', *lines, task]))
    assert complaint(tmp_path, text).startswith(expected)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("crop = 60", "task: crop 60 must be a multiple of 8, the downsampling"),
        ("crop = 256", "recipe: task.crop 256 is more than data.size 128"),
        (
            "channels = [20, 24]",
            "task: groups 8 must divide every width it applies to; it does not divide 20",
        ),
    ],
    ids=str,
)
def test_an_autoencoder_stage_fits_together(tmp_path: Path, task: str, expected: str) -> None:
    text = TEXT.replace('stage = "text"', f'stage = "autoencoder"\n{task}')
    assert complaint(tmp_path, text).startswith(expected)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("crop = 129", "recipe: task.crop 129 is more than data.size 128"),
        (
            "decoded = 0.7\ndegraded = 0.4",
            "task: decoded and degraded exclude each other: together at most 1",
        ),
        ("blocks = 41", "task.blocks: must be at most 40 (got 41)"),
    ],
    ids=str,
)
def test_an_upscaler_stage_fits_together(tmp_path: Path, task: str, expected: str) -> None:
    text = TEXT.replace('stage = "text"', f'stage = "upscaler"\nautoencoder = "a"\n{task}')
    assert complaint(tmp_path, text) == expected


def test_pictures_are_whole_latents(tmp_path: Path) -> None:
    text = TEXT.replace('stage = "text"', 'stage = "autoencoder"\ncrop = 16') + "[data]\nsize = 36\n"
    assert complaint(tmp_path, text) == "recipe: data.size 36 must be a multiple of 8"


def test_only_what_learns_has_an_optimisation(tmp_path: Path) -> None:
    head = TEXT.split("[optimisation]")[0]
    assert complaint(tmp_path, head) == "recipe: the stage text needs a section [optimisation]"
    latents = TEXT.replace('stage = "text"', 'stage = "latents"\nautoencoder = "a"')
    assert complaint(tmp_path, latents).startswith("recipe: the stage latents learns nothing")


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    assert complaint(tmp_path, "name = ").startswith("recipe: is not TOML")
    with pytest.raises(RecipeError, match="recipe: no such file"):
        load_train_recipe(tmp_path / "absent.toml")
    with pytest.raises(RecipeError, match="recipe: cannot be read"):
        load_train_recipe(tmp_path)
    with pytest.raises(RecipeError, match="recipe: cannot be read"):
        load_train_recipe(Path("a\0b"))
    with pytest.raises(RecipeError, match="far too large"):
        load_train_recipe(write(tmp_path, "#" * (MAX_FILE_BYTES + 1)))
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="is not TOML"):
        load_train_recipe(tmp_path / "bytes.toml")


def test_recipes_are_values(tmp_path: Path) -> None:
    recipe = load_train_recipe(write(tmp_path, TEXT))
    with pytest.raises(ValidationError, match="frozen"):
        recipe.seed = 3
    assert recipe == load_train_recipe(write(tmp_path, TEXT))


def test_the_committed_schema_is_current() -> None:
    committed = files("sfumato.recipe").joinpath("train.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "run: python -m sfumato.recipe.train --schema > .../train.schema.json"
    assert set(schema()["properties"]) == set(TrainRecipe.model_fields)


def test_the_schema_is_printed_without_anything_heavy() -> None:
    code = (
        "import runpy, sys; sys.argv[1:] = ['--schema']\n"
        "try: runpy.run_module('sfumato.recipe.train', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == schema_text()
