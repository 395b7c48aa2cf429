import json
import signal
import threading

import numpy as np
import pytest
from draw_scenes import draw_scenes
from draw_scenes import write_voc as write_scenes
from PIL import Image
from scipy import ndimage
from small_sets import ONE_CAT, TWO_DOGS, read_instances, write_folders, write_png, write_voc

from sisegcli.data.layouts import Problem
from sisegcli.errors import LayoutError, OptionError, OutputError
from sisegcli.instances import Instance, Segmentation
from sisegcli.methods import ComponentsMethod
from sisegcli.running.convert import convert
from sisegcli.running.listener import Listener
from sisegcli.running.options import ConvertOptions

MANY = {f"im{number:02}": np.full((3, number + 2), 15, np.uint8) for number in range(9)}


class Whole:
    """A method that looks at images and makes one instance of everything; remembers what it was given."""

    def __init__(self, fail=lambda mask: None):
        self.batches = []
        self._fail = fail

    def segment(self, images, masks):
        self.batches.append([(image.shape, mask.shape) for image, mask in zip(images, masks, strict=True)])
        for mask in masks:
            self._fail(mask)
        return [Segmentation([Instance.from_mask(np.ones(mask.shape, bool), 1)]) for mask in masks]


class Ears(Listener):
    def __init__(self):
        self.done = 0
        self.heard = []

    def found(self, layout, out):
        self.heard.append((len(layout.pairs), out))

    def advanced(self, images):
        self.done += images

    def stopping(self):
        self.heard.append("stopping")


def run(root, out, method=None, listener=None, **options):
    options = {"method": "components", "workers": 2, **options}
    return convert(ConvertOptions(root=root, out=out, **options), listener, method)


def test_voc_is_converted_to_coco(tmp_path):
    root = write_voc(tmp_path / "voc", {"a": TWO_DOGS, "b": ONE_CAT})
    ears = Ears()
    summary = run(root, tmp_path / "out", listener=ears)
    assert (summary.found, summary.converted, summary.skipped, summary.exit_code) == (2, 2, 0, 0)
    assert summary.problems == []
    assert summary.instances == {"dog": 2, "person": 1, "cat": 1}
    assert summary.outputs == [tmp_path / "out" / "instances.json"]
    assert ears.heard == [(2, tmp_path / "out")]
    assert ears.done == 2
    found, names = read_instances(tmp_path / "out" / "instances.json")
    assert list(found) == ["a.jpg", "b.jpg"]
    assert [(i.category, i.area, i.size) for i in found["a.jpg"]] == [(12, 4, (4, 6)), (12, 4, (4, 6)), (15, 3, (4, 6))]
    assert [(i.category, i.box) for i in found["b.jpg"]] == [(8, (0, 1, 2, 2))]
    assert names[12] == "dog"


def test_summary_as_json(tmp_path):
    root = write_voc(tmp_path / "voc", {"a": TWO_DOGS, "b": ONE_CAT})
    summary = run(root, tmp_path / "out", min_area=4)
    data = json.loads(json.dumps(summary.to_json()))
    assert data["images"] == {"found": 2, "converted": 2, "skipped": 0}
    assert data["instances"] == {"total": 3, "by_category": {"dog": 2, "cat": 1}}
    assert data["removed"] == {"instances": 1, "pixels": 3}
    assert data["outputs"] == [str(tmp_path / "out" / "instances.json")]
    assert data["problems"] == []
    assert data["interrupted"] is False
    assert data["seconds"] > 0
    assert data["images_per_second"] > 0


def test_a_split_restricts_the_images(tmp_path):
    root = write_voc(tmp_path / "voc", {"a": TWO_DOGS, "b": ONE_CAT}, splits={"val": ["b"]})
    assert run(root, tmp_path / "out", split="val").instances == {"cat": 1}


def test_both_formats_and_overlays(tmp_path):
    root = write_folders(tmp_path / "set", {"a": TWO_DOGS, "b": ONE_CAT})
    out = tmp_path / "out"
    summary = run(root, out, to=("voc", "coco"), overlay=True)
    assert summary.outputs == [
        out / "SegmentationObject",
        out / "SegmentationClass",
        out / "instances.csv",
        out / "instances.json",
        out / "overlay",
    ]
    objects = np.asarray(Image.open(out / "SegmentationObject" / "a.png"))
    assert objects[0].tolist() == [1, 1, 0, 0, 2, 0]
    assert objects[3].tolist() == [3, 3, 3, 0, 2, 0]
    assert sorted(path.name for path in (out / "overlay").iterdir()) == ["a.png", "b.png"]
    assert np.asarray(Image.open(out / "overlay" / "b.png"))[:16, :24].shape == (16, 24, 3)


