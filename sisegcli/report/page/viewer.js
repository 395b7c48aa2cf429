// One image, as large as the window: its layers, its instances, its errors.

const viewer = { only: -1, pinned: -1, place: null, turn: 0 };
const ROWS = 300; // instances in the list
const dialog = byId("viewer");
const stage = byId("canvas");

function currentImage() {
  return gallery.shown[gallery.current];
}

function openViewer() {
  if (!gallery.shown.length) return;
  viewer.only = viewer.pinned = -1;
  if (!dialog.open) {
    dialog.showModal();
    dialog.focus();
  }
  showImage();
}

function step(by) {
  viewer.only = viewer.pinned = -1;
  select(gallery.current + by);
  showImage();
}

function fact(text, kind = "") {
  return make("div", { class: kind }, text);
}

function showImage() {
  const image = currentImage();
  byId("name").textContent = images.stem[image];
  const size = images.width[image] ? `${images.width[image]} × ${images.height[image]} pixels · ` : "";
  byId("place").textContent = `${size}${gallery.current + 1} of ${gallery.shown.length}`;
  const facts = [];
  if (table.doubt) facts.push(fact(`Doubt ${percent(images.doubt[image])}`));
  if (images.seconds[image] > 0) facts.push(fact(`${images.seconds[image].toFixed(2)} s`));
  if (faults) {
    const wrong = ERRORS.filter((kind) => faults[image][kind]).map((kind) => `${faults[image][kind]} ${kind}`);
    if (wrong.length) facts.push(fact(wrong.join(", "), "bad"));
    else facts.push(fact("No errors"));
  }
  byId("facts").replaceChildren(...facts);
  const mine = instancesOf(image);
  byId("instances").replaceChildren(...mine.slice(0, ROWS).map((n, place) => instanceRow(n, place + 1)));
  if (mine.length > ROWS) byId("instances").append(make("p", { class: "quiet" }, `… and ${amount(mine.length - ROWS, "instance")} with lower scores`));
  drawStage();
}

function instanceRow(n, label) {
  const tags = [];
  if (table.judged && instances.right[n] === 0) tags.push(make("span", { class: "tag bad" }, "spurious"));
  if (table.judged && instances.merged[n]) tags.push(make("span", { class: "tag bad" }, "merged"));
  return make(
    "button",
    {
      class: "row", "aria-pressed": "false", "data-label": label,
      onmouseenter: () => light(label), onmouseleave: () => light(viewer.pinned),
      onclick: () => {
        viewer.pinned = viewer.pinned === label ? -1 : label;
        light(viewer.pinned);
      },
    },
    make("span", { class: "swatch", colour: table.palette[instances.colour[n]] }),
    make("span", { class: "name" }, categories[instances.category[n]].name),
    ...tags,
    make("span", { class: "number", title: `${instances.area[n].toLocaleString("en")} pixels` }, instances.score[n].toFixed(2)),
  );
}

function light(label) {
  viewer.only = label;
  for (const row of byId("instances").querySelectorAll(".row")) row.setAttribute("aria-pressed", Number(row.dataset.label) === viewer.pinned);
  drawStage();
}

async function drawStage() {
  if (!dialog.open) return;
  const turn = ++viewer.turn;
  const image = currentImage();
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(stage.clientWidth * ratio), Math.round(stage.clientHeight * ratio)];
  if (stage.width !== width) stage.width = width;
  if (stage.height !== height) stage.height = height;
  const still = () => turn === viewer.turn;
  const only = state.layer === "instances" ? viewer.only : -1;
  viewer.place = await draw(stage, image, state.layer, { opacity: byId("opacity").value / 100, only, large: true, still });
  if (!viewer.place || !still()) return;
  const middles = await middlesOf(image);
  if (!still()) return;
  const taken = []; // boxes with writing in them
  const free = (box) => {
    const [x, y, w, h] = box;
    if (taken.some((other) => x < other[0] + other[2] && other[0] < x + w && y < other[1] + other[3] && other[1] < y + h)) return false;
    taken.push(box);
    return true;
  };
  const named = byId("labels").checked;
  if (state.layer === "instances" && named) drawNames(image, ratio, middles, free);
  if (faults && (state.layer === "instances" || state.layer === "truth")) drawErrors(image, ratio, (box) => named && free(box));
}

