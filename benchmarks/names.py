"""The contestants' names: what a worker is asked for, and what stands above a column."""

from __future__ import annotations

from typing import Final

OURS: Final = "tfjs_torch"
FORUM: Final = "forum answer"  # read the file, tensorflowjs decode_weights, torch.from_numpy
OFFICIAL: Final = "tensorflowjs"  # its write_weights, all bytes in one shard
SAFETENSORS: Final = "safetensors"
TORCH_MMAP: Final = "torch.load(mmap)"

# Whole networks: stock modules with the channels first, in torch's two memory formats, and tf.js itself in node.
TORCH: Final = "torch"
CHANNELS_LAST: Final = "torch channels_last"
WASM: Final = "tf.js wasm"

# The machine's own limits: what is left when a contestant does no work but the one that cannot be saved.
MAPPED_VIEWS: Final = "mapped views"  # mmap, one tensor over it, split
COPY: Final = "memcpy"  # as many bytes as the result has, into fresh memory
PLAIN_WRITE: Final = "plain write"  # the tensors' bytes, one write each
