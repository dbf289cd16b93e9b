"""Steps that change weights: exact values, laws that hold for every step, ml5's own code beside ours."""

from __future__ import annotations

import gc
import json
import math
import subprocess
import warnings
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from helpers import SAMPLES
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn.utils.prune import l1_unstructured

from tfjs_torch import (
    MismatchError,
    TfjsTorchWarning,
    load_file,
    process,
    processing,
    read_artifacts,
    tfjs_to_torch,
    torch_to_tfjs,
)
from tfjs_torch.processing import pruning
from tfjs_torch.tensors import encode_files, stored_tensors

State = dict[str, Any]
Numbers = NDArray[Any]
NAN, INF = math.nan, math.inf
STRINGS = np.array([b"cat", b"dog"], object)
NAMES = list(processing.steps())
WITH_OTHERS = [name for name, step in processing.steps().items() if step.others != (0, 0)]


def f32(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


def bits(value: Any) -> Any:
    """Everything that can be told apart: dtype, shape, every bit."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.contiguous().reshape(-1).view(torch.uint8).tolist()
    return str(value.dtype), value.shape, value.tolist()


def all_bits(state_dict: Mapping[str, Any]) -> State:
    return {name: bits(value) for name, value in state_dict.items()}


def same(found: torch.Tensor, wanted: Numbers) -> bool:
    return found.dtype is torch.float32 and found.numpy().tobytes() == wanted.astype("<f4").tobytes()


# --- exact values: (step, given, others, wanted), the wanted ones by hand or by plain numpy

A = np.array([1.0, -2.5, 0.1, 3.0], "<f4")
B = np.array([0.5, 7.0, -0.3, 3.0], "<f4")
C = np.array([4.0, 1e-3, 0.0, 3.0], "<f4")
UINT8_SCALE = (3.0 - -2.5) / 255
UINT8_LOW = -round(2.5 / UINT8_SCALE) * UINT8_SCALE
UINT16_SCALE = (3.0 - -2.5) / 65535
UINT16_LOW = -round(2.5 / UINT16_SCALE) * UINT16_SCALE


def affine(values: Numbers, scale: float, low: float) -> Numbers:
    return np.round((values.astype(float) - low) / scale) * scale + low


def bfloat16(values: Numbers) -> Numbers:
    """To nearest even, by integer arithmetic on the bits."""
    words = values.astype("<f4").view("<u4").astype(np.uint64)
    return ((words + 0x7FFF + (words >> 16 & 1)) >> 16 << 16).astype("<u4").view("<f4")


EXACT: dict[str, tuple[Any, Numbers, list[Numbers], Numbers]] = {
    "prune half": ({"step": "prune", "amount": 0.5}, A, [], np.array([0, -2.5, 0, 3])),
    "prune nothing": ({"step": "prune", "amount": 0}, A, [], A),
    "prune all": ({"step": "prune", "amount": 1}, A, [], A * 0 + 0),
    "prune rounds to even, as torch does": ({"step": "prune", "amount": 0.625}, A, [], np.array([0, -2.5, 0, 3])),
    "prune takes the first of equals": (
        {"step": "prune", "amount": 0.5}, np.array([2, -1, 1, -1, 1, 5]), [], np.array([2, 0, 0, 0, 1, 5]),
    ),
    "prune counts zeros": (
        {"step": "prune", "amount": 0.5}, np.array([3, 0, -0.0, 1]), [], np.array([3, 0, 0, 1]),
    ),
    "prune takes infinity last, and NaN never": (
        {"step": "prune", "amount": 1}, np.array([NAN, -INF, 1]), [], np.array([NAN, 0, 0]),
    ),
    "prune counts NaN as a weight": (
        {"step": "prune", "amount": 0.5}, np.array([NAN, NAN, NAN, 1, 2, 3]), [], np.array([NAN, NAN, NAN, 0, 0, 0]),
    ),
    "scale": ({"step": "scale", "factor": -3}, A, [], A * np.float32(-3)),
    "smooth": ({"step": "smooth", "rate": 0.5, "times": 3}, A, [], A * np.float32(0.125)),
    "clip": (
        {"step": "clip", "max": 2}, np.array([-INF, -1, 0.5, 2.5, NAN]), [], np.array([-1, -1, 0.5, 2, NAN]),
    ),
    "cast to float16": ({"step": "cast", "dtype": "float16"}, A, [], A.astype("<f2")),
    "cast to bfloat16": ({"step": "cast", "dtype": "bfloat16"}, A, [], bfloat16(A)),
    "quantize to uint8": ({"step": "quantize"}, A, [], affine(A, UINT8_SCALE, UINT8_LOW)),
    "quantize to uint16": ({"step": "quantize", "dtype": "uint16"}, A, [], affine(A, UINT16_SCALE, UINT16_LOW)),
    "quantize to float16": ({"step": "quantize", "dtype": "float16"}, A, [], A.astype("<f2")),
    "noise of no strength": ({"step": "noise", "std": 0}, A, [], A),
    "mutate nothing": ({"step": "mutate", "rate": 0}, A, [], A),
    "average": ("average", A, [B, C], (A.astype(float) + B + C) / 3),
    "average of equals is the model": ("average", A, [A, A, A, A, A, A], A),
    "average, weighted": (
        {"step": "average", "weights": [3, 1, 0]}, A, [B, C * NAN], A.astype(float) * 0.75 + B * 0.25,
    ),
    "interpolate": ({"step": "interpolate", "amount": 0.25}, A, [B], A.astype(float) * 0.75 + B * 0.25),
    "interpolate not at all": ({"step": "interpolate", "amount": 0}, A, [B * NAN], A),
    "interpolate all the way": ({"step": "interpolate", "amount": 1}, A * NAN, [B], B),
}  # fmt: skip


@pytest.mark.parametrize("case", EXACT)
def test_steps_compute_what_they_say(case: str) -> None:
    step, values, others, wanted = EXACT[case]
    given = [{"a": torch.from_numpy(model.astype("<f4"))} for model in (values, *others)]
    found = process(given[0], step, others=given[1:])["a"].float()
    assert same(found, wanted), (found, wanted)


def test_pruning_compares_all_tensors_or_each_with_itself() -> None:
    model = {"a": f32(1, 2), "b": f32(3, 4)}
    assert all_bits(process(model, [{"step": "prune", "amount": 0.5}])) == all_bits({"a": f32(0, 0), "b": f32(3, 4)})
    alone = process(model, [{"step": "prune", "amount": 0.5, "scope": "tensor"}])
    assert all_bits(alone) == all_bits({"a": f32(0, 2), "b": f32(0, 4)})


def test_steps_follow_one_another() -> None:
    steps = [{"step": "scale", "factor": 2}, {"step": "clip", "max": 3}, {"step": "smooth", "rate": 0.5}]
    assert same(process({"a": f32(1, 5, -5)}, steps)["a"], np.array([1, 1.5, -0.5]))
    assert same(process({"a": f32(1, 5, -5)}, steps[::-1])["a"], np.array([1, 5, -2]) * [1, 1, 1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_kinds_of_floats_keep_their_kind(dtype: torch.dtype) -> None:
    given = {"a": torch.tensor([1.0, -2.0, 0.5, 4.0], dtype=dtype)}
    wanted = {"scale": [0.5, -1, 0.25, 2], "clip": [1, -1, 0.5, 1], "prune": [1, -2, 0, 4], "average": [1, -2, 0.5, 4]}
    for name, values in wanted.items():
        found = process(given, name, others=[given] if name in WITH_OTHERS else [])["a"]
        assert bits(found) == bits(torch.tensor(values, dtype=dtype)), name


# --- laws

FLOATS = [torch.float32, torch.float16, torch.bfloat16, torch.float64]
special = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, NAN, INF, -INF, 1e-45, 65504.0, 70000.0, -3.4e38])
numbers = special | st.floats(-2, 2, width=16) | st.floats(width=32)


@st.composite
def models(draw: st.DrawFn) -> State:
    """Float tensors of all kinds, among others that no step may change."""
    model: State = {"steps": torch.tensor(3), "labels": STRINGS, "on": torch.tensor([True]), "z": torch.tensor([1j])}
    for name in draw(st.lists(st.sampled_from(["a", "b/kernel", "c.weight", "", "é"]), min_size=1, unique=True)):
        shape = draw(st.sampled_from([(), (0,), (1,), (5,), (2, 3), (2, 0, 4)]))
        size = math.prod(shape)
        values = draw(st.lists(numbers, min_size=size, max_size=size))
        model[name] = torch.tensor(values, dtype=torch.float64).to(draw(st.sampled_from(FLOATS))).reshape(shape)
    return model


def outcome(call: Callable[[], Mapping[str, Any]]) -> Any:
    """All bits, or the refusal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TfjsTorchWarning)
        try:
            return all_bits(call())
        except MismatchError as error:
            return str(error)


