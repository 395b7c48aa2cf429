"""The paper's losses over pixel pairs, and the loss to known centres that the default recipe adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sisegcli.training.pairs import Shift, label_pairs

Total = Callable[[Tensor], Tensor]
"""Sums counts over all parts of a batch, so that the losses of the parts add up to the batch's."""


def whole(counts: Tensor) -> Tensor:
    """Return counts as they are: the batch is in one part."""
    return counts


@dataclass
class _Mean:
    total: Tensor
    count: Tensor

    @classmethod
    def zero(cls, like: Tensor) -> _Mean:
        return cls(like.new_zeros(()), like.new_zeros(()))

    def add(self, values: Tensor, mask: Tensor) -> None:
        weight = mask.to(values.dtype)
        self.total = self.total + (values * weight).sum()
        self.count = self.count + weight.sum()

    def value(self) -> Tensor:
        return self.total / self.count.clamp_min(1.0)


@dataclass(frozen=True)
class PairLoss:
    """The terms of L = L_Ob+D + L_Ba+D + L_B, each a scalar tensor."""

    object_displacement: Tensor
    background_displacement: Tensor
    boundary: Tensor

    def total(self) -> Tensor:
        """Sum of the terms."""
        return self.object_displacement + self.background_displacement + self.boundary


def pair_loss(
    displacement: Tensor,
    boundary: Tensor,
    labels: Tensor,
    shifts: Sequence[Shift],
    *,
    doubtful: Tensor | None = None,
    robustness: float = 0.7,
    everywhere: Total = whole,
) -> PairLoss:
    """Losses over pixel pairs (SISeg; IRNet, equations 5 to 8).

    With D_αβ = D_α − D_β, D̂_αβ = x_β − x_α and r_αβ = 1 − max of B on the line from α to β:
    L_Ob+D is the mean over S⁺_Ob of |D_αβ − D̂_αβ|, L_Ba+D the mean over S⁺_Ba of |D_αβ|, and
    L_B = −½ mean_{S⁺_Ob} log r − ½ mean_{S⁺_Ba} log r − mean_{S⁻} log(1 − r).
    Where labels tell objects apart, S⁻ has two parts (object against object, object against background) that weigh
    the same; where they are categories this keeps rare borders between categories from drowning.

    Parameters
    ----------
    displacement : (N, 2, h, w) tensor
        D (y, x), in stride-4 pixels.
    boundary : (N, 1, h, w) tensor
        Logits of B.
    labels : (N, h, w) tensor of ints
        0 background, above 0 objects or categories, `IGNORED` elsewhere.
    shifts : sequence of Shift
        The offsets whose pairs count.
    doubtful : (N, h, w) tensor of bool, optional
        Cells of regions that may hold several objects: their S⁺ pairs pay the bounded (1 − r^q) / q (Zhang & Sabuncu,
        2018) instead of −log r, so that a border which nobody labelled is not unlearned.
    robustness : float
        q of that loss.
    everywhere : callable
        Sums the counts of pairs over all parts of the batch.
    """
    displacement, logits = displacement.float(), boundary.float().squeeze(1)
    # log r and log(1 - r) straight from the logits: the line's maximum is the largest logit.
    inside, outside = _Mean.zero(logits), _Mean.zero(logits)
    across, around = _Mean.zero(logits), _Mean.zero(logits)
    pull, rest = _Mean.zero(logits), _Mean.zero(logits)
    for shift in shifts:
        pairs = label_pairs(labels, shift)
        highest = shift.highest_on_line(logits)
        keep = F.softplus(highest)  # −log r
        cut = F.softplus(-highest)  # −log(1 − r)
        if doubtful is None:
            inside.add(keep, pairs.same_object)
        else:
            unsure = shift.first(doubtful)
            bounded = (1 - torch.exp(-robustness * keep)) / robustness
            inside.add(torch.where(unsure, bounded, keep), pairs.same_object)
        outside.add(keep, pairs.same_background)
        across.add(cut, pairs.objects)
        around.add(cut, pairs.border)
        difference = shift.first(displacement) - shift.second(displacement)
        target = difference.new_tensor([shift.dy, shift.dx]).view(1, 2, 1, 1)
        pull.add((difference - target).abs().sum(1), pairs.same_object)
        rest.add(difference.abs().sum(1), pairs.same_background)
    means = (inside, outside, across, around, pull, rest)
    for mean, count in zip(means, everywhere(torch.stack([mean.count for mean in means])), strict=True):
        mean.count = count
    borders = [mean for mean in (across, around) if float(mean.count) > 0]
    cuts = sum((mean.value() for mean in borders), logits.new_zeros(())) / max(len(borders), 1)
    return PairLoss(pull.value(), rest.value(), 0.5 * inside.value() + 0.5 * outside.value() + cuts)


