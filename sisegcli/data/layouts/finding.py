"""Find out how a folder is laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sisegcli.data.images import EXTENSIONS
from sisegcli.data.layouts.category_files import find_categories, listed_categories, marked_categories
from sisegcli.data.layouts.hugging_face import metadata_pairs
from sisegcli.data.layouts.known import is_full_ade20k, recognise
from sisegcli.data.layouts.pairing import LOSSLESS, LOSSY, Match, list_stems, pair_flat, pair_folders
from sisegcli.data.layouts.records import Layout, Pair, Problem, counted
from sisegcli.data.layouts.voc import class_folders, read_split, voc_folder
from sisegcli.data.mask_values import MaskValues
from sisegcli.errors import LayoutError

_IMAGE_FOLDERS = ("images", "image", "imgs", "img_dir", "leftimg8bit", "jpegimages")
_MASK_FOLDERS = (
    "masks",
    "mask",
    "annotations",
    "labels",
    "label",
    "ann_dir",
    "gtfine",
    "gtcoarse",
    "stuffthingmaps",
    "stuffthingmaps_trainval2017",
    "v2.0/labels",
    "v1.2/labels",
)
_SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}

_KINDS = {"voc": "VOC development kit", "folders": "Two folders", "explicit": "Two folders that were named"}


def find_pairs(
    root: Path | str | None,
    *,
    images: Path | str | None = None,
    masks: Path | str | None = None,
    split: str | None = None,
) -> Layout:
    """Pair the images of a folder with their semantic masks.

    Layouts are tried in this order:

    - ``explicit``: both `images` and `masks` are given;
    - ``voc``: a VOC development kit, `JPEGImages` and the best `SegmentationClass*` (`SegmentationClassFilled`, where
      there is one). Without `split` the masks are the list, as most images have none by design;
    - ``hugging-face``: ``metadata.csv`` or ``metadata.jsonl`` that names images and masks;
    - ``folders``: ``images/`` and ``masks/`` (or ``annotations/``, ``labels/``; Cityscapes' ``leftImg8bit/`` and
      ``gtFine/``), with the same relative paths inside, or both of them in ``train/``, ``val/`` and so on;
    - ``ade20k-full``: ``ADE_*_seg.png`` beside ``ADE_*.jpg``, at any depth;
    - ``flat``: ``x.jpg`` beside ``x_mask.png`` (``-mask``, ``_seg``, ``_label``, ``_semantic``) or ``x.png``.

    Data sets that are known by their files' names (see `known`) give their own name to the last four, and say what
    masks' values mean.

    Parameters
    ----------
    root : Path or str or None
        The folder; None where both `images` and `masks` are given.
    images, masks : Path or str, optional
        Folders to be used in place of the layout's own, relative to the working folder or else to `root`.
    split : str, optional
        Name of a list in a VOC folder's ``ImageSets/Segmentation``.

    Returns
    -------
    Layout
        Pairs in order of stem, and what could not be paired. Nothing is opened: sizes are not compared here.

    Raises
    ------
    LayoutError
        If there is no pair at all, or a folder or the split does not exist.
    CategoryError
        If a list of categories beside the images cannot be read.
    """
    if root is None and (images is None or masks is None):
        raise LayoutError("There is no folder to look in; name one, or both --images and --masks.")
    base = _folder(root) if root is not None else _folder(images or ".").parent
    image_folder = None if images is None else _folder(images, base)
    mask_folder = None if masks is None else _folder(masks, base)
    voc = voc_folder(base)
    if split is not None and voc is None:
        raise LayoutError(f"{base} is no VOC folder, so it has no split {split!r}; leave --split out.")
    names = None if split is None else read_split(base, split)

    if voc is None and image_folder is None and mask_folder is None:
        layout = _from_metadata(base) or _from_splits(base)
        if layout is not None:
            return layout
    name = "explicit" if image_folder and mask_folder else "folders" if voc is None else "voc"
    if voc is not None and mask_folder is None:
        mask_folder = next(iter(class_folders(voc)), None)
    image_folder = image_folder or _subfolder(voc or base, _IMAGE_FOLDERS, EXTENSIONS)
    mask_folder = mask_folder or _subfolder(base, _MASK_FOLDERS, LOSSLESS) or _subfolder(base, _MASK_FOLDERS, LOSSY)
    if image_folder is None and mask_folder is not None:
        if voc is not None:
            raise LayoutError(f"{voc} has masks but no images in JPEGImages; name their folder with --images.")
        image_folder = base
    if image_folder is None or mask_folder is None or image_folder.resolve() == mask_folder.resolve():
        return _flat(image_folder or base, base)

    match, problems = _pair(image_folder, mask_folder, names, deep=image_folder != base)
    if name == "voc" and names is None:
        alone = len(match.images_alone)
        more = f"; {alone} more image{' has' if alone == 1 else 's have'} no mask" if alone else ""
    else:
        problems += [_no_mask(path) for path in match.images_alone]
        more = ""
    if name == "voc" and masks is None and voc is not None:
        others = [path.name for path in class_folders(voc) if path != mask_folder]
        more += f"; masks of {' and '.join(others)} are not used" if others else ""
    where = "" if split is None else f" of the split {split}"
    where += f" from {image_folder} and {mask_folder}{more}"
    places = [base, voc or base, image_folder, image_folder.parent, mask_folder.parent]
    return _layout(name, where, match.pairs, problems, places, voc)


def _layout(
    name: str, where: str, pairs: list[Pair], problems: list[Problem], places: Sequence[Path], voc: Path | None = None
) -> Layout:
    """Make a layout, of a known data set where the pairs are from one; a list beside the images is preferred."""
    places = list(dict.fromkeys(places))
    known = None if voc is not None else recognise(pairs, places)
    kind = _KINDS.get(name, "")
    if known is not None and name != "explicit":
        name, kind = known.name, known.title
    categories = (
        listed_categories(places) or (known.categories if known is not None else None) or marked_categories(places, voc)
    )
    description = f"{kind}: {counted(pairs)}{where}."
    values = MaskValues() if known is None else known.values
    return Layout(name, description, pairs, sorted(problems), categories, values)


def _from_metadata(base: Path) -> Layout | None:
    """Pair what Hugging Face's metadata names; None where there is none."""
    found = metadata_pairs(base)
    if found is None:
        return None
    pairs, problems = found
    if not pairs:
        raise LayoutError(f"{base} has metadata of images and masks, but {problems[0].sentence}")
    description = f"Hugging Face image folder: {counted(pairs)} from {base}."
    categories = listed_categories([base, *sorted({pair.image.parent for pair in pairs})])
    return Layout("hugging-face", description, pairs, sorted(problems), categories)


