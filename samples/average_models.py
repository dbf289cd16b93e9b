"""Average several saves of the same network: federated learning for a classroom.

Everybody trains the same ml5 sketch on data of their own and hands in the three files; the average
of their weights is a network that has learnt a little from everybody.

    python samples/average_models.py OUT MODEL MODEL ... [--weights 30 12 ...]

--weights: how much each model counts, for instance how many examples it was trained on.
"""

import argparse
from pathlib import Path

import torch

from tfjs_torch import load_file, save_file


def average(models: list[dict[str, torch.Tensor]], weights: list[float]) -> dict[str, torch.Tensor]:
    """The weighted mean of every tensor, added up in float64. All models must have the same names and shapes."""
    shares = torch.tensor(weights, dtype=torch.float64) / sum(weights)

    def weighted(tensors: list[torch.Tensor]) -> torch.Tensor:
        mean: torch.Tensor = torch.tensordot(shares, torch.stack(tensors).double(), dims=1)
        return mean

    return {name: weighted([model[name] for model in models]) for name in models[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--weights", nargs="+", type=float)
    args = parser.parse_args()
    weights = args.weights or [1.0] * len(args.models)
    if len(weights) != len(args.models) or min(weights) < 0 or sum(weights) <= 0:
        parser.error(f"{len(args.models)} positive weights expected, one a model; found {args.weights}")

    models = [load_file(path) for path in args.models]
    for path, model in zip(args.models, models, strict=True):
        if [(name, t.shape) for name, t in model.items()] != [(name, t.shape) for name, t in models[0].items()]:
            parser.error(f"{path}: the same layers as in {args.models[0]} expected; average saves of one sketch only")
    save_file(average(models, weights), args.out, like=args.models[0])
    print(f"averaged {len(models)} models into {args.out}")


if __name__ == "__main__":
    main()
