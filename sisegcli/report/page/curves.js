// Precision by recall, of each category and IoU; by ground truth, over all images of the page.

let curvesOf = "mean";

const RECALLS = 101;

/** Curves of a choice: of one category, or the mean over categories, as COCO's AP has it. */
function chosenCurves() {
  const found = table.curves.filter(([place]) => curvesOf === "mean" || place === Number(curvesOf)).map(([, curves]) => curves);
  const precision = (n, recall) => found.reduce((sum, curves) => sum + (curves[n][recall] || 0), 0) / found.length / 1000;
  return table.ious.map((_, n) => Array.from({ length: RECALLS }, (_, recall) => precision(n, recall)));
}

const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function drawCurves(box) {
  const size = 250, left = 34, foot = 32;
  const x = (value) => left + value * size, y = (value) => 8 + (1 - value) * size;
  const parts = [];
  for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(
      svg("line", { x1: x(0), x2: x(1), y1: y(tick), y2: y(tick), class: "axis" }),
      svg("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, String(tick)),
      svg("text", { x: x(tick), y: y(0) + 15, "text-anchor": "middle" }, String(tick)),
    );
  }
  const curves = chosenCurves(), rows = [];
  curves.forEach((values, n) => {
    const strength = 1 - (0.8 * n) / Math.max(1, curves.length - 1);
    const points = values.map((value, recall) => `${x(recall / (values.length - 1)).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    const name = `IoU ${table.ious[n]}: AP ${(100 * meanOf(values)).toFixed(1)} %`;
    parts.push(svg("polyline", { points, class: "line", opacity: strength.toFixed(2) }, svg("title", {}, name)));
    rows.push(make("tr", {}, make("td", {}, String(table.ious[n])), make("td", {}, (100 * meanOf(values)).toFixed(1))));
  });
  parts.push(svg("text", { x: x(0.5), y: y(0) + 29, "text-anchor": "middle" }, "recall"));
  const picture = svg("svg", { viewBox: `0 0 ${left + size + 14} ${size + foot + 10}`, width: left + size + 14, role: "img", "aria-label": "Precision by recall" }, ...parts);
  rows.push(make("tr", {}, make("td", {}, "mean"), make("td", {}, (100 * meanOf(curves.map(meanOf))).toFixed(1))));
  const head = make("thead", {}, make("tr", {}, make("th", {}, "IoU"), make("th", {}, "AP, %")));
  box.replaceChildren(box.firstChild, picture, make("table", {}, head, make("tbody", {}, ...rows)));
}

function curvesPanel() {
  const names = table.curves.map(([place]) => [String(place), categories[place].name]);
  const options = [["mean", "all categories (mean)"], ...names].map(([value, text]) => make("option", { value }, text));
  const choice = make("select", { id: "curves-of", "aria-label": "Category" }, ...options);
  choice.value = curvesOf;
  const box = make("div", { class: "curves" }, choice);
  choice.addEventListener("change", () => {
    curvesOf = choice.value;
    drawCurves(box);
  });
  drawCurves(box);
  return panel("Precision and recall", "Of all images with ground truth, whatever the filters: precision by recall, one line for each IoU.", box);
}
