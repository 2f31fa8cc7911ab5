"""Networks that read pictures; a file a family."""

from __future__ import annotations

from shopstill.models.vision.config import EfficientNetLite, MobileNet, Picture, ResNet, SmallCNN, Vision
from shopstill.models.vision.efficientnet_lite import EfficientNetLiteBody
from shopstill.models.vision.layers import PIXELS, Body, Channels, ConvNorm, Place, Widths, counts, places
from shopstill.models.vision.mobilenet import MobileNetBody
from shopstill.models.vision.reader import GRID, PictureReader, Seen
from shopstill.models.vision.resnet import ResNetBody
from shopstill.models.vision.small_cnn import SmallCNNBody

__all__ = [
    "GRID",
    "PIXELS",
    "Body",
    "Channels",
    "ConvNorm",
    "EfficientNetLite",
    "MobileNet",
    "Picture",
    "PictureReader",
    "Place",
    "ResNet",
    "Seen",
    "SmallCNN",
    "Vision",
    "Widths",
    "body",
    "counts",
    "places",
]


def body(config: Picture, widths: Widths | None = None) -> Body:
    """A network of that configuration with random weights; ``widths`` says where it has fewer channels."""
    widths = widths or Widths()
    match config:
        case ResNet():
            return ResNetBody(config, widths)
        case MobileNet():
            return MobileNetBody(config, widths)
        case EfficientNetLite():
            return EfficientNetLiteBody(config, widths)
        case SmallCNN():
            return SmallCNNBody(config, widths)