def others_of(name: str, model: State) -> list[State]:
    turned = {
        key: value.flip(0) if isinstance(value, torch.Tensor) and value.dim() else value for key, value in model.items()
    }
    return [turned] if name in WITH_OTHERS else []


@pytest.mark.parametrize("name", NAMES)
@given(model=models())
@settings(max_examples=60)
def test_a_step_is_pure_repeatable_and_the_same_when_lazy(name: str, model: State) -> None:
    before = all_bits(model)
    others = others_of(name, model)
    found = outcome(lambda: process(model, name, others=others))
    assert outcome(lambda: process(model, name, others=others)) == found
    assert outcome(lambda: process(processing.Lazy.over(model), name, others=others)) == found
    assert all_bits(model) == before


@pytest.mark.parametrize("name", NAMES)
@given(model=models())
@settings(max_examples=30)
def test_a_lazy_mapping_tells_names_shapes_and_dtypes_before_it_computes(name: str, model: State) -> None:
    lazy = process(processing.Lazy.over(model), name, others=others_of(name, model))
    assert isinstance(lazy, processing.Lazy)
    assert list(lazy) == list(model)
    told = {key: (lazy.shape(key), str(lazy.dtype(key) or "object")) for key in lazy}
    found = outcome(lambda: lazy)
    assert isinstance(found, str) or told == {key: (shape, dtype) for key, (dtype, shape, _) in found.items()}


