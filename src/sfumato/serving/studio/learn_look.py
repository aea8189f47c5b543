"""How the tab Learn moves and looks: the script of what it shows, and its rules.

Bound to Gradio's component, so no part of a page is asked of the server while a slider moves.
"""

from typing import Final

from sfumato.imaging.plots import LEFT, RIGHT, WIDTH

# Bound to the component, which stays when its content changes. x of a step is the rule of `line_plot`.
# `put` is where somebody put the slider, of how many places: there it stays when as many are drawn again.
# Gradio 6.31 writes what is drawn again into the elements of what was there: a slider that was moved would
# stay while its pictures begin anew.
SCRIPT: Final = f"""
const show = (group, step) => {{
  for (const one of group.querySelectorAll("[data-step]"))
    one.hidden = !one.dataset.step.split(" ").includes(String(step));
  const slider = group.querySelector("input[type=range]");
  if (slider) {{
    slider.value = step;
    const label = group.querySelector("output [data-step]:not([hidden])");
    if (label) slider.setAttribute("aria-valuetext", label.textContent);
    const last = Number(slider.max);
    const x = {LEFT} + (last ? step / last : 0) * {WIDTH - LEFT - RIGHT};
    for (const line of group.querySelectorAll(".marker")) {{
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
    }}
  }}
  for (const one of group.querySelectorAll("[data-pick]"))
    one.setAttribute("aria-pressed", String(one.dataset.pick === String(step)));
}};
const playing = new Map();
const stop = (button) => {{
  clearInterval(playing.get(button));
  playing.delete(button);
  button.textContent = button.dataset.play;
}};
let put = null;
const remember = (slider) => {{ put = {{step: Number(slider.value), max: slider.max}}; }};
const seen = new WeakMap();
new MutationObserver(() => {{
  for (const group of element.querySelectorAll(".sf-group")) {{
    const slider = group.querySelector("input[type=range]");
    const source = group.querySelector("img")?.src;
    if (!slider || seen.get(group) === source) continue;
    seen.set(group, source);
    [...playing.keys()].forEach(stop);
    if (put?.max !== slider.max) put = null;
    show(group, put ? put.step : Number(slider.defaultValue));
  }}
}}).observe(element, {{subtree: true, childList: true, attributes: true, attributeFilter: ["src"]}});
element.addEventListener("input", (event) => {{
  const group = event.target.closest(".sf-group");
  if (!group) return;
  if (event.target.type === "range") {{
    show(group, Number(event.target.value));
    remember(event.target);
  }}
  if (event.target.type === "checkbox") show(group, event.target.checked ? 1 : 0);
}});
element.addEventListener("click", (event) => {{
  const button = event.target.closest("button");
  const group = button && button.closest(".sf-group");
  if (!group) return;
  if (button.dataset.pick !== undefined) show(group, Number(button.dataset.pick));
  if (button.dataset.play === undefined) return;
  const slider = group.querySelector("input[type=range]");
  if (playing.has(button)) {{
    stop(button);
    remember(slider);
    return;
  }}
  put = null;
  const last = Number(slider.max);
  show(group, Number(slider.value) === last ? 0 : Number(slider.value));
  button.textContent = button.dataset.pause;
  playing.set(button, setInterval(() => {{
    if (!button.isConnected || Number(slider.value) >= last) {{ stop(button); return; }}
    show(group, Number(slider.value) + 1);
  }}, Math.max(60, Math.min(350, 6000 / (last + 1)))));
}});
"""
STYLE: Final = """
.sf-learn { color: var(--body-text-color); display: flow-root; }
.sf-learn [hidden] { display: none !important; }
/* Flush with the fields around it. */
.html-container:has(> .prose > .sf-learn), #sf-learn-examples .html-container { padding: 0 !important; }
.sf-learn h2 { font-size: 1.15rem; margin: 1.2rem 0 .4rem; color: var(--body-text-color); }
.sf-learn h3 { font-size: 1rem; margin: .2rem 0; color: var(--body-text-color); }
.sf-learn p { max-width: 48rem; margin: .4rem 0; }
.sf-learn .sf-source, .sf-learn figcaption, .sf-learn dt { color: var(--body-text-color-subdued);
  font-size: .875rem; }
.sf-learn figure { margin: 0; }
.sf-learn img { display: block; width: 100%; height: auto; border-radius: 4px; margin: 0; }
.sf-learn img.sf-coarse { image-rendering: pixelated; }
.sf-learn svg { display: block; overflow: visible; width: 100%; height: auto; max-width: 26rem; }
.sf-learn .sf-lesson-of span { color: var(--body-text-color-subdued); }
.sf-nothing { border: 1px dashed var(--border-color-primary); border-radius: 8px; padding: .4rem 1rem; }
.sf-nothing ol { padding-left: 1.4rem; margin: .4rem 0; list-style: decimal; }
.sf-nothing li { margin: .3rem 0 1rem; color: var(--body-text-color); }
/* Frames where it will stand: pieces of the prompt, four pictures, arrows. */
.sf-frames { display: flex; flex-wrap: wrap; gap: .4rem; margin: .5rem 0; }
.sf-frames i { width: 3.4rem; height: 2.6rem; border-radius: 6px;
  border: 1px dashed var(--border-color-primary); }
li:nth-child(2) > .sf-frames { display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fit, minmax(min(11rem, 44%), 1fr)); }
li:nth-child(2) > .sf-frames i { width: auto; height: auto; aspect-ratio: 1; max-width: 24rem; }
li:nth-child(3) > .sf-frames i { width: min(100%, 26rem); height: 12rem; }
li:nth-child(3) > .sf-frames i ~ i { display: none; }
.sf-slide { display: flex; flex-wrap: wrap; gap: .5rem .9rem; align-items: center; margin: .5rem 0; }
/* The slider stays in sight while its curves and arrows are looked at. */
.gradio-container { overflow: clip !important; }
#sf-learn-steps > .sf-slide { position: sticky; top: 0; z-index: 5; padding: .4rem 0; margin: 0;
  background: var(--body-background-fill); }
.sf-slide label { display: flex; flex: 1; gap: .7rem; align-items: center; min-width: 12rem; }
.sf-slide input[type=range] { flex: 1; min-width: 6rem; min-height: 2.75rem;
  accent-color: var(--slider-color); }
.sf-slide output { min-width: 7rem; font-variant-numeric: tabular-nums; }
.sf-learn button { margin: 0 !important; padding: .3rem .9rem; min-height: 2.75rem; border-radius: 6px;
  cursor: pointer; border: 1px solid var(--border-color-primary);
  background: var(--button-secondary-background-fill); color: var(--button-secondary-text-color); }
.sf-learn button[aria-pressed=true] { border-color: var(--color-accent);
  box-shadow: 0 0 0 2px var(--color-accent); }
.sf-four { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(11rem, 44%), 1fr)); gap: .8rem; }
.sf-four > * { max-width: 24rem; }
.sf-two { display: grid; grid-template-columns: repeat(2, minmax(0, 24rem)); gap: .8rem; }
/* Headings of one line and of two have their pictures side by side all the same. */
.sf-column { display: grid; grid-template-rows: subgrid; grid-row: span 3; gap: .4rem; }
#sf-learn-examples { flex-wrap: wrap; align-items: center; gap: .5rem; }
#sf-learn-examples > * { flex: 0 0 auto; width: auto; min-width: 0 !important; }
.sf-plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(19rem, 100%), 1fr));
  gap: 1rem; }
.sf-beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr));
  gap: 1rem 2rem; align-items: start; }
.sf-now { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .2rem 1rem;
  margin: .6rem 0; }
.sf-now dd { margin: 0; font-variant-numeric: tabular-nums; }
.sf-chips-row { display: flex; flex-wrap: wrap; gap: .4rem; padding: 0; margin: .4rem 0; list-style: none; }
.sf-token { padding: .2rem .6rem; border-radius: 6px; border: 1px solid var(--border-color-primary);
  display: inline-flex; flex-direction: column; align-items: center; margin: 0; }
.sf-token small { color: var(--body-text-color-subdued); font-variant-numeric: tabular-nums; }
.sf-token.sf-mark { border-style: dashed; }
"""
