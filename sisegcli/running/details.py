"""Sentences for whoever wants to know all: with what a conversion works, and what came of each image."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from sisegcli.categories import Categories
from sisegcli.data.layouts import Layout
from sisegcli.data.masks import MaskReader
from sisegcli.running.options import ConvertOptions
from sisegcli.running.rows import DONE, Row
from sisegcli.shipped import weights_path


def describe_input(layout: Layout, masks: MaskReader, categories: Categories) -> Iterator[str]:
    """Yield what was recognised of the input folder."""
    values = (("background", masks.background), ("ignored", masks.ignore))
    meant = ", ".join(f"{name}: {'none' if value is None else value}" for name, value in values)
    yield f"Layout: {layout.name}. Mask values: {meant}. Categories with a name: {len(categories)}."


def describe_work(options: ConvertOptions) -> Iterator[str]:
    """Yield with what the work is done; to be asked for when the method is built."""
    if options.method == "siseg":
        yield f"Weights: {weights_path(options.weights)}. Outer edges: {options.edges}."
    if options.engine == "ray":
        yield f"Engine: Ray, at {options.ray_address or 'this machine'}."
    elif options.processes > 1:
        yield f"Processes: {options.processes}. Threads that read ahead in each: {options.workers}."
    else:
        yield f"Device: {_device(options)}. Threads that read ahead: {options.workers}."
    formats = ", ".join([*options.to, *(["overlay"] if options.overlay else [])])
    yield f"Images at a time: {options.batch_size}. Tiles: {options.tile}. Formats: {formats}."


def _device(options: ConvertOptions) -> str:
    torch = sys.modules.get("torch")
    if options.method != "siseg" or torch is None:
        return "none, as the method looks at masks alone"
    if weights_path(options.weights).suffix in (".onnx", ".xml"):
        return "cpu, by the engine of the weights' format"
    from sisegcli.devices import pick_device

    device = pick_device(options.device)
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} (threads of PyTorch: {torch.get_num_threads()})"


def describe_image(stem: str, row: Row) -> str:
    """Return what became of an image.

    >>> describe_image("street/01", Row(0, DONE, seconds=0.214, instances={15: 2, 7: 1}, doubted=1))
    'street/01: 3 instances, 0.21 s, 1 cut doubted'
    >>> describe_image("street/02", Row(1, "failed", "It is damaged."))
    'street/02: not converted'
    """
    if row.state != DONE:
        return f"{stem}: not converted"
    found = sum(row.instances.values())
    parts = [f"{found:,} instance{'' if found == 1 else 's'}", f"{row.seconds:.2f} s"]
    if row.doubted:
        parts.append(f"{row.doubted} cut{'' if row.doubted == 1 else 's'} doubted")
    if row.removed:
        parts.append(f"{row.removed} removed")
    return f"{stem}: {', '.join(parts)}"
