"""Convolutions that know which channels they read and write, so that channels can be taken out of a whole network.

Channels that a sum ties together, or that one convolution filters each alone, have one name; whoever reads or writes
them says that name. Shapes: ``B`` pictures, ``C`` channels, ``H`` × ``W`` pixels or places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_ACTIVATIONS = {"relu": nn.ReLU, "relu6": nn.ReLU6, "hard_swish": nn.Hardswish, "none": nn.Identity}


@dataclass(frozen=True)
class Channels:
    """Channels of one name: how many there are."""

    name: str
    count: int


class Widths:
    """How many channels there are of each name: as many as the family has, unless a smaller network states its own.

    >>> Widths({"stem": 5})("stem", 16), Widths({})("stem", 16)
    (Channels(name='stem', count=5), Channels(name='stem', count=16))
    """

    def __init__(self, stated: Mapping[str, int] | None = None) -> None:
        self._stated = dict(stated or {})

    def __call__(self, name: str, usual: int) -> Channels:
        """Channels of a name."""
        return Channels(name, self._stated.get(name, usual))


@dataclass(frozen=True, kw_only=True)
class Place:
    """A module that reads or writes channels: the attribute ``part`` of ``owner``, and a norm beside it.

    Attributes:
        owner: holds it.
        part: the name of its convolution or linear layer there.
        norm: the name of the norm of what it writes, or None.
        reads: channels that its columns stand for; None where these are none.
        writes: channels that its rows stand for; None where these are none.
    """

    owner: nn.Module
    part: str
    norm: str | None = None
    reads: str | None = None
    writes: str | None = None

    @property
    def module(self) -> nn.Conv2d | nn.Linear:
        """The convolution or linear layer."""
        found: nn.Conv2d | nn.Linear = getattr(self.owner, self.part)
        return found

    @property
    def single(self) -> bool:
        """Whether each channel is filtered alone: what it reads it writes."""
        return self.reads == self.writes


@runtime_checkable
class HasPlaces(Protocol):
    """A module some of whose parts read or write named channels."""

    def places(self) -> tuple[Place, ...]:
        """Its own such parts; not those of modules inside it that say theirs."""
        ...


def places(network: nn.Module) -> Iterator[Place]:
    """Every part of a network that reads or writes named channels."""
    for module in network.modules():
        if isinstance(module, HasPlaces):
            yield from module.places()


def counts(network: nn.Module) -> dict[str, int]:
    """How many channels of each name a network has: what ``Widths`` rebuilds it from."""
    return {place.writes: len(place.module.weight) for place in places(network) if place.writes is not None}


@dataclass(frozen=True, kw_only=True)
class Style:
    """What all convolutions of a network share.

    Attributes:
        activation: a name of ``_ACTIVATIONS``.
        same: pad as TensorFlow does, the odd pixel behind; else alike on both sides.
        eps: added to a norm's variance.
        momentum: how much of a batch a norm's running statistics take.
    """

    activation: str = "relu"
    same: bool = False
    eps: float = 1e-5
    momentum: float = 0.1


class ConvNorm(nn.Module):
    """A convolution, its norm over the batch, and an activation.

    Args:
        reads: channels it reads.
        writes: channels it writes; where they are those it reads, each is filtered alone.
        style: of the network.
        kernel: width and height of the filter.
        stride: 1, or 2 to halve the picture.
        linear: leave the activation out.
    """

    def __init__(
        self, reads: Channels, writes: Channels, style: Style, kernel: int = 1, stride: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        self.reads, self.writes = reads.name, writes.name
        groups = reads.count if self.reads == self.writes else 1
        # A pass may put another part in the convolution's place, which need not say what it filters with.
        self._same = (kernel, stride) if style.same and stride > 1 else None
        pad = 0 if self._same else kernel // 2
        self.conv = nn.Conv2d(reads.count, writes.count, kernel, stride, pad, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(writes.count, eps=style.eps, momentum=style.momentum)
        self.act = nn.Identity() if linear else _ACTIVATIONS[style.activation]()
        # As many outputs as one input has a part in: torch counts those of all groups.
        nn.init.normal_(self.conv.weight, std=(2 * groups / (kernel**2 * writes.count)) ** 0.5)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The filtered picture."""
        if self._same:
            x_BCHW = _padded(x_BCHW, *self._same)
        return self.act(self.norm(self.conv(x_BCHW)))

    def places(self) -> tuple[Place, ...]:
        """The convolution."""
        reads = None if self.reads == PIXELS.name else self.reads
        return (Place(owner=self, part="conv", norm="norm", reads=reads, writes=self.writes),)


