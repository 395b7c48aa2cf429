// The gallery: only the cards in sight exist, so that ten thousand images scroll as ten do.

const GAP = 14;
const CAPTION = 34;

const gallery = {
  shown: [],
  current: 0, // place in `shown`
  cards: new Map(),
  columns: 1,
  width: 0,
  height: 0,
};

const field = byId("gallery");
const space = make("div", { class: "space" });
field.append(space);

function measure() {
  const style = getComputedStyle(field);
  const room = Math.max(120, field.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
  gallery.columns = Math.max(1, Math.floor((room + GAP) / (room < 420 ? 160 : 226)));
  gallery.width = (room - GAP * (gallery.columns - 1)) / gallery.columns;
  gallery.height = Math.round(gallery.width * 0.75) + CAPTION;
  const rows = Math.ceil(gallery.shown.length / gallery.columns);
  space.style.height = `${rows * (gallery.height + GAP) + 8}px`;
}

function card(image) {
  const flags = make("div", { class: "flags" });
  if (faults && faultTotal(image)) {
    const kinds = ERRORS.filter((kind) => faults[image][kind]).map((kind) => `${faults[image][kind]} ${kind}`);
    flags.append(make("span", { class: "flag bad", title: kinds.join(", ") }, kinds.length > 1 ? amount(faultTotal(image), "error") : kinds[0]));
  }
  const caption = make("div", { class: "caption" }, make("span", { class: "name", title: images.stem[image] }, images.stem[image]));
  if (timed && state.sort === "seconds") caption.append(make("span", { class: "number" }, `${images.seconds[image].toFixed(2)} s`));
  caption.append(make("span", { class: "number", title: amount(images.count[image], "instance") }, String(images.count[image])));
  if (table.doubt) {
    const bar = make("i");
    bar.style.width = percent(images.doubt[image]).replace(" ", "");
    caption.append(make("span", { class: "meter", title: `doubt ${percent(images.doubt[image])}` }, bar));
  }
  const canvas = make("canvas");
  const element = make("div", { class: "card", role: "option", "data-image": image }, canvas, caption, flags);
  return { element, canvas, layer: null, image };
}

/** Make the cards in sight, and a few around, and drop all others. */
function layOut() {
  const step = gallery.height + GAP;
  const first = Math.max(0, Math.floor(field.scrollTop / step) - 1) * gallery.columns;
  const last = Math.min(gallery.shown.length, (Math.ceil((field.scrollTop + field.clientHeight) / step) + 1) * gallery.columns);
  const wanted = new Set(gallery.shown.slice(first, last));
  for (const [image, { element }] of gallery.cards) {
    if (!wanted.has(image)) {
      element.remove();
      gallery.cards.delete(image);
    }
  }
  for (let place = first; place < last; place++) {
    const image = gallery.shown[place];
    let one = gallery.cards.get(image);
    if (!one) {
      one = card(image);
      gallery.cards.set(image, one);
      space.append(one.element);
    }
    const [row, column] = [Math.floor(place / gallery.columns), place % gallery.columns];
    const style = one.element.style;
    style.width = `${gallery.width}px`;
    style.height = `${gallery.height}px`;
    style.left = `${column * (gallery.width + GAP)}px`;
    style.top = `${row * step + 3}px`;
    one.element.classList.toggle("current", place === gallery.current);
    one.element.setAttribute("aria-selected", place === gallery.current);
    if (one.layer !== state.layer || one.wide !== gallery.width) {
      one.layer = state.layer;
      one.wide = gallery.width;
      const ratio = Math.min(2, window.devicePixelRatio || 1);
      one.canvas.width = Math.round(gallery.width * ratio);
      one.canvas.height = Math.round((gallery.height - CAPTION) * ratio);
      const layer = state.layer;
      draw(one.canvas, image, layer, { still: () => one.layer === layer && gallery.cards.get(image) === one });
    }
  }
}

let planned = false;
function planLayout() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    layOut();
  });
}

function showGallery(shown) {
  gallery.shown = shown;
  gallery.current = Math.min(gallery.current, Math.max(0, shown.length - 1));
  for (const { element } of gallery.cards.values()) element.remove();
  gallery.cards.clear();
  byId("nothing").hidden = shown.length > 0;
  field.hidden = shown.length === 0;
  measure();
  layOut();
}

function select(place, scroll = true) {
  if (!gallery.shown.length) return;
  gallery.current = Math.max(0, Math.min(gallery.shown.length - 1, place));
  if (scroll) {
    const step = gallery.height + GAP;
    const top = Math.floor(gallery.current / gallery.columns) * step;
    if (top < field.scrollTop) field.scrollTop = top;
    else if (top + step > field.scrollTop + field.clientHeight) field.scrollTop = top + step - field.clientHeight;
  }
  layOut();
}

field.addEventListener("scroll", planLayout, { passive: true });
field.addEventListener("click", (event) => {
  const element = event.target.closest(".card");
  if (!element) return;
  select(gallery.shown.indexOf(Number(element.dataset.image)), false);
  openViewer();
});
new ResizeObserver(() => {
  measure();
  planLayout();
}).observe(field);
