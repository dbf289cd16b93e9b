"""Steps that change weights: what is refused and where, the registry, and operators' own functions."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tfjs_torch import (
    FilesError,
    MismatchError,
    TfjsTorchError,
    TfjsTorchWarning,
    UnsupportedError,
    process,
    processing,
)
from tfjs_torch.processing import pruning

NAN, INF = math.nan, math.inf
NAMES = [name for name, step in processing.steps().items() if step.takes == "state_dict"]  # all of the library's own


def f32(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


def same(found: torch.Tensor, wanted: NDArray[Any]) -> bool:
    return found.dtype is torch.float32 and found.numpy().tobytes() == wanted.astype("<f4").tobytes()


@pytest.fixture
def steps_as_before() -> Iterator[None]:
    before = processing.steps()
    yield
    for name in set(processing.steps()) - set(before):
        processing.registry.forget(name)


# --- parsing

FULL = {"step": "prune", "amount": 0.3, "scope": "global", "tensors": "*"}


@pytest.mark.parametrize(
    "given",
    [
        "prune", ["prune"], '"prune"', '["prune"]', b'[{"step": "prune"}]', {"name": "prune"},
        {"step": "prune", "amount": 0.3},
        {"step": "prune", "options": {"amount": 0.3}, "scope": "global"}, [FULL], json.dumps(FULL),
        processing.parse("prune"),
    ],
)  # fmt: skip
def test_steps_can_be_written_in_several_ways(given: Any) -> None:
    assert [call.to_json() for call in processing.parse(given)] == [FULL]


def test_numbers_may_be_written_as_json_likes() -> None:
    call = processing.parse('{"step": "smooth", "times": 3.0, "rate": 1}')[0]
    assert (call.options["times"], type(call.options["times"]), type(call.options["rate"])) == (3, int, float)


def test_no_steps_change_nothing() -> None:
    model = {"a": f32(1), "labels": np.array([b"cat"], object)}
    assert process(model, []) == model


PRUNE = r"step 1 \(prune\): "
BAD_STEPS: dict[str, tuple[Any, str]] = {
    "an unknown step": ("prun", r"step 1 \(prun\): one of prune, quantize, .* expected, found 'prun'"),
    "an unknown second step": (["prune", {"step": "x"}], r"step 2 \(x\): one of prune"),
    "no name": ({"amount": 0.3}, r'step 1: one name under "step" expected, found \[\]'),
    "two names": ({"step": "a", "name": "b"}, r"found \['a', 'b'\]"),
    "a name that is a number": ({"step": 7}, r"found \[7\]"),
    "null": (None, r'step 1: a step such as {"step": "prune", "amount": 0.3} expected, found null'),
    "a number": (["prune", 7], "step 2: .* found int 7"),
    "an unknown option": ({"step": "prune", "amout": 1}, PRUNE + "amount, scope, tensors .* found 'amout'"),
    "an option too large": ({"step": "prune", "amount": 1.5}, PRUNE + "a number from 0 to 1 .* found 1.5"),
    "an option too small": ({"step": "noise", "std": -1}, "a number from 0 to 1000000.0 for std .* found -1"),
    "a text for a number": ({"step": "prune", "amount": "0.3"}, 'for amount expected, found "0.3"'),
    "true for a number": ({"step": "prune", "amount": True}, "for amount expected, found true"),
    "null for a number": ({"step": "prune", "amount": None}, "for amount expected, found null"),
    "NaN": ({"step": "prune", "amount": NAN}, "for amount expected, found NaN"),
    "a number beyond floats": ({"step": "scale", "factor": 10**400}, "for factor expected, found Infinity"),
    "a number beyond print": ({"step": "noise", "seed": 10**9999}, "found a number of more than 60 digits"),
    "half a seed": ({"step": "noise", "seed": 0.5}, "a whole number from 0 to .* for seed .* found 0.5"),
    "an infinite seed": ({"step": "noise", "seed": INF}, "for seed expected, found Infinity"),
    "a number for true or false": ({"step": "noise", "relative": 1}, "true or false for relative .* found 1"),
    "a word that is no choice": ({"step": "cast", "dtype": "int8"}, '"float16" or .* found "int8"'),
    "a list for a choice": ({"step": "cast", "dtype": ["float16"]}, r'for dtype expected, found \["float16"\]'),
    "a very long glob": ({"step": "prune", "tensors": "a" * 201}, "a text of at most 200 for tensors"),
    "a number for weights": ({"step": "average", "weights": 1}, "a list of at most 1000 for weights"),
    "a text in weights": ({"step": "average", "weights": [1, "2"]}, '0 to 1000000.0 for weights .* found "2"'),
    "limits the wrong way": ({"step": "clip", "min": 2}, "found max 1.0 below min 2.0; swap them"),
    "options that are a list": ({"step": "prune", "options": [1]}, PRUNE + 'an object under "options"'),
    "an option twice": ({"step": "prune", "amount": 1, "options": {"amount": 1}}, "found 'amount' twice"),
    "cut JSON": ('[{"step": ', "steps: JSON such as .* expected, found expecting value at line 1 column 11"),
    "the token NaN": ('[{"step": "prune", "amount": NaN}]', "found the token NaN, which is no JSON"),
    "deep JSON": ("[" * 100_000, "found JSON nested too deep"),
    "a number of 5,000 digits": ("[" + "9" * 5000 + "]", "steps: .* digits"),
    "bytes that are no UTF-8": (b"\xff\xfe", "one of prune"),
    "too many steps": (["prune"] * 65, "steps: at most 64 expected, found 65; process in several goes"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_STEPS)
def test_bad_steps_are_refused_with_their_place(case: str) -> None:
    given, words = BAD_STEPS[case]
    with pytest.raises(UnsupportedError if "one of prune" in words else MismatchError, match=words):
        processing.parse(given)


SMALL = {"a": f32(1, 2), "b": f32(3), "steps": torch.tensor(3)}
BAD_MODELS: dict[str, tuple[Any, Any, list[Any], str]] = {
    "no mapping": ([1], "prune", [], r"state_dict: {name: tensor} expected, found list"),
    "a list for a tensor": ({"a": [1.0]}, "prune", [], "state_dict: a: a torch tensor or .*, found list"),
    "a number for a name": ({1: f32(1)}, "prune", [], "state_dict: names that are strings expected, found 1"),
    "a tensor without values": ({"a": torch.ones(2, device="meta")}, "prune", [], "state_dict: a: a dense tensor"),
    "a glob without a match": (
        SMALL, {"step": "scale", "tensors": "dense*"}, [],
        r"step 1 \(scale\): tensors: a glob that matches a float tensor expected, found 'dense\*'; there are a, b",
    ),
    "a glob of integers": ({"n": torch.tensor(1)}, {"step": "scale", "tensors": "n"}, [], "there are none at all"),
    "no other model": (SMALL, "crossover", [], r"\(crossover\): 1 more model expected, found none; add"),
    "nothing to average with": (SMALL, ["prune", "average"], [], r"step 2 \(average\): at least 1 more model expected"),
    "too many others": (SMALL, "interpolate", [SMALL, SMALL], r"\(interpolate\): 1 more model expected, found 2"),
    "others for nothing": (SMALL, "prune", [SMALL], "others: none expected, since no step takes other .* found 1"),
    "an other that is no model": (SMALL, "average", [7], "model 2: state_dict: {name: tensor} expected, found int"),
    "an other with a list": (SMALL, "average", [SMALL, {"a": [1]}], "model 3: a: a torch tensor .* found list"),
    "other names": (
        SMALL, "average", [SMALL, {**SMALL, "c": f32(1)}],
        r'step 1 \(average\): model 3: the 3 tensors .* Unexpected key\(s\) in state_dict: "c". Give models',
    ),
    "fewer names": (SMALL, "average", [{"a": f32(1, 2)}], r'Missing key\(s\) in state_dict: "b", "steps"'),
    "other shapes": (
        SMALL, "crossover", [{**SMALL, "b": f32(1, 2)}],
        r"step 1 \(crossover\): model 2: b: shape \[1\] expected as in the first model, found \[2\]",
    ),
    "integers for floats": (SMALL, "interpolate", [{**SMALL, "b": torch.tensor([1])}], "2: b: floats .* torch.int64"),
    "too few weights": (SMALL, {"step": "average", "weights": [1]}, [SMALL], "weights: 2 for as many .* found 1"),
    "weights of nothing": (SMALL, {"step": "average", "weights": [0, 0]}, [SMALL], "weights: at least one above 0"),
    "beyond float16": ({"a": f32(1, 7e4)}, "cast", [], r"step 1 \(cast\): a: values .* found 70000; clip"),
    "beyond stored float16": (
        {"a": f32(NAN, 7e4)}, ["scale", {"step": "scale", "factor": 2}, {"step": "quantize", "dtype": "float16"}],
        [],
        r"step 3 \(quantize\): a: values within ±65504 expected for float16, found 70000.0; use uint16 instead",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_MODELS)
def test_models_that_do_not_fit_are_refused_with_their_place(case: str) -> None:
    model, steps, others, words = BAD_MODELS[case]
    with pytest.raises(MismatchError, match=words):
        process(model, steps, others=others)


def test_what_is_found_late_in_a_lazy_chain_names_the_step_all_the_same() -> None:
    lazy = process(processing.Lazy.over({"a": f32(7e4)}), [{"step": "cast"}, "scale", "noise"])
    with pytest.raises(MismatchError, match=r"^step 1 \(cast\): a: values that float16 holds"):
        lazy["a"]


def test_what_cannot_be_quantised_stays_and_a_warning_says_so() -> None:
    with pytest.warns(TfjsTorchWarning, match="a: NaN or infinity cannot be quantised to uint8"):
        found = process({"a": f32(1, NAN)}, "quantize")
    assert same(found["a"], np.array([1, NAN]))


def test_a_function_on_lazy_tensors_must_keep_shapes_and_tell_its_dtype() -> None:
    lazy = processing.Lazy.over({"a": f32(1, 2)})
    with pytest.raises(MismatchError, match=r"a: shape \[2\] and torch.float32 .* found \[1\]"):
        processing.each(lazy, lambda name, tensor: tensor[:1])["a"]
    with pytest.raises(MismatchError, match=r"found .* torch.float16; .* give `each` the new dtype"):
        processing.each(lazy, lambda name, tensor: tensor.half())["a"]
    assert processing.each(lazy, lambda name, tensor: tensor.half(), dtype=torch.float16)["a"].dtype is torch.float16


@pytest.mark.parametrize("later", [0.0, 1.0])
def test_lazy_tensors_that_change_between_two_looks_are_refused(later: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "_HELD", 2)
    looks = iter([f32(1, 2, 3), f32(1, 2, 3), torch.full((3,), later)])
    lazy = processing.Lazy({"a": processing.lazy.Entry((3,), torch.float32, lambda: next(looks))})
    with pytest.raises(MismatchError, match=r"step 1 \(prune\): the same tensors each time expected .* use a seed"):
        process(lazy, "prune")["a"]


# --- the registry


def test_every_step_tells_a_page_what_it_needs() -> None:
    assert NAMES == [
        "prune", "quantize", "cast", "scale", "smooth", "clip", "noise", "mutate", "crossover", "average",
        "interpolate",
    ]  # fmt: skip
    for name in NAMES:
        step = processing.steps()[name]
        told = json.loads(json.dumps(step.to_json()))
        assert told["name"] == name
        assert told["title"]
        assert told["description"].endswith(".")
        for option, rule in told["options"]["properties"].items():
            assert {"type", "title", "description", "default"} <= set(rule), (name, option)
        given = {key: rule["default"] for key, rule in told["options"]["properties"].items()}
        assert processing.parse({"step": name, **given}) == processing.parse(name)


def test_a_step_of_modules_has_its_place_but_takes_no_state_dict(steps_as_before: None) -> None:
    processing.register("tune", title="Tune", description="Tunes.", options={}, takes="module")(
        lambda module, options: 0
    )
    assert processing.steps()["tune"].to_json()["takes"] == "module"
    with pytest.raises(UnsupportedError, match=r"step 1 \(tune\): .* needs the whole model"):
        process(SMALL, "tune")


BAD_SCHEMAS: dict[str, tuple[dict[str, Any], str]] = {
    "no type": ({"x": {}}, "option 'x': a JSON schema with"),
    "no schema": ({"x": 3}, "option 'x': a JSON schema with \"type\" one of number, .* found 3"),
    "an unknown keyword": ({"x": {"type": "string", "pattern": "a"}}, r"only the keywords .* found \['pattern'\]"),
    "a default of another type": ({"x": {"type": "integer", "default": "a"}}, "default of 'x': a whole number for x"),
    "a reserved name": ({"step": {"type": "string"}}, "another name expected: step, name, options mean"),
    "an unknown keyword of the whole": ({"type": "object", "oneOf": []}, "found .*oneOf"),
    "items without a type": ({"x": {"type": "array", "items": {}}}, "option 'x': items: a JSON schema"),
}


@pytest.mark.parametrize("case", BAD_SCHEMAS)
def test_schemas_that_are_not_understood_are_refused(case: str) -> None:
    options, words = BAD_SCHEMAS[case]
    with pytest.raises(MismatchError, match="step 'mine'.*" + words):
        processing.register("mine", title="", description="", options=options)


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("", {}, "a name, and"),
        ("mine", {"others": (2, 1)}, r"found 'mine' and \(2, 1\)"),
        ("mine", {"takes": "dict"}, "found 'dict'"),
    ],
)
def test_steps_that_cannot_be_are_refused(name: str, more: dict[str, Any], words: str) -> None:
    with pytest.raises(MismatchError, match=words):
        processing.register(name, title="", description="", options={}, **more)


def test_an_option_that_must_be_given_is_missed(steps_as_before: None) -> None:
    schema = {
        "type": "object",
        "properties": {"x": {"type": "integer", "minimum": 2}, "y": {"type": "string"}},
        "required": ["x"],
    }
    processing.register("mine", title="", description="", options=schema)(lambda given, options: given)
    with pytest.raises(
        MismatchError, match=r"step 1 \(mine\): a whole number of at least 2 for x expected, found nothing"
    ):
        processing.parse("mine")
    assert processing.parse({"step": "mine", "x": 2})[0].options == {"x": 2}


# --- an operator's own function


def operator(folder: Path, code: str, name: str = "fn") -> processing.Step:
    (folder / "mine.py").write_text(code)
    return processing.load(f"{folder / 'mine.py'}:{name}")


@pytest.mark.usefixtures("steps_as_before")
class TestOperators:
    def test_a_function_becomes_a_step(self, tmp_path: Path) -> None:
        code = """
