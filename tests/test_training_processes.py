"""Training on two processes does what training on one does, on the same batches."""

import json
import os
import subprocess
import sys
from itertools import islice

import pytest
import torch
from draw_scenes import draw_scenes, write_voc
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from sisegcli.errors import OptionError
from sisegcli.network.checkpoint import NetworkConfig, build_network, save_checkpoint
from sisegcli.training.loader import _From
from sisegcli.training.losses import centre_loss, pair_loss, shape_loss
from sisegcli.training.pairs import Shift
from sisegcli.training.processes import ALONE, Processes, SharedBatchNorm
from sisegcli.training.window_losses import _Share

# The command line, with the gradients of every step written down.
SCRIPT = """
import os, sys
import torch
from sisegcli.cli import app
from sisegcli.training import loop, processes
torch.set_num_threads(1)
folder, rank, steps, step = sys.argv.pop(1), os.environ.get("RANK", "0"), [], torch.optim.AdamW.step
def noting(self, *args, **options):
    found = [p.grad.clone() for group in self.param_groups for p in group["params"] if p.grad is not None]
    torch.save(found, f"{folder}/gradients-{rank}-{len(steps)}.pt")
    steps.append(len(found))
    return step(self, *args, **options)
torch.optim.AdamW.step = noting
# Rounding would hide what is looked for: no bfloat16, and one batch norm for all, the equal of torch's (see below).
loop.computes_in_bfloat16 = lambda device: False
share = processes.Processes.share
processes.Processes.share = lambda self, network: (processes._share_batch_norm(network, self), share(self, network))
app(prog_name="sisegcli")
"""


def launch(folder, *arguments, processes=1):
    folder.mkdir()
    script = folder / "script.py"
    script.write_text(SCRIPT)
    starter = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "--"]
    command = [sys.executable, *(starter if processes > 1 else []), str(script), str(folder), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path):
    write_voc(tmp_path / "set", draw_scenes(5, seed=5, size=(96, 128)))
    broken = sorted((tmp_path / "set/SegmentationClass").iterdir())[2]
    broken.write_bytes(b"no picture")  # one of the processes has nothing to do where this comes
    config = NetworkConfig("efficientnet_lite0", guided=True, membership=True)
    torch.manual_seed(1)
    save_checkpoint(tmp_path / "start.safetensors", build_network(config), config)
    arguments = ["train", tmp_path / "set", "--start", tmp_path / "start.safetensors", "--device", "cpu", "--json"]
    # So small a rate that rounding, of which Adam makes whole steps, does not add up.
    arguments += ["--workers", 0, "--crop", 64, "--batch-size", 2, "--epochs", 2, "--lr", 1e-7]
    told = {}
    for name, processes in (("one", 1), ("two", 2)):
        done = launch(tmp_path / name, *arguments, "--out", tmp_path / name / "run", processes=processes)
        assert done.returncode == 1, done.stderr  # one image is left out
        told[name] = json.loads(done.stdout)  # one summary, whoever else is there
    assert told["two"]["steps"] == told["one"]["steps"] == 5
    assert told["two"]["problems"] == told["one"]["problems"] != []
    assert told["two"]["losses"] == pytest.approx(told["one"]["losses"], rel=1e-5)
    for step in range(5):
        one, two, other = (
            torch.load(tmp_path / f"{run}/gradients-{rank}-{step}.pt")
            for run, rank in (("one", 0), ("two", 0), ("two", 1))
        )
        whole, joined = (torch.cat([gradient.flatten() for gradient in found]) for found in (one, two))
        # Where rounding takes a value over a kink of ReLU6, a gradient jumps; wrong shares make 100 times as much.
        assert (whole - joined).norm() < 1e-4 * whole.norm() > 0
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(two, other, strict=True))
    weights = {name: load_file(tmp_path / name / "run/weights.safetensors") for name in ("one", "two")}
    assert weights["one"].keys() == weights["two"].keys()
    for name, values in weights["one"].items():
        torch.testing.assert_close(values, weights["two"][name], rtol=1e-3, atol=1e-5)
    assert len((tmp_path / "two/run/log.jsonl").read_text().splitlines()) == 1


@given(start=st.integers(0, 50), share=st.integers(1, 5), parts=st.integers(1, 4))
def test_parts_make_up_batches(start, share, parts):
    size = share * parts
    numbers = [list(islice(_From(start, size, part, parts), 3 * share)) for part in range(parts)]
    for batch in range(3):
        found = [n for part in numbers for n in part[batch * share : (batch + 1) * share]]
        assert found == list(range(start + batch * size, start + (batch + 1) * size))


