"""The tabs there are, in the order in which they stand: a new one is a file, and a row here.

Its module has `build(desk, words, look)`, which makes the tab in the place that is open, and returns its
parts by name. What stands on the tab is the word `tab_NAME`, or the name.
"""

from collections.abc import Mapping
from typing import Final

#: The name of each tab, as looks write it, and the module of this package that builds it.
TABS: Final[Mapping[str, str]] = {
    "create": "create",
    "edit": "edit",
    "learn": "learn",
    "grid": "grid_tab",
    "gallery": "gallery_tab",
    "models": "models_tab",
}