def add_number(state_dict, options):
    "Adds a number."
    for tensor in state_dict.values():
        tensor += options["number"]         # in place: the tensors are its own
    return state_dict
add_number.options = {"number": {"type": "integer", "title": "Number", "default": 2}}
"""
        step = operator(tmp_path, code, "add_number")
        assert (step.name, step.title, step.description) == ("add_number", "Add number", "Adds a number.")
        assert processing.steps()["add_number"] is step
        model = {"a": f32(1, 2)}
        assert same(process(model, ["add_number", {"step": "scale", "factor": 2}])["a"], np.array([6, 8]))
        assert same(process(processing.Lazy.over(model), {"step": "add_number", "number": 1})["a"], np.array([2, 3]))
        assert same(model["a"], np.array([1, 2]))
        with pytest.raises(MismatchError, match="a whole number for number expected"):
            processing.parse({"step": "add_number", "number": "x"})

    def test_without_a_schema_any_options_go_through(self, tmp_path: Path) -> None:
        operator(tmp_path, "def fn(weights, options): return {k: w + options['a'][0] for k, w in weights.items()}")
        assert same(process({"a": f32(1)}, {"step": "fn", "a": [5]})["a"], np.array([6]))

    def test_it_may_take_other_models_and_stay_lazy(self, tmp_path: Path) -> None:
        code = """
