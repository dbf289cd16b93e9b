"""Situations inside of model.json and model_meta.json: how the network is written, columns, ranges and labels."""

from __future__ import annotations

import json

from ml5_spoiling import (
    META,
    MODEL,
    Document,
    Files,
    layers,
    parsed,
    situation,
    with_meta,
    with_model,
    written,
)

# ---- the topology ----------------------------------------------------------------------------------------------------


def with_layers(files: Files, **change: object) -> Files:
    """The first layer with other keys."""
    return with_model(files, lambda d: layers(d)[0]["config"].update(change))


@situation("a model as the converter writes it", "ok ok ok", "ok ok ok")
def converter_style(files: Files) -> Files:
    def change(document: Document) -> None:
        found = document["modelTopology"]
        config = {"class_name": found["class_name"], "config": found["config"]}
        document["modelTopology"] = {"keras_version": "2.4.0", "backend": "tensorflow", "model_config": config}
        document.update(format="layers-model", generatedBy="keras v2.4.0", convertedBy="TensorFlow.js Converter")

    return with_model(files, change)


@situation("the layers as a bare list, as ml5 0.4 and 0.5 wrote them", "ok ok ok", "ok ok ok")
def layers_as_list(files: Files) -> Files:
    return with_model(files, lambda d: d["modelTopology"].update(config=layers(d)))


@situation("an input layer of its own", "ok ok ok", "ok ok ok")
def explicit_input_layer(files: Files) -> Files:
    config = {"batch_input_shape": [None, 3], "dtype": "float32", "sparse": False, "name": "in"}
    return with_model(files, lambda d: layers(d).insert(0, {"class_name": "InputLayer", "config": config}))


@situation("the shortest layers that ml5 takes, nothing about who wrote them", "ok ok ok", "ok ok ok")
def minimal_topology(files: Files) -> Files:
    def change(document: Document) -> None:
        keys = ("name", "units", "activation", "batch_input_shape")
        short = [{key: layer["config"][key] for key in keys if key in layer["config"]} for layer in layers(document)]
        config = {"layers": [{"class_name": "Dense", "config": one} for one in short]}
        document["modelTopology"] = {"class_name": "Sequential", "config": config}

    return with_model(files, change)


@situation("a later layer with an old shape", "ok ok ok", "ok ok ok")
def stale_input_shape(files: Files) -> Files:
    return with_model(files, lambda d: layers(d)[1]["config"].update(batch_input_shape=[None, 7]))


def functional(files: Files, class_name: str) -> Files:
    """The same layers as a graph."""

    def change(document: Document) -> None:
        config = {"batch_input_shape": [None, 3], "dtype": "float32", "sparse": False, "name": "in"}
        nodes = [{"class_name": "InputLayer", "config": config}, *layers(document)]
        before = None
        for node in nodes:
            node.update(name=node["config"]["name"], inbound_nodes=[[[before, 0, 0, {}]]] if before else [])
            before = node["name"]
        ends = {"input_layers": [["in", 0, 0]], "output_layers": [[before, 0, 0]]}
        document["modelTopology"].update(class_name=class_name, config={"name": "m", "layers": nodes, **ends})

    return with_model(files, change)


@situation("a graph of layers", "ok ok ok", "ok ok ok")
def graph_as_model(files: Files) -> Files:
    return functional(files, "Model")


@situation("a graph of layers by its newer name", "fails fails fails", "ok ok ok")
def graph_as_functional(files: Files) -> Files:
    return functional(files, "Functional")


@situation("the shape as Keras 3 writes it", "fails fails fails", "fails fails fails")
def keras3_batch_shape(files: Files) -> Files:
    def change(document: Document) -> None:
        config = layers(document)[0]["config"]
        config["batch_shape"] = config.pop("batch_input_shape")

    return with_model(files, change)


@situation("the dtype as Keras 3 writes it", "fails fails fails", "fails fails fails")
def keras3_dtype_policy(files: Files) -> Files:
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
    return with_layers(files, dtype=policy)


@situation("the topology as a text", "fails fails fails", "fails fails fails")
def topology_as_text(files: Files) -> Files:
    return with_model(files, lambda d: d.update(modelTopology=json.dumps(d["modelTopology"])))