@pytest.mark.parametrize("name", NAMES)
def test_tensors_that_are_no_floats_or_not_chosen_stay_the_same_objects(name: str) -> None:
    model = {"a": f32(1, 2), "b": f32(3, 4), "steps": torch.tensor(3), "labels": STRINGS}
    others = [{**model, "a": f32(8, 9), "b": f32(8, 9)}] if name in WITH_OTHERS else []
    found = process(model, {"step": name, "tensors": "[a]"}, others=others)
    assert [key for key in model if found[key] is model[key]] == ["b", "steps", "labels"]


@given(models(), st.floats(0, 1), st.sampled_from([2, 1 << 22]))
@example({"a": torch.arange(9.0), "b": -torch.arange(9.0)}, 0.5, 2)
def test_pruning_takes_exactly_the_first_of_the_smallest(model: State, amount: float, held: int) -> None:
    names = [name for name in model if name not in ("steps", "labels", "on", "z")]
    flat = [(float(value), name, at) for name in names for at, value in enumerate(model[name].reshape(-1).tolist())]
    ranked = sorted((item for item in flat if item[0] == item[0]), key=lambda item: abs(item[0]))
    gone = {item[1:] for item in ranked[: round(amount * len(flat))]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pruning, "_HELD", held)  # so few that the histograms have work to do
        found = process(model, [{"step": "prune", "amount": amount}])
    for name in names:
        kept = model[name].clone()
        kept.view(-1)[[at for where, at in gone if where == name]] = 0
        assert bits(found[name]) == bits(kept)


