"""Whether models are of one kind: the same names, the same shapes."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import MismatchError
from ..tensors import said_of_keys
from .lazy import StateDict, chosen, dtype_of, is_float, shape_of


def match(state_dict: StateDict, others: Sequence[StateDict], tensors: str) -> None:
    """Every other model must have the tensors of the first.

    Raises:
        MismatchError: names the model (the first is model 1) and the tensor.
    """
    names = chosen(state_dict, tensors)
    for number, other in enumerate(others, 2):
        where = f"model {number}"
        missing = [name for name in state_dict if name not in other]
        unexpected = [name for name in other if name not in state_dict]
        if missing or unexpected:
            raise MismatchError(
                where,
                f"the {len(state_dict)} tensors of the first model expected. {said_of_keys(missing, unexpected)} "
                "Give models with the same layers and names",
            )
        for name in names:
            wanted, found = shape_of(state_dict, name), shape_of(other, name)
            if wanted != found:
                raise MismatchError(
                    f"{where}: {name}",
                    f"shape {list(wanted)} expected as in the first model, found {list(found)}; "
                    "give models with the same layers",
                )
            if not is_float(dtype_of(other, name)):
                raise MismatchError(f"{where}: {name}", f"floats expected, found {dtype_of(other, name)}; cast it")
