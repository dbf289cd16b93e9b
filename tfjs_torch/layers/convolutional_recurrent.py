"""ConvLSTM2D."""

from __future__ import annotations
