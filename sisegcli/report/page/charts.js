// Figures of the images that pass the filters: counts, sizes, scores, calibration.

const SIDES = [8, 16, 32, 64, 128, 256, 512];
const SIDE_NAMES = ["< 8", ...SIDES.slice(0, -1).map((side, n) => `${side}–${SIDES[n + 1]}`), "≥ 512"];
const BINS = 10;

function sizeBin(area) {
  const side = Math.sqrt(area);
  let bin = 0;
  while (bin < SIDES.length && side >= SIDES[bin]) bin++;
  return bin;
}

/** Bars without axes, for a table. */
function sparkline(counts, colour, names) {
  const width = 13, height = 26, most = Math.max(1, ...counts);
  const bars = counts.map((count, n) => {
    const tall = count ? Math.max(2, (height * count) / most) : 0;
    const bar = svg("rect", { x: n * width, y: height - tall, width: width - 2, height: tall, rx: 1.5 },
      svg("title", {}, `${names[n]} pixels: ${count}`));
    bar.style.fill = colour;
    return bar;
  });
  const line = svg("line", { x1: 0, x2: counts.length * width - 2, y1: height + 0.5, y2: height + 0.5, class: "axis" });
  return svg("svg", { width: counts.length * width, height: height + 2, role: "img", "aria-label": counts.join(", ") }, line, ...bars);
}

function histogram(counts, names, unit) {
  const width = 420, height = 170, foot = 22, most = Math.max(1, ...counts), step = width / counts.length;
  const parts = [svg("line", { x1: 0, x2: width, y1: height + 0.5, y2: height + 0.5, class: "axis" })];
  counts.forEach((count, n) => {
    const tall = count ? Math.max(1.5, ((height - 16) * count) / most) : 0;
    parts.push(
      svg("rect", { x: n * step + 1.5, y: height - tall, width: step - 3, height: tall, rx: 2, class: "mark" },
        svg("title", {}, `${names[n]}: ${amount(count, unit)}`)),
      svg("text", { x: (n + 0.5) * step, y: height - tall - 4, "text-anchor": "middle" }, count ? count.toLocaleString("en") : ""),
      svg("text", { x: (n + 0.5) * step, y: height + 15, "text-anchor": "middle" }, names[n]),
    );
  });
  return svg("svg", { viewBox: `0 0 ${width} ${height + foot}`, width: "100%", role: "img", "aria-label": counts.join(", ") }, ...parts);
}

/** How often instances of a score are right: the diagonal is a score that can be taken at its word. */
function calibration(found) {
  const judged = found.filter((n) => instances.right[n] >= 0);
  const bins = Array.from({ length: BINS }, () => ({ count: 0, right: 0, score: 0 }));
  for (const n of judged) {
    const bin = bins[Math.min(BINS - 1, Math.floor(instances.score[n] * BINS))];
    bin.count++;
    bin.right += instances.right[n];
    bin.score += instances.score[n];
  }
  const size = 250, left = 34, foot = 32, most = Math.max(1, ...bins.map((bin) => bin.count));
  const x = (value) => left + value * size, y = (value) => 8 + (1 - value) * size;
  const parts = [];
  for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(
      svg("line", { x1: x(0), x2: x(1), y1: y(tick), y2: y(tick), class: "axis" }),
      svg("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, String(tick)),
      svg("text", { x: x(tick), y: y(0) + 15, "text-anchor": "middle" }, String(tick)),
    );
  }
  bins.forEach((bin, n) => {
    const tall = (0.3 * size * bin.count) / most;
    parts.push(svg("rect", { x: x(n / BINS) + 1, y: y(0) - tall, width: size / BINS - 2, height: tall, class: "faint" }));
  });
  parts.push(svg("line", { x1: x(0), y1: y(0), x2: x(1), y2: y(1), class: "ideal" }));
  const known = bins.filter((bin) => bin.count);
  const points = known.map((bin) => [x(bin.score / bin.count), y(bin.right / bin.count)]);
  parts.push(svg("polyline", { points: points.map((point) => point.join(",")).join(" "), class: "line" }));
  known.forEach((bin, n) => {
    parts.push(svg("circle", { cx: points[n][0], cy: points[n][1], r: 4, class: "mark" },
      svg("title", {}, `score ${(bin.score / bin.count).toFixed(2)}: ${bin.right} of ${bin.count} are right`)));
  });
  parts.push(svg("text", { x: x(0.5), y: y(0) + 29, "text-anchor": "middle" }, "score"));
  const picture = svg("svg", { viewBox: `0 0 ${left + size + 14} ${size + foot + 10}`, width: left + size + 14, role: "img", "aria-label": "Calibration" }, ...parts);
  const error = known.reduce((sum, bin) => sum + Math.abs(bin.score - bin.right), 0) / Math.max(1, judged.length);
  return { picture, error, judged: judged.length, right: judged.filter((n) => instances.right[n]).length };
}

