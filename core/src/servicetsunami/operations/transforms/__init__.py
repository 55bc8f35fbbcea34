"""Cleaning bronze tables into silver ones, by steps and checks that are declared rather than programmed."""

from servicetsunami.operations.transforms.models import TransformResult
from servicetsunami.operations.transforms.transforming import Wish, preview_transform, transform_to_silver

__all__ = ["TransformResult", "Wish", "preview_transform", "transform_to_silver"]
