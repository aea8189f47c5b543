"""Where things stand: pictures in one place of a fixed height, in which what is drawn becomes what was drawn,
so that nothing around it moves; and on a small screen right after the button that asks for them. What grows,
as a table or a lesson, has a place that is as high from the beginning, and a line of its own for how it goes.
"""

from typing import Final

#: On a small screen: what was asked for is brought into view, as far as it is not there already.
SCRIPT: Final = """
<script>
document.addEventListener("click", (event) => {
  const asked = event.target.closest && event.target.closest(".row > button.primary.lg");
  const panel = asked && asked.closest("[role=tabpanel]");
  const place = panel && panel.querySelector(".sf-slot, .sf-place:not(.sf-whole)");
  if (!place || place.getBoundingClientRect().left > asked.getBoundingClientRect().right) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  place.scrollIntoView({block: "nearest", behavior: still ? "instant" : "smooth"});
});
</script>
"""
STYLE: Final = """
/* As high as on a phone a square is wide. What is told stands above, and takes of the pictures' height. */
.sf-slot { height: clamp(20rem, min(62vh, 112vw), 44rem); flex: none !important; flex-wrap: nowrap;
  gap: 8px !important; }
/* What grows has the same place at least; what is higher than a screen has a whole one, so that what is below
   is not seen to move. */
.sf-place { min-height: clamp(20rem, min(62vh, 112vw), 44rem); flex: none !important; flex-wrap: nowrap;
  gap: 8px !important; }
.sf-place.sf-whole { min-height: 100vh; }
/* How it goes has its place also when nothing goes; what is drawn is beside it, small. */
.sf-told { min-height: 4rem; flex: none !important; display: flex; flex-direction: column;
  justify-content: center; }
.sf-told .prose { position: relative; }
.sf-told .prose:has(.sf-previews img) { min-height: 4rem; padding-inline-end: 4.75rem; }
.sf-slot > .sf-progress { flex: none !important; max-height: 60%; overflow-y: auto; }
.sf-slot > .sf-progress:not(:has(.prose > *)), .sf-progress > .block:has(.prose:empty) { display: none; }
.sf-slot > .sf-results { flex: 1 1 0 !important; min-height: 0; height: 0 !important; }
.sf-slot .sf-results > .empty { min-height: 0; height: 100%; }
/* Before the first one is there, what is drawn takes the place of the pictures, and all of it is seen. */
.sf-slot:not(:has(.sf-results img)) > .sf-progress:has(.sf-previews img) { flex: 1 1 0 !important;
  max-height: none; min-height: 0; display: flex; }
.sf-slot:not(:has(.sf-results img)) > .sf-progress:has(.sf-previews img) + .sf-results { display: none; }
.sf-slot:not(:has(.sf-results img)) .block:has(.sf-previews img) { flex: 1 1 0; min-height: 0; }
.sf-slot:not(:has(.sf-results img)) .block:has(.sf-previews img) .html-container,
.sf-slot:not(:has(.sf-results img)) .prose:has(.sf-previews img) { height: 100%; display: flex;
  flex-direction: column; }
.sf-slot:not(:has(.sf-results img)) .sf-previews { flex: 1 1 0; height: auto; min-height: 0; padding: 9px; }
/* Then it is beside them, small. */
.sf-slot:has(.sf-results img) .sf-previews { height: 5rem; }
/* As many in a row in either: the more, the smaller. */
.sf-previews:has(img), .sf-slot .grid-container { display: grid !important; gap: 8px; --sf-across: 1;
  grid: auto-flow minmax(6rem, 1fr) / repeat(var(--sf-across), minmax(0, 1fr)) !important; }
.sf-previews:has(> :nth-child(2)), .sf-slot .grid-container:has(> :nth-child(2)) { --sf-across: 2; }
.sf-previews:has(> :nth-child(5)), .sf-slot .grid-container:has(> :nth-child(5)) { --sf-across: 3; }
.sf-previews:has(> :nth-child(10)), .sf-slot .grid-container:has(> :nth-child(10)) { --sf-across: 4; }
.sf-previews { overflow-y: auto; height: 10rem; width: min(100%, 24rem); }
.sf-slot .sf-previews { width: 100%; }
.sf-told .sf-previews { position: absolute; inset-block-start: 0; inset-inline-end: 0; width: 4rem;
  height: 4rem; grid: 4rem / 4rem !important; }
.sf-previews:not(:has(img)) { display: none; }
.sf-previews img { width: 100%; height: 100%; min-height: 0; margin: 0 !important; object-fit: contain;
  border-radius: var(--block-radius); }
.sf-slot .grid-wrap { height: 100%; max-height: none !important; min-height: 0 !important; overflow-y: auto; }
.sf-slot .grid-container { height: 100%; padding-top: 0 !important; }
.sf-slot .gallery-item { min-height: 0; }
.sf-slot .thumbnail-lg { aspect-ratio: auto; border-color: transparent; background: none; box-shadow: none; }
.sf-slot .thumbnail-lg:focus-visible { outline-offset: -3px !important; }
/* Where columns are not side by side: what was asked for comes right after what asked for it. */
@media (max-width: 719px) {
  .row:has(> .column > .row > button.primary.lg) { flex-direction: column; flex-wrap: nowrap; }
  .row:has(> .column > .row > button.primary.lg) > .column { order: 1; flex: none; width: 100%; }
  .row > .column:has(> .row > button.primary.lg) { display: contents; }
  /* What stands below is not what a browser keeps in its place as something comes above it. */
  .column > .row:has(> button.primary.lg) ~ * { order: 2; overflow-anchor: none; }
  .column > .row:has(> button.primary.lg) { flex: none; flex-wrap: nowrap; }
  .column > .row:has(> button.primary.lg) > button { min-width: 0 !important; padding-inline: 8px; }
  /* Its place would be half a screen of nothing. */
  :not(:has(.sf-results img)) + .sf-actions { display: none !important; }
}
/* What stands by itself begins where panels begin. */
.hide-container > .html-container { padding: 0 !important; }
.gr-group .hide-container > .html-container { padding: 10px 12px !important; }
.gr-group > .styler > .hide-container { background: var(--block-background-fill); }  /* not the gaps' */
/* The button that draws is at hand however long the form is. */
.row:has(> #sf-edit-draw) { position: sticky; bottom: 0; z-index: 45; padding: 8px 0;
  background: var(--body-background-fill); }
/* What has the focus is not behind it (WCAG 2.4.11). */
html { scroll-padding-block-end: 5rem; }
/* But for boxes, each of which has fields of its own that it would cover. */
.column:has(#sf-task input[value=place]:checked) > .row:has(> #sf-edit-draw) { position: static; }
/* The handle of a slider over two pictures has letters for arrows. */
.icon-wrap:has(> .icon.left) { color: var(--body-text-color) !important;
  background: var(--block-background-fill) !important; border: 1px solid var(--border-color-primary); }
/* A canvas stands where a picture is asked for; what was put on it stays. */
.column:has(#sf-task input[value=mix]:checked) > #sf-canvas,
.column:has(#sf-task input[value=place]:checked):not(:has(#sf-begin input:checked)) > #sf-canvas {
  display: none; }
/* Where it is only looked at, what is done with it is to be in sight too. */
.column:has(#sf-task input:is([value=extend], [value=follow]):checked) > #sf-canvas { max-height: 22rem; }
/* What stops something stands out while there is something. */
[role=tabpanel]:not(:has(.sf-bar)) .row > button.stop.lg { background: none; box-shadow: none;
  color: var(--body-text-color); border: 1px solid var(--border-color-primary); }
.sf-slot .caption-label { border: 0; }
"""
