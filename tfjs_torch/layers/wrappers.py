"""TimeDistributed, Bidirectional."""

from __future__ import annotations
