// Controls and keys.

let figuresStale = true;

function refresh() {
  const shown = chosenImages();
  const number = shown.reduce((sum, image) => sum + images.count[image], 0);
  const part = shown.length === total ? amount(total, "image") : `${shown.length.toLocaleString("en")} of ${amount(total, "image")}`;
  byId("shown").textContent = `${part} · ${amount(number, "instance")}`;
  gallery.current = 0;
  field.scrollTop = 0;
  showGallery(shown);
  figuresStale = true;
  if (!byId("view-figures").hidden) showFigures();
  for (const row of byId("categories").children) row.setAttribute("aria-pressed", state.categories.has(Number(row.dataset.place)));
  for (const chip of byId("errors").querySelectorAll(".chip")) chip.setAttribute("aria-pressed", state.errors.has(chip.dataset.kind));
}

function showFigures() {
  if (figuresStale) drawFigures(gallery.shown);
  figuresStale = false;
}

function showTab(name) {
  for (const tab of ["images", "figures"]) {
    byId(`tab-${tab}`).setAttribute("aria-selected", tab === name);
    byId(`view-${tab}`).hidden = tab !== name;
  }
  if (name === "figures") showFigures();
  else {
    measure();
    layOut();
  }
}

function setLayer(layer) {
  if (!table.layers.includes(layer)) return;
  state.layer = layer;
  for (const button of document.querySelectorAll(".segments button")) button.setAttribute("aria-checked", button.dataset.layer === layer);
  layOut();
  drawStage();
}

function flip(set, value) {
  if (!set.delete(value)) set.add(value);
  refresh();
}

for (const id of ["layers", "viewer-layers"]) {
  byId(id).append(...table.layers.map((layer, n) =>
    make("button", { role: "radio", "data-layer": layer, "aria-checked": layer === state.layer, title: `Key ${n + 1}`, onclick: () => setLayer(layer) }, LAYERS[layer])));
}
for (const [name, [text, , there]] of Object.entries(SORTS)) if (there) byId("sort").append(make("option", { value: name }, text));
byId("sort").value = state.sort;
byId("sort").addEventListener("change", (event) => {
  state.sort = event.target.value;
  refresh();
});

const uses = categories.map(() => 0);
for (const place of instances.category || []) uses[place]++;
byId("categories").append(
  ...categories
    .map((category, place) => ({ category, place }))
    .filter(({ place }) => uses[place])
    .sort((a, b) => uses[b.place] - uses[a.place] || (a.category.name < b.category.name ? -1 : 1))
    .map(({ category, place }) =>
      make("button", { class: "row", "data-place": place, "aria-pressed": "false", onclick: () => flip(state.categories, place) },
        make("span", { class: "swatch", colour: category.colour }),
        make("span", { class: "name" }, category.name),
        make("span", { class: "number" }, uses[place].toLocaleString("en")))),
);
if (faults) {
  byId("errors").hidden = false;
  byId("errors").querySelector(".chips").append(...ERRORS.map((kind) => {
    const count = faults.filter((image) => image[kind]).length;
    return make("button", { class: "chip", "data-kind": kind, "aria-pressed": "false", title: amount(count, "image"), onclick: () => flip(state.errors, kind) },
      kind, make("b", {}, count.toLocaleString("en")));
  }));
}
byId("doubt-field").hidden = !table.doubt;

byId("search").addEventListener("input", (event) => {
  state.search = event.target.value.trim().toLowerCase();
  refresh();
});
for (const [id, name, none] of [["count-min", "least", 0], ["count-max", "most", Infinity]]) {
  byId(id).addEventListener("input", (event) => {
    state[name] = event.target.value === "" ? none : Number(event.target.value);
    refresh();
  });
}
byId("doubt").addEventListener("input", (event) => {
  state.doubt = event.target.value / 100;
  byId("doubt-value").textContent = percent(state.doubt);
  refresh();
});
byId("reset").addEventListener("click", () => {
  state.categories.clear();
  state.errors.clear();
  Object.assign(state, { search: "", least: 0, most: Infinity, doubt: 0 });
  for (const id of ["search", "count-min", "count-max"]) byId(id).value = "";
  byId("doubt").value = 0;
  byId("doubt-value").textContent = percent(0);
  refresh();
});
byId("tab-images").addEventListener("click", () => showTab("images"));
byId("tab-figures").addEventListener("click", () => showTab("figures"));
byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
byId("close").addEventListener("click", () => dialog.close());
byId("opacity").addEventListener("input", drawStage);
byId("labels").addEventListener("change", drawStage);
dialog.addEventListener("close", () => field.focus());

const KEYS = [
  ["← ↑ ↓ →", "choose an image; in the viewer, the one before or after"],
  ["Enter", "open the image"],
  ["Esc", "close it"],
  [table.layers.map((_, n) => n + 1).join(" "), `layers: ${table.layers.map((layer) => LAYERS[layer].toLowerCase()).join(", ")}`],
  ["n", "names on and off"],
  ["f", "figures, and back"],
  ["/", "search by name"],
  ["?", "this list"],
];
byId("keys").append(...KEYS.flatMap(([key, text]) => [make("dt", {}, key), make("dd", {}, text)]));
const help = byId("help");
byId("help-button").addEventListener("click", () => help.showModal());
byId("help-close").addEventListener("click", () => help.close());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input:not([type=checkbox]):not([type=range]), select");
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const sliding = event.target.matches("input[type=range]");
  const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -gallery.columns, ArrowDown: gallery.columns }[event.key];
  if (move !== undefined && !sliding && !help.open && !byId("view-images").hidden) {
    if (dialog.open) step(Math.sign(move));
    else select(gallery.current + move);
  } else if (event.key === "Enter" && !dialog.open && !event.target.matches("button, summary, option")) openViewer();
  else if (/^[1-9]$/.test(event.key) && table.layers[event.key - 1]) setLayer(table.layers[event.key - 1]);
  else if (event.key === "n" && dialog.open) byId("labels").click();
  else if (event.key === "f" && !dialog.open) showTab(byId("view-figures").hidden ? "figures" : "images");
  else if (event.key === "/" && !dialog.open) byId("search").focus();
  else if (event.key === "?") help.open ? help.close() : help.showModal();
  else return;
  event.preventDefault();
});

if (window.matchMedia("(max-width: 760px)").matches) byId("filters").open = false;
refresh();
if (typeof DecompressionStream === "undefined") byId("shown").textContent = "This browser is too old to unpack masks and instances.";
field.focus();
document.documentElement.dataset.ready = "true";