def _padded(x_BCHW: Tensor, kernel: int, stride: int) -> Tensor:
    sides = []
    for size in (x_BCHW.shape[3], x_BCHW.shape[2]):
        pad = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        sides += [pad // 2, pad - pad // 2]
    return F.pad(x_BCHW, sides)


class Squeeze(nn.Module):
    """Weighs channels by what the whole picture shows: ``x · hard_sigmoid(up(relu(down(mean x))))``.

    Hu et al. 2018, arXiv:1709.01507; with the hard sigmoid of MobileNetV3.

    Args:
        channels: what is weighed.
        inner: its hidden units.
    """

    def __init__(self, channels: Channels, inner: Channels) -> None:
        super().__init__()
        self._channels, self._inner = channels.name, inner.name
        self.down = nn.Linear(channels.count, inner.count)
        self.up = nn.Linear(inner.count, channels.count)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The weighed picture."""
        weight_BC = F.hardsigmoid(self.up(F.relu(self.down(x_BCHW.mean((2, 3))))))
        return x_BCHW * weight_BC[:, :, None, None]

    def places(self) -> tuple[Place, ...]:
        """Both layers."""
        down = Place(owner=self, part="down", reads=self._channels, writes=self._inner)
        return down, Place(owner=self, part="up", reads=self._inner, writes=self._channels)


class Inverted(nn.Module):
    """An inverted residual: widen, filter each channel alone, weigh, and narrow again.

    Args:
        reads: what goes in.
        middle: the widened channels; those that go in where nothing is widened.
        writes: what comes out; where these are the channels that go in, what went in is added.
        style: of the network.
        kernel: of the filter.
        stride: 1, or 2 to halve the picture.
        inner: hidden units of the weighing; None for none.
    """

    def __init__(
        self,
        ends: tuple[Channels, Channels],
        middle: Channels,
        style: Style,
        kernel: int,
        stride: int,
        inner: Channels | None = None,
    ) -> None:
        super().__init__()
        reads, writes = ends
        self._adds = reads.name == writes.name
        self.expand = None if middle.name == reads.name else ConvNorm(reads, middle, style)
        self.depthwise = ConvNorm(middle, middle, style, kernel, stride)
        self.squeeze = None if inner is None else Squeeze(middle, inner)
        self.project = ConvNorm(middle, writes, style, linear=True)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The next picture."""
        wide = self.depthwise(x_BCHW if self.expand is None else self.expand(x_BCHW))
        narrow = self.project(wide if self.squeeze is None else self.squeeze(wide))
        return x_BCHW + narrow if self._adds else narrow


PIXELS = Channels("pixels", 3)
"""Red, green and blue: nothing that could be taken out."""


class Body(nn.Module):
    """What every family of picture networks is: pixels to maps of features."""

    out: Channels
    """The channels of the last map, as it is built."""

    def forward(self, x_BCHW: Tensor) -> dict[int, Tensor]:
        """Maps [B, C, h, w] by how many pixels wide and high a place of theirs is, the last one last."""
        raise NotImplementedError


def eighths(channels: float) -> int:
    """The nearest multiple of 8, at least 8, that is no more than a tenth smaller.

    >>> [eighths(n) for n in (3, 44, 24 * 1.1)]
    [8, 48, 24]
    """
    found = max(8, int(channels + 4) // 8 * 8)
    return found if found >= 0.9 * channels else found + 8


def normalised(image_BHWC: Tensor) -> Tensor:
    """Pixels from 0 to 255, of any type, as about −1 to 1 with the channels first."""
    return ((image_BHWC.to(torch.float32) - 127) / 128).permute(0, 3, 1, 2)