def test_values_of_background_and_ignore(tmp_path):
    root = write_folders(tmp_path / "set", {"a": TWO_DOGS})
    summary = run(root, tmp_path / "one", background=12, ignore=None)
    assert summary.instances == {"class-0": 2, "class-15": 1, "class-255": 1}
    summary = run(root, tmp_path / "two", background=None, ignore=15)
    assert summary.instances == {"class-0": 2, "class-12": 2, "class-255": 1}


def test_categories_name_things_and_keep_stuff_whole(tmp_path):
    root = write_folders(tmp_path / "set", {"a": TWO_DOGS})
    names = tmp_path / "names.csv"
    names.write_text("id,name,isthing\n12,grass,0\n15,person,1\n")
    assert run(root, tmp_path / "out", categories=str(names)).instances == {"grass": 1, "person": 1}


def test_a_category_that_is_taken_for_background_is_noted(tmp_path):
    root = write_folders(tmp_path / "set", {"a": TWO_DOGS})
    names = tmp_path / "names.csv"
    names.write_text("id,name\n0,road\n12,dog\n255,void\n")
    summary = run(root, tmp_path / "out", categories=str(names))
    assert summary.notes == [
        "Note: 0 is 'road' in the category list, but --background 0 takes it away; pass --background none if it is a "
        "category."
    ]
    assert summary.exit_code == 0
    assert run(root, tmp_path / "all", categories=str(names), background=None).notes == []


def test_problems_are_listed_and_everything_else_is_converted(tmp_path):
    root = write_folders(tmp_path / "set", {"a": TWO_DOGS, "b": ONE_CAT, "c": ONE_CAT, "d": ONE_CAT, "e": ONE_CAT})
    (root / "masks" / "b.png").write_bytes(b"no picture")
    write_png(root / "images" / "c.png", np.zeros((9, 7, 3), np.uint8))
    (root / "masks" / "d.png").unlink()
    write_png(root / "masks" / "f.png", ONE_CAT)
    summary = run(root, tmp_path / "out")
    assert (summary.converted, summary.skipped, summary.exit_code) == (2, 2, 1)
    assert summary.instances == {"class-12": 2, "class-15": 1, "class-8": 1}
    sentences = {problem.path.stem: problem.sentence for problem in summary.problems}
    assert sorted(sentences) == ["b", "c", "d", "f"]
    assert "c.png is 3 × 2 pixels but its image" in sentences["c"]
    assert "is 7 × 9 pixels" in sentences["c"]
    assert list(read_instances(tmp_path / "out" / "instances.json")[0]) == ["a.png", "e.png"]


def test_the_orientation_of_photographs_counts_for_their_size(tmp_path):
    root = write_folders(tmp_path / "set", {"a": TWO_DOGS})
    (root / "images" / "a.png").unlink()
    picture = Image.fromarray(np.zeros((6, 4, 3), np.uint8))  # lies on its side
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(root / "images" / "a.jpg", exif=exif)
    summary = run(root, tmp_path / "out")
    assert summary.problems == []
    whole = Whole()
    run(root, tmp_path / "looked", method=whole)
    assert whole.batches == [[((4, 6, 3), (4, 6))]]


def test_baselines_do_not_decode_photographs(tmp_path):
    root = write_folders(tmp_path / "set", {"a": TWO_DOGS})
    path = root / "images" / "a.png"
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"IDAT") + 6])  # the header alone
    assert run(root, tmp_path / "out").converted == 1
    assert run(root, tmp_path / "drawn", overlay=True).converted == 0


def test_batches_keep_the_order_of_pairs(tmp_path):
    root = write_folders(tmp_path / "set", MANY)
    (root / "masks" / "im01.png").write_bytes(b"no picture")
    whole = Whole()
    summary = run(root, tmp_path / "out", method=whole, batch_size=3)
    widths = [[mask[1] for _, mask in batch] for batch in whole.batches]
    assert widths == [[2, 4], [5, 6, 7], [8, 9, 10]]
    assert summary.converted == 8
    found, _ = read_instances(tmp_path / "out" / "instances.json")
    assert list(found) == [f"{name}.png" for name in MANY if name != "im01"]


