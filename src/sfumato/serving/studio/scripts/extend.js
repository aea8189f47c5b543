// A picture in a frame whose sides are dragged outwards. `props.value` has the picture (an address, or ""), its
// `width` and `height`, the pixels added at `left`, `right`, `top` and `bottom`, the `step` in which they change,
// and the limits `most_side` and `most_pixels` of the whole.
const SIDES = ["left", "right", "top", "bottom"];
const OPPOSITE = { left: "right", right: "left", top: "bottom", bottom: "top" };
const LARGE = 32;
const texts = props.texts;
const stage = element.querySelector(".sf-stage");
const paper = stage.querySelector(".sf-paper");
const picture = stage.querySelector("img");
const empty = stage.querySelector(".sf-stage-empty");
const told = element.querySelector("output");
const help = element.querySelector(".sf-stage-help");
const handles = [...stage.querySelectorAll("[data-sides]")];
let held = null; // what is dragged, and how the view stood when it began

const filled = (text, ...values) => values.reduce((all, value, at) => all.replaceAll(`{${at}}`, value), text);
const lying = (side) => side === "left" || side === "right";
const length = (v, sideways) => (sideways ? v.width + v.left + v.right : v.height + v.top + v.bottom);

// The most that may be added at a side: what the whole may have, less what is there already.
const most = (v, side) => {
  const across = length(v, !lying(side));
  const whole = Math.min(v.most_side, Math.floor(v.most_pixels / across));
  return Math.max(0, Math.floor((whole - length(v, lying(side)) + v[side]) / v.step) * v.step);
};
const limited = (v, side, pixels) => Math.min(Math.max(Math.round(pixels / v.step) * v.step, 0), most(v, side));

const change = (sides) => {
  const v = { ...props.value };
  for (const [side, pixels] of Object.entries(sides)) v[side] = limited(v, side, pixels);
  if (SIDES.every((side) => v[side] === props.value[side])) return;
  props.value = v;
  show();
  trigger("input");
};

const view = (v) => {
  const wide = length(v, true);
  const high = length(v, false);
  const fit = (room) =>
    Math.min(stage.clientWidth / (wide + 2 * room), stage.clientHeight / (high + 2 * room));
  if (held !== null) {
    // The picture stays where it is under the hand, as long as everything can be seen.
    const { scale, x, y } = held.view;
    const inside =
      x - v.left * scale >= 0 && x + (wide - v.left) * scale <= stage.clientWidth &&
      y - v.top * scale >= 0 && y + (high - v.top) * scale <= stage.clientHeight;
    if (inside) return held.view;
  }
  const scale = fit(held === null ? Math.max(v.width, v.height) / 4 : Math.max(wide, high) / 40);
  return {
    scale,
    x: (stage.clientWidth - wide * scale) / 2 + v.left * scale,
    y: (stage.clientHeight - high * scale) / 2 + v.top * scale,
  };
};

const put = (one, left, top, width, height) => {
  one.style.left = `${left}px`;
  one.style.top = `${top}px`;
  if (width !== undefined) one.style.width = `${width}px`;
  if (height !== undefined) one.style.height = `${height}px`;
};

const show = () => {
  const v = props.value;
  if (!v || !stage.clientWidth) return;
  const now = view(v);
  const wide = length(v, true) * now.scale;
  const high = length(v, false) * now.scale;
  const left = now.x - v.left * now.scale;
  const top = now.y - v.top * now.scale;
  put(paper, left, top, wide, high);
  const inner = v.picture ? picture : empty;
  picture.hidden = !v.picture;
  empty.hidden = Boolean(v.picture);
  if (v.picture && picture.getAttribute("src") !== v.picture) picture.src = v.picture;
  put(inner, now.x, now.y, v.width * now.scale, v.height * now.scale);
  const size = filled(texts.size, length(v, true), length(v, false));
  for (const one of handles) {
    const sides = one.dataset.sides.split(" ");
    const x = sides.includes("left") ? left : sides.includes("right") ? left + wide : left + wide / 2;
    const y = sides.includes("top") ? top : sides.includes("bottom") ? top + high : top + high / 2;
    put(one, x, y);
    if (sides.length > 1) continue;
    one.setAttribute("aria-valuemax", most(v, sides[0]));
    one.setAttribute("aria-valuenow", v[sides[0]]);
    one.setAttribute("aria-valuetext", `${filled(texts.pixels, v[sides[0]])}, ${size}`);
  }
  help.textContent = filled(texts.help, v.step);
  const added = SIDES.some((side) => v[side] > 0);
  told.textContent = added ? `${filled(texts.from, v.width, v.height)} ${size}` : size;
};

for (const one of handles) {
  const sides = one.dataset.sides.split(" ");
  if (sides.length === 1) one.setAttribute("aria-label", texts[sides[0]]);
  one.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    one.focus({ preventScroll: true });
    one.setPointerCapture(event.pointerId);
    held = { view: view(props.value), from: { ...props.value }, x: event.clientX, y: event.clientY };
    stage.classList.add("sf-held");
  });
  one.addEventListener("pointermove", (event) => {
    if (held === null || !one.hasPointerCapture(event.pointerId)) return;
    const across = (event.clientX - held.x) / held.view.scale;
    const down = (event.clientY - held.y) / held.view.scale;
    const outwards = { left: -across, right: across, top: -down, bottom: down };
    change(Object.fromEntries(sides.map((side) => [side, held.from[side] + outwards[side]])));
  });
  one.addEventListener("lostpointercapture", () => {
    held = null;
    stage.classList.remove("sf-held");
    show();
  });
  if (sides.length > 1) continue;
  one.addEventListener("keydown", (event) => {
    const [side] = sides;
    const v = props.value;
    const step = event.shiftKey ? Math.max(LARGE, v.step) : v.step;
    // Arrows move the edge to where they point; those across it add and take away.
    const outwards = { left: "ArrowLeft", right: "ArrowRight", top: "ArrowUp", bottom: "ArrowDown" };
    const more = lying(side) ? [outwards[side], "ArrowUp"] : [outwards[side], "ArrowRight"];
    const less = lying(side) ? [outwards[OPPOSITE[side]], "ArrowDown"] : [outwards[OPPOSITE[side]], "ArrowLeft"];
    const pixels = more.includes(event.key) ? v[side] + step
      : less.includes(event.key) ? v[side] - step
      : event.key === "PageUp" ? v[side] + 2 * LARGE
      : event.key === "PageDown" ? v[side] - 2 * LARGE
      : event.key === "Home" ? 0
      : null;
    if (pixels === null) return;
    event.preventDefault();
    change({ [side]: pixels });
  });
}

empty.textContent = texts.empty;
stage.setAttribute("aria-label", texts.name);
watch("value", show);
new ResizeObserver(show).observe(stage);
show();
