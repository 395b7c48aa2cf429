"""The layouts that are known."""

LAYOUTS = {
    "explicit": "Two folders, named by --images and --masks.",
    "voc": "A PASCAL VOC development kit: JPEGImages/ and SegmentationClass/ (or SegmentationClassFilled/).",
    "hugging-face": "An image folder of Hugging Face: metadata.csv or .jsonl with file_name and mask_file_name.",
    "cityscapes": "Cityscapes: leftImg8bit/ and gtFine/ with *_labelIds.png, or *_labelTrainIds.png.",
    "ade20k": "ADE20K's scene parsing challenge: images/ and annotations/ with ADE_train_*.png; 0 is no category.",
    "ade20k-full": "The full ADE20K: ADE_*_seg.png beside ADE_*.jpg, at any depth.",
    "coco-stuff": "COCO-Stuff: stuffthingmaps/ or annotations/ with train2017/, val2017/; values from 0, 255 is void.",
    "mapillary": "Mapillary Vistas: training/images/, training/labels/ (or v2.0/labels/, v1.2/labels/), config*.json.",
    "mmsegmentation": "mmsegmentation's img_dir/ and ann_dir/, with train/ and val/ inside; 0 is background.",
    "folders": "images/ and masks/ (or annotations/, labels/), the same names inside; or both in train/, val/, test/.",
    "webdataset": "Tar files as WebDataset has them: x.jpg with x.mask.png (or x.seg.png, x.label.png) in each.",
    "flat": "Images and masks side by side: x.jpg with x.png, or x_mask.png.",
}
"""Layouts by name, a sentence on each."""
