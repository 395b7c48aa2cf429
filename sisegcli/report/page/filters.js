// Which images are shown, and in which order.

const ERRORS = ["split", "merged", "missed", "spurious"];

const state = {
  search: "",
  categories: new Set(),
  errors: new Set(),
  least: 0,
  most: Infinity,
  doubt: 0,
  sort: table.doubt ? "doubt" : "name",
  layer: table.layers.includes("instances") ? "instances" : table.layers[0],
};

/** Numbers of errors of an image, by kind. */
const faults = table.judged
  ? images.stem.map((_, image) => {
      const [missed, split] = errorsOf(image);
      const mine = instancesOf(image);
      return {
        split: split.length,
        merged: mine.filter((n) => instances.merged[n]).length,
        missed: missed.length,
        spurious: mine.filter((n) => instances.right[n] === 0).length,
      };
    })
  : null;

const faultTotal = (image) => (faults ? ERRORS.reduce((sum, kind) => sum + faults[image][kind], 0) : 0);
const categoriesIn = images.stem.map((_, image) => new Set(instancesOf(image).map((n) => instances.category[n])));
const wrong = images.stem.map((_, image) => instancesOf(image).reduce((sum, n) => sum + instances.doubt[n], 0));
const timed = images.seconds.some((seconds) => seconds > 0);

const SORTS = {
  doubt: ["most doubtful first", (a, b) => images.doubt[b] - images.doubt[a] || wrong[b] - wrong[a], table.doubt],
  seconds: ["slowest first", (a, b) => images.seconds[b] - images.seconds[a], timed],
  errors: ["most errors first", (a, b) => faultTotal(b) - faultTotal(a), table.judged],
  count: ["most instances first", (a, b) => images.count[b] - images.count[a], true],
  few: ["fewest instances first", (a, b) => images.count[a] - images.count[b], true],
  name: ["by name", (a, b) => (images.stem[a] < images.stem[b] ? -1 : 1), true],
};

function passes(image) {
  if (images.count[image] < state.least || images.count[image] > state.most) return false;
  if (images.doubt[image] < state.doubt) return false;
  if (state.search && !images.stem[image].toLowerCase().includes(state.search)) return false;
  if (state.categories.size && ![...state.categories].some((place) => categoriesIn[image].has(place))) return false;
  return !state.errors.size || [...state.errors].some((kind) => faults[image][kind] > 0);
}

/** The images that pass, in order. */
function chosenImages() {
  const found = [];
  for (let image = 0; image < total; image++) if (passes(image)) found.push(image);
  const compare = SORTS[state.sort][1];
  return found.sort((a, b) => compare(a, b) || a - b);
}