from tfjs_torch import processing
def fn(state_dict, options, others):
    return processing.each(state_dict, lambda name, tensor: tensor + others[0][name])
fn.others, fn.lazy = (1, None), True
"""
        operator(tmp_path, code)
        lazy = process(processing.Lazy.over({"a": f32(1)}), "fn", others=[{"a": f32(2)}])
        assert isinstance(lazy, processing.Lazy)
        assert same(lazy["a"], np.array([3]))

    def test_it_may_be_loaded_again_and_lie_in_a_module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "a_processor.py").write_text("def fn(weights, options): return weights")
        monkeypatch.syspath_prepend(tmp_path)
        for _ in range(2):
            assert processing.load("a_processor:fn").source == "a_processor:fn"
        assert same(process({"a": f32(3)}, "fn")["a"], np.array([3]))

    @pytest.mark.parametrize(
        ("where", "error", "words"),
        [
            ("mine.py", MismatchError, "the form my.py:function expected"),
            ("nowhere.py:fn", FilesError, "nowhere.py:fn: a Python file expected, found none at nowhere.py; check"),
            ("no_such_module_here:fn", TfjsTorchError, "found ModuleNotFoundError: .* correct it"),
        ],
    )
    def test_places_that_are_not_there(self, where: str, error: type[TfjsTorchError], words: str) -> None:
        with pytest.raises(error, match=words):
            processing.load(where)

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("def other(a, b): pass", "a function 'fn' expected, found other; name one"),
            ("fn = 3", "a function 'fn' expected, found no function"),
            ("def fn(weights): pass", r"takes \(state_dict, options\) expected"),
            ("def fn(weights, options): pass\nfn.others = (1, 2)", r"takes \(state_dict, options, others\) expected"),
            ("def fn(weights, options): pass\nfn.others = 2", r"others = \(least, most\) models expected, found 2"),
            ("def fn(weights, options): pass\nfn.options = 3", "a JSON schema as fn.options expected, found int"),
            ("def fn(weights, options): pass\nfn.options = {'x': 3}", "mine.py:fn: option 'x': a JSON schema with"),
            ("1 / 0", "Python code that runs expected, found ZeroDivisionError: division by zero; correct it"),
            ("def fn(", "found SyntaxError: "),
        ],
    )
    def test_code_that_is_no_step(self, tmp_path: Path, code: str, words: str) -> None:
        with pytest.raises(TfjsTorchError, match=words):
            operator(tmp_path, code)

    def test_a_name_that_is_taken(self, tmp_path: Path) -> None:
        with pytest.raises(MismatchError, match="a new name expected, found 'prune', which is a step already; rename"):
            operator(tmp_path, "def prune(weights, options): return weights", "prune")

    @pytest.mark.parametrize("lazy", [False, True])
    @pytest.mark.parametrize(
        ("returns", "words"),
        [
            ("None", r"{name: tensor} from .*mine.py:fn expected, found NoneType; return one"),
            ("{'a': w['a']}", r'the same names back from .*mine.py:fn expected. Missing key\(s\) in state_dict: "b".'),
            ("{**w, 'c': w['a']}", r'.* Unexpected key\(s\) in state_dict: "c". Return all of them'),
            ("{**w, 'a': 3}", "a: a tensor from .*mine.py:fn expected, found int"),
            ("{**w, 'a': w['a'][:1]}", r"a: the shape \[2\] from .*mine.py:fn expected, found \[1\]"),
            ("w['x']", ".*mine.py:fn: Python code that runs expected, found KeyError: 'x'; correct it"),
        ],
    )
    def test_results_that_do_not_fit(self, tmp_path: Path, returns: str, words: str, lazy: bool) -> None:
        operator(tmp_path, f"def fn(w, options): return {returns}")
        model = {"a": f32(1, 2), "b": f32(3)}
        with pytest.raises(TfjsTorchError, match=r"^step 2 \(fn\): " + words):
            process(processing.Lazy.over(model) if lazy else model, ["scale", "fn"])

    def test_what_fails_late_is_told_as_well(self, tmp_path: Path) -> None:
        code = """
from tfjs_torch import processing
def fn(state_dict, options):
    return processing.each(state_dict, lambda name, tensor: tensor / options["x"])
fn.lazy = True
"""
        operator(tmp_path, code)
        lazy = process(processing.Lazy.over({"a": f32(1)}), "fn")
        with pytest.raises(TfjsTorchError, match=r"^step 1 \(fn\): .*mine.py:fn: .* found KeyError: 'x'; correct it"):
            lazy["a"]
