"""Rescaling, Resizing, CenterCrop, CategoryEncoding, RandomWidth."""

from __future__ import annotations
