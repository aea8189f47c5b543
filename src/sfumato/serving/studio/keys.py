"""What keys do on the whole page: Ctrl-Enter draws; Escape closes what lies over the page, and stops what is
drawn where nothing does.
"""

from importlib.resources import files
from typing import Final

_SCRIPT: Final = files("sfumato.serving.studio") / "scripts" / "keys.js"
KEYS: Final = f"<script>\n{_SCRIPT.read_text(encoding='utf-8')}</script>\n"
