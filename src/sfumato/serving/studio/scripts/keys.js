// Keys of the whole page: Ctrl-Enter draws, Escape closes what lies over the page, or else stops.
(() => {
  const seen = (one) => one.checkVisibility();
  const first = (selector) => [...document.querySelectorAll(selector)].find(seen);
  // The one that is nearest to where somebody types, on the tab that is open.
  const press = (place, selector) => {
    for (; place; place = place.parentElement) {
      const one = [...place.querySelectorAll(selector)].find((button) => button.offsetParent !== null);
      if (one) { one.click(); return; }
    }
  };
  const elsewhere = () => {
    for (const kind of ["mousedown", "click"]) {
      document.body.dispatchEvent(new MouseEvent(kind, { bubbles: true }));
    }
  };
  const escape = (one) => {
    one.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", code: "Escape", bubbles: true }));
  };
  // What may be open, the uppermost first, and what closes it where Gradio does not.
  const OVER = [
    ["[role=listbox], dialog[open]", null],
    ["#sf-canvas :is(.wrap.padded, .wrap.color_picker), .overflow-dropdown:not(.hide)", elsewhere],
    [".block.fullscreen", null],
    [".preview:has(.media-button)", (one, event) => { if (!one.contains(event.target)) { escape(one); } }],
  ];
  let closed = false;
  // Before Gradio hears of it: afterwards nothing is open any more.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !event.isTrusted) { return; }
    const found = OVER.map(([selector, close]) => [first(selector), close]).find(([one]) => one);
    closed = found !== undefined;
    if (closed && found[1]) { found[1](found[0], event); }
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || !event.isTrusted) { return; }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      press(event.target, "#sf-generate, #sf-edit-draw, #sf-grid-draw, .sf-go");
    }
    if (event.key === "Escape" && !closed) { press(event.target, "#sf-stop, #sf-grid-stop, .sf-stop"); }
  });
})();
