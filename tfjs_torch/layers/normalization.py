"""BatchNormalization, LayerNormalization, GroupNormalization, Normalization."""

from __future__ import annotations
