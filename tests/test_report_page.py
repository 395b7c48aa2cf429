"""The page in a headless Chromium: layers, filters, keys, names that look like markup, ten thousand images."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from chromium import Chromium
from PIL import Image
from small_sets import write_png

from sisegcli.categories import Categories, Category
from sisegcli.formats.coco import CocoWriter
from sisegcli.formats.records import ImageResult
from sisegcli.instances import Instance, instances_from_labels
from sisegcli.report import ReportOptions, write_report

EVIL = "<script>alert(1)</script>"
CATEGORIES = Categories([Category(1, EVIL), Category(2, "cat & dog"), Category(3, 'sky"', isthing=False)])
SIZE = (60, 80)


def squares(*places: tuple[int, int, int, int]) -> np.ndarray:
    """Return labels (60, 80) with a rectangle (top, left, height, width) each, from 1."""
    labels = np.zeros(SIZE, np.uint8)
    for number, (top, left, height, width) in enumerate(places, start=1):
        labels[top : top + height, left : left + width] = number
    return labels


# Two objects that touch; a: found as they are, b: as one, c: the first in two halves, d: nothing found.
TRUTH = squares((10, 10, 20, 20), (10, 30, 20, 20))
FOUND = {
    "a": (TRUTH, {1: 0.4, 2: 0.35}),
    "b": (squares((10, 10, 20, 40)), {1: 0.9}),
    "c": (squares((10, 10, 20, 10), (10, 20, 20, 10), (10, 30, 20, 20)), {1: 0.05, 2: 0.1, 3: 0.45}),
    "d": (squares(), {}),
}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write images, masks, ground truth and outputs of four images, and their report."""
    root = tmp_path_factory.mktemp("report")
    writer = CocoWriter(root / "out", CATEGORIES)
    for number, (stem, (labels, scores)) in enumerate(FOUND.items()):
        write_png(root / "in/JPEGImages" / f"{stem}.jpg", np.full((*SIZE, 3), 60 + 30 * number, np.uint8))
        category = 2 if stem == "a" else 1
        write_png(root / "in/SegmentationClass" / f"{stem}.png", np.where(TRUTH, category, 0).astype(np.uint8))
        write_png(root / "in/SegmentationObject" / f"{stem}.png", TRUTH)
        instances = instances_from_labels(labels, dict.fromkeys(scores, category), scores)
        writer.add(ImageResult(stem, Path(f"{stem}.jpg"), SIZE, instances))
    writer.close()
    options = ReportOptions(root / "out", root=root / "in", truth=root / "in")
    assert write_report(options).problems == []
    return root / "out/report.html"


@pytest.fixture(scope="module")
def browser(page: Path):
    with Chromium() as browser:
        browser.open(page)
        yield browser


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest):
    """Begin each test that has the browser with the page as it opens, and end it without complaints."""
    if "browser" not in request.fixturenames:
        yield
        return
    browser = request.getfixturevalue("browser")
    browser.open(request.getfixturevalue("page"))
    yield
    assert browser.complaints == []
    assert all(address.startswith("file:") for address in browser.requests)


def cards(browser: Chromium) -> list[str]:
    script = (
        "[...document.querySelectorAll('.card')].sort((a, b) => parseFloat(a.style.top) - parseFloat(b.style.top)"
        " || parseFloat(a.style.left) - parseFloat(b.style.left))"
        ".map((card) => card.querySelector('.name').textContent)"
    )
    return browser.run(script)


def text(browser: Chromium, selector: str) -> str:
    return browser.run(f"document.querySelector({selector!r}).textContent")


def pixels(browser: Chromium) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(browser.screenshot())).convert("RGB")).astype(int)


def test_all_images_are_there_the_most_doubtful_first(browser: Chromium) -> None:
    assert text(browser, "#shown") == "4 images · 6 instances"
    assert cards(browser) == ["c", "a", "b", "d"]
    assert browser.run("[...document.querySelectorAll('#layers button')].map((b) => b.textContent)") == [
        "Image",
        "Mask",
        "Instances",
        "Truth",
    ]


def test_layers_change_what_is_drawn(browser: Chromium) -> None:
    seen = []
    for key in "1234":
        browser.press(key)
        browser.run("new Promise((done) => setTimeout(done, 150))")
        middle = "(({x, y, width, height}) => [x + width * 0.3, y + height * 0.3])"
        x, y = browser.run(f"{middle}(document.querySelectorAll('.card canvas')[0].getBoundingClientRect())")
        seen.append(tuple(pixels(browser)[int(y), int(x)]))
        assert (
            browser.run("document.querySelector('#layers [aria-checked=true]').textContent")
            == (["Image", "Mask", "Instances", "Truth"][int(key) - 1])
        )
    assert len({seen[0], seen[1], seen[2]}) == 3  # grey, the category's colour, the instance's
    assert max(seen[0]) - min(seen[0]) < 8 and max(seen[1]) - min(seen[1]) > 20
    browser.click("#layers button", 0)
    assert browser.run("document.querySelector('#layers [aria-checked=true]').textContent") == "Image"


