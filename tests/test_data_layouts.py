import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisegcli.data.images import image_size
from sisegcli.data.layouts import Layout, find_pairs, read_split, voc_folder
from sisegcli.data.masks import MaskReader
from sisegcli.errors import CategoryError, LayoutError


def make(root, *names):
    """Make empty files: a layout is known by names alone."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def found(layout: Layout, root):
    return [(p.stem, p.image.relative_to(root).as_posix(), p.mask.relative_to(root).as_posix()) for p in layout.pairs]


def sentences(layout: Layout, root):
    for problem in layout.problems:
        assert problem.sentence.startswith(str(problem.path))
    return [problem.sentence.replace(f"{root}/", "") for problem in layout.problems]


class TestVoc:
    @pytest.fixture
    def kit(self, tmp_path):
        kit = make(
            tmp_path / "VOCdevkit" / "VOC2012",
            *(f"JPEGImages/{name}.jpg" for name in "abcd"),
            *(f"SegmentationClass/{name}.png" for name in "cae"),
            *("SegmentationObject/a.png", "SegmentationClassVisualization/a.jpg"),
        )
        sets = kit / "ImageSets" / "Segmentation"
        sets.mkdir(parents=True)
        (sets / "val.txt").write_text("c\nb\n\nz\nc\n")
        (sets / "train.txt").write_text("a\n")
        return kit

    def test_masks_are_the_list(self, kit):
        layout = find_pairs(kit)
        assert layout.name == "voc"
        assert found(layout, kit) == [
            ("a", "JPEGImages/a.jpg", "SegmentationClass/a.png"),
            ("c", "JPEGImages/c.jpg", "SegmentationClass/c.png"),
        ]
        assert sentences(layout, kit) == ["SegmentationClass/e.png has no image; add it or remove the mask."]
        assert layout.description == (
            f"VOC development kit: 2 pairs from {kit / 'JPEGImages'} and {kit / 'SegmentationClass'};"
            " 2 more images have no mask."
        )
        assert layout.categories is not None
        assert layout.categories.name(15) == "person"

    def test_a_split_is_the_list(self, kit):
        layout = find_pairs(str(kit), split="val")
        assert [pair.stem for pair in layout.pairs] == ["c"]
        assert sentences(layout, kit) == [
            "JPEGImages/b.jpg has no mask; add it or remove the image.",
            "JPEGImages/z is named by the split but not there; add the image.",
        ]
        assert "1 pair of the split val from" in layout.description

    def test_the_folders_above_are_recognised(self, kit, tmp_path):
        assert voc_folder(kit) == voc_folder(kit.parent) == voc_folder(tmp_path) == kit
        assert found(find_pairs(tmp_path), kit) == found(find_pairs(kit), kit)
        assert read_split(tmp_path, "train") == ["a"]
        make(tmp_path / "VOCdevkit" / "VOC2007", "SegmentationClass/a.png")
        assert voc_folder(tmp_path) == kit

    def test_results_without_images_are_voc_folders(self, tmp_path):
        assert voc_folder(tmp_path) is None
        assert voc_folder(make(tmp_path, "SegmentationObject/a.png")) == tmp_path
        with pytest.raises(LayoutError, match="has no images and masks"):
            find_pairs(tmp_path)

    @pytest.mark.parametrize(
        ("folders", "best"),
        [
            (["SegmentationClassPNG", "SegmentationClassAug"], "SegmentationClassPNG"),
            (["SegmentationClassAug", "SegmentationClassZ"], "SegmentationClassAug"),
            (["SegmentationClassFilled"], "SegmentationClassFilled"),
        ],
    )
    def test_the_best_masks_are_taken(self, tmp_path, folders, best):
        make(tmp_path, "JPEGImages/a.jpg", *(f"{folder}/a.png" for folder in folders))
        assert find_pairs(tmp_path).pairs[0].mask.parent.name == best

    def test_filled_masks_are_preferred_and_the_others_named(self, kit):
        layout = find_pairs(make(kit, "SegmentationClassFilled/a.png"))
        assert found(layout, kit) == [("a", "JPEGImages/a.jpg", "SegmentationClassFilled/a.png")]
        assert layout.description.endswith("; masks of SegmentationClass are not used.")

    def test_other_masks_and_images_can_be_named(self, kit, tmp_path):
        make(kit, "Predicted/b.png")
        for masks in ("Predicted", kit / "Predicted"):
            layout = find_pairs(kit, masks=masks)
            assert found(layout, kit) == [("b", "JPEGImages/b.jpg", "Predicted/b.png")]
            assert layout.problems == []
        assert sentences(find_pairs(kit, masks="Predicted", split="val"), kit) == [
            "JPEGImages/c.jpg has no mask; add it or remove the image.",
            "JPEGImages/z is named by the split but not there; add the image.",
        ]
        photographs = make(tmp_path / "photographs", "a.webp")
        assert found(find_pairs(kit, images=photographs), tmp_path)[0][1] == "photographs/a.webp"

    def test_without_images_their_folder_is_asked_for(self, tmp_path):
        make(tmp_path, "SegmentationClass/a.png")
        with pytest.raises(LayoutError, match="has masks but no images in JPEGImages; name their folder with --images"):
            find_pairs(tmp_path)

    def test_a_split_that_does_not_exist(self, kit, tmp_path):
        with pytest.raises(LayoutError, match=r"no split 'test'; splits there: train, val\.$"):
            read_split(kit, "test")
        with pytest.raises(LayoutError, match="no mask is called as an image is"):
            find_pairs(make(kit, "SegmentationClass/y.png"), split="train", masks=make(tmp_path / "other", "y.png"))

    def test_own_class_names_come_first(self, kit):
        (kit / "class_names.txt").write_text("_background_\ncell\n")
        categories = find_pairs(kit).categories
        assert categories is not None
        assert [category.name for category in categories.values()] == ["cell"]


class TestFolders:
    @pytest.mark.parametrize(
        ("images", "masks"), [("images", "masks"), ("Images", "Annotations"), ("imgs", "labels"), ("image", "mask")]
    )
    def test_two_folders(self, tmp_path, images, masks):
        make(tmp_path, f"{images}/b.JPG", f"{images}/a.tif", f"{masks}/a.png", f"{masks}/b.png")
        layout = find_pairs(tmp_path)
        assert layout.name == "folders"
        assert found(layout, tmp_path) == [
            ("a", f"{images}/a.tif", f"{masks}/a.png"),
            ("b", f"{images}/b.JPG", f"{masks}/b.png"),
        ]
        assert (layout.problems, layout.categories) == ([], None)

    def test_folders_inside_are_part_of_the_name(self, tmp_path):
        make(tmp_path, "images/t/a.jpg", "images/v/a.jpg", "images/v/b.c.jpg")
        make(tmp_path, "annotations/t/a.png", "annotations/v/a.png", "annotations/v/b.c.png")
        assert [pair[0] for pair in found(find_pairs(tmp_path), tmp_path)] == ["t/a", "v/a", "v/b.c"]

    def test_masks_may_have_something_at_their_end(self, tmp_path):
        make(tmp_path, *(f"images/{name}.jpg" for name in ("a", "b", "c", "d", "e", "f_mask")))
        make(tmp_path, "masks/a_mask.png", "masks/b-Mask.PNG", "masks/c_seg.png", "masks/d_label.bmp")
        make(tmp_path, "masks/e_semantic.tif", "masks/f_mask.png")
        layout = find_pairs(tmp_path)
        assert [pair.stem for pair in layout.pairs] == ["a", "b", "c", "d", "e", "f_mask"]
        assert layout.problems == []

    def test_problems_are_listed(self, tmp_path):
        make(tmp_path, "images/a.jpg", "images/a.png", "images/b.jpg", "masks/a.png", "masks/a_mask.png", "masks/c.png")
        layout = find_pairs(tmp_path)
        assert found(layout, tmp_path) == [("a", "images/a.jpg", "masks/a.png")]
        assert sentences(layout, tmp_path) == [
            "images/a.png is a second image beside images/a.jpg; remove one.",
            "images/b.jpg has no mask; add it or remove the image.",
            "masks/a_mask.png is a second mask beside masks/a.png; remove one.",
            "masks/c.png has no image; add it or remove the mask.",
        ]

    def test_folders_without_masks_are_passed_over(self, tmp_path):
        make(tmp_path, "images/a.jpg", "annotations/instances.json", "labels/a.txt", "label/a.png")
        assert found(find_pairs(tmp_path), tmp_path) == [("a", "images/a.jpg", "label/a.png")]

    def test_jpeg_masks_are_found_so_that_reading_can_refuse_them(self, tmp_path):
        make(tmp_path, "images/a.jpg", "masks/a.jpg")
        assert found(find_pairs(tmp_path), tmp_path) == [("a", "images/a.jpg", "masks/a.jpg")]

    def test_hidden_files_are_passed_over_and_links_followed_once(self, tmp_path):
        make(tmp_path, "images/._a.jpg", "images/.cache/b.jpg", "elsewhere/a.jpg", "masks/c/a.png")
        (tmp_path / "images" / "c").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "elsewhere")
        assert found(find_pairs(tmp_path), tmp_path) == [("c/a", "images/c/a.jpg", "masks/c/a.png")]

    def test_cityscapes(self, tmp_path):
        make(tmp_path, "leftImg8bit/val/bonn/bonn_1_2_leftImg8bit.png")
        kinds = ("color.png", "instanceIds.png", "labelIds.png", "labelTrainIds.png", "polygons.json")
        make(tmp_path, *(f"gtFine/val/bonn/bonn_1_2_gtFine_{kind}" for kind in kinds))
        layout = find_pairs(tmp_path)
        assert [(pair.stem, pair.mask.name) for pair in layout.pairs] == [
            ("val/bonn/bonn_1_2_leftImg8bit", "bonn_1_2_gtFine_labelIds.png")
        ]
        assert layout.problems == []
        assert layout.categories is not None
        assert layout.categories.name(26) == "car"

    def test_names_that_never_agree(self, tmp_path):
        make(tmp_path, "images/a.jpg", "masks/b.png", "masks/c.png")
        with pytest.raises(LayoutError, match=r"images holds 1 images and .*masks 2 masks, but no mask is called as"):
            find_pairs(tmp_path)

    def test_splits_are_for_voc(self, tmp_path):
        with pytest.raises(LayoutError, match="is no VOC folder, so it has no split 'val'; leave --split out"):
            find_pairs(make(tmp_path, "images/a.jpg", "masks/a.png"), split="val")


class TestExplicit:
    def test_both_folders(self, tmp_path):
        make(tmp_path, "photographs/a.jpg", "photographs/b.jpg", "truth/a.png")
        for root in (None, tmp_path):
            layout = find_pairs(root, images=tmp_path / "photographs", masks=tmp_path / "truth")
            assert layout.name == "explicit"
            assert found(layout, tmp_path) == [("a", "photographs/a.jpg", "truth/a.png")]
            assert sentences(layout, tmp_path) == ["photographs/b.jpg has no mask; add it or remove the image."]

    def test_masks_inside_the_images_folder(self, tmp_path):
        make(tmp_path, "a.jpg", "b.png", "truth/a.png", "truth/b.png", "other/c.jpg")
        expected = [("a", "a.jpg", "truth/a.png"), ("b", "b.png", "truth/b.png")]
        assert found(find_pairs(tmp_path, masks="truth"), tmp_path) == expected
        assert found(find_pairs(None, images=tmp_path, masks=tmp_path / "truth"), tmp_path) == expected

    def test_one_folder_for_both_is_flat(self, tmp_path):
        make(tmp_path, "a.jpg", "a.png")
        layout = find_pairs(None, images=tmp_path, masks=tmp_path)
        assert (layout.name, found(layout, tmp_path)) == ("flat", [("a", "a.jpg", "a.png")])

    def test_what_is_missing(self, tmp_path):
        with pytest.raises(LayoutError, match="name one, or both --images and --masks"):
            find_pairs(None, images=tmp_path)
        with pytest.raises(LayoutError, match="nowhere is not a folder; check the name"):
            find_pairs(tmp_path, masks="nowhere")
        with pytest.raises(LayoutError, match="nowhere is not a folder"):
            find_pairs(tmp_path / "nowhere")


class TestFlat:
    @pytest.mark.parametrize(
        "mask", ["x.png", "x_mask.png", "x-mask.png", "x_SEG.png", "x_label.PNG", "x_semantic.png", "x_masks.tif"]
    )
    def test_side_by_side(self, tmp_path, mask):
        layout = find_pairs(make(tmp_path, "x.jpg", mask, "notes.txt"))
        assert (layout.name, found(layout, tmp_path), layout.problems) == ("flat", [("x", "x.jpg", mask)], [])
        assert layout.description == f"Images and masks side by side: 1 pair in {tmp_path}, such as x.jpg with {mask}."

    def test_images_may_be_png_too(self, tmp_path):
        make(tmp_path, "x.png", "x_mask.png", "y.png", "y_mask.png")
        assert found(find_pairs(tmp_path), tmp_path) == [("x", "x.png", "x_mask.png"), ("y", "y.png", "y_mask.png")]

    def test_problems_are_listed(self, tmp_path):
        make(tmp_path, "x.jpg", "x.png", "x_mask.png", "y.jpg", "z_mask.png")
        layout = find_pairs(tmp_path)
        assert found(layout, tmp_path) == [("x", "x.jpg", "x_mask.png")]
        assert sentences(layout, tmp_path) == [
            "x.png is a second image beside x.jpg; remove one.",
            "y.jpg has no mask; add it or remove the image.",
            "z_mask.png has no image; add it or remove the mask.",
        ]

    def test_categories_lie_beside(self, tmp_path):
        make(tmp_path, "x.jpg", "x.png")
        (tmp_path / "classes.txt").write_text("cat\ndog\n")
        categories = find_pairs(tmp_path).categories
        assert categories is not None
        assert [category.name for category in categories.values()] == ["cat", "dog"]
        (tmp_path / "categories.json").write_text("{")
        with pytest.raises(CategoryError, match=r"categories\.json"):
            find_pairs(tmp_path)

    def test_nothing_to_pair(self, tmp_path):
        for _ in range(2):
            with pytest.raises(LayoutError, match=r"no images and masks .*VOC folder .*x_mask\.png; name the folders"):
                find_pairs(tmp_path)
            make(tmp_path, "x.jpg", "y.jpg")


@given(
    st.lists(st.sampled_from(["a.jpg", "a.png", "b.jpeg", "b.tif", "c/a.png"]), unique=True, min_size=1),
    st.lists(st.sampled_from(["a.png", "a_mask.png", "b-seg.png", "c/a.tif", "d.png"]), unique=True, min_size=1),
)
def test_every_file_is_in_one_pair_or_one_problem(tmp_path_factory, images, masks):
    root = tmp_path_factory.mktemp("layout")
    made = make(root, *(f"images/{name}" for name in images), *(f"masks/{name}" for name in masks))
    try:
        layout = find_pairs(made)
    except LayoutError:
        stems = {name.rsplit(".")[0] for name in images}
        owners = {name.rsplit(".")[0].replace("_mask", "").replace("-seg", "") for name in masks}
        assert not stems & owners
        return
    mentioned = [path for pair in layout.pairs for path in (pair.image, pair.mask)]
    mentioned += [problem.path for problem in layout.problems]
    assert sorted(mentioned) == sorted(path for path in root.rglob("*") if path.is_file())
    assert layout.pairs == sorted(layout.pairs)


@pytest.mark.data
class TestRealLayouts:
    @pytest.mark.parametrize(
        ("folder", "options", "name", "pairs", "problems", "categories"),
        [
            ("voc-val-dev", {}, "voc", 500, 0, 20),
            ("voc-val-dev", {"split": "clean_touching_same_class"}, "voc", 91, 0, 20),
            ("voc-val-dev", {"split": "with_pred", "masks": "SegmentationPred"}, "voc", 149, 0, 20),
            ("voc-train", {}, "voc", 3131, 0, 20),
            ("coco-train", {}, "folders", 220, 0, 80),
            ("coco-dev", {}, "folders", 121, 0, None),
            ("nuclei-dev", {}, "folders", 220, 0, None),
            ("fixtures/ade20k_sceneparsing_3/sampleData", {}, "ade20k", 3, 0, 150),
            (
                "fixtures/ade20k_full_3/dataset/ADE20K_2021_17_01/images/ADE/training/urban/street",
                {},
                "ade20k-full",
                3,
                0,
                40,
            ),
        ],
    )
    def test_is_understood(self, data_root, folder, options, name, pairs, problems, categories):
        layout = find_pairs(data_root / folder, **options)
        assert (layout.name, len(layout.pairs), len(layout.problems)) == (name, pairs, problems)
        assert (None if layout.categories is None else len(layout.categories)) == categories

    def test_filled_masks_are_taken(self, data_root):
        layout = find_pairs(data_root / "voc-val-dev")
        assert layout.pairs[0].mask.parent.name == "SegmentationClassFilled"
        for pair in layout.pairs[::50]:
            assert MaskReader().read(pair.mask).shape == image_size(pair.image)

    def test_labelme_keeps_its_photographs_elsewhere(self, data_root):
        root = data_root / "fixtures/labelme_voc3/examples/instance_segmentation"
        layout = find_pairs(root / "data_dataset_voc", images=root / "data_annotated")
        assert [pair.stem for pair in layout.pairs] == ["2011_000003", "2011_000006", "2011_000025"]
        assert layout.categories is not None
        assert layout.categories.name(16) == "potted plant"
