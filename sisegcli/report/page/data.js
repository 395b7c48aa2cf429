// The page's data: the table of images and instances, and pictures and maps, unpacked when they are asked for.

const table = JSON.parse(document.getElementById("table").textContent);
const images = table.images;
const instances = table.instances;
const categories = table.categories;
const total = images.stem.length;
const placeOfCategory = new Map(categories.map((category, place) => [category.id, place]));

/** Keep the results of `make` for the keys asked for last. */
function remember(limit, make) {
  const kept = new Map();
  return (...key) => {
    const name = key.join(" ");
    let value = kept.get(name);
    if (value === undefined) value = make(...key);
    kept.delete(name);
    kept.set(name, value);
    if (kept.size > limit) kept.delete(kept.keys().next().value);
    return value;
  };
}

const chunkOf = remember(24, (number) => JSON.parse(document.getElementById(`chunk-${number}`).textContent));

/** What the page holds of an image: base64 by layer. */
function contentOf(image) {
  return chunkOf(Math.floor(image / table.chunk))[image % table.chunk];
}

function bytesOf(text) {
  return Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
}

/** Unpack a map: numbers of instances or categories, row by row. */
async function unpack(packed) {
  const stream = new Blob([bytesOf(packed.z)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const labels = new { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array }[packed.b](buffer); // little-endian, as all browsers are
  for (let i = packed.w; i < labels.length; i++) labels[i] += labels[i - packed.w]; // rows are differences
  return { labels, width: packed.w, height: packed.h, extra: packed.c };
}

const mapOf = remember(120, async (image, layer) => {
  const packed = contentOf(image)[layer];
  return packed ? unpack(packed) : null;
});

function loadImage(address) {
  return new Promise((resolve) => {
    const picture = new Image();
    picture.onload = () => resolve(picture);
    picture.onerror = () => resolve(null);
    picture.src = address;
  });
}

/** The small picture of an image, or its file where the page has none. */
const pictureOf = remember(160, async (image, layer) => {
  const code = contentOf(image)[layer];
  if (code) return loadImage(`data:image/jpeg;base64,${code}`);
  return layer === "image" && images.link[image] ? loadImage(images.link[image]) : null;
});

/** The file of an image, where the page knows where it is. */
const fileOf = remember(8, async (image) => (images.link[image] ? loadImage(images.link[image]) : null));

function errorsOf(image) {
  return table.errors[image] || [[], []];
}

/** Numbers of the instances of an image, in the table. */
function instancesOf(image) {
  const first = images.first[image];
  return Array.from({ length: images.count[image] }, (_, n) => first + n);
}

function percent(value) {
  return `${Math.round(100 * value)} %`;
}

function amount(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** Make an element with text in it; no text ever becomes markup. */
function make(name, attributes = {}, ...inside) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") element.className = value;
    else if (key === "colour") element.style.background = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...inside);
  return element;
}

/** Make an element of a picture, likewise. */
function svg(name, attributes, ...inside) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}

function panel(title, text, content, wide = false) {
  return make("section", { class: wide ? "panel wide" : "panel" }, make("h2", {}, title), make("p", {}, text), content);
}

const byId = (id) => document.getElementById(id);
