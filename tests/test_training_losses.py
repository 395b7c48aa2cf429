import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sisegcli.training.losses import centre_loss, membership_loss, outline_loss, pair_loss, shape_loss
from sisegcli.training.pairs import Shift, line_points, pair_offsets

torch.set_num_threads(1)

LABELS = np.array(
    [
        [0, 0, 1, 1, -1, 0],
        [0, 1, 1, 2, 2, 0],
        [0, 1, 1, 2, 2, 0],
        [3, 3, 0, 2, 2, -1],
        [3, 0, 0, 0, 0, 0],
    ]
)
SHIFTS = [Shift(*offset) for offset in pair_offsets(3)]


def field_to_centroids(labels: np.ndarray) -> np.ndarray:
    """The true displacement (2, h, w): to each object's centroid, 0 elsewhere."""
    field = np.zeros((2, *labels.shape))
    grid = np.mgrid[: labels.shape[0], : labels.shape[1]].astype(float)
    for label in set(labels[labels > 0].tolist()):
        inside = labels == label
        field[:, inside] = grid[:, inside].mean(1, keepdims=True) - grid[:, inside]
    return field


def reference(displacement, boundary, labels, doubtful=None, q=0.7) -> dict[str, float]:
    """The paper's three terms, with a loop over all pairs; arrays of a single image, `boundary` in [0, 1]."""
    costs = {name: [] for name in ("inside", "outside", "across", "around", "pull", "rest")}
    height, width = labels.shape
    for dy, dx in ((s.dy, s.dx) for s in SHIFTS):
        for y in range(height):
            for x in range(width):
                second = (y + dy, x + dx)
                if not (0 <= second[0] < height and 0 <= second[1] < width):
                    continue
                a, b = labels[y, x], labels[second]
                if a < 0 or b < 0:
                    continue
                r = 1 - max(boundary[y + step_y, x + step_x] for step_y, step_x in line_points(dy, dx))
                difference = displacement[:, y, x] - displacement[:, second[0], second[1]]
                if a == b and a > 0:
                    unsure = doubtful is not None and doubtful[y, x]
                    costs["inside"].append((1 - r**q) / q if unsure else -math.log(r))
                    costs["pull"].append(abs(difference[0] - dy) + abs(difference[1] - dx))
                elif a == b:
                    costs["outside"].append(-math.log(r))
                    costs["rest"].append(abs(difference).sum())
                else:
                    costs["across" if a and b else "around"].append(-math.log(1 - r))
    mean = {name: sum(values) / max(len(values), 1) for name, values in costs.items()}
    cuts = [mean[name] for name in ("across", "around") if costs[name]]
    return {
        "object_displacement": mean["pull"],
        "background_displacement": mean["rest"],
        "boundary": 0.5 * mean["inside"] + 0.5 * mean["outside"] + (sum(cuts) / len(cuts) if cuts else 0.0),
    }


def tensors(seed, labels=LABELS):
    rng = np.random.default_rng(seed)
    displacement = rng.normal(scale=2, size=(2, *labels.shape))
    logits = rng.normal(scale=2, size=labels.shape)
    return displacement, logits, torch.from_numpy(displacement)[None], torch.from_numpy(logits)[None, None]


@pytest.mark.parametrize("doubtful", [None, LABELS == 1, LABELS > 0, np.indices(LABELS.shape).sum(0) % 2 == 0])
@given(st.integers(0, 99))
def test_the_loss_equals_the_double_loop(doubtful, seed):
    displacement, logits, d, b = tensors(seed)
    unsure = None if doubtful is None else torch.from_numpy(doubtful)[None]
    found = pair_loss(d, b, torch.from_numpy(LABELS)[None], SHIFTS, doubtful=unsure)
    expected = reference(displacement, 1 / (1 + np.exp(-logits)), LABELS, doubtful)
    for name, value in expected.items():
        assert getattr(found, name).item() == pytest.approx(value, rel=1e-4), name
    assert found.total().item() == pytest.approx(sum(expected.values()), rel=1e-4)