def test_pruning_large_tensors_needs_no_more_than_the_histograms() -> None:
    torch.manual_seed(0)
    model = {"a": torch.randn(3_000_000), "b": torch.randn(2_500_000).round(decimals=2)}  # more than are held; ties
    found = process(processing.Lazy.over(model), [{"step": "prune", "amount": 0.4}])
    every = torch.cat([model["a"], model["b"]])
    order = torch.argsort(every.abs(), stable=True)
    every[order[: round(0.4 * every.numel())]] = 0
    assert torch.equal(torch.cat([found["a"], found["b"]]), every)


def test_pruning_takes_as_many_as_torch_itself() -> None:
    layer = torch.nn.Linear(31, 17)
    l1_unstructured(layer, "weight", amount=0.37)
    found = process({"w": layer.weight_orig}, [{"step": "prune", "amount": 0.37}])["w"]
    assert torch.equal(found, layer.weight.detach())


@given(st.lists(numbers, min_size=1, max_size=30), st.sampled_from(["uint8", "uint16", "float16"]))
def test_quantizing_gives_what_comes_back_from_a_quantised_file(values: list[float], dtype: str) -> None:
    model = {"a": torch.tensor(values, dtype=torch.float64).float()}

    def saved() -> State:
        manifest, data = torch_to_tfjs(model, quantize=dtype)
        return tfjs_to_torch(manifest, data)

    found = outcome(lambda: process(model, {"step": "quantize", "dtype": dtype}))
    wanted = outcome(saved)
    assert found == wanted if not isinstance(found, str) else found == f"step 1 (quantize): {wanted}"


def test_a_chain_holds_one_tensor_at_a_time() -> None:
    alive: set[int] = set()
    most = 0

    def made(number: int) -> torch.Tensor:
        nonlocal most
        tensor = torch.full((1000,), float(number))
        alive.add(number)
        weakref.finalize(tensor, alive.discard, number)
        most = max(most, len(alive))
        return tensor

    entry = processing.lazy.Entry
    lazy = processing.Lazy(
        {str(n): entry((1000,), torch.float32, lambda n=n: made(n)) for n in range(20)}  # type: ignore[misc]
    )
    gc.disable()
    try:
        for _ in process(lazy, ["scale", "noise", "prune", "mutate", "quantize", "clip"]).values():
            pass
    finally:
        gc.enable()
    assert most <= 2


def test_making_a_chain_computes_nothing() -> None:
    def never() -> torch.Tensor:
        raise AssertionError("computed")

    lazy = processing.Lazy({"a": processing.lazy.Entry((2,), torch.float32, never)})
    others = [processing.Lazy(lazy.entries)]
    chain = process(lazy, ["prune", "cast", "crossover", "average", "noise"], others=others)
    assert isinstance(chain, processing.Lazy)
    tensor = processing.lazy_tensors(chain)["a"]
    assert ("a" in chain, chain.shape("a"), tensor.dtype) == (True, (2,), np.float16)


def test_stored_tensors_go_through_without_being_held() -> None:
    folder = SAMPLES / "ml5-classifier"
    artifacts = read_artifacts(folder)
    lazy = process(processing.state_dict_of(stored_tensors(artifacts)), ["prune", "noise"])
    files = {name: b"".join(map(bytes, data)) for name, data in encode_files(processing.lazy_tensors(lazy), artifacts)}
    assert all_bits(load_file(files)) == all_bits(process(load_file(folder), ["prune", "noise"]))


