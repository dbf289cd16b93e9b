"""Laws that hold for every model that the format allows: all dtypes, any bits, any cut into files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from helpers import State, judged_all, quiet, snapshot, told, told_all, warned, write_model
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import TfjsJudge
from strategies import Model, models, names, reference_all, scales, shapes

from tfjs_torch import decode_weights, load_file, save_file, tfjs_to_torch, torch_to_tfjs
from tfjs_torch.sharding import misread_by_tfjs

wide_floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@contextmanager
def folder_of(model: Model) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield write_model(Path(folder) / "in", model.groups, model.files)


def scribble(state_dict: State) -> None:
    """Change every element in place."""
    for value in state_dict.values():
        if isinstance(value, np.ndarray):
            value[...] = b"scribbled"
        elif value.dtype is torch.bool:
            value.logical_not_()
        else:
            value.copy_(torch.full_like(value, 77))


@given(models())
@settings(max_examples=300)
def test_every_tensor_is_what_the_format_says(model: Model) -> None:
    with warned():
        assert told_all(tfjs_to_torch(model.groups, model.data)) == told_all(reference_all(model))


@given(models())
@settings(max_examples=300)
def test_there_and_back_again_changes_no_bit(model: Model) -> None:
    with warned():
        state_dict = tfjs_to_torch(model.groups, model.data)
        assert torch_to_tfjs(state_dict, model.groups) == (model.groups, model.data)


@given(models())
def test_every_way_to_hand_the_bytes_over_gives_the_same(model: Model) -> None:
    with warned(), folder_of(model) as folder:
        paths = [folder / path for path in model.files]
        expected = told_all(tfjs_to_torch(model.groups, model.data))
        for data in (model.files, list(model.files.values()), folder, paths, bytearray(model.data)):
            assert told_all(tfjs_to_torch(model.groups, data)) == expected
        assert told_all(load_file(folder)) == told_all(load_file(snapshot(folder))) == expected


@given(models())
def test_saved_like_itself_a_model_has_the_same_files(model: Model) -> None:
    with warned(), folder_of(model) as folder:
        out = folder.parent / "out"
        save_file(load_file(folder), out, like=folder)
        if misread_by_tfjs([len(data) for data in model.files.values()]):
            assert told_all(load_file(out)) == told_all(load_file(folder))
        else:
            assert snapshot(out) == snapshot(folder)


@given(models(), st.integers(1, 9))
def test_cut_anew_a_model_has_the_same_tensors(model: Model, shard_bytes: int) -> None:
    with warned(), folder_of(model) as folder:
        save_file(load_file(folder), folder.parent / "out.zip", like=folder, shard_bytes=shard_bytes)
        assert told_all(load_file(folder.parent / "out.zip")) == told_all(load_file(folder))


@given(models())
def test_changing_a_tensor_changes_nothing_else(model: Model) -> None:
    buffer = bytearray(model.data)
    with warned(), folder_of(model) as folder:
        before, files = told_all(load_file(folder)), snapshot(folder)
        first, second, third = load_file(folder), load_file(folder), tfjs_to_torch(model.groups, buffer)
        scribble(first)
        scribble(third)
        assert told_all(second) == before == told_all(load_file(folder))
        assert (snapshot(folder), bytes(buffer)) == (files, model.data)


@given(models())
def test_changing_one_tensor_leaves_the_others(model: Model) -> None:
    with warned(), folder_of(model) as folder:
        for name, before in told_all(load_file(folder)).items():
            state_dict = load_file(folder)
            scribble({other: value for other, value in state_dict.items() if other != name})
            assert told(state_dict[name]) == before


@given(models())
def test_changing_the_buffer_changes_no_tensor(model: Model) -> None:
    buffer = bytearray(model.data)
    with warned():
        state_dict = tfjs_to_torch(model.groups, buffer)
        before = told_all(state_dict)
        buffer[:] = bytes(len(buffer))
        assert told_all(state_dict) == before
        groups, data = torch_to_tfjs(state_dict, model.groups)
        assert (groups, data) == (model.groups, model.data)


@given(models())
def test_decode_weights_gives_the_same_arrays(model: Model) -> None:
    found = decode_weights(model.groups, list(model.streams), flatten=True)
    assert {one["name"]: told(one["data"]) for one in found} == told_all(reference_all(model))
    assert all(one["data"].flags.writeable for one in found)


@given(models(for_tfjs=True))
def test_a_new_manifest_holds_the_same_tensors(model: Model) -> None:
    with warned():
        state_dict = tfjs_to_torch(model.groups, model.data)
        state_dict = {n: v for n, v in state_dict.items() if not (isinstance(v, np.ndarray) and not v.size)}
        assert told_all(tfjs_to_torch(*torch_to_tfjs(state_dict))) == told_all(state_dict)


@given(models(), st.data())
def test_an_edited_model_is_written_as_edited(model: Model, data: st.DataObject) -> None:
    """Plain tensors to the bit; quantised ones decode to what the returned manifest says."""
    with warned():
        state_dict = tfjs_to_torch(model.groups, model.data)
        for name, value in state_dict.items():
            if isinstance(value, torch.Tensor) and value.numel() and value.dtype in (torch.float32, torch.int32):
                value.view(-1)[data.draw(st.integers(0, value.numel() - 1), label=name)] = 3
        groups, written = torch_to_tfjs(state_dict, model.groups)
        found = told_all(tfjs_to_torch(groups, written))
    plain = {entry["name"] for group in groups for entry in group["weights"] if "quantization" not in entry}
    assert {n: one for n, one in found.items() if n in plain} == {n: told(state_dict[n]) for n in plain}


@given(st.lists(wide_floats, min_size=1, max_size=30), st.sampled_from(["uint8", "uint16"]))
@settings(max_examples=300)
def test_quantising_is_off_by_less_than_a_step_and_keeps_zero(values: list[float], quantize: str) -> None:
    tensor = torch.tensor([*values, 0.0]).clamp(-1e38, 1e38)
    groups, data = torch_to_tfjs({"a": tensor}, quantize=quantize)
    found = tfjs_to_torch(groups, data)["a"]
    step = groups[0]["weights"][0]["quantization"]["scale"]
    assert found[-1] == 0
    assert ((found.double() - tensor.double()).abs() <= step * 1.001 + found.double().abs() * 2**-23).all()


@given(st.lists(wide_floats, min_size=1, max_size=30), st.sampled_from(["uint8", "uint16", "float16"]))
def test_what_was_quantised_once_stays_as_it_is(values: list[float], quantize: str) -> None:
    tensor = torch.tensor(values).clamp(-65000, 65000)
    groups, data = torch_to_tfjs({"a": tensor}, quantize=quantize)
    assert torch_to_tfjs(tfjs_to_torch(groups, data), groups) == (groups, data)
    assert torch_to_tfjs(tfjs_to_torch(groups, data), groups, quantize=quantize) == (groups, data)


@given(st.lists(models(for_tfjs=True), max_size=6))
@settings(max_examples=60)
def test_tfjs_reads_the_same_numbers(judge: TfjsJudge, several: list[Model]) -> None:
    """All models of an example are one request, told apart by a number before each name."""
    entries, streams = [], []
    for index, model in enumerate(several):
        entries += [{**entry, "name": f"{index} {entry['name']}"} for entry in model.entries]
        streams.append(model.data)
    data = b"".join(streams)
    ours = tfjs_to_torch([{"paths": ["w"], "weights": entries}], data)
    assert quiet(told_all(ours)) == quiet(judged_all(judge.decode(entries, [data])))


@given(st.lists(names, unique=True), shapes, scales)
def test_any_names_and_shapes_make_a_model(every: list[str], shape: list[int], fill: float) -> None:
    value = torch.full(shape, fill, dtype=torch.float64).clamp(-1e38, 1e38)
    groups, data = torch_to_tfjs(dict.fromkeys(every, value))
    assert {name: tuple(tensor.shape) for name, tensor in tfjs_to_torch(groups, data).items()} == dict.fromkeys(
        every, tuple(shape)
    )
