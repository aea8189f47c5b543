// Boxes on a frame, each with a prompt: drawn, moved and resized, or typed as numbers. `props.value` has `boxes`
// (prompt, left, top, width, height in shares of the sides), and of the frame `picture`, `width`, `height`.
const PLACE = ["left", "top", "width", "height"];
const LEAST = 0.05; // of a side: less cannot be taken hold of
const STEP = 0.05; // of the arrow keys
const texts = props.texts;
const frame = element.querySelector(".sf-frame");
const picture = frame.querySelector("img");
const hint = frame.querySelector(".sf-stage-empty");
const told = element.querySelector("output");
const add = element.querySelector(".sf-box-add");
const marks = [...frame.querySelectorAll(".sf-box")];
const rows = [...element.querySelectorAll(".sf-box-row")];
let held = null; // what is dragged: a box, by which corner, and from where

const filled = (text, ...values) => values.reduce((all, value, at) => all.replaceAll(`{${at}}`, value), text);
const rounded = (share) => Math.round(share * 100) / 100;
const within = (share, low, high) => Math.min(Math.max(share, low), Math.max(low, high));
const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : 0);

// A box from corner to corner, inside the frame.
const spanned = (x, y, toX, toY) => {
  const left = rounded(within(Math.min(x, toX), 0, 1 - LEAST));
  const top = rounded(within(Math.min(y, toY), 0, 1 - LEAST));
  return {
    left,
    top,
    width: rounded(within(Math.max(x, toX) - left, LEAST, 1 - left)),
    height: rounded(within(Math.max(y, toY) - top, LEAST, 1 - top)),
  };
};
const moved = (box, x, y) => ({
  left: rounded(within(x, 0, 1 - number(box.width))),
  top: rounded(within(y, 0, 1 - number(box.height))),
});

const keep = (boxes) => {
  props.value = { ...props.value, boxes };
  show();
  trigger("input");
};
const change = (at, news) =>
  keep(props.value.boxes.map((box, number) => (number === at ? { ...box, ...news } : box)));
const say = (at) => {
  const box = props.value.boxes[at];
  const shares = PLACE.map((one) => Math.round(number(box[one]) * 100));
  told.textContent = `${filled(texts.box, at + 1)}: ${filled(texts.place, ...shares)}`;
};
const append = (box) => {
  if (props.value.boxes.length === marks.length) {
    told.textContent = texts.most;
    return -1;
  }
  keep([...props.value.boxes, { prompt: "", ...box }]);
  return props.value.boxes.length - 1;
};
const remove = (at) => {
  keep(props.value.boxes.filter((_, number) => number !== at));
  told.textContent = filled(texts.removed, at + 1);
  (rows[Math.min(at, props.value.boxes.length - 1)]?.querySelector("input") ?? add).focus();
};

const show = () => {
  const v = props.value;
  if (!v) return;
  frame.style.aspectRatio = `${v.width} / ${v.height}`;
  // High pictures take as much of the page's height as wide ones do, and no more.
  frame.style.maxWidth = `min(100%, calc(22rem * ${v.width / v.height}))`;
  picture.hidden = !v.picture;
  if (v.picture && picture.getAttribute("src") !== v.picture) picture.src = v.picture;
  hint.hidden = v.boxes.length > 0;
  add.disabled = v.boxes.length >= marks.length;
  marks.forEach((mark, at) => {
    const box = v.boxes[at];
    mark.hidden = rows[at].hidden = box === undefined;
    if (box === undefined) return;
    for (const one of PLACE) mark.style[one] = `${100 * number(box[one])}%`;
    mark.setAttribute("aria-label", `${filled(texts.box, at + 1)}: ${box.prompt}`);
    for (const field of rows[at].querySelectorAll("input")) {
      // What somebody types in stays as they typed it.
      if (field !== document.activeElement) field.value = box[field.dataset.field] ?? "";
    }
  });
};

const at = (event) => {
  const place = frame.getBoundingClientRect();
  return [(event.clientX - place.left) / place.width, (event.clientY - place.top) / place.height];
};