def test_tensors_of_any_kind_become_a_state_dict_and_back() -> None:
    strange = np.array([[1, 2], [3, 4]], ">f4")[::-1]
    strange.flags.writeable = False
    given: Any = {"labels": STRINGS, "strange": strange, "half": np.array([0.5], np.float16)}
    lazy = processing.state_dict_of(given)
    assert lazy["strange"].tolist() == [[3, 4], [1, 2]]
    lazy["strange"][0] = 9
    assert (strange[0, 0], lazy["labels"] is STRINGS, lazy.dtype("labels")) == (3, True, None)
    again = processing.lazy_tensors(lazy)
    assert [np.asarray(again[name]).tolist() for name in given] == [[b"cat", b"dog"], [[3, 4], [1, 2]], [0.5]]


def test_the_longest_chain_is_not_too_long_for_python() -> None:
    lazy = process(processing.Lazy.over({"a": f32(1)}), [{"step": "scale", "factor": -1}] * 64)
    assert same(lazy["a"], np.array([1]))


# --- chance

LARGE = {"a": torch.zeros(300_000), "b": torch.linspace(-3, 3, 300_000)}


def farthest(values: Numbers, share_below: Callable[[Numbers], Numbers]) -> float:
    """How far a sample's distribution is from a continuous one (Kolmogorov-Smirnov)."""
    ordered = np.sort(values.astype(float))
    steps = np.arange(ordered.size + 1) / ordered.size
    wanted = share_below(ordered)
    return float(max(np.abs(wanted - steps[1:]).max(), np.abs(wanted - steps[:-1]).max()))


def normal(values: Numbers) -> Numbers:
    return np.array([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in values.tolist()])


def test_noise_is_normal_and_as_strong_as_asked_for() -> None:
    found = process(LARGE, {"step": "noise", "std": 0.1, "seed": 1})
    for name, tensor in LARGE.items():
        drawn = (found[name].double() - tensor).numpy() / 0.1
        assert farthest(drawn, normal) < 0.003
        assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.01  # also where one thread's run meets the next
    relative = process(LARGE, {"step": "noise", "std": 0.1, "relative": True})
    assert torch.equal(relative["a"], LARGE["a"])  # all the same: no deviation
    assert (relative["b"] - LARGE["b"]).std().item() == pytest.approx(0.1 * 6 / math.sqrt(12), rel=0.01)


def test_relative_noise_looks_at_the_finite_numbers() -> None:
    found = process({"a": f32(1, NAN, INF, 3)}, {"step": "noise", "relative": True, "std": 0.01})["a"]
    assert 0 < (found[0] - 1).abs() < 0.1
    assert found[1].isnan()
    assert found[2] == INF
    assert bits(process({"a": f32(NAN)}, {"step": "noise", "relative": True})["a"]) == bits(f32(NAN))


@pytest.mark.parametrize("name", ["noise", "mutate", "crossover"])
def test_what_is_drawn_depends_on_seed_and_name_alone(name: str) -> None:
    others = [{key: tensor + 0.5 for key, tensor in LARGE.items()}] if name in WITH_OTHERS else []
    whole = process(LARGE, {"step": name, "seed": 7}, others=others)
    turned = process(dict(reversed(LARGE.items())), {"step": name, "seed": 7}, others=others)
    alone = process(LARGE, {"step": name, "seed": 7, "tensors": "b"}, others=others)
    assert torch.equal(whole["a"], turned["a"])
    assert torch.equal(whole["b"], turned["b"])
    assert torch.equal(whole["b"], alone["b"])
    other_seed = process(LARGE, {"step": name, "seed": 8}, others=others)
    assert not torch.equal(whole["a"], other_seed["a"])
    equal = process({"a": LARGE["a"], "c": LARGE["a"]}, {"step": "noise"})
    assert not torch.equal(equal["a"], equal["c"])