@situation("a graph-model of TensorFlow", "fails fails fails", "fails fails fails")
def graph_model(files: Files) -> Files:
    nodes = {"node": [{"name": "x", "op": "Placeholder", "attr": {}}], "versions": {"producer": 1}}
    return with_model(files, lambda d: d.update(modelTopology=nodes, format="graph-model"))


@situation("keys as JavaScript spells them", "ok ok ok", "ok ok ok")
def camel_case_keys(files: Files) -> Files:
    return files | {MODEL: files[MODEL].replace(b"batch_input_shape", b"batchInputShape")}


@situation("an activation as a layer of its own", "ok ok ok", "ok ok ok")
def separate_activation(files: Files) -> Files:
    def change(document: Document) -> None:
        layers(document)[0]["config"]["activation"] = "linear"
        layers(document).insert(1, {"class_name": "Activation", "config": {"activation": "relu", "name": "act"}})

    return with_model(files, change)


@situation("an activation of both versions", "ok ok ok", "ok ok ok", keeps_answers=False)
def activation_of_both(files: Files) -> Files:
    return with_layers(files, activation="elu")


@situation("an activation that came with 1.x: swish", "fails fails fails", "ok ok ok", keeps_answers=False)
def activation_swish(files: Files) -> Files:
    return with_layers(files, activation="swish")


@situation("an activation that came with 1.x: gelu", "fails fails fails", "ok ok ok", keeps_answers=False)
def activation_gelu(files: Files) -> Files:
    return with_layers(files, activation="gelu")


@situation("an activation that no tf.js has: silu", "fails fails fails", "fails fails fails")
def activation_silu(files: Files) -> Files:
    return with_layers(files, activation="silu")


@situation("an activation that no tf.js has: leaky_relu", "fails fails fails", "fails fails fails")
def activation_leaky_relu(files: Files) -> Files:
    return with_layers(files, activation="leaky_relu")


@situation("a layer that came with 1.x", "fails fails fails", "ok ok ok")
def layer_of_1x(files: Files) -> Files:
    config = {"scale": 1, "offset": 0, "name": "rescaling", "batch_input_shape": [None, 3], "dtype": "float32"}
    return with_model(files, lambda d: layers(d).insert(0, {"class_name": "Rescaling", "config": config}))


@situation("a layer that no tf.js has", "fails fails fails", "fails fails fails")
def layer_unknown(files: Files) -> Files:
    return with_model(files, lambda d: layers(d)[0].update(class_name="GroupNormalization"))


@situation("model.json is no JSON", "fails fails fails", "fails fails fails")
def model_not_json(files: Files) -> Files:
    return files | {MODEL: files[MODEL][:-10]}


# ---- the meta file ---------------------------------------------------------------------------------------------------


@situation("the meta file of ml5 0.4", "fails fails fails", "fails fails fails")
def meta_of_0_4(files: Files) -> Files:
    found = parsed(files, META)
    columns = list(found["inputs"].values())
    data = {"inputMin": [c["min"] for c in columns], "inputMax": [c["max"] for c in columns]}
    inputs = {name: {"dtype": "number"} for name in found["inputs"]}
    keys = ("dtype", "uniqueValues", "legend")
    outputs = {name: {key: column[key] for key in keys} for name, column in found["outputs"].items()}
    units = {"inputUnits": 3, "outputUnits": 4}
    meta = {**units, "inputs": inputs, "outputs": outputs, "isNormalized": True}
    return files | {META: written({"data": {**data, "outputMin": 0, "outputMax": 1}, "meta": meta})}


@situation("NaN as Python writes it", "fails fails fails", "fails fails fails")
def meta_with_nan(files: Files) -> Files:
    return files | {META: files[META].replace(b'"min":1,', b'"min":NaN,', 1)}


@situation("ranges that NaN in the data made null", "wrong wrong wrong", "wrong wrong wrong")
def meta_with_null_range(files: Files) -> Files:
    return with_meta(files, lambda d: d["inputs"]["r"].update(min=None, max=None))


@situation("an input that never changed", "wrong wrong wrong", "ok ok ok", keeps_answers=False)
def constant_column(files: Files) -> Files:
    return with_meta(files, lambda d: d["inputs"]["r"].update(min=255, max=255))