frame.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || held !== null) return;
  event.preventDefault();
  const [x, y] = at(event);
  const mark = event.target.closest(".sf-box");
  const corner = event.target.closest("[data-corner]");
  frame.setPointerCapture(event.pointerId);
  if (mark === null) {
    held = { kind: "draw", box: -1, x, y };
    return;
  }
  const number = marks.indexOf(mark);
  const box = props.value.boxes[number];
  mark.focus({ preventScroll: true });
  if (corner === null) {
    held = { kind: "move", box: number, x: x - box.left, y: y - box.top };
    return;
  }
  // The corner that stays.
  const [across, down] = corner.dataset.corner.split(" ");
  held = {
    kind: "draw",
    box: number,
    x: across === "left" ? box.left + box.width : box.left,
    y: down === "top" ? box.top + box.height : box.top,
  };
});
frame.addEventListener("pointermove", (event) => {
  if (held === null || !frame.hasPointerCapture(event.pointerId)) return;
  const [x, y] = at(event);
  if (held.box >= 0 && props.value.boxes[held.box] === undefined) {
    held = null; // removed meanwhile
  } else if (held.kind === "move") {
    change(held.box, moved(props.value.boxes[held.box], x - held.x, y - held.y));
  } else if (held.box >= 0) {
    change(held.box, spanned(held.x, held.y, x, y));
  } else if (Math.abs(x - held.x) > LEAST / 2 && Math.abs(y - held.y) > LEAST / 2) {
    const box = append(spanned(held.x, held.y, x, y));
    held = box < 0 ? null : { ...held, box, drawn: true };
  }
});
frame.addEventListener("lostpointercapture", () => {
  const was = held;
  held = null;
  if (was !== null && was.box >= 0 && props.value.boxes[was.box] !== undefined) {
    say(was.box);
    if (was.drawn) rows[was.box].querySelector("input").focus({ preventScroll: true });
  }
});

marks.forEach((mark, at) => {
  mark.setAttribute("aria-roledescription", texts.role);
  mark.addEventListener("keydown", (event) => {
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      remove(at);
      return;
    }
    const ways = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const way = ways[event.key];
    if (way === undefined) return;
    event.preventDefault();
    const box = props.value.boxes[at];
    const [left, top, width, height] = PLACE.map((one) => number(box[one]));
    if (event.shiftKey) {
      change(at, spanned(left, top, left + Math.max(width + way[0], LEAST), top + Math.max(height + way[1], LEAST)));
    } else {
      change(at, moved(box, left + way[0], top + way[1]));
    }
    say(at);
  });
});
rows.forEach((row, at) => {
  row.setAttribute("aria-label", filled(texts.box, at + 1));
  for (const field of row.querySelectorAll("input")) {
    const name = field.dataset.field;
    field.setAttribute("aria-label", `${filled(texts.box, at + 1)}: ${texts[name]}`);
    if (name === "prompt") field.placeholder = texts.prompt_hint;
    else field.previousElementSibling.textContent = texts[name];
    field.addEventListener("input", () => {
      const typed = field.value === "" ? null : Number(field.value);
      change(at, { [name]: name === "prompt" ? field.value : typed });
    });
  }
  const button = row.querySelector("button");
  button.textContent = texts.remove;
  button.setAttribute("aria-label", `${texts.remove}: ${filled(texts.box, at + 1)}`);
  button.addEventListener("click", () => remove(at));
});
add.textContent = texts.add;
add.addEventListener("click", () => {
  // Beside the last one: halves of the frame, then quarters of it.
  const free = [[0, 0, 0.5, 1], [0.5, 0, 0.5, 1], [0.25, 0, 0.5, 0.5], [0.25, 0.5, 0.5, 0.5]];
  const [left, top, width, height] = free[props.value.boxes.length % free.length];
  const box = append({ left, top, width, height });
  if (box >= 0) rows[box].querySelector("input").focus();
});

hint.textContent = texts.empty;
element.querySelector(".sf-stage-help").textContent = texts.help;
frame.setAttribute("aria-label", texts.name);
watch("value", show);
show();
