"""Conv1D to Conv3D, their transposes, DepthwiseConv, SeparableConv, LocallyConnected."""

from __future__ import annotations
