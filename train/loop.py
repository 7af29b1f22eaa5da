"""Trains a recurrent network on events."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ionspike.host.errors import InputError
from ionspike.train import checkpoint
from ionspike.train.training import Training

__all__ = ["train"]

Progress = Callable[[int, int], None]

#: Of the teacher.
_TEACHER_RATE, _TEACHER_DECAY = 3e-3, 1e-2


@dataclass
class _Course:
    """What is learnt in a number of epochs, a batch of items at a time."""

    epochs: int
    rate: float
    optimiser: torch.optim.Optimizer
    #: Of items, the epoch's draws, epoch and batch.
    loss: Callable[[NDArray[np.int64], np.random.Generator, int, int], Tensor]
    #: What tells its draws from another's.
    words: tuple[int, ...] = ()


def _courses(training: Training, epochs: int) -> list[_Course]:
    s, teacher, courses = training.settings, training.teacher, []
    own = [p for name, p in training.named_parameters() if p.requires_grad and not name.startswith("teacher.")]
    if teacher is not None:
        courses.append(_Course(
            s.teacher, _TEACHER_RATE, torch.optim.AdamW(teacher.parameters(), weight_decay=_TEACHER_DECAY),
            lambda items, rng, epoch, batch: training.teacher_loss(items, rng), (1,)))
    courses.append(_Course(
        epochs, s.rate, torch.optim.Adam(own),
        lambda items, rng, epoch, batch: training.loss(items, rng, training.generator(epoch, batch))))
    return courses


def train(training: Training, chosen: NDArray[np.int64], epochs: int, *,
          progress: Progress = lambda done, total: None,
          said: Callable[[int, float], None] = lambda epoch, loss: None,
          keep: Path | None = None, resume: bool = False) -> list[float]:
    """Train on the chosen items, before that the teacher if there is one; returns the network's mean loss
    of every epoch.

    Parameters
    ----------
    epochs : of the network; the learning rate depends on it.
    progress : called with batches done and batches in all.
    said : called with an epoch's number and loss, of the network.
    keep : where a checkpoint goes after every epoch.
    resume : whether to go on from it.

    Raises
    ------
    InputError
        For fewer items than a batch, or a checkpoint of another training.
    """
    s = training.settings
    batches = len(chosen) // s.batch
    if not batches:
        raise InputError(f"{len(chosen)} items to train on are less than a batch of {s.batch}; "
                         f"--set batch={len(chosen)} would do")
    # A kind of training: what goes on from a checkpoint has to be the same.
    kind = f"{sorted(s.to_json().items())} {training.seed} {epochs} {training.events.digest}"
    courses = _courses(training, epochs)
    losses: list[list[float]] = [[] for _ in courses]
    if resume and keep is not None:
        losses = _resume(training, courses, keep, kind)
    total = batches * sum(course.epochs for course in courses)

    def advance(before: int, done: int) -> None:
        progress(before + done, total)

    for number, course in enumerate(courses):
        before = batches * sum(earlier.epochs for earlier in courses[:number])
        for epoch in range(len(losses[number]), course.epochs):
            training.train()
            training.network.settle(epoch >= round(course.epochs * (1 - s.settle)))
            losses[number].append(_epoch(training, course, chosen, epoch, partial(advance, before)))
            if not math.isfinite(losses[number][-1]):
                raise InputError(f"the loss of epoch {epoch + 1} is not finite; a smaller rate than "
                                 f"{course.rate:g} may help")
            if course is courses[-1]:
                said(epoch + 1, losses[number][-1])
            if keep is not None:
                checkpoint.save(keep, {"kind": kind, "losses": losses, "training": training.state_dict(),
                                       "optimisers": [each.optimiser.state_dict() for each in courses]})
    return losses[-1]


def _epoch(training: Training, course: _Course, chosen: NDArray[np.int64], epoch: int,
           done: Callable[[int], None]) -> float:
    """Mean loss of one pass through the items."""
    s = training.settings
    batches = len(chosen) // s.batch
    parameters = [p for group in course.optimiser.param_groups for p in group["params"]]
    rng = np.random.default_rng([training.seed, epoch, *course.words])
    order = rng.permutation(chosen)
    total = 0.0
    for batch in range(batches):
        step = epoch * batches + batch
        for group in course.optimiser.param_groups:
            group["lr"] = course.rate * _slope(step / (batches * course.epochs), s.warm_up)
        loss = course.loss(order[batch * s.batch:(batch + 1) * s.batch], rng, epoch, batch)
        course.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, s.clip)
        course.optimiser.step()
        total += float(loss.detach())
        done(step + 1)
    return total / batches


def _resume(training: Training, courses: list[_Course], path: Path, kind: str) -> list[list[float]]:
    content = checkpoint.load(path, str(training.device))
    if content.get("kind") != kind:
        raise InputError(f"{path}: is of other settings, seed, epochs or data")
    try:
        training.load_state_dict(content["training"])
        for course, state in zip(courses, content["optimisers"], strict=True):
            course.optimiser.load_state_dict(state)
        losses = [[float(loss) for loss in each] for each in content["losses"]]
        if len(losses) != len(courses):
            raise ValueError(f"{len(losses)} lists of losses")
        return losses
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged ({str(error).splitlines()[0][:120]})") from None


def _slope(done: float, warm_up: float) -> float:
    """Share of the largest learning rate."""
    if done < warm_up:
        return (done + 1e-3) / (warm_up + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))
