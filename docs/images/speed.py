"""Draw speed.svg from the report of `sfumato bench --json`: python docs/images/speed.py speed.json"""

import json
import sys
from pathlib import Path
from typing import Any

WIDTH, LABEL, BAR, GAP, HEAD = 860, 230, 20, 8, 44
OURS, THEIRS = "#4c6a92", "#c9a36a"
STAGES = {
    "start": "#2f4760",
    "import": "#3d5a7d",
    "load": "#4c6e99",
    "encode": "#6a8bb3",
    "steps": "#8aa7c9",
    "decode": "#aec4dd",
    "save": "#cfdcea",
}
Bar = tuple[str, list[tuple[str, float]], str]  # a name, parts of a colour and a length each, and a remark


def panel(title: str, unit: str, bars: list[Bar], top: int) -> tuple[list[str], int]:
    """Return the SVG of one chart whose bars share a scale, and where the next one begins."""
    longest = max(sum(length for _, length in parts) for _, parts, _ in bars)
    scale = (WIDTH - LABEL - 190) / longest
    lines = [f'<text x="0" y="{top + 16}" class="title">{title}</text>']
    y = top + HEAD - 14
    for name, parts, remark in bars:
        lines.append(f'<text x="{LABEL - 8}" y="{y + 15}" text-anchor="end">{name}</text>')
        x = float(LABEL)
        for colour, length in parts:
            lines.append(
                f'<rect x="{x:.1f}" y="{y}" width="{length * scale:.1f}" height="{BAR}" fill="{colour}"/>'
            )
            x += length * scale
        whole = sum(length for _, length in parts)
        lines.append(f'<text x="{x + 6:.1f}" y="{y + 15}">{whole:.3g} {unit}{remark}</text>')
        y += BAR + GAP
    return lines, y + 14


def cold(report: dict[str, Any]) -> list[Bar]:
    """Return the bars of fresh processes, with Sfumato's stages where it finds stored graphs."""
    stages = [(STAGES[name], seconds) for name, seconds in report["stages"].items() if name in STAGES]
    factor = report["sfumato"]["seconds"]["median"] / sum(length for _, length in stages)
    bars: list[Bar] = [
        ("sfumato", [(colour, length * factor) for colour, length in stages], times(report["ratio"])),
        (
            "sfumato, first run",
            [(OURS, report["first"]["seconds"]["median"])],
            times(report["first_ratio"]),
        ),
    ]
    if report["diffusers"] is not None:
        bars.append(("diffusers", [(THEIRS, report["diffusers"]["seconds"]["median"])], ""))
    return bars


def times(ratio: dict[str, float] | None) -> str:
    """Return ", 3.1 times as fast"."""
    return "" if ratio is None else f", {ratio['median']:.1f} times as fast"


def colour_of(name: str) -> str:
    return OURS if name.startswith("sfumato") else THEIRS


def main(source: str) -> None:
    """Write speed.svg beside this file."""
    report = json.loads(Path(source).read_text(encoding="utf-8"))
    charts: list[tuple[str, str, list[Bar]]] = [
        ("A fresh process, to its picture on disk", "s", cold(report["cold"])),
        (
            "Bundled model, loaded: guided steps of one picture in a second",
            "",
            [
                (row["contestant"], [(colour_of(row["contestant"]), row["steps_per_second"]["median"])], "")
                for row in report["warm"]["rows"]
                if row["batch"] == 1
            ],
        ),
        (
            "Size of Stable Diffusion 1.5, 512x512: seconds for one guided step",
            "s",
            [
                (row["contestant"], [(colour_of(row["contestant"]), row["step"]["seconds"]["median"])], "")
                for row in report["large"]["rows"]
            ],
        ),
    ]
    top, body = 8, []
    for title, unit, bars in charts:
        lines, top = panel(title, unit, bars, top)
        body += lines
        if title.startswith("A fresh"):
            x = LABEL
            for name, colour in STAGES.items():
                body.append(f'<rect x="{x}" y="{top - 10}" width="10" height="10" fill="{colour}"/>')
                body.append(f'<text x="{x + 14}" y="{top - 1}" class="key">{name}</text>')
                x += 70
            top += 26
    style = "text{font:13px sans-serif;fill:#333}.title{font-weight:bold;font-size:15px}.key{font-size:12px}"
    size = f'viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}"'
    picture = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f'<style>{style}</style><rect width="100%" height="100%" fill="#fff"/>',
        *body,
        "</svg>",
    ]
    Path(__file__).with_suffix(".svg").write_text("\n".join(picture) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
