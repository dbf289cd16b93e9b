"""Train a small network in torch on drawn shapes, export it, and run it with real tf.js in node.

python samples/train_in_torch.py [OUT] [--steps 300]
"""

import argparse
import os
from pathlib import Path

import torch
from torch import Tensor, nn

from tfjs_torch import export_model, load_model, verify

# Where this repository has tf.js; elsewhere it is found in a node_modules of the current folder.
NODE_MODULES = Path(__file__).resolve().parents[1] / "tests/js/node_modules"
if NODE_MODULES.is_dir():
    os.environ.setdefault("TFJS_TORCH_NODE_MODULES", str(NODE_MODULES))

SIDE = 28
SHAPES = ("disc", "ring", "square", "cross")


def draw(count: int) -> tuple[Tensor, Tensor]:
    """Grey images [count, 1, 28, 28] of shapes anywhere and of any size, with noise; and which shape each one is."""
    labels = torch.randint(len(SHAPES), (count,))
    radius = 4 + 5 * torch.rand(count, 1, 1)
    middle = radius + (SIDE - 2 * radius) * torch.rand(2, count, 1, 1)
    at = torch.arange(SIDE, dtype=torch.float32)
    dx, dy = (at.view(1, -1) - middle[0]).abs(), (at.view(-1, 1) - middle[1]).abs()
    round_, square = (dx**2 + dy**2).sqrt(), torch.maximum(dx, dy)
    masks = [round_ < radius, (round_ - 0.8 * radius).abs() < 1.2, square < 0.8 * radius,
             (torch.minimum(dx, dy) < 1.5) & (square < radius)]  # fmt: skip
    images = torch.stack(masks)[labels, torch.arange(count)].float()
    return (images + 0.2 * torch.randn_like(images)).unsqueeze(1), labels


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(16 * 3 * 3, 32), nn.ReLU(),
        nn.Linear(32, len(SHAPES)), nn.Softmax(dim=1),
    )  # fmt: skip


def train(model: nn.Module, steps: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    model.train()
    for _ in range(steps):
        images, labels = draw(32)
        loss = nn.functional.nll_loss(model(images).clamp(min=1e-7).log(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", type=Path, default=Path("out/shapes"))
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    torch.manual_seed(0)

    model = network()
    train(model, args.steps)
    images, labels = draw(200)
    with torch.no_grad():
        scores = model(images)
    print(f"{(scores.argmax(1) == labels).float().mean():.0%} of 200 new drawings are named right")

    names = {0: "conv1", 4: "conv2", 10: "dense", 12: "scores"}
    export_model(model, (1, SIDE, SIDE), names=names).save(args.out)
    print(f"saved to {args.out}: {', '.join(sorted(file.name for file in args.out.iterdir()))}")

    channels_last = images.permute(0, 2, 3, 1)  # as tf.js takes images
    with torch.no_grad():
        again = load_model(args.out)(channels_last)
    print(f"loaded again here: the largest difference is {(again - scores).abs().max():.1e}")
    report = verify(args.out, inputs=[channels_last[:8].numpy()])
    print(report)


if __name__ == "__main__":
    main()
