"""Situations around the three files: their names, how many they are, and the list of weights."""

from __future__ import annotations

import numpy as np
from ml5_spoiling import (
    META,
    MODEL,
    WEIGHTS,
    Document,
    Files,
    cut,
    entries,
    grouped,
    parsed,
    quantized,
    renamed,
    situation,
    weights_renamed,
    with_meta,
    with_model,
)

# ---- files and names -------------------------------------------------------------------------------------------------


@situation("as ml5 saved them", "ok ok ok", "ok ok ok")
def as_saved(files: Files) -> Files:
    return files


@situation("saved under another name", "fails fails ok", "fails ok ok")
def custom_name(files: Files) -> Files:
    names = {name: name.replace("model", "gesture") for name in files}
    return renamed(files, names, "./gesture.weights.bin")


# 0.x takes model.json.weights.bin for a JSON file, because of its name.
@situation("save('model.json'): ml5 adds its endings once more", "fails fails fails", "fails ok ok")
def name_with_extension(files: Files) -> Files:
    names = {MODEL: "model.json.json", META: "model.json_meta.json", WEIGHTS: "model.json.weights.bin"}
    return renamed(files, names, "./model.json.weights.bin")


@situation("save('my/model'): the browser makes the / an _", "fails ok fails", "fails ok fails")
def name_with_slash(files: Files) -> Files:
    return renamed(files, {name: f"my_{name}" for name in files}, "./my/model.weights.bin")


@situation("the JSON alone has another name", "ok ok ok", "ok ok ok")
def model_renamed(files: Files) -> Files:
    return renamed(files, {MODEL: "hands.json"})


@situation("the meta file alone has another name", "fails ok ok", "fails ok ok")
def meta_renamed(files: Files) -> Files:
    return renamed(files, {META: "hands_meta.json"})


@situation("the weights alone have another name", "fails ok fails", "fails ok fails")
def weights_file_renamed(files: Files) -> Files:
    return renamed(files, {WEIGHTS: "net.bin"})


@situation("the second download of the same names", "fails ok fails", "fails ok fails")
def browser_duplicates(files: Files) -> Files:
    return renamed(files, {MODEL: "model (1).json", META: "model_meta (1).json", WEIGHTS: "model.weights (1).bin"})


@situation("the weights are called as other tools call them", "ok fails ok", "ok ok ok")
def path_weights_bin(files: Files) -> Files:
    return renamed(files, {WEIGHTS: "weights.bin"}, "weights.bin")


@situation("the path of the weights has no ./", "ok ok ok", "ok ok ok")
def path_without_dot(files: Files) -> Files:
    return renamed(files, {}, "model.weights.bin")


@situation("no meta file", "fails fails fails", "fails fails fails")
def meta_missing(files: Files) -> Files:
    return {name: content for name, content in files.items() if name != META}


@situation("no weights", "fails fails fails", "fails fails fails")
def weights_missing(files: Files) -> Files:
    return {name: content for name, content in files.items() if name != WEIGHTS}


@situation("no model.json", "fails fails fails", "fails fails fails")
def model_missing(files: Files) -> Files:
    return {name: content for name, content in files.items() if name != MODEL}


@situation("the training data lie in front", "ok ok fails", "ok ok fails")
def other_json_first(files: Files) -> Files:
    return {"data.json": b'{"data":[{"xs":{"r":1,"g":2,"b":3},"ys":{"colour":"red"}}]}', **files}


@situation("saved before training", "fails fails fails", "fails fails fails")
def never_trained(files: Files) -> Files:
    def change(document: Document) -> None:
        document["modelTopology"]["config"]["layers"] = []
        document["weightsManifest"][0]["weights"] = []

    def empty(document: Document) -> None:
        document.update(inputUnits=None, outputUnits=None, inputs={}, outputs={}, isNormalized=False)

    return with_meta(with_model(files, change), empty) | {WEIGHTS: b""}


# By "object", 1.x reads the one file that it was given once for every path: enough bytes, so it never tells.
@situation("two files of weights, the second smaller", "ok fails fails", "ok wrong fails")
def two_shards(files: Files) -> Files:
    return cut(files, 300)


@situation("two files of weights, the second larger", "ok fails fails", "wrong fails fails")
def two_shards_last_larger(files: Files) -> Files:
    return cut(files, 200)


@situation("two groups of weights, the second file smaller", "ok fails fails", "ok wrong fails")
def two_groups(files: Files) -> Files:
    return grouped(files, slice(2, 4), slice(0, 2))


@situation("two groups of weights, the second file larger", "ok fails fails", "wrong fails fails")
def two_groups_last_larger(files: Files) -> Files:
    return grouped(files, slice(0, 2), slice(2, 4))


