"""A step of your own for the server: keep of each weight only its sign.

    tfjs-torch serve --processor samples/own_processor.py:signs_only

Then the page lists the step "Signs only" with its controls, and programs send {"step": "signs_only", "amount": 1}.

Networks of one bit a weight are real: "XNOR-Net" (https://arxiv.org/abs/1603.05279) recognises photos with
plus or minus one number. Does your network still work?
"""

from typing import Any

import torch


def signs_only(state_dict: dict[str, torch.Tensor], options: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Replaces each weight by plus or minus the mean size of all weights in its layer. Biases stay."""
    for name, weight in state_dict.items():
        if name.endswith("kernel"):  # kernels hold the weights, "dense_Dense1/kernel" for instance
            signs = weight.sign() * weight.abs().mean()
            state_dict[name] = torch.lerp(weight, signs, options["amount"])
    return state_dict


# What the page shows: a title, and a control for each option. Every option needs a type; see JSON schema for the rest.
signs_only.title = "Signs only"  # type: ignore[attr-defined]
signs_only.options = {  # type: ignore[attr-defined]
    "amount": {
        "type": "number",
        "title": "How far",
        "description": "0 leaves the weights as they are, 1 leaves nothing but the signs.",
        "minimum": 0,
        "maximum": 1,
        "default": 1,
    }
}