def test_reading_ahead_is_bounded(tmp_path, monkeypatch):
    root = write_folders(tmp_path / "set", MANY)
    read, most, lock = [], [], threading.Lock()

    def counting(pair, masks, *, decode):
        with lock:
            read.append(pair)
        return Problem(pair.image, "not read")

    class Counting(Listener):
        done = 0

        def advanced(self, images):
            self.done += images
            most.append(len(read) - self.done)

    monkeypatch.setattr("sisegcli.running.convert.read_sample", counting)
    run(root, tmp_path / "out", listener=Counting(), workers=2)
    assert len(most) == len(MANY)
    assert max(most) <= 3


def test_an_image_that_fails_alone_does_not_spoil_its_batch(tmp_path):
    root = write_folders(tmp_path / "set", MANY)

    def fail(mask):
        if mask.shape[1] == 5:
            raise MemoryError

    summary = run(root, tmp_path / "out", method=Whole(fail), batch_size=4)
    assert summary.converted == len(MANY) - 1
    (problem,) = summary.problems
    assert problem.path.name == "im03.png"
    assert "Memory ran out on" in problem.sentence
    assert "(5 × 3 pixels)" in problem.sentence


def test_a_bug_leaves_no_output_but_what_is_done_is_not_done_again(tmp_path):
    root = write_folders(tmp_path / "set", MANY)

    def fail(mask):
        if mask.shape[1] == 7:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(root, tmp_path / "out", method=Whole(fail), batch_size=2)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".sisegcli"]
    whole = Whole()
    summary = run(root, tmp_path / "out", method=whole, batch_size=2, resume=True)
    assert (summary.converted, summary.resumed, summary.exit_code) == (9, 4, 0)
    assert [mask[1] for batch in whole.batches for _, mask in batch] == [6, 7, 8, 9, 10]


def test_nothing_is_written_where_nothing_can_be_converted(tmp_path):
    root = write_folders(tmp_path / "set", {"a": ONE_CAT})
    (root / "masks" / "a.png").write_bytes(b"no picture")
    summary = run(root, tmp_path / "out")
    assert (summary.converted, summary.exit_code, summary.outputs) == (0, 1, [])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "target"),
    [
        ({}, "instances.json"),
        ({"to": ("voc",)}, "SegmentationObject/x.png"),
        ({"to": ("voc",)}, "SegmentationClass/x.png"),
        ({"to": ("voc",)}, "instances.csv"),
        ({"overlay": True}, "overlay/x.png"),
    ],
)
def test_outputs_that_exist_are_guarded_before_any_work(tmp_path, options, target):
    root = write_folders(tmp_path / "set", {"a": ONE_CAT})
    path = tmp_path / "out" / target
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    whole = Whole()
    with pytest.raises(OutputError, match=f"{target.split('/')[0]} exists already; .* --overwrite"):
        run(root, tmp_path / "out", method=whole, **options)
    assert whole.batches == []
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file()] == [path]
    assert run(root, tmp_path / "out", method=whole, overwrite=True, **options).converted == 1


def test_outputs_do_not_mix_with_inputs(tmp_path):
    root = write_voc(tmp_path / "voc", {"a": ONE_CAT})
    for out in (root, root / "SegmentationClass"):
        with pytest.raises(OutputError, match="would mix with the input folder"):
            run(root, out, overwrite=True)
    assert np.asarray(Image.open(root / "SegmentationClass" / "a.png")).tolist() == ONE_CAT.tolist()


def test_the_default_output_folder_is_named_after_the_input_and_outside_it(tmp_path, monkeypatch):
    (tmp_path / "set" / "images").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert str(ConvertOptions(root=tmp_path / "set").output) == "set-instances"
    monkeypatch.chdir(tmp_path / "set" / "images")
    assert ConvertOptions(root=tmp_path / "set").output == tmp_path / "set-instances"


def test_a_second_run_sees_the_same_input(tmp_path, monkeypatch):
    root = write_folders(tmp_path / "set", {"a": TWO_DOGS})
    monkeypatch.chdir(root)
    options = ConvertOptions(root=root, method="components", to=("voc", "coco"), overlay=True, overwrite=True)
    first, second = convert(options), convert(options)
    assert (first.found, first.layout, first.instances) == (second.found, second.layout, second.instances)


