"""Load an ml5 model, set its smallest weights to zero, and save it so that ml5 loads it again.

python samples/roundtrip.py [MODEL] [OUT] [--fraction 0.3]
"""

import argparse
from pathlib import Path

import torch

from tfjs_torch import load_file, save_file


def prune(state_dict: dict[str, torch.Tensor], fraction: float) -> None:
    """Zero the given fraction of each kernel's values, those nearest to zero; in place."""
    for name, weight in state_dict.items():
        if name.endswith("kernel"):
            count = int(weight.numel() * fraction)
            smallest = weight.abs().flatten().argsort()[:count]
            weight.view(-1)[smallest] = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path, default=Path(__file__).parent / "ml5-classifier")
    parser.add_argument("out", nargs="?", type=Path, default=Path("out/pruned"))
    parser.add_argument("--fraction", type=float, default=0.3, help="how many of the weights, from 0 to 1")
    args = parser.parse_args()
    if not 0 <= args.fraction <= 1:
        parser.error(f"--fraction from 0 to 1 expected, found {args.fraction}")

    state_dict = load_file(args.model)  # {"dense_Dense1/kernel": tensor of shape [3, 16], ...}
    prune(state_dict, args.fraction)
    save_file(state_dict, args.out, like=args.model)  # the same three files, with new weights

    for name, weight in state_dict.items():
        print(f"{name:24} {tuple(weight.shape)!s:10} {int((weight == 0).sum())} of {weight.numel()} are zero")
    print(f"saved to {args.out}: {', '.join(sorted(file.name for file in args.out.iterdir()))}")


if __name__ == "__main__":
    main()
