from dataclasses import replace

from sfumato.cli.speed_tables import cold_text, large_text, report_text, short, warm_text
from speed_reports import REPORT


def test_cold() -> None:
    assert REPORT.cold is not None
    assert cold_text(REPORT.cold).splitlines() == [
        "COLD: 'a frog on a beach', 128x128, 20 steps of ddim, guidance 2, model bundled; sfumato draws with "
        "openvino cpu bfloat16; n = 3",
        "                    START TO PICTURE     TO THE END          PEAK MEMORY  FASTER",
        "sfumato             0.960 [0.900, 1.02]  1.04 [0.975, 1.10]  200 MB       8.00x [7.50, 8.50]",
        "sfumato, first run  1.20 [1.12, 1.27]    1.60 [1.50, 1.70]   210 MB       6.40x [6.00, 6.80]",
        "diffusers           7.68 [7.20, 8.16]    8.00 [7.50, 8.50]   -            -",
        "seconds of sfumato: start 0.250, import 0.200, save 0.010",
        "a first run finds no stored graphs: it compiles them, and stores them after its picture",
        "modules of torch's stack in sfumato: none",
        "the two pictures are equal",
    ]
    alone = replace(REPORT.cold, diffusers=None, ratio=None, first_ratio=None, psnr=None, modules=("torch",))
    assert "diffusers" not in cold_text(alone)
    assert "in sfumato: torch" in cold_text(alone)
    assert "41.2 dB PSNR apart" in cold_text(replace(REPORT.cold, psnr=41.23))


def test_warm() -> None:
    assert REPORT.warm is not None
    lines = warm_text(REPORT.warm).splitlines()
    assert [word.strip() for word in lines[2].split("  ") if word] == [
        "sfumato openvino bfloat16",
        "1",
        "123 [116, 131]",
        "3.20x [3.00, 3.40]",
        "5.00 [4.69, 5.31]",
        "3.10x [2.91, 3.29]",
        "10.0 [9.38, 10.6]",
        "2.00x [1.88, 2.12]",
    ]
    assert lines[4].split()[-7:] == ["1.50x", "[1.41,", "1.59]", "-", "-", "-", "-"]
    assert warm_text(replace(REPORT.warm, rows=())).endswith("GAIN")


def test_large() -> None:
    assert REPORT.large is not None
    text = large_text(REPORT.large)
    assert "a guided step is 1.607 TFLOP, a decoding 2.515; n = 3" in text
    assert "20 STEPS*" in text
    assert "* put together: encoding, 20 times a step, decoding" in text
    assert "69 %" in text
    assert "5.40 GB" in text
    assert "FASTER THAN diffusers float32" in text
    assert "FASTER THAN diffusers bfloat16" not in text
    assert "openvino bfloat16  matmul  704 [660, 748]" in text
    real = [replace(row, extrapolated=False) for row in REPORT.large.rows]
    assert "*" not in large_text(replace(REPORT.large, rows=tuple(real)))


def test_the_whole_report() -> None:
    text = report_text(REPORT)
    first, second, *_ = text.splitlines()
    assert first == "A processor (avx2), 2 cores, 24.0 GB of memory, Linux 6"
    assert second == "python 3.11.9, sfumato 0.1.0, openvino 2026.4.1"
    assert "load at the start: 0.50, 0.25, 0.12" in text
    assert "other processes took 20.0 % of the processor" in text
    assert all(word in text for word in ("COLD", "WARM", "LARGE", "Measured in 100 s."))
    bare = report_text(replace(REPORT, cold=None, warm=None, large=None))
    assert not any(word in bare for word in ("COLD", "WARM", "LARGE"))


def test_numbers_have_three_digits() -> None:
    assert [short(value) for value in (0.012345, 0.5, 4.6, 12.34, 195.2, 1155.4, 0.0)] == [
        "0.0123",
        "0.500",
        "4.60",
        "12.3",
        "195",
        "1155",
        "0",
    ]