def test_an_interrupt_keeps_the_images_that_are_done(tmp_path):
    root = write_folders(tmp_path / "set", MANY)

    def fail(mask):
        if mask.shape[1] == 5:
            signal.raise_signal(signal.SIGINT)

    before, ears = signal.getsignal(signal.SIGINT), Ears()
    summary = run(root, tmp_path / "out", method=Whole(fail), batch_size=2, listener=ears)
    assert (summary.interrupted, summary.exit_code, summary.converted) == (True, 130, 4)
    assert "stopping" in ears.heard
    assert len(read_instances(tmp_path / "out" / "instances.json")[0]) == 4
    assert signal.getsignal(signal.SIGINT) == before


def test_a_second_interrupt_stops_at_once(tmp_path):
    root = write_folders(tmp_path / "set", MANY)

    def fail(mask):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(root, tmp_path / "out", method=Whole(fail))
    assert not (tmp_path / "out").exists()


def test_a_run_outside_the_main_thread_works(tmp_path):
    root = write_folders(tmp_path / "set", {"a": TWO_DOGS})
    found = []
    thread = threading.Thread(target=lambda: found.append(run(root, tmp_path / "out")))
    thread.start()
    thread.join()
    assert found[0].converted == 1


def test_a_folder_without_pairs_is_an_error(tmp_path):
    with pytest.raises(LayoutError):
        run(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"to": ("voc",), "polygons": True}, "--polygons is about COCO files"),
        ({"to": ()}, "Nothing would be written"),
        ({"method": "components", "weights": "x.safetensors"}, "--weights needs the network"),
        ({"method": "watershed", "edges": "refine"}, "--edges refine needs the network"),
        ({"method": "components", "refine": False}, "--no-refine needs the network"),
    ],
)
def test_options_that_contradict_each_other(tmp_path, options, sentence):
    with pytest.raises(OptionError, match=sentence):
        ConvertOptions(root=tmp_path, **options)


def test_an_unknown_format_is_an_option_error(tmp_path):
    root = write_folders(tmp_path / "set", {"a": ONE_CAT})
    with pytest.raises(OptionError, match="no format 'bmp'; choose from coco, voc"):
        run(root, tmp_path / "out", to=("bmp",))


def test_scenes_come_out_as_their_components(tmp_path):
    scenes = draw_scenes(3, seed=5, size=(90, 120))
    names = write_scenes(tmp_path / "scenes", scenes)
    summary = run(tmp_path / "scenes", tmp_path / "out", split="val")
    assert (summary.converted, summary.problems) == (3, [])
    found, _ = read_instances(tmp_path / "out" / "instances.json")
    for (file_name, instances), scene, name in zip(found.items(), scenes, names, strict=True):
        assert file_name == f"{name}.jpg"
        expected = set()
        for category in np.unique(scene.semantic[scene.semantic > 0]).tolist():
            labels, count = ndimage.label(scene.semantic == category)
            expected |= {(category, (labels == label).tobytes()) for label in range(1, count + 1)}
        assert {(i.category, i.mask().tobytes()) for i in instances} == expected


def test_components_method_is_used_as_named(tmp_path):
    root = write_folders(tmp_path / "set", {"a": TWO_DOGS})
    assert run(root, tmp_path / "a").instances == run(root, tmp_path / "b", method=ComponentsMethod()).instances


def test_a_format_that_cannot_hold_an_image_does_not_keep_it_from_others(tmp_path):
    many = np.kron(np.ones((40, 26), np.uint8), np.array([[1, 0], [0, 0]], np.uint8))  # 1,040 lone pixels
    root = write_folders(tmp_path / "set", {"a": many, "b": ONE_CAT})
    options = {"root": root, "method": "components", "workers": 1}
    summary = convert(ConvertOptions(out=tmp_path / "out", to=("cityscapes", "coco", "npz"), **options))
    assert (summary.converted, summary.exit_code) == (2, 1)
    [problem] = summary.problems
    assert problem.path.name == "a.png" and "cannot hold more than 1000 instances of 'class-1'" in problem.sentence
    assert {path.name for path in (tmp_path / "out/npz").iterdir()} == {"a.npz", "b.npz"}
    assert {path.name for path in (tmp_path / "out/gtFine").iterdir()} == {"b_instanceIds.png", "b_labelIds.png"}
    found, _ = read_instances(tmp_path / "out/instances.json")
    assert [len(found[name]) for name in ("a.png", "b.png")] == [1040, 1]
    alone = convert(ConvertOptions(out=tmp_path / "alone", to=("cityscapes",), **options))
    assert (alone.converted, alone.exit_code, len(alone.problems)) == (1, 1, 1)
