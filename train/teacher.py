"""What a network may learn from instead of labels: a convolutional network, which no board has to run."""

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div, log_softmax, softmax

__all__ = ["Teacher", "apart"]

#: Features of the first convolution; the later ones have twice and four times as many.
_FEATURES = 24
_DROPOUT = (0.2, 0.4)
#: What scores are divided by before they are compared: how much of the less likely classes is seen.
_TEMPERATURE = 2.0


class Teacher(nn.Module):
    """Scores of classes from counts of events in ticks and groups of channels.

    Of log(1 + counts), four convolutions over both: 5 x 5 and 3 x 3, halving both axes each time but
    the last, each normalised over the batch, negative values cut. Then, of each feature of each group, the
    mean over time and its maximum, half and half, and one linear layer.

    The same features everywhere hear a word that is spoken higher or later; a recurrent layer has to
    learn it for each channel. For channels that have an order, such as a cochlea's.

    Parameters
    ----------
    groups, classes : how many.
    seed : of the weights.
    """

    def __init__(self, groups: int, classes: int, seed: int):
        super().__init__()
        n = _FEATURES
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.features = nn.Sequential(
                *_convolution(1, n, 5, 2), *_convolution(n, 2 * n, 3, 2), *_convolution(2 * n, 4 * n, 3, 2),
                nn.Dropout2d(_DROPOUT[0]), *_convolution(4 * n, 4 * n, 3, 1))
            self.read = nn.Sequential(nn.Dropout(_DROPOUT[1]), nn.Linear(4 * n * -(-groups // 8), classes))

    def forward(self, counts: Tensor, seed: int = 0) -> Tensor:
        """``[items, classes]`` of ``[items, ticks, groups]``.

        Parameters
        ----------
        seed : of the drop-out, while it is being trained.
        """
        with torch.random.fork_rng(enabled=self.training, devices=None if counts.is_cuda else []):
            if self.training:
                torch.manual_seed(seed)
            found = self.features(torch.log1p(counts).unsqueeze(1))
            scores: Tensor = self.read(((found.mean(2) + found.amax(2)) / 2).flatten(1))
        return scores


def _convolution(sources: int, features: int, size: int, stride: int) -> tuple[nn.Module, ...]:
    return (nn.Conv2d(sources, features, size, stride, size // 2, bias=False), nn.BatchNorm2d(features),
            nn.ReLU())


def apart(scores: Tensor, taught: Tensor) -> Tensor:
    """How far scores are from the teacher's, both ``[items, classes]``: the mean of::

        T^2 KL(softmax(taught / T), softmax(scores / T)),    T = 2

    After Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, arXiv 1503.02531 (2015).
    """
    t = _TEMPERATURE
    return t * t * kl_div(log_softmax(scores / t, -1), softmax(taught / t, -1), reduction="batchmean")
