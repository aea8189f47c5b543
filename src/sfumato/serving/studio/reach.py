"""For who has no mouse: a way past the tabs, arrow keys between them, and places that a finger can hit."""

from html import escape
from typing import Final

from sfumato.serving.studio.words import Words

SCRIPT: Final = """
<script>
document.addEventListener("keydown", (event) => {
  // As the pattern for tabs has it (WAI-ARIA Authoring Practices), but that every tab is reached by Tab too.
  const tab = event.target.closest && event.target.closest("[role=tab]");
  if (!tab || event.ctrlKey || event.altKey || event.metaKey) return;
  const all = [...tab.closest("[role=tablist]").querySelectorAll("[role=tab]:not([aria-disabled=true])")];
  const at = all.indexOf(tab);
  const to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1}[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const next = all[(to + all.length) % all.length];
  next.click();
  next.focus();
});
document.addEventListener("click", (event) => {
  if (!event.target.closest || !event.target.closest(".sf-skip")) return;
  event.preventDefault();
  const panel = [...document.querySelectorAll("[role=tabpanel]")].find((one) => one.offsetParent !== null);
  const fields = panel ? [...panel.querySelectorAll("textarea, input, button, a[href]")] : [];
  const first = fields.find((one) => one.offsetParent !== null && !one.disabled);
  if (first) first.focus();
});
</script>
"""
STYLE: Final = """
.sf-skip { position: absolute; left: -99rem; z-index: 9; padding: .8rem 1rem; border-radius: 6px;
  background: var(--button-secondary-background-fill); color: var(--button-secondary-text-color) !important; }
.sf-skip:focus { left: .5rem; top: .5rem; }
/* What nobody typed does not look as if it were. */
input::placeholder, textarea::placeholder { font-style: italic; opacity: 1; }
/* What is chosen from a list ends before its arrow. */
.secondary-wrap > input { padding-right: 1.25rem !important; text-overflow: ellipsis; }
/* WCAG 2.2, 2.5.8: 24 pixels at least, for every pointer. */
a.download-link, button.icon-button { min-width: 24px; min-height: 24px; display: inline-flex;
  align-items: center; justify-content: center; }
/* Tabs that have no room beside the others stand below; Gradio's lines are for rows of another height. */
.tab-wrapper.wrap { height: auto !important; }
.tab-container.wrap { background: none !important; }
/* Narrow screens have no room to give away: 8 pixels at each side there, Gradio's own 32 from 880 on. Not in
a rule for a width: Gradio keeps those to what is inside of this. */
.main.fillable { padding-inline: clamp(8px, 5vw - 12px, 32px) !important; }
@media (pointer: coarse), (max-width: 640px) {
  /* 2.5.5: 44 pixels, where fingers are what points. */
  button, button.icon-button, a.download-link, [role=tab], [role=option],
  label:has(> input:is([type=radio], [type=checkbox])),
  input:not([type=range], [type=radio], [type=checkbox]), select, textarea { min-height: 44px; }
  button.icon-button { min-width: 44px; }
  .tab-container.wrap [role=tab] { padding: 0 7px; font-size: .875rem; }
  .tab-like-container { height: auto !important; }  /* a slider's number, and what sets it back */
  input:is([role=listbox], [role=combobox]) { min-height: 32px; }  /* with the frame around it, 44 and more */
  .label-wrap { align-items: center; }  /* Gradio's arrow is as wide as it is high */
  .label-wrap.open { margin-bottom: 0; }
  /* The canvas: its label, below it the row of buttons, and the tools within it. */
  #sf-canvas { height: 22rem !important; }
  #sf-canvas .top-panel { top: 27px !important; max-width: 100%; }
  #sf-canvas .top-panel button.icon-button { min-width: 40px; }
  #sf-canvas .toolbar-wrap { top: auto !important; bottom: 8px; transform: none; }
  .sf-slide label { order: 3; min-width: 100%; }
  .sf-slide output { min-width: 0; }
}
"""


def skip_link(words: Words) -> str:
    """Return a link, seen when it has the focus, to the first thing of the tab that is open."""
    return f'<a class="sf-skip" href="#">{escape(words("skip"))}</a>'
