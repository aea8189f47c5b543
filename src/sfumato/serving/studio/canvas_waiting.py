"""Who presses Draw while a picture is still on its way to the canvas means that picture.

Gradio's canvas reads a file for a moment after it fell on it, and until then has nothing to draw with.
"""

from typing import Final

SCRIPT: Final = """
<script>
(() => {
  const MOST = 5000;  // milliseconds; what is no picture never comes
  let given = -Infinity, held = false;
  const empty = () => document.querySelector("#sf-canvas .empty") !== null;
  const waits = () => performance.now() < given + MOST && empty();
  for (const [kind, where] of [["drop", "#sf-canvas"], ["change", "#sf-canvas input[type=file]"]]) {
    document.addEventListener(kind, (event) => {
      if (event.target.closest?.(where)) { given = performance.now(); }
    }, true);
  }
  // Wherever it is pasted, the canvas takes it.
  document.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) { given = performance.now(); }
  }, true);
  // Before Gradio hears of it.
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("#sf-edit-draw");
    if (!button || !waits()) { return; }
    event.preventDefault();
    event.stopImmediatePropagation();
    if (held) { return; }
    held = true;
    const look = () => {
      if (waits()) { requestAnimationFrame(look); return; }
      held = false;
      button.click();
    };
    look();
  }, true);
})();
</script>
"""