ML5 = SAMPLES / "ml5/node_modules/ml5/dist/ml5.js"
RUN_ML5 = """
const fs = require("fs"), [file, step] = process.argv.slice(1), source = fs.readFileSync(file, "utf8");
const cut = (from, to) => source.slice(source.indexOf(from), source.indexOf(to, source.indexOf(from)));
let state = 12345;  // a seed for Math.random, so that the test gives the same result every time
Math.random = () => {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};
const src_dist = { tidy: (f) => f(), tensor: (values) => ({ values }) };
const net = eval(
  cut("const src_randomFloat =", "const src_randomInt =") +
  cut("const src_randomGaussian =", "// Returns a random sample") +
  "(class {" + cut("  mutate(rate = 0.1, mutateFunction) {", "/* harmony default export */") + ")");
const made = JSON.parse(fs.readFileSync(0)).map((values) => {
  const one = new net(), data = new Float32Array(values);
  one.model = { getWeights: () => [{ shape: [], dataSync: () => data }], setWeights: ([w]) => (one.after = w.values) };
  return one;
});
step === "crossover" ? made[0].crossover(made[1]) : made[0].mutate(step === "default" ? undefined : Number(step));
process.stdout.write(JSON.stringify(Array.from(made[0].after)));
"""


def ml5(step: str, *models: Numbers) -> Numbers:
    """What ml5's own code makes of weights, in node: its methods cut out of the real file."""
    given = json.dumps([model.tolist() for model in models])
    ran = subprocess.run(["node", "-e", RUN_ML5, "--", ML5, step], input=given, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return np.array(json.loads(ran.stdout), "<f4")


def apart(one: Numbers, other: Numbers) -> float:
    """How far two samples' distributions are apart (Kolmogorov-Smirnov), in units of what chance explains."""
    every = np.sort(np.concatenate([one, other]))
    below = [np.searchsorted(np.sort(sample), every, side="right") / sample.size for sample in (one, other)]
    return float(np.abs(below[0] - below[1]).max() / math.sqrt(1 / one.size + 1 / other.size))


@pytest.mark.parametrize("weight", [0.0, 0.75, -3.0])
@pytest.mark.parametrize("rate", ["default", "0.5", "1"])
def test_mutate_changes_weights_as_ml5_does(weight: float, rate: str) -> None:
    given = np.full(40_000, weight, "<f4")
    theirs = ml5(rate, given)
    options = {} if rate == "default" else {"rate": float(rate)}
    ours = process({"a": torch.from_numpy(given)}, {"step": "mutate", "seed": 3, **options})["a"].numpy()
    assert apart(ours, theirs) < 1.63  # beyond that one time in a hundred
    for value in (weight, 1, -1):
        assert abs((ours == value).mean() - (theirs == value).mean()) < 0.012  # 3.5 deviations
    assert ours[ours != np.float32(weight)].max(initial=-1) <= 1  # those that were not picked stay beyond the limits


def test_mutated_weights_are_the_old_ones_with_a_normal_number_added() -> None:
    given = torch.linspace(-0.9, 0.9, 200_000)
    found = process({"a": given}, {"step": "mutate", "rate": 1, "seed": 5})["a"]
    inside = found.abs() < 1
    for weight in (-0.89, 0.0, 0.5, 0.89):
        low, high = normal(np.array([-1 - weight, 1 - weight]))
        near = (given - weight).abs() < 0.01
        assert inside[near].double().mean().item() == pytest.approx(high - low, abs=0.03)


def test_crossover_tosses_a_coin_for_every_weight_as_ml5_does() -> None:
    first, second = np.arange(40_000, dtype="<f4"), -np.arange(40_000, dtype="<f4") - 1
    theirs = ml5("crossover", first, second)
    ours = process({"a": torch.from_numpy(first)}, "crossover", others=[{"a": torch.from_numpy(second)}])["a"].numpy()
    for child in (ours, theirs):
        taken = child == second
        assert ((child == first) | taken).all()
        assert abs(taken.mean() - 0.5) < 0.01
        assert abs(np.corrcoef(taken[1:], taken[:-1])[0, 1]) < 0.02