/** The middle of the longest run of each instance, as parts of the image: a place inside it, and mostly a wide one. */
const middlesOf = remember(60, async (image) => {
  const map = await mapOf(image, "instances");
  const best = instancesOf(image).map(() => ({ length: 0, x: 0.5, y: 0.5 }));
  if (!map) return best;
  for (let y = 0; y < map.height; y++) {
    for (let x = 0; x < map.width; ) {
      const label = map.labels[y * map.width + x];
      const start = x;
      while (x < map.width && map.labels[y * map.width + x] === label) x++;
      if (label && x - start > best[label - 1].length) {
        best[label - 1] = { length: x - start, x: (start + x) / 2 / map.width, y: (y + 0.5) / map.height };
      }
    }
  }
  return best;
});

/** Write the names and scores of instances, the largest first, where there is room. */
function drawNames(image, ratio, middles, free) {
  const context = stage.getContext("2d");
  const { x, y, w: wide, h: high, scale } = viewer.place;
  const size = 12.5 * ratio;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const order = instancesOf(image).sort((a, b) => instances.area[b] - instances.area[a]);
  for (const n of order) {
    const width = instances.box[n][3];
    const middle = middles[n - images.first[image]];
    const text = `${categories[instances.category[n]].name} ${instances.score[n].toFixed(2)}`;
    const w = context.measureText(text).width + size;
    const h = size * 1.55;
    if (width * scale < 0.5 * w && order.length > 8) continue;
    const box = [x + middle.x * wide - w / 2, y + middle.y * high - h / 2, w, h];
    box[0] = Math.max(x, Math.min(x + wide - w, box[0]));
    box[1] = Math.max(y, Math.min(y + high - h, box[1]));
    if (!free(box)) continue;
    const [red, green, blue] = PALETTE[instances.colour[n]];
    context.fillStyle = `rgb(${red} ${green} ${blue} / 92%)`;
    context.beginPath();
    context.roundRect(...box, size * 0.35);
    context.fill();
    context.fillStyle = 0.299 * red + 0.587 * green + 0.114 * blue > 120 ? "#101014" : "#fff";
    context.fillText(text, box[0] + size / 2, box[1] + h / 2 + ratio * 0.5);
  }
}

/** Frame the true objects that are missed or split. */
function drawErrors(image, ratio, free) {
  const context = stage.getContext("2d");
  const { x, y, scale } = viewer.place;
  const [missed, split] = errorsOf(image);
  context.lineWidth = 2 * ratio;
  context.font = `600 ${12 * ratio}px system-ui, sans-serif`;
  context.textBaseline = "top";
  for (const [kind, boxes, dash] of [["missed", missed, [7, 5]], ["split", split, [2, 4]]]) {
    for (const [place, top, left, height, width] of boxes) {
      const corner = [x + left * scale, y + top * scale];
      context.strokeStyle = "#ff5a4f";
      context.setLineDash(dash.map((length) => length * ratio));
      context.strokeRect(...corner, width * scale, height * scale);
      context.setLineDash([]);
      const text = `${kind}: ${categories[place].name}`;
      const tag = [...corner, context.measureText(text).width + 8 * ratio, 17 * ratio];
      if (!free(tag)) continue;
      context.fillStyle = "rgb(150 25 18 / 88%)";
      context.fillRect(...tag);
      context.fillStyle = "#fff";
      context.fillText(text, corner[0] + 4 * ratio, corner[1] + 3 * ratio);
    }
  }
}

/** Say what is under the pointer. */
stage.addEventListener("mousemove", async (event) => {
  const hint = byId("hint");
  const layer = state.layer === "mask" ? "mask" : "instances";
  const image = currentImage();
  const map = viewer.place && (await mapOf(image, layer));
  hint.hidden = true;
  if (!map || image !== currentImage()) return;
  const ratio = window.devicePixelRatio || 1;
  const { x, y, w, h } = viewer.place;
  const column = Math.floor(((event.offsetX * ratio - x) / w) * map.width);
  const row = Math.floor(((event.offsetY * ratio - y) / h) * map.height);
  if (column < 0 || row < 0 || column >= map.width || row >= map.height) return;
  const label = map.labels[row * map.width + column];
  if (!label) return;
  if (layer === "mask") {
    hint.textContent = label === 1 ? "ignored" : categories[placeOfCategory.get(map.extra[label - 2])].name;
  } else {
    const n = images.first[image] + label - 1;
    hint.textContent = `${categories[instances.category[n]].name} · ${instances.score[n].toFixed(3)} · ${instances.area[n].toLocaleString("en")} pixels`;
  }
  hint.hidden = false;
  hint.style.left = `${Math.min(event.offsetX + 14, stage.clientWidth - hint.offsetWidth - 6)}px`;
  hint.style.top = `${event.offsetY + 16}px`;
});
stage.addEventListener("mouseleave", () => { byId("hint").hidden = true; });
new ResizeObserver(() => drawStage()).observe(stage);