# ---- the weights and their list --------------------------------------------------------------------------------------


@situation("the list and the bytes in another order", "ok ok ok", "ok ok ok")
def weights_permuted(files: Files) -> Files:
    both = grouped(files, slice(2, 4), slice(0, 2))
    groups = parsed(both, MODEL)["weightsManifest"]
    whole = [{"paths": ["./model.weights.bin"], "weights": [entry for group in groups for entry in group["weights"]]}]
    permuted = with_model(files, lambda d: d.update(weightsManifest=whole))
    return permuted | {WEIGHTS: both["group1.bin"] + both["group2.bin"]}


@situation("layers with names of their own", "ok ok ok", "ok ok ok")
def layers_renamed(files: Files) -> Files:
    model = files[MODEL].replace(b"dense_Dense1", b"fc1").replace(b"dense_Dense2", b"head.out")
    return files | {MODEL: model}


@situation("weights of a layer that is not there", "fails fails fails", "fails fails fails")
def weight_without_layer(files: Files) -> Files:
    return weights_renamed(files, lambda name: name.replace("Dense2", "Dense9"))


@situation("a weight is not listed", "fails fails fails", "fails fails fails")
def weight_not_listed(files: Files) -> Files:
    return with_model(files, lambda d: entries(d).pop())


@situation("names that end in :0", "fails fails fails", "fails fails fails")
def names_with_colon_zero(files: Files) -> Files:
    return weights_renamed(files, lambda name: name + ":0")


@situation("names that start with the model's", "fails fails fails", "fails fails fails")
def names_with_prefix(files: Files) -> Files:
    return weights_renamed(files, lambda name: f"sequential_1/{name}")


@situation("a transposed kernel", "fails fails fails", "fails fails fails")
def wrong_shape(files: Files) -> Files:
    return with_model(files, lambda d: entries(d)[0].update(shape=[16, 3]))


@situation("too few bytes", "fails fails fails", "fails fails fails")
def too_few_bytes(files: Files) -> Files:
    return files | {WEIGHTS: files[WEIGHTS][:-6]}


@situation("too many bytes", "ok ok ok", "ok ok ok")
def too_many_bytes(files: Files) -> Files:
    return files | {WEIGHTS: files[WEIGHTS] + bytes(8)}


@situation("rounded to one byte each", "ok ok ok", "ok ok ok", tolerance=0.05)
def quantized_uint8(files: Files) -> Files:
    return quantized(files, "uint8")


@situation("rounded to two bytes each", "ok ok ok", "ok ok ok", tolerance=1e-3)
def quantized_uint16(files: Files) -> Files:
    return quantized(files, "uint16")


@situation("rounded to half precision", "fails fails fails", "ok ok ok", tolerance=5e-3)
def quantized_float16(files: Files) -> Files:
    return quantized(files, "float16")


@situation("numbers in double precision", "fails fails fails", "fails fails fails")
def dtype_float64(files: Files) -> Files:
    data = np.frombuffer(files[WEIGHTS], "<f4").astype("<f8").tobytes()
    return with_model(files, lambda d: [e.update(dtype="float64") for e in entries(d)]) | {WEIGHTS: data}


@situation("all three end in .txt, as some programs save them", "fails ok fails", "fails ok fails")
def text_endings(files: Files) -> Files:
    return renamed(files, {name: f"{name}.txt" for name in files})


@situation("the meta file is called model-meta.json", "fails ok fails", "fails ok fails")
def meta_with_hyphen(files: Files) -> Files:
    spoilt = renamed(files, {META: "model-meta.json"})
    return {name: spoilt[name] for name in sorted(spoilt)}  # as a file picker sorts them


@situation("the weights lie in a folder", "ok fails ok", "ok ok ok")
def weights_in_folder(files: Files) -> Files:
    return renamed(files, {WEIGHTS: "weights/net.bin"}, "weights/net.bin")


@situation("whole numbers in place of fractions", "fails fails fails", "fails fails fails")
def dtype_int32(files: Files) -> Files:
    return with_model(files, lambda d: [e.update(dtype="int32") for e in entries(d)])


@situation("weights that are no numbers", "wrong wrong wrong", "wrong wrong wrong")
def weights_nan(files: Files) -> Files:
    return files | {WEIGHTS: np.full(132, np.nan, "<f4").tobytes()}


@situation("a byte order mark before the model's JSON", "ok ok ok", "ok ok ok")
def model_with_bom(files: Files) -> Files:
    return files | {MODEL: b"\xef\xbb\xbf" + files[MODEL]}


@situation("a byte order mark before the meta file's JSON", "ok ok ok", "ok ok ok")
def meta_with_bom(files: Files) -> Files:
    return files | {META: b"\xef\xbb\xbf" + files[META]}
