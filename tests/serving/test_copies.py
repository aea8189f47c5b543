"""What Gradio remembers of its files, by counts: what grows, and what is forgotten."""

import os
import threading
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.route_utils import delete_files_created_by_app

from sfumato.serving.copies import Copies


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def page_of(parts: int) -> tuple[gr.Blocks, list[gr.Image]]:
    with gr.Blocks(analytics_enabled=False) as page:
        return page, [gr.Image(format="png") for _ in range(parts)]


def show(part: gr.Image, shade: int) -> Path:
    """Have a part show a picture, as after a handler, and return the file that Gradio wrote for it."""
    shown: Any = part.postprocess(np.full((4, 4, 3), shade, np.uint8))
    path = Path(shown.path)
    part.temp_files.add(str(path))
    return path


def known(page: gr.Blocks) -> set[str]:
    """Return what Gradio goes through when it removes what is old."""
    sets: list[Any] = page.temp_file_sets
    return {one for names in sets for one in names}


def test_names_of_files_that_are_gone_are_forgotten() -> None:
    page, (left, right) = page_of(2)
    copies = Copies()
    copies.add(page)
    files = [show(left, shade) for shade in range(20)]
    for file in files:
        right.temp_files.add(str(file))  # the same file, in another part
    page.upload_file_set.update(f"/nowhere/{number}.jpg" for number in range(50))
    copies.tidy()
    assert known(page) == {str(one) for one in files}
    assert page.upload_file_set == set()
    for file in files[5:]:
        file.unlink()
    copies.tidy()
    assert known(page) == left.temp_files == right.temp_files == {str(one) for one in files[:5]}
    # What Gradio removes itself is gone from all of them.
    delete_files_created_by_app(page, None)
    assert not any(one.exists() for one in files)
    copies.tidy()
    assert known(page) == left.temp_files == right.temp_files == set()


def test_the_newest_page_looks_after_the_files_of_all_before() -> None:
    copies, files = Copies(), list[Path]()
    pages: list[gr.Blocks] = []
    for number in range(12):
        page, (part,) = page_of(1)
        copies.add(page)
        files.append(show(part, number))
        pages.append(page)
        if number >= 2:
            copies.remove(pages.pop(0))
        copies.tidy()
        assert [len(one.temp_file_sets) for one in pages] == [1] * len(pages)
    assert known(pages[-1]) == {str(one) for one in files}
    # A page of before takes nothing with it as it ends.
    delete_files_created_by_app(pages[0], None)
    assert all(one.is_file() for one in files)
    delete_files_created_by_app(pages[-1], None)
    assert not any(one.exists() for one in files)


def test_a_page_that_is_served_again_keeps_its_names() -> None:
    page, (part,) = page_of(1)
    first = Copies()
    first.add(page)
    file = show(part, 1)
    again = Copies()
    again.add(page)
    assert known(page) == {str(file)}
    other = show(part, 2)
    again.tidy()
    assert known(page) == {str(file), str(other)}


def test_names_that_are_added_meanwhile_stay(folder: Path) -> None:
    page, (part,) = page_of(1)
    copies = Copies()
    copies.add(page)
    part.temp_files.update(f"/nowhere/{number}" for number in range(5000))
    written = [folder / f"{number}.png" for number in range(500)]

    def write() -> None:
        for one in written:
            one.write_bytes(b"")
            part.temp_files.add(str(one))

    thread = threading.Thread(target=write)
    thread.start()
    while thread.is_alive():
        copies.tidy()
    thread.join()
    copies.tidy()
    assert part.temp_files == {str(one) for one in written}


def test_files_that_are_links_to_nowhere_are_there_to_be_removed(folder: Path) -> None:
    page, (part,) = page_of(1)
    copies = Copies()
    copies.add(page)
    os.symlink("/nowhere", folder / "link")
    part.temp_files.add(str(folder / "link"))
    copies.tidy()
    assert known(page) == {str(folder / "link")}