def test_filters_by_click_and_by_typing(browser: Chromium) -> None:
    names = browser.run("[...document.querySelectorAll('#categories .name')].map((name) => name.textContent)")
    assert names == [EVIL, "cat & dog"]
    browser.click("#categories .row", 1)
    assert cards(browser) == ["a"]
    assert text(browser, "#shown") == "1 of 4 images · 2 instances"
    browser.click("#categories .row", 1)
    browser.click("#count-min")
    browser.type("3")
    assert cards(browser) == ["c"]
    browser.click("#reset")
    assert len(cards(browser)) == 4
    browser.press("/")
    browser.type("B")
    assert cards(browser) == ["b"]
    browser.press("z")
    assert cards(browser) == [] and browser.run("!document.querySelector('#nothing').hidden")
    browser.click("#reset")
    browser.run("byId('doubt').value = 80; byId('doubt').dispatchEvent(new Event('input'))")
    assert cards(browser) == ["c", "a"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("split", ["c"]), ("merged", ["b"]), ("missed", ["b", "d"]), ("spurious", ["c"])],
)
def test_errors_are_filters(browser: Chromium, kind: str, expected: list[str]) -> None:
    browser.click(f".chip[data-kind={kind}]")
    assert sorted(cards(browser)) == expected


def test_keys_move_open_and_close(browser: Chromium) -> None:
    order = cards(browser)
    browser.press("ArrowRight")
    assert browser.run("document.querySelector('.card.current .name').textContent") == order[1]
    browser.press("Enter")
    assert browser.run("document.querySelector('#viewer').open")
    assert text(browser, "#name") == order[1]
    browser.press("ArrowRight")
    assert text(browser, "#name") == order[2]
    browser.press("ArrowLeft")
    browser.press("ArrowLeft")
    browser.press("ArrowLeft")  # there is none before the first
    assert text(browser, "#name") == order[0]
    browser.press("Escape")
    browser.wait("!document.querySelector('#viewer').open")
    browser.press("f")
    assert browser.run("document.querySelector('#view-images').hidden")
    assert EVIL in text(browser, "#view-figures table")
    browser.press("f")
    browser.press("?")
    assert browser.run("document.querySelector('#help').open")


def test_curves_of_a_category(browser: Chromium) -> None:
    browser.press("f")
    rows = "[...document.querySelectorAll('.curves tbody tr')].map((row) => row.textContent)"
    choices = browser.run("[...document.querySelectorAll('#curves-of option')].map((option) => option.textContent)")
    assert choices == ["all categories (mean)", EVIL, "cat & dog"]
    assert browser.run("document.querySelectorAll('.curves polyline').length") == 10
    mean = browser.run(rows)
    pick = "((box, value) => { box.value = value; box.dispatchEvent(new Event('change')); })"
    places = browser.run("[...document.querySelectorAll('#curves-of option')].map((option) => option.value)")
    browser.run(f"{pick}(byId('curves-of'), '{places[2]}')")
    assert browser.run(rows) == [f"{n / 100:g}100.0" for n in range(50, 100, 5)] + ["mean100.0"]
    browser.run(f"{pick}(byId('curves-of'), '{places[1]}')")
    poor = [float(row.removeprefix("mean")) for row in browser.run(rows)[-1:]]
    assert mean[-1] == f"mean{(100 + poor[0]) / 2:.1f}"
    browser.click("#categories .row")  # filters draw the figures anew, the choice stays
    assert browser.run("byId('curves-of').value") == places[1]


def test_the_viewer_lists_instances_and_says_what_is_under_the_mouse(browser: Chromium) -> None:
    place = cards(browser).index("c")
    browser.run(f"select({place})")
    browser.press("Enter")
    rows = "[...document.querySelectorAll('#instances .row')].map((row) => row.textContent)"
    assert browser.run(rows)[0].startswith(EVIL)
    assert "1 split" in text(browser, "#facts")
    browser.wait("viewer.place !== null")
    x, y = browser.run("[viewer.place.x + viewer.place.w * 0.55, viewer.place.y + viewer.place.h * 0.3]")
    left, top = browser.run("(({x, y}) => [x, y])(byId('canvas').getBoundingClientRect())")
    browser.move(left + x, top + y)
    browser.wait("!document.querySelector('#hint').hidden")
    assert text(browser, "#hint").startswith(f"{EVIL} · 0.450")
    browser.click("#instances .row")
    assert browser.run("viewer.pinned") == 1


def test_a_narrow_window_keeps_everything_in_sight(browser: Chromium) -> None:
    browser.resize(390, 844)
    browser.open(Path(browser.run("decodeURIComponent(location.pathname)")))
    try:
        assert len(cards(browser)) == 4
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        assert browser.run("!document.querySelector('#filters').open")
        browser.press("f")
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.resize(1280, 800)


def test_ten_thousand_images_are_few_elements(tmp_path: Path) -> None:
    with Chromium() as browser:
        writer = CocoWriter(tmp_path / "many", Categories([Category(1, "cat"), Category(2, "dog")]))
        found = [Instance.from_mask(squares((5, 5, 20, 20 + n)) > 0, 1 + n % 2, 0.2 + n / 20) for n in range(10)]
        for number in range(10_000):
            writer.add(ImageResult(f"n{number:05}", Path(f"n{number:05}.jpg"), SIZE, [found[number % 10]]))
        writer.close()
        browser.open(write_report(ReportOptions(tmp_path / "many")).page)
        assert text(browser, "#shown") == "10,000 images · 10,000 instances"
        browser.run("field.scrollTop = field.scrollHeight")
        browser.wait("gallery.cards.has(gallery.shown.at(-1))")
        assert browser.run("document.querySelectorAll('.card').length") < 100
        browser.run("byId('sort').value = 'name'; byId('sort').dispatchEvent(new Event('change'))")
        browser.press("/")
        browser.type("n09999")
        assert cards(browser) == ["n09999"]
        browser.press("Escape")
        browser.press("f")
        assert "dog" in text(browser, "#view-figures table")
        assert browser.complaints == []