def test_losses_of_parts_add_up_to_the_batch_s():
    torch.manual_seed(0)
    displacement, boundary = torch.randn(4, 2, 9, 9), torch.randn(4, 1, 9, 9)
    labels = torch.randint(-1, 3, (4, 9, 9))
    labels[2:] = labels[2:].clamp(max=1)  # no borders between objects here, and fewer cells that count
    labels[3, 2:] = -1
    doubtful = torch.rand(4, 9, 9) < 0.3
    shifts = [Shift(0, 1), Shift(2, -1)]
    target, size, weight = torch.randn(4, 2, 9, 9), torch.full((4, 9, 9), 6.0), (labels > 0).float()
    parts = [slice(0, 2), slice(2, 4), slice(4, 4)]

    def losses(part, **everywhere):
        pairs = pair_loss(
            displacement[part], boundary[part], labels[part], shifts, doubtful=doubtful[part], **everywhere
        )
        centre = centre_loss(displacement[part], target[part], size[part], weight[part], doubtful[part], **everywhere)
        return torch.stack([pairs.object_displacement, pairs.background_displacement, pairs.boundary, centre])

    counted = []
    for part in parts:
        asked = []
        losses(part, everywhere=lambda counts, asked=asked: asked.append(counts) or counts)
        counted.append(asked)
    sums = [sum(counts) for counts in zip(*counted, strict=True)]

    def everywhere():
        waiting = iter(sums)
        return lambda _: next(waiting)

    found = [losses(part, everywhere=everywhere()) for part in parts]
    whole = losses(slice(0, 4))
    torch.testing.assert_close(sum(found), whole)
    mean = (losses(parts[0]) + losses(parts[1])) / 2
    assert (mean - whole).abs().max() > 0.01  # so this could fail


def test_what_is_said_of_shapes_adds_up_to_the_batch_s():
    torch.manual_seed(0)
    verdicts, answers, weights = 4 * torch.randn(5, 2), torch.rand(5, 2), torch.rand(5, 2)
    doubtful = torch.tensor([True, False, True, False, True])
    parts = [slice(0, 1), slice(1, 5)]  # shares of the mean, as some images may be broken

    def loss(part):
        return shape_loss(verdicts[part], answers[part], weights[part], doubtful[part])

    whole = loss(slice(0, 5))
    shares = [_Share(len(verdicts[part]), 5).of(loss(part)) for part in parts]
    torch.testing.assert_close(sum(shares), whole)
    assert (sum(loss(part) for part in parts) / 2 - whole).abs() > 0.01  # so this could fail


def test_batch_norm_is_torch_s_own_where_all_samples_are_here():
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(3, eps=1e-3, momentum=0.2)
    nn.init.normal_(plain.weight)
    twin = nn.BatchNorm2d(3, eps=1e-3, momentum=0.2)
    twin.load_state_dict(plain.state_dict())
    shared = SharedBatchNorm.of(twin, ALONE)
    x = torch.randn(4, 3, 5, 6) * 3 + 2
    one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
    for norm, values in ((plain, one), (shared, two)):
        norm(values).square().mul(x).sum().backward()
        norm(values.detach() + 1)
    torch.testing.assert_close(two.grad, one.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(shared.state_dict(), plain.state_dict())
    torch.testing.assert_close(shared.weight.grad, plain.weight.grad)
    torch.testing.assert_close(shared.eval()(x), plain.eval()(x))


def test_a_batch_that_cannot_be_dealt_evenly():
    with pytest.raises(
        OptionError, match=r"A batch of 8 can't be dealt evenly to 3 processes; choose another --batch-s"
    ):
        Processes(1, 3).check(8)
    Processes(1, 4).check(8)


def test_each_process_of_a_machine_has_its_own_device(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    cuda = torch.device("cuda")
    assert Processes(7, 8).device(cuda) == torch.device("cuda", 3)
    assert Processes(7, 8).device(torch.device("cuda", 1)) == torch.device("cuda", 1)
    assert Processes(7, 8).device(torch.device("cpu")) == torch.device("cpu")
    assert ALONE.device(cuda) == cuda


def test_processes_are_known_by_torchrun_alone(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert Processes.started() == ALONE
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert Processes.started() == Processes(1, 2)
    assert not Processes.started().first
