"""The morph of docs/how-to/see-it-happen.md: run `python docs/images/morph.py OUT.webp`."""

import sys
from pathlib import Path

from sfumato.cli.flags import Flags, settings_with
from sfumato.cli.morphing import Going, draw_morph_to_file, planned_morph

PROMPTS = ("a castle in a meadow", "a castle on a beach at sunset", "a rocket in the desert at night")


def main(out: Path) -> None:
    settings = settings_with(None, None)
    going = Going(PROMPTS, frames="45", fps="15", hold="0.8", loop=True)
    plan = planned_morph(going, Flags(seed="7"), None, settings)
    draw_morph_to_file(plan, settings, output=out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
