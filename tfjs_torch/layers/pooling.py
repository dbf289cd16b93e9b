"""Max and average pooling, local and global."""

from __future__ import annotations