@situation("the number of inputs as a number, as before 0.5", "ok ok ok", "ok ok ok")
def scalar_input_units(files: Files) -> Files:
    return with_meta(files, lambda d: d.update(inputUnits=3))


@situation("the inputs in another order", "wrong wrong wrong", "wrong wrong wrong")
def inputs_reordered(files: Files) -> Files:
    return with_meta(files, lambda d: d.update(inputs=dict(reversed(d["inputs"].items()))))


@situation("nothing says that inputs are normalised", "wrong wrong wrong", "wrong wrong wrong")
def normalized_dropped(files: Files) -> Files:
    return with_meta(files, lambda d: d.pop("isNormalized"))


@situation("no ranges", "wrong wrong wrong", "wrong wrong wrong")
def ranges_dropped(files: Files) -> Files:
    return with_meta(files, lambda d: [column.pop(key) for column in d["inputs"].values() for key in ("min", "max")])


@situation("an input is missing", "fails fails fails", "fails fails fails")
def input_missing(files: Files) -> Files:
    return with_meta(files, lambda d: d["inputs"].pop("b"))


@situation("no list of outputs", "fails fails fails", "fails fails fails")
def outputs_missing(files: Files) -> Files:
    return with_meta(files, lambda d: d.pop("outputs"))


@situation("no codes of the labels", "fails fails fails", "fails fails fails")
def legend_dropped(files: Files) -> Files:
    return with_meta(files, lambda d: d["outputs"]["colour"].pop("legend"))


@situation("no list of the labels beside their codes", "ok ok ok", "ok ok ok")
def unique_values_dropped(files: Files) -> Files:
    return with_meta(files, lambda d: d["outputs"]["colour"].pop("uniqueValues"))


@situation("the labels in another order than their units", "wrong wrong wrong", "ok ok ok")
def legend_reordered(files: Files) -> Files:
    def change(document: Document) -> None:
        column = document["outputs"]["colour"]
        column["legend"] = dict(reversed(column["legend"].items()))

    return with_meta(files, change)


def relabelled(files: Files, *labels: str) -> Files:
    def change(document: Document) -> None:
        codes = document["outputs"]["colour"]["legend"].values()
        column = {"uniqueValues": list(labels), "legend": dict(zip(labels, codes, strict=True))}
        document["outputs"]["colour"].update(column)

    return with_meta(files, change)


@situation("labels like numbers, not first seen in order", "wrong wrong wrong", "ok ok ok", keeps_answers=False)
def number_labels(files: Files) -> Files:
    return relabelled(files, "10", "2", "1", "0")


@situation("labels like numbers, first seen in order", "ok ok ok", "ok ok ok", keeps_answers=False)
def number_labels_ascending(files: Files) -> Files:
    return relabelled(files, "0", "1", "2", "10")


@situation("one label like a number among others", "wrong wrong wrong", "ok ok ok", keeps_answers=False)
def one_number_label(files: Files) -> Files:
    return relabelled(files, "red", "yellow", "3", "blue")


@situation("an input too many", "fails fails fails", "fails fails fails")
def input_added(files: Files) -> Files:
    return with_meta(files, lambda d: d["inputs"].update(a={"dtype": "number", "min": 0, "max": 1}))


@situation("the meta file of another network, with fewer labels", "wrong wrong wrong", "wrong wrong wrong")
def labels_too_few(files: Files) -> Files:
    return with_meta(files, lambda d: d["outputs"]["colour"]["legend"].pop("blue"))


@situation("the meta file of another network, with more labels", "wrong wrong wrong", "wrong wrong wrong")
def labels_too_many(files: Files) -> Files:
    return with_meta(files, lambda d: d["outputs"]["colour"]["legend"].update(pink=[0, 0, 0, 0, 1]))


@situation("the meta file's list of units is wrong", "ok ok ok", "ok ok ok")
def units_wrong(files: Files) -> Files:
    return with_meta(files, lambda d: d.update(inputUnits=[7], outputUnits=9))


@situation("the meta file is an empty list", "fails fails fails", "fails fails fails")
def meta_a_list(files: Files) -> Files:
    return files | {META: b"[]"}
