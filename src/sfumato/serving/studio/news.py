"""What the page is told about its look while it is open: that it was changed, or cannot be used.

The page asks at `PLACE`. When the look that is worn is not the one it was made in, it asks for its paint at
`PAINT` and puts it on; where the look has other words or parts, it loads itself again, with all that is typed
(see `keeping`). What people should know stands in a bar that can be closed.
"""

import json
from collections.abc import Sequence
from typing import Final

from sfumato.serving.studio.keeping import BUTTON
from sfumato.serving.studio.look import Dressed
from sfumato.serving.studio.theme import fonts_of_machine
from sfumato.serving.studio.words import words_of

PLACE: Final = "/sfumato/look"
PAINT: Final = "/sfumato/paint"
HEADING: Final = "sf-heading"  # the part of the page with its title
GROUND: Final = "sf-ground"  # the element with the rules that come before all style sheets
_EVERY: Final = 500  # milliseconds between two questions

_SCRIPT: Final = """
<script>
(() => {
  const look = %(look)s;
  document.documentElement.lang = look.language;
  let closed = "", told = [];
  const missing = () => {
    const pen = document.createElement("canvas").getContext("2d");
    const wide = (family) => { pen.font = "40px " + family; return pen.measureText("mmWWil10Qg&").width; };
    const none = (name) => ["serif", "monospace"].every((one) => wide(`"${name}", ${one}`) === wide(one));
    return look.fonts.filter(([name]) => none(name)).map((one) => one[1]);
  };
  const bar = (lines, label, act) => {
    document.getElementById("sf-news")?.remove();
    if (!lines.length) { return; }
    const made = document.createElement("aside");
    made.id = "sf-news";
    const text = document.createElement("div");
    text.setAttribute("role", "status");
    for (const line of lines) {
      text.append(Object.assign(document.createElement("p"), {textContent: line}));
    }
    const button = Object.assign(document.createElement("button"), {type: "button", textContent: label});
    button.addEventListener("click", act);
    made.append(text, button);
    (document.querySelector(".gradio-container") ?? document.body).append(made);
  };
  const tell = (lines) => {
    told = lines;
    const all = [...lines, ...missing()];
    const said = JSON.stringify(all);
    if (said === closed) { return; }
    bar(all, look.close, () => { closed = said; bar([]); });
  };
  const renew = () => {
    const button = document.getElementById("%(button)s");
    button ? button.click() : location.reload();
  };
  // A picture that somebody brought, or painted on, is not kept. Gradio's canvas says when it is empty.
  // Neither are boxes.
  const painted = () => document.querySelector("#sf-boxes .sf-box-row:not([hidden])") !== null ||
    [...document.querySelectorAll(".image-container")]
      .some((one) => one.querySelector(".pixi-target") && !one.querySelector(".empty"));
  // What Gradio (6.31) does with rules of a page as it opens, so that they are worth the same.
  const ruled = async (rules) => {
    const module = document.querySelector('link[rel=modulepreload][href*="/assets/core-"]');
    const container = document.querySelector(".gradio-container");
    const version = /gradio-container-([\\w-]+)/.exec(container.className)[1];
    return (await import(module.href)).prefix_css(rules, version);
  };
  // Put the look on the page as it is. Returns whether that was done: where Gradio has its rules in other
  // places, the page has to be loaded again.
  const paint = async () => {
    const answer = await fetch("." + look.paint, {cache: "no-store"});
    const made = await answer.json();
    try {
      const rules = await ruled(made.rules);
      const sheet = [...document.head.querySelectorAll("style")]
        .find((one) => one.textContent.includes("#sf-news {"));
      const theme = document.querySelector('#sf-theme, link[href*="/theme.css"]');
      const [ground, heading] = ["%(ground)s", "%(heading)s"].map((one) => document.getElementById(one));
      const title = heading.querySelector(".sf-title");
      if (made.built !== look.built || !sheet || !ground || !title) { return false; }
      const variables = {id: "sf-theme", textContent: made.theme};
      theme.replaceWith(Object.assign(document.createElement("style"), variables));
      ground.textContent = made.ground;
      sheet.textContent = rules;
      title.outerHTML = made.heading;
      document.title = made.title;
      Object.assign(look, {made: made.made, fonts: made.fonts});
      return true;
    } catch { return false; }
  };
  let busy = false;
  const ask = async () => {
    if (document.hidden || busy) { return; }
    busy = true;
    try {
      const answer = await fetch("." + look.place, {cache: "no-store"});
      const news = answer.ok ? await answer.json() : {made: look.made, notes: told};
      if (news.made === look.made) {
        if (JSON.stringify(news.notes) !== JSON.stringify(told)) { tell(news.notes); }
      } else if (news.built === look.built && await paint()) {
        tell(news.notes);
      } else if (painted()) {
        clearInterval(asking);
        bar([look.changed], look.show, renew);
      } else {
        clearInterval(asking);
        renew();
      }
    } catch { /* The studio is closed, or opens again. */ }
    busy = false;
  };
  const asking = look.live ? setInterval(ask, %(every)d) : 0;
  const begin = () => tell(look.notes);
  document.readyState === "complete" ? begin() : window.addEventListener("load", begin);
})();
</script>
"""

STYLE: Final = """
#sf-news { position: fixed; z-index: 1000; left: 0; right: 0; bottom: 0; display: flex; gap: 16px;
  align-items: center; justify-content: center; padding: 10px 16px; background: var(--body-background-fill);
  color: var(--body-text-color); border-top: 4px solid var(--error-border-color); }
#sf-news p { margin: 2px 0; color: var(--body-text-color); overflow-wrap: anywhere; }
#sf-news button { min-height: 32px; padding: 4px 14px; border-radius: var(--button-small-radius, 6px);
  border: 1px solid var(--button-primary-border-color); cursor: pointer;
  background: var(--button-primary-background-fill); color: var(--button-primary-text-color); }
"""


def script_of(dressed: Dressed, made: str, built: str) -> str:
    """Return the script of a page in this look, which was put together as `built`, and painted as `made`. It
    goes on asking where the look has a source that may change.
    """
    words = words_of(dressed.look)
    look = {
        "made": made,
        "built": built,
        "live": dressed.source is not None,
        "notes": dressed.notes,
        "place": PLACE,
        "paint": PAINT,
        "language": dressed.look.language,
        "fonts": fonts_of(dressed),
        **{name: words(f"look_{name}") for name in ("close", "changed", "show")},
    }
    return _SCRIPT % {
        "look": json.dumps(look).replace("<", "\\u003c"),
        "button": BUTTON,
        "every": _EVERY,
        "ground": GROUND,
        "heading": HEADING,
    }


def fonts_of(dressed: Dressed) -> list[tuple[str, str]]:
    """Return the fonts that the page looks for in its browser, and what it says where one is not there."""
    words = words_of(dressed.look)
    return [(name, words("look_font", name)) for name in fonts_of_machine(dressed)]


def answer_of(made: str, built: str, notes: Sequence[str]) -> bytes:
    """Return what the page is answered."""
    return json.dumps({"made": made, "built": built, "notes": [*notes]}).encode()