@pytest.mark.parametrize("kinds", [[1], [0], [-1], [0, 1], [1, 2], [-1, 2]])
def test_kinds_of_pairs_may_be_lacking(kinds):
    labels = np.resize(np.array(kinds), LABELS.shape)
    displacement, logits, d, b = tensors(1)
    found = pair_loss(d, b, torch.from_numpy(labels)[None], SHIFTS)
    for name, value in reference(displacement, 1 / (1 + np.exp(-logits)), labels).items():
        assert getattr(found, name).item() == pytest.approx(value, rel=1e-4), name


def test_a_batch_is_one_set_of_pairs():
    _, _, d, b = tensors(2)
    _, _, other_d, other_b = tensors(3)
    labels = torch.from_numpy(LABELS)[None]
    nothing = torch.full_like(labels, -1)
    alone = pair_loss(d, b, labels, SHIFTS)
    both = pair_loss(torch.cat((d, other_d)), torch.cat((b, other_b)), torch.cat((labels, nothing)), SHIFTS)
    assert both.total().item() == pytest.approx(alone.total().item(), rel=1e-5)


def test_the_true_field_and_boundary_cost_nothing():
    labels = torch.from_numpy(LABELS)[None]
    field = torch.from_numpy(field_to_centroids(LABELS))[None]
    loss = pair_loss(field, torch.zeros(1, 1, 5, 6), labels, SHIFTS)
    assert loss.object_displacement.item() == pytest.approx(0, abs=1e-5)
    assert loss.background_displacement.item() == 0
    moved = pair_loss(field + 7, torch.zeros(1, 1, 5, 6), labels, SHIFTS)  # the pairs leave one offset open
    assert moved.object_displacement.item() == pytest.approx(0, abs=1e-5)
    # One object above, background below, and a row between them whose cells are ignored.
    striped = torch.tensor([1, 1, -1, 0, 0]).view(1, 5, 1).expand(1, 5, 6)
    border = torch.full((1, 1, 5, 6), -40.0)
    border[:, :, 2] = 40
    assert pair_loss(field, border, striped, SHIFTS).boundary.item() == pytest.approx(0, abs=1e-6)
    assert pair_loss(field, -border, striped, SHIFTS).boundary.item() > 10


def test_rare_borders_between_objects_weigh_as_much_as_those_with_background():
    labels = torch.zeros(1, 9, 9, dtype=torch.int64)
    labels[:, 1:8, 1:4], labels[:, 4, 4] = 1, 2
    logits = torch.full((1, 1, 9, 9), -3.0, requires_grad=True)
    shifts = [Shift(0, 1), Shift(1, 0)]
    pair_loss(torch.zeros(1, 2, 9, 9), logits, labels, shifts).boundary.backward()
    assert -logits.grad[0, 0, 4, 4].item() > 3 * -logits.grad[0, 0, 1, 1].item()