def membership_loss(
    logits: Tensor, members: Tensor, weights: Tensor, doubtful: Tensor, *, robustness: float = 0.7
) -> Tensor:
    """Cross-entropy of membership, with members and others of a window weighing the same.

    Parameters
    ----------
    logits : (N, 1, h, w) tensor
        Logits of membership.
    members, doubtful : (N, h, w) tensors of bool
        Cells of the prompt's object, and members that may be another object's: those pay the bounded (1 − p^q) / q
        instead of −log p, as in `pair_loss`.
    weights : (N, h, w) tensor
        Weight of each cell.
    robustness : float
        q of that loss.
    """
    x = logits.float().squeeze(1)
    surprise = F.softplus(-x)  # −log p
    bounded = (1 - torch.exp(-robustness * surprise)) / robustness
    inside, outside = weights * members, weights * ~members
    total = x.new_zeros(())
    # Of windows with few cells of a kind, that kind counts less.
    for part, loss, enough in ((inside, torch.where(doubtful, bounded, surprise), 5), (outside, F.softplus(x), 20)):
        count = part.sum((1, 2))
        mean = (loss * part).sum((1, 2)) / count.clamp_min(1e-3)
        total = total + (mean * (count / enough).clamp(max=1)).mean()
    return total


def outline_loss(
    logits: Tensor, judged: Tensor, inside: Tensor, importance: Tensor, rough: Tensor, *, judging: float = 0.1
) -> Tensor:
    """Cross-entropy of redrawn instances, and of what is said of their outlines.

    Parameters
    ----------
    logits : (N, 1, h, w) tensor
        Logits of belonging to the instance.
    judged : (N,) tensor
        Logits of "the outline is rough".
    inside, importance : (N, h, w) tensors
        Share of each cell that is the instance's, and how much the cell counts.
    rough : (N,) tensor
        1 where the outline is rough.
    judging : float
        Weight of the second.
    """
    surprise = F.binary_cross_entropy_with_logits(logits.float().squeeze(1), inside, reduction="none")
    count = importance.sum((1, 2))
    drawn = ((surprise * importance).sum((1, 2)) / count.clamp_min(1.0)).mean()
    wrong = F.binary_cross_entropy_with_logits(judged.float(), rough, reduction="none")
    total: Tensor = drawn + judging * (wrong * (count > 0)).mean()
    return total


def shape_loss(verdicts: Tensor, answers: Tensor, weights: Tensor, doubtful: Tensor) -> Tensor:
    """Cross-entropy of what is said of shapes.

    Parameters
    ----------
    verdicts, answers : (N, 2) tensors
        Logits of "all of it is one object" and "it is all of that object", and the true shares of each.
    weights : (N, 2) tensor
        How much each counts.
    doubtful : (N,) tensor of bool
        Shapes that are one object if their region is: where the network is sure of the contrary, it may be right.
    """
    verdicts = verdicts.float()
    surprise = F.binary_cross_entropy_with_logits(verdicts, answers, reduction="none")
    believed = torch.ones_like(weights)
    believed[:, 0] = torch.where(doubtful & (verdicts[:, 0].detach() < -2), 0.1, 1.0)
    total: Tensor = (surprise * weights * believed).mean()
    return total


def centre_loss(
    displacement: Tensor,
    target: Tensor,
    size: Tensor,
    weight: Tensor,
    doubtful: Tensor,
    *,
    everywhere: Total = whole,
) -> Tensor:
    """Distance between votes and known centres, in sizes of the object.

    Parameters
    ----------
    displacement, target : (N, 2, h, w) tensors
        Predicted and true offset (y, x) to the object's centre, in stride-4 pixels.
    size : (N, h, w) tensor
        Square root of the object's area, in stride-4 pixels.
    weight : (N, h, w) tensor
        Weight of each cell; 0 where no object is known.
    doubtful : (N, h, w) tensor of bool
        Cells of regions that may hold several objects: their loss e / (1 + e) is bounded, so that a region on which
        image and mask disagree pulls little.
    everywhere : callable
        Sums the weight over all parts of the batch.
    """
    error = (displacement.float() - target).abs().sum(1) / size.clamp_min(4.0)
    loss = torch.where(doubtful, 1.5 * error / (0.5 + error), error * 2)
    total: Tensor = (loss * weight).sum() / everywhere(weight.sum()).clamp_min(1.0)
    return total
