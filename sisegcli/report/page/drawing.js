// Layers: maps become pictures, and pictures are put over one another on a canvas.

const LAYERS = {
  image: "Image",
  mask: "Mask",
  instances: "Instances",
  truth: "Truth",
  displacement: "Displacement",
  boundary: "Boundary",
};
const VOID = [150, 150, 150];

function channels(colour) {
  return [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16));
}

const PALETTE = table.palette.map(channels);
const CATEGORY_COLOURS = categories.map((category) => channels(category.colour));

/** Colours of the numbers in a map; null: nothing is drawn. */
function coloursOf(image, layer, extra) {
  if (layer === "mask") {
    const known = extra.map((id) => CATEGORY_COLOURS[placeOfCategory.get(id)]);
    return [null, VOID, ...known];
  }
  const chosen = layer === "truth" ? extra : instancesOf(image).map((n) => instances.colour[n]);
  return [null, ...chosen.map((place) => PALETTE[place])];
}

/** Paint a map, each cell `zoom` pixels wide: filled, and outlined where the number changes. */
function paint(map, colours, opacity, only, zoom) {
  const { labels } = map;
  const width = map.width * zoom;
  const height = map.height * zoom;
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  const columns = Int32Array.from({ length: width }, (_, x) => Math.floor(x / zoom));
  const thick = Math.max(width, height) > 500 ? 2 : 1;
  const code = (colour, opaque) => ((Math.round(255 * opaque) << 24) | (colour[2] << 16) | (colour[1] << 8) | colour[0]) >>> 0;
  const chosen = (label) => only === undefined || only === label;
  const fills = colours.map((colour, label) => colour && code(colour, chosen(label) ? opacity : opacity * 0.25));
  const lines = colours.map((colour, label) => colour && code(colour, chosen(label) ? 1 : 0.4));
  for (let y = 0, place = 0; y < height; y++) {
    const row = Math.floor(y / zoom) * map.width;
    const above = y < thick ? row : Math.floor((y - thick) / zoom) * map.width;
    const below = y + thick >= height ? row : Math.floor((y + thick) / zoom) * map.width;
    for (let x = 0; x < width; x++, place++) {
      const column = columns[x];
      const label = labels[row + column];
      if (!colours[label]) continue;
      const left = x < thick ? column : columns[x - thick];
      const right = x + thick >= width ? column : columns[x + thick];
      const edge = labels[above + column] !== label || labels[below + column] !== label
        || labels[row + left] !== label || labels[row + right] !== label;
      pixels[place] = edge ? lines[label] : fills[label];
    }
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}

async function paintLayer(image, layer, opacity, only, room) {
  const map = await mapOf(image, layer);
  if (!map) return null;
  const zoom = Math.max(1, Math.min(4, Math.ceil(room / map.width)));
  return paint(map, coloursOf(image, layer, map.extra), opacity, only < 0 ? undefined : only, zoom);
}

const painted = remember(120, (image, layer) => paintLayer(image, layer, 0.45, -1, 0));


/** Where an image of this shape lies in a canvas, as large as it fits. */
function fit(canvas, width, height) {
  const scale = Math.min(canvas.width / width, canvas.height / height);
  const [w, h] = [width * scale, height * scale];
  return { x: (canvas.width - w) / 2, y: (canvas.height - h) / 2, w, h, scale };
}

/**
 * Draw an image with one layer over it. Where `still()` turns false while something is unpacked, nothing is drawn.
 * Returns where the image lies, or null.
 */
async function draw(canvas, image, layer, { opacity = 0.45, only = -1, large = false, still = () => true } = {}) {
  const map = layer === "mask" || layer === "instances" || layer === "truth";
  const place = fit(canvas, images.width[image] || 4, images.height[image] || 3);
  const [small, over] = await Promise.all([
    pictureOf(image, "image"),
    layer === "image" ? null : !map ? pictureOf(image, layer)
      : large ? paintLayer(image, layer, opacity, only, place.w) : painted(image, layer),
  ]);
  if (!still()) return null;
  const show = (picture) => {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = "high";
    if (picture) context.drawImage(picture, place.x, place.y, place.w, place.h);
    else {
      context.fillStyle = "rgb(128 128 128 / 25%)";
      context.fillRect(place.x, place.y, place.w, place.h);
    }
    if (over) {
      context.globalAlpha = map ? 1 : large ? Math.min(1, 0.55 + opacity) : 1;
      context.drawImage(over, place.x, place.y, place.w, place.h);
      context.globalAlpha = 1;
    }
  };
  show(small);
  if (large && small && images.link[image] && place.w > small.naturalWidth * 1.05) {
    const file = await fileOf(image);
    if (!still()) return null;
    if (file) show(file);
  }
  return place;
}
