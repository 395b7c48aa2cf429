import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_sets import ONE_CAT, TWO_DOGS, read_instances, write_folders, write_pairs, write_png, write_voc
from typer.testing import CliRunner

from sisegcli.cli import app
from sisegcli.errors import SisegError

BASELINE = ["--method", "components"]


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    """Run the command in an empty folder, `work`."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def run(*arguments, code=0):
        result = CliRunner().invoke(app, ["convert", *map(str, arguments), *BASELINE], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return run


def instances(path):
    found, names = read_instances(path)
    return [(names[i.category], i.area) for instances in found.values() for i in instances]


def test_a_voc_devkit(invoke, tmp_path):
    root = write_voc(tmp_path / "VOC2012", {"a": TWO_DOGS, "b": ONE_CAT}, splits={"val": ["a"]})
    result = invoke(root, "--split", "val")
    assert "1 image converted to 3 instances" in result.stdout
    assert "Written: VOC2012-instances/instances.json" in result.stdout
    assert "JPEGImages" in result.stderr
    assert instances("VOC2012-instances/instances.json") == [("dog", 4), ("dog", 4), ("person", 3)]


def test_images_and_masks(invoke, tmp_path):
    invoke(write_folders(tmp_path / "set", {"a": TWO_DOGS}), "--categories", "voc")
    assert instances("set-instances/instances.json") == [("dog", 4), ("dog", 4), ("person", 3)]


def test_flat_pairs(invoke, tmp_path):
    root = tmp_path / "flat"
    write_pairs({"a": TWO_DOGS}, root, root, suffix="_mask", extension=".jpg")
    write_pairs({"b": ONE_CAT}, root, root, extension=".jpg")
    invoke(root)
    assert instances("flat-instances/instances.json") == [
        ("class-12", 4),
        ("class-12", 4),
        ("class-15", 3),
        ("class-8", 4),
    ]


def test_images_and_masks_named_apart_without_a_folder(invoke, tmp_path):
    write_pairs({"a": ONE_CAT}, tmp_path / "photos", tmp_path / "ids")
    invoke("--images", tmp_path / "photos", "--masks", tmp_path / "ids")
    assert instances("photos-instances/instances.json") == [("class-8", 4)]


def test_masks_in_colours_of_ones_own(invoke, tmp_path):
    root, table = tmp_path / "painted", tmp_path / "colours.csv"
    write_pairs({"a": ONE_CAT}, root / "images", root / "masks")
    painted = np.zeros((*ONE_CAT.shape, 3), np.uint8)
    painted[ONE_CAT > 0] = (10, 20, 30)
    write_png(root / "masks" / "a.png", painted)
    table.write_text("id,red,green,blue\n0,0,0,0\n9,10,20,30\n")
    invoke(root, "--colours", table)
    assert {name for name, _ in instances("painted-instances/instances.json")} == {"class-9"}


def test_a_colour_table_that_is_none(invoke, tmp_path):
    root = write_folders(tmp_path / "set", {"a": ONE_CAT})
    (tmp_path / "colours.csv").write_text("0,0,0,0\n9,10,20,300\n")
    command = CliRunner().invoke(app, ["convert", str(root), "--colours", str(tmp_path / "colours.csv"), *BASELINE])
    assert command.exit_code == 1
    assert "line 2: no colour; write lines id,red,green,blue" in " ".join(command.stderr.split())
    assert not Path("set-instances").exists()


def test_one_of_several_mask_folders(invoke, tmp_path):
    root = write_voc(tmp_path / "voc", {"a": TWO_DOGS})
    write_png(root / "SegmentationPred" / "a.png", np.full((4, 6), 8, np.uint8))
    invoke(root, "--masks", root / "SegmentationPred", "--out", "here")
    assert instances("here/instances.json") == [("cat", 24)]


def test_problems_end_with_code_1(invoke, tmp_path):
    root = write_folders(tmp_path / "set", {"a": TWO_DOGS, "b": ONE_CAT, "c": ONE_CAT})
    (root / "masks" / "b.png").unlink()
    write_png(root / "images" / "c.png", np.zeros((9, 7, 3), np.uint8))
    result = invoke(root, code=1)
    assert "1 image converted to 3 instances" in result.stdout
    assert "1 image skipped." in result.stdout
    assert "2 problems:" in result.stderr
    assert f"{root / 'images' / 'b.png'} has no mask; add it or remove the image." in result.stderr
    assert f"{root / 'masks' / 'c.png'} is 3 × 2 pixels but its image" in result.stderr


def test_many_problems_are_cut_short(invoke, tmp_path):
    root = write_folders(tmp_path / "set", {f"im{number}": ONE_CAT for number in range(24)})
    for path in list((root / "masks").iterdir())[1:]:
        path.write_bytes(b"no picture")
    result = invoke(root, code=1)
    assert "23 problems:" in result.stderr
    assert "… and 3 more; --verbose or --json lists them all." in result.stderr


def test_json_alone_is_printed(invoke, tmp_path):
    root = write_folders(tmp_path / "set", {"a": TWO_DOGS, "b": ONE_CAT})
    (root / "masks" / "b.png").write_bytes(b"no picture")
    result = invoke(root, "--json", "--min-area", "4", code=1)
    assert result.stderr == ""
    summary = json.loads(result.stdout)
    assert summary["images"] == {"found": 2, "converted": 1, "skipped": 1}
    assert summary["instances"] == {"total": 2, "by_category": {"class-12": 2}}
    assert summary["removed"] == {"instances": 1, "pixels": 3}
    assert summary["method"] == "components"
    (problem,) = summary["problems"]
    assert problem["path"] == str(root / "images" / "b.png")
    assert "masks/b.png" in problem["sentence"]


def test_what_is_removed_is_said(invoke, tmp_path):
    result = invoke(write_folders(tmp_path / "set", {"a": TWO_DOGS}), "--min-area", "4")
    assert "1 instance (3 pixels) removed by --min-area or --min-score." in result.stdout


def test_voc_output_polygons_and_overlays(invoke, tmp_path):
    root = write_folders(tmp_path / "set", {"a": TWO_DOGS})
    invoke(root, "--to", "coco", "--to", "voc", "--polygons", "--overlay", "--out", "o")
    assert sorted(path.name for path in Path("o").glob("[!.]*")) == [
        "SegmentationClass",
        "SegmentationObject",
        "instances.csv",
        "instances.json",
        "overlay",
    ]
    content = json.loads(Path("o/instances.json").read_text())
    assert isinstance(content["annotations"][0]["segmentation"], list)
    assert np.asarray(Image.open("o/SegmentationObject/a.png"))[3].tolist() == [3, 3, 3, 0, 2, 0]


def test_values_of_the_mask(invoke, tmp_path):
    root = write_folders(tmp_path / "set", {"a": np.array([[0, 0, 7, 255]], np.uint8)})
    invoke(root, "--background", "none", "--ignore", "7", "--out", "o")
    assert instances("o/instances.json") == [("class-0", 2), ("class-255", 1)]
    result = invoke(root, "--ignore", "white", "--out", "p", code=2)
    assert "'white' is neither a whole number nor none" in result.stderr.replace("\n", " ")


def test_outputs_that_exist_are_guarded(invoke, tmp_path):
    root = write_folders(tmp_path / "set", {"a": ONE_CAT})
    invoke(root)
    result = invoke(root, code=1)
    assert result.stderr.endswith(
        "Error: set-instances/instances.json exists already; choose another folder with --out, or pass --overwrite.\n"
    )
    assert result.stdout == ""
    invoke(root, "--overwrite")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nowhere"], 1, "nowhere"),
        ([], 1, "There is no folder to look in"),
        (["{set}", "--split", "val"], 1, "has no split 'val'"),
        (["{set}", "--categories", "nothing.txt"], 1, "nothing.txt is neither a file nor one of the lists"),
        (["{set}", "--edges", "refine"], 2, "--edges refine needs the network"),
        (["{set}", "--to", "voc", "--polygons"], 2, "--polygons is about COCO files"),
    ],
)
def test_errors_are_one_sentence(invoke, tmp_path, arguments, code, sentence):
    root = write_folders(tmp_path / "set", {"a": ONE_CAT})
    result = invoke(*(argument.format(set=root) for argument in arguments), code=code)
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert sentence in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.output
    assert list(Path().iterdir()) == []


def test_edges_are_auto_unless_one_asks(tmp_path, monkeypatch):
    asked = []

    def converted(options, *_, **__):
        asked.append(options.edges)
        raise SisegError("Enough.")

    monkeypatch.setattr("sisegcli.running.anywhere.convert_anywhere", converted)
    for arguments in ([], ["--edges", "auto"], ["--edges", "keep"], ["--edges", "refine"]):
        assert CliRunner().invoke(app, ["convert", str(tmp_path), *arguments]).exit_code == 1
    assert asked == ["auto", "auto", "keep", "refine"]
    result = CliRunner().invoke(app, ["convert", str(tmp_path), "--edges", "move"], env={"COLUMNS": "200"})
    assert result.exit_code == 2 and "'auto', 'keep', 'refine'" in result.stderr


def test_paths_with_brackets_are_printed_as_they_are(invoke, tmp_path):
    result = invoke(write_folders(tmp_path / "[red]", {"a": ONE_CAT}))
    assert "Written: [red]-instances/instances.json" in result.stdout


def test_an_interrupt_is_a_sentence_and_code_130(invoke, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sisegcli.running.anywhere.convert", interrupted)
    result = invoke(write_folders(tmp_path / "set", {"a": ONE_CAT}), code=130)
    assert result.stderr == "Interrupted; nothing unfinished was left behind.\n"


def test_a_conversion_with_a_baseline_imports_no_torch(tmp_path):
    root = write_folders(tmp_path / "set", {"a": ONE_CAT})
    script = (
        "import sys\nfrom sisegcli.cli import app\n"
        f"app(['convert', {str(root)!r}, '--out', {str(tmp_path / 'o')!r}, '--overlay', '--method', 'components'], "
        "standalone_mode=False)\nsys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, capture_output=True).returncode == 0
    assert (tmp_path / "o" / "instances.json").exists()


def test_profile_tells_how_long_each_stage_took(tmp_path):
    root = write_voc(tmp_path / "voc", {"a": TWO_DOGS})
    given = ["convert", str(root), "--method", "components", "--profile", "--out"]
    shown = CliRunner().invoke(app, [*given, str(tmp_path / "one")])
    assert shown.exit_code == 0
    lines = [line.split()[0] for line in shown.output.splitlines() if " s " in line and line.strip().endswith("%")]
    assert lines == ["decode", "grouping", "encode"]
    found = json.loads(CliRunner().invoke(app, [*given, str(tmp_path / "two"), "--json"]).stdout)
    assert list(found["stages"]) == ["decode", "grouping", "encode"]