@pytest.mark.parametrize("size", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("unsure", [False, True])
def test_gradients_are_finite(size, unsure):
    labels = torch.from_numpy(LABELS)[None]
    _, _, d, b = tensors(4)
    d, b = (d * size).float().requires_grad_(), (b * size).float().requires_grad_()
    doubtful = labels == 2 if unsure else None
    loss = pair_loss(d, b, labels, SHIFTS, doubtful=doubtful).total()
    loss = loss + centre_loss(d, torch.zeros_like(d), torch.ones(1, 5, 6), (labels > 0).float(), labels == 2)
    loss.backward()
    assert math.isfinite(loss.item())
    assert bool(torch.isfinite(d.grad).all()) and bool(torch.isfinite(b.grad).all())


def test_half_precision_goes_in_and_full_comes_out():
    _, _, d, b = tensors(5)
    labels = torch.from_numpy(LABELS)[None]
    half, full = (pair_loss(d.to(t), b.to(t), labels, SHIFTS).total() for t in (torch.bfloat16, torch.float32))
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(full.item(), rel=0.02)


def test_doubt_bounds_what_a_pair_costs():
    labels = torch.ones(1, 1, 2, dtype=torch.int64)
    boundary = torch.full((1, 1, 1, 2), 60.0)
    field = torch.zeros(1, 2, 1, 2)
    sure = pair_loss(field, boundary, labels, [Shift(0, 1)], doubtful=labels > 1)
    unsure = pair_loss(field, boundary, labels, [Shift(0, 1)], doubtful=labels > 0)
    assert sure.boundary.item() == pytest.approx(30)
    assert unsure.boundary.item() == pytest.approx(0.5 / 0.7)


# -- known centres -----------------------------------------------------------------------------------------------------


def test_votes_for_the_true_centres_cost_nothing():
    target = torch.from_numpy(field_to_centroids(LABELS))[None].float()
    weight = torch.from_numpy(LABELS > 0)[None].float()
    size = torch.full((1, 5, 6), 3.0)
    assert centre_loss(target, target, size, weight, weight > 0).item() == 0
    assert centre_loss(target + 1, target, size, weight, weight > 1).item() > 0.1
    wrong = torch.where(weight[:, None] > 0, target, 99)  # cells that weigh nothing may say anything
    assert centre_loss(wrong, target, size, weight, weight > 1).item() == 0
    assert centre_loss(wrong, target, size, 0 * weight, weight > 1).item() == 0


def test_centre_loss_by_hand():
    displacement = torch.tensor([[[[3.0, 0.0]], [[-1.0, 5.0]]]])  # |error| 4 and 5
    size = torch.tensor([[[8.0, 2.0]]])  # small objects count as 4 wide
    weight = torch.tensor([[[1.0, 3.0]]])
    doubtful = torch.tensor([[[False, True]]])
    found = centre_loss(displacement, torch.zeros_like(displacement), size, weight, doubtful)
    assert found.item() == pytest.approx((1 * 2 * 0.5 + 3 * 1.5 * 1.25 / 1.75) / 4)


# -- membership --------------------------------------------------------------------------------------------------------


def membership_reference(logits, members, weights, doubtful, q=0.7) -> float:
    """Cross-entropy with a loop over all cells; arrays (N, h, w)."""
    total = 0.0
    for window in range(len(logits)):
        costs, counts = {True: 0.0, False: 0.0}, {True: 0.0, False: 0.0}
        for place in np.ndindex(logits.shape[1:]):
            at = (window, *place)
            member = bool(members[at])
            p = 1 / (1 + math.exp(-logits[at] if member else logits[at]))  # of what is true
            cost = (1 - p**q) / q if member and doubtful[at] else -math.log(p)
            costs[member] += weights[at] * cost
            counts[member] += weights[at]
        for kind, enough in ((True, 5), (False, 20)):
            if counts[kind]:
                total += costs[kind] / counts[kind] * min(1.0, counts[kind] / enough)
    return total / len(logits)


def question(seed, count=3, side=8):
    """Logits, members, weights and doubts of some windows; in the first nobody is a member, in the last all are."""
    rng = np.random.default_rng(seed)
    shape = (count, side, side)
    logits = rng.normal(scale=3, size=shape)
    members = rng.random(shape) < np.linspace(0, 1, count)[:, None, None]
    weights = rng.choice([0, 0.05, 0.1, 0.5, 1, 1.5], shape) * (rng.random(shape) < rng.random())
    return logits, members, weights, members & (rng.random(shape) < 0.5)


def membership(logits, members, weights, doubtful):
    x = torch.from_numpy(np.asarray(logits, float))[:, None].requires_grad_()
    known = (torch.from_numpy(np.asarray(values)) for values in (members, np.float32(weights), doubtful))
    return membership_loss(x, *known), x


@given(st.integers(0, 999))
def test_membership_loss_equals_the_loop(seed):
    values = question(seed)
    assert membership(*values)[0].item() == pytest.approx(membership_reference(*values), rel=1e-4)


@given(st.integers(0, 999))
def test_membership_is_learned_where_cells_weigh_alone(seed):
    logits, members, weights, doubtful = question(seed)
    loss, x = membership(logits, members, weights, doubtful)
    loss.backward()
    slope = x.grad[:, 0].numpy()
    assert (slope[weights == 0] == 0).all()
    assert (slope[(weights > 0) & members] < 0).all() and (slope[(weights > 0) & ~members] > 0).all()


def test_members_and_others_weigh_the_same_however_many_they_are():
    members = np.zeros((1, 10, 10), bool)
    members[0, 0, :5] = True
    weights, never = np.ones(members.shape), np.zeros(members.shape, bool)
    loss, x = membership(np.zeros(members.shape), members, weights, never)
    loss.backward()
    assert loss.item() == pytest.approx(2 * math.log(2))
    slope = x.grad[:, 0].numpy()
    assert -slope[members].sum() == pytest.approx(slope[~members].sum()) == pytest.approx(0.5)
    # Twice the weight everywhere is the same; few cells, or faint ones, count less.
    assert membership(np.zeros(members.shape), members, 2 * weights, never)[0].item() == pytest.approx(loss.item())
    faint = np.where(members, 0.1, 0.0)
    assert membership(np.zeros(members.shape), members, faint, never)[0].item() == pytest.approx(0.1 * math.log(2))


def test_doubt_bounds_what_a_member_costs():
    members, weights = np.ones((1, 3, 3), bool), np.ones((1, 3, 3))
    wrong = np.full((1, 3, 3), -50.0)
    assert membership(wrong, members, weights, ~members)[0].item() == pytest.approx(50)
    assert membership(wrong, members, weights, members)[0].item() == pytest.approx(1 / 0.7)


@pytest.mark.parametrize("size", [0.0, 1.0, 1e4])
def test_gradients_of_membership_are_finite(size):
    logits, members, weights, doubtful = question(5)
    loss, x = membership(size * logits, members, weights, doubtful)
    loss.backward()
    assert math.isfinite(loss.item()) and bool(torch.isfinite(x.grad).all())


def test_membership_in_half_precision_comes_out_in_full():
    logits, *known = question(6)
    x, known = torch.from_numpy(logits)[:, None], [torch.from_numpy(values) for values in known]
    half, full = (membership_loss(x.to(kind), known[0], known[1].float(), known[2]) for kind in (torch.bfloat16, None))
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(full.item(), rel=0.02)


# -- outlines ----------------------------------------------------------------------------------------------------------


def outlines(seed, count=3, side=6):
    """Logits, what is said of the outlines, and what is true; the last window counts for nothing."""
    rng = np.random.default_rng(seed)
    shape = (count, side, side)
    importance = rng.choice([0, 0.15, 1], shape)
    importance[-1] = 0
    rough = rng.integers(0, 2, count)
    return rng.normal(0, 3, shape), rng.normal(0, 3, count), rng.choice([0, 0.25, 0.5, 1], shape), importance, rough


def outline(logits, judged, inside, importance, rough, **more):
    x, y = (torch.from_numpy(np.asarray(values, np.float64)).requires_grad_() for values in (logits, judged))
    known = (torch.from_numpy(np.asarray(values, np.float32)) for values in (inside, importance, rough))
    return outline_loss(x[:, None], y, *known, **more), x, y


def surprise(logit, truth):
    p = 1 / (1 + math.exp(-logit))
    return -truth * math.log(p) - (1 - truth) * math.log(1 - p)


@given(st.integers(0, 999), st.sampled_from([0.0, 0.1, 2.0]))
def test_outline_loss_equals_the_loop(seed, judging):
    values = logits, judged, inside, importance, rough = outlines(seed)
    total = 0.0
    for n in range(len(logits)):
        cost = sum(importance[n][at] * surprise(logits[n][at], inside[n][at]) for at in np.ndindex(inside[n].shape))
        total += cost / max(importance[n].sum(), 1.0)
        total += judging * surprise(judged[n], rough[n]) * bool(importance[n].any())
    loss, _, _ = outline(*values, judging=judging)
    assert loss.item() == pytest.approx(total / len(logits), rel=1e-4)


def test_true_outlines_and_judgements_cost_nothing():
    _, _, inside, importance, rough = outlines(0)
    inside = inside.round()
    importance[-1] = 1
    sure = outline(40 * inside - 20, 40 * rough - 20, inside, importance, rough)[0].item()
    assert 0 <= sure < 1e-6
    assert outline(20 - 40 * inside, 40 * rough - 20, inside, importance, rough)[0].item() == pytest.approx(
        20, rel=1e-3
    )
    assert outline(40 * inside - 20, 20 - 40 * rough, inside, importance, rough)[0].item() == pytest.approx(2, rel=1e-3)


def test_what_does_not_count_teaches_nothing():
    logits, judged, inside, importance, rough = outlines(1)
    loss, x, y = outline(logits, judged, inside, importance, rough)
    loss.backward()
    slope = x.grad.numpy()
    assert (slope[importance == 0] == 0).all() and y.grad[-1] == 0
    assert (slope[importance > 0] != 0).all() and (y.grad[:-1] != 0).all()
    nothing, x, y = outline(logits, judged, inside, 0 * importance, rough)
    nothing.backward()
    assert nothing.item() == 0 and not x.grad.any() and not y.grad.any()


def test_judging_weighs_a_tenth_and_importance_has_no_scale():
    logits, judged, inside, importance, rough = outlines(2)
    half = np.zeros_like(logits), np.zeros_like(judged)
    importance[-1] = 1
    expected = 1.1 * math.log(2)
    assert outline(*half, inside, importance, rough)[0].item() == pytest.approx(expected)
    assert outline(*half, inside, importance, rough, judging=0.0)[0].item() == pytest.approx(math.log(2))
    one = outline(logits, judged, inside, importance, rough)[0].item()
    assert outline(logits, judged, inside, 3 * importance, rough)[0].item() == pytest.approx(one, rel=1e-5)


@pytest.mark.parametrize("size", [0.0, 1.0, 1e4])
def test_gradients_of_outlines_are_finite(size):
    logits, judged, inside, importance, rough = outlines(3)
    loss, x, y = outline(size * logits, size * judged, inside, importance, rough)
    loss.backward()
    assert math.isfinite(loss.item()) and bool(torch.isfinite(x.grad).all()) and bool(torch.isfinite(y.grad).all())


def test_outlines_in_half_precision_come_out_in_full():
    logits, judged, *known = outlines(4)
    known = [torch.from_numpy(np.asarray(values, np.float32)) for values in known]
    half, full = (
        outline_loss(torch.from_numpy(logits)[:, None].to(kind), torch.from_numpy(judged).to(kind), *known)
        for kind in (torch.bfloat16, torch.float32)
    )
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(full.item(), rel=0.02)


# -- shapes ------------------------------------------------------------------------------------------------------------


def test_literal_shapes():
    # The first is one object and half of it, the second neither, and nothing is known of the second answer there.
    verdicts = torch.tensor([[0.0, math.log(3)], [math.log(3), 5.0]])
    answers, weights = torch.tensor([[1.0, 0.5], [0.0, 0.0]]), torch.tensor([[1.0, 0.4], [0.5, 0.0]])
    terms = [math.log(2), 0.4 * 0.5 * (math.log(4 / 3) + math.log(4)), 0.5 * math.log(4), 0]
    loss = shape_loss(verdicts, answers, weights, torch.tensor([True, False]))
    assert loss.item() == pytest.approx(sum(terms) / 4)


@pytest.mark.parametrize("doubtful, logit, share", [(True, -3.0, 0.1), (True, -1.9, 1.0), (False, -3.0, 1.0)])
def test_doubtful_shapes_that_the_network_is_sure_to_be_several_count_a_tenth(doubtful, logit, share):
    verdicts = torch.tensor([[logit, logit]], requires_grad=True)
    loss = shape_loss(verdicts, torch.ones(1, 2), torch.ones(1, 2), torch.tensor([doubtful]))
    surprise = math.log1p(math.exp(-logit))
    assert loss.item() == pytest.approx((share * surprise + surprise) / 2)  # the second answer counts in full
    loss.backward()
    slope = -1 / (1 + math.exp(logit)) / 2
    assert verdicts.grad[0].tolist() == pytest.approx([share * slope, slope])


@given(st.integers(0, 2**32 - 1))
def test_shapes_of_weight_zero_teach_nothing(seed):
    noise = torch.Generator().manual_seed(seed)
    verdicts = (4 * torch.randn(5, 2, generator=noise)).requires_grad_()
    weights, doubtful = torch.rand(5, 2, generator=noise), torch.rand(5, generator=noise) < 0.5
    weights[2:4] = 0
    loss = shape_loss(verdicts, torch.rand(5, 2, generator=noise), weights, doubtful)
    loss.backward()
    assert loss.item() > 0 and not verdicts.grad[2:4].any() and bool(verdicts.grad[:2].any())
    before = verdicts.detach().clone()
    assert shape_loss(before, torch.zeros(5, 2), torch.zeros(5, 2), doubtful).item() == 0
    assert torch.equal(before, verdicts)


def test_shapes_in_half_precision_count_in_full():
    verdicts = torch.tensor([[100.0, -100.0]], dtype=torch.bfloat16)
    loss = shape_loss(verdicts, torch.tensor([[0.0, 1.0]]), torch.ones(1, 2), torch.tensor([False]))
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(100)