def _from_splits(base: Path) -> Layout | None:
    """Pair ``train/images/`` with ``train/masks/`` and so on; None where there are no such folders."""
    splits = sorted(path for path in base.iterdir() if path.is_dir() and path.name.lower() in _SPLITS)
    own = splits and (_subfolder(base, _IMAGE_FOLDERS, EXTENSIONS) or _subfolder(base, _MASK_FOLDERS, LOSSLESS))
    if not splits or own:
        return None
    pairs: list[Pair] = []
    problems: list[Problem] = []
    places, names = [base], []
    for folder in splits:
        images, masks = _subfolder(folder, _IMAGE_FOLDERS, EXTENSIONS), _subfolder(folder, _MASK_FOLDERS, LOSSLESS)
        if images is None or masks is None:
            continue
        match, amiss = _pair(images, masks, None, deep=True)
        pairs += [replace(pair, stem=f"{folder.name}/{pair.stem}") for pair in match.pairs]
        problems += [*amiss, *map(_no_mask, match.images_alone)]
        places.append(folder)
        names.append(folder.name)
    if not pairs:
        return None
    return _layout("folders", f" from {' and '.join(names)} in {base}", sorted(pairs), problems, places)


def _ade20k_full(base: Path) -> Layout | None:
    """Pair the images and masks of the full ADE20K; None where there are none."""
    files = list_stems(base, (".jpg", ".png"))
    masks = {stem.removesuffix("_seg"): stem for stem in files if is_full_ade20k(stem.rsplit("/", 1)[-1])}
    pairs = [Pair(stem, files[stem][0], files[mask][0]) for stem, mask in sorted(masks.items()) if stem in files]
    if not pairs:
        return None
    problems = [_no_image(files[mask][0]) for stem, mask in masks.items() if stem not in files]
    return _layout("flat", f" from {base}", pairs, problems, [base])


