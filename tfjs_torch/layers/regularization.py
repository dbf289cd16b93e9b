"""Dropout, SpatialDropout, GaussianNoise, GaussianDropout, AlphaDropout."""

from __future__ import annotations
