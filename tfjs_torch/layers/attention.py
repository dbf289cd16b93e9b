"""Attention, AdditiveAttention, MultiHeadAttention."""

from __future__ import annotations
