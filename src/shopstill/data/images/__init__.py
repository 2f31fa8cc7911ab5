"""Pictures of products: found in folders and zips, decoded safely, kept as pixels; needs the extra ``vision``."""

from __future__ import annotations

from shopstill.data.images.decode import ImageFault, ImageForm, ImageLimits, decode
from shopstill.data.images.packs import Images
from shopstill.data.images.read import read_images
from shopstill.data.images.show import picture

__all__ = ["ImageFault", "ImageForm", "ImageLimits", "Images", "decode", "picture", "read_images"]
