"""Cleaning bronze tables into silver ones, by steps and checks that are declared rather than programmed."""

from servicetsunami.operations.transforms.models import TransformResult
from servicetsunami.operations.transforms.transforming import APP, Wish, preview_transform, transform_to_silver

__all__ = ["APP", "TransformResult", "Wish", "preview_transform", "transform_to_silver"]