def _pair(
    image_folder: Path, mask_folder: Path, names: Sequence[str] | None, deep: bool
) -> tuple[Match, list[Problem]]:
    """Pair two folders, only what `names` lists where it is given; problems leave out images without a mask."""
    images = list_stems(image_folder, EXTENSIONS, without=[mask_folder], deep=deep)
    if not images and not deep:  # COCO's train2017/ beside stuffthingmaps/train2017/
        splits = {path.name for path in mask_folder.iterdir()}
        found = list_stems(image_folder, EXTENSIONS, without=[mask_folder])
        images = {stem: paths for stem, paths in found.items() if stem.split("/")[0] in splits}
    masks = list_stems(mask_folder, (*LOSSLESS, *LOSSY), without=[image_folder])
    problems = []
    if names is not None:
        absent = [image_folder / name for name in names if name not in images]
        problems = [Problem(path, f"{path} is named by the split but not there; add the image.") for path in absent]
        images = {stem: images[stem] for stem in sorted(names) if stem in images}
    match = pair_folders(images, masks)
    if not match.pairs:
        raise LayoutError(
            f"{image_folder} holds {len(images)} images and {mask_folder} {len(masks)} masks, but no mask is called as"
            " an image is (x.png or x_mask.png for x.jpg); rename them, or name other folders or another split."
        )
    if names is None:  # masks of other splits are not amiss
        problems += [_no_image(path) for path in match.masks_alone]
    return match, problems + match.doubles


def _flat(folder: Path, base: Path) -> Layout:
    """Pair the images and masks of one folder, the last layout that is tried.

    The full ADE20K is such a folder, or has some at any depth; a whole tree is looked through only if nothing else is
    found.
    """
    match = pair_flat(list_stems(folder, (*EXTENSIONS, ".gif"), deep=False))
    if not match.pairs or any(is_full_ade20k(pair.mask.stem) for pair in match.pairs):
        layout = _ade20k_full(base)
        if layout is not None:
            return layout
    if not match.pairs:
        raise LayoutError(
            f"{folder} has no images and masks that can be paired: it is no VOC folder (JPEGImages and"
            " SegmentationClass), has no folders such as images and masks, and no files such as x.jpg with x_mask.png;"
            " name the folders with --images and --masks."
        )
    first = match.pairs[0]
    description = (
        f"Images and masks side by side: {counted(match.pairs)} in {folder},"
        f" such as {first.image.name} with {first.mask.name}."
    )
    problems = [*match.doubles, *map(_no_mask, match.images_alone), *map(_no_image, match.masks_alone)]
    return Layout("flat", description, match.pairs, sorted(problems), find_categories([folder]))


def _folder(path: Path | str, base: Path | None = None) -> Path:
    """Return a folder that was asked for, relative to the working folder or else to `base`."""
    for folder in (Path(path), *([base / path] if base else [])):
        if folder.is_dir():
            return folder
    raise LayoutError(f"{path} is not a folder; check the name.")


def _subfolder(base: Path, names: Sequence[str], extensions: Sequence[str]) -> Path | None:
    """Return the first of some folders, whatever their case, that holds any file of a kind."""
    folders = {path.name.lower(): path for path in sorted(base.iterdir()) if path.is_dir()}
    folders |= {f"{name}/labels": path / "labels" for name, path in folders.items() if (path / "labels").is_dir()}
    there = (folders[name] for name in names if name in folders)
    return next((folder for folder in there if list_stems(folder, extensions)), None)


def _no_mask(path: Path) -> Problem:
    return Problem(path, f"{path} has no mask; add it or remove the image.")


def _no_image(path: Path) -> Problem:
    return Problem(path, f"{path} has no image; add it or remove the mask.")