function tile(value, name) {
  return make("div", { class: "tile" }, make("b", {}, value), make("span", {}, name));
}

function categoryTable(shown, found) {
  const rows = categories.map((category, place) => ({ category, place, count: 0, images: 0, score: 0, right: 0, judged: 0, merged: 0, missed: 0, split: 0, sizes: SIDE_NAMES.map(() => 0) }));
  for (const n of found) {
    const row = rows[instances.category[n]];
    row.count++;
    row.score += instances.score[n];
    row.sizes[sizeBin(instances.area[n])]++;
    if (table.judged && instances.right[n] >= 0) {
      row.judged++;
      row.right += instances.right[n];
    }
    if (table.judged) row.merged += instances.merged[n];
  }
  for (const image of shown) {
    for (const place of categoriesIn[image]) rows[place].images++;
    const [missed, split] = errorsOf(image);
    for (const [place] of missed) rows[place].missed++;
    for (const [place] of split) rows[place].split++;
  }
  const heads = ["category", "instances", "images", "mean score", "sizes"];
  if (table.judged) heads.splice(4, 0, ...ERRORS);
  const body = rows.filter((row) => row.count || row.missed).sort((a, b) => b.count - a.count).map((row) => {
    const name = make("td", {}, make("span", { class: "swatch", colour: row.category.colour }), row.category.name);
    const numbers = [row.count.toLocaleString("en"), row.images.toLocaleString("en"), row.count ? (row.score / row.count).toFixed(2) : "–"];
    if (table.judged) numbers.push(row.split, row.merged, row.missed, row.judged - row.right);
    const sizes = make("td", {}, sparkline(row.sizes, row.category.colour, SIDE_NAMES));
    return make("tr", {}, name, ...numbers.map((value) => make("td", {}, String(value))), sizes);
  });
  return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", {}, head)))), make("tbody", {}, ...body)));
}

function drawFigures(shown) {
  const found = shown.flatMap(instancesOf);
  const scores = Array(BINS).fill(0), sizes = SIDE_NAMES.map(() => 0);
  for (const n of found) {
    scores[Math.min(BINS - 1, Math.floor(instances.score[n] * BINS))]++;
    sizes[sizeBin(instances.area[n])]++;
  }
  const tiles = [
    tile(shown.length.toLocaleString("en"), "images"),
    tile(found.length.toLocaleString("en"), "instances"),
    tile((found.length / Math.max(1, shown.length)).toFixed(1), "instances an image"),
  ];
  if (faults) {
    for (const kind of ERRORS) tiles.push(tile(shown.reduce((sum, image) => sum + faults[image][kind], 0).toLocaleString("en"), kind));
  }
  const panels = [make("section", { class: "panel wide" }, make("div", { class: "tiles" }, ...tiles))];
  panels.push(panel("Categories", `Sizes: side of a square of the same area, in pixels: ${SIDE_NAMES.join(", ")}.`, categoryTable(shown, found), true));
  panels.push(panel("Sizes", "Instances by the side of a square of the same area, in pixels.", histogram(sizes, SIDE_NAMES, "instance")));
  const names = scores.map((_, n) => `.${n}–${n === 9 ? "1" : `.${n + 1}`}`);
  panels.push(panel("Scores", "Instances by score.", histogram(scores, names, "instance")));
  if (table.judged) {
    const { picture, error, judged, right } = calibration(found);
    const text = `How many instances of a score are right (an IoU of 0.5): ${right.toLocaleString("en")} of ${judged.toLocaleString("en")}. Mean gap (ECE): ${percent(error)}. Grey: how many have the score.`;
    panels.push(panel("Calibration", text, picture));
  }
  if (table.curves.length) panels.push(curvesPanel());
  if (table.notes.length) panels.push(panel("Notes", "", make("ul", {}, ...table.notes.map((note) => make("li", {}, note))), true));
  byId("view-figures").replaceChildren(make("div", { class: "figures" }, ...panels));
}
