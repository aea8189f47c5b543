"""A report on speed with invented figures, for tests of what is made of one."""

import math

from sfumato.evaluation.speed.figures import Spread
from sfumato.evaluation.speed.machine import Machine
from sfumato.evaluation.speed.report import (
    ColdReport,
    Cost,
    LargeReport,
    LargeRow,
    Peak,
    Report,
    Side,
    Subject,
    WarmReport,
    WarmRow,
)
from sfumato.evaluation.speed.turns import Memory

SUBJECT = Subject("bundled", "a frog on a beach", 128, 128, 20, 2.0, 0.0, 7)


def around(median: float) -> Spread:
    return Spread(median, 0.9375 * median, 1.0625 * median, 3)


def _large_row(name: str, factor: float, share: float | None) -> LargeRow:
    def cost(seconds: float) -> Cost:
        ratios = {} if name == "diffusers float32" else {"diffusers float32": around(factor)}
        return Cost(around(seconds / factor), ratios)

    return LargeRow(
        contestant=name,
        load_seconds=3.0,
        encode=cost(0.09),
        step=cost(9.36),
        decode=cost(11.0),
        picture=cost(198.0),
        extrapolated=True,
        memory=Memory(5_400_000_000, None),
        step_share=share,
    )


REPORT = Report(
    machine=Machine(
        processor="A processor",
        abilities=("avx2",),
        cores=2,
        memory_bytes=24_000_000_000,
        system="Linux 6",
        python="3.11.9",
        libraries={"sfumato": "0.1.0", "openvino": "2026.4.1"},
        load=(0.5, 0.25, 0.125),
    ),
    quick=True,
    cold=ColdReport(
        subject=SUBJECT,
        backend="openvino cpu bfloat16",
        sfumato=Side(around(0.96), around(1.04), around(200e6)),
        first=Side(around(1.2), around(1.6), around(210e6)),
        diffusers=Side(around(7.68), around(8.0), None),
        ratio=around(8.0),
        first_ratio=around(6.4),
        stages={"start": 0.25, "import": 0.2, "preview": 0.0, "save": 0.01},
        modules=(),
        psnr=math.inf,
    ),
    warm=WarmReport(
        subject=SUBJECT,
        load_seconds={"sfumato openvino bfloat16": 0.5, "diffusers float32": 6.0},
        rows=(
            WarmRow(
                *("sfumato openvino bfloat16", 1, around(123.456789), around(5.0), around(3.2), around(3.1)),
                *(around(10.0), around(2.0)),
            ),
            WarmRow("diffusers float32", 1, around(38.6), around(1.6), None, None),
            WarmRow("onnxruntime float32", 1, around(60.0), None, around(1.5), None),
        ),
    ),
    large=LargeReport(
        architecture="Stable Diffusion 1.5",
        side=512,
        steps=20,
        num_weights=1_066_235_307,
        step_flops=1_606_546_882_560,
        decode_flops=2_514_518_933_504,
        peaks=(Peak("openvino", "bfloat16", "matmul", around(704.0)),),
        rows=(
            _large_row("diffusers float32", 1.0, None),
            _large_row("sfumato openvino bfloat16", 3.6, 0.69),
        ),
    ),
    others={"cold": 0.01, "warm": 0.2, "large": None},
    notes=("onnxruntime is left out.",),
    seconds=100.0,
)
