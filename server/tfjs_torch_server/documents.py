"""What /docs says: the OpenAPI parts that FastAPI cannot know, with examples that work as they stand."""

from __future__ import annotations

from typing import Any, Final

from tfjs_torch import processing
from tfjs_torch.teachable.pictures import CONVENTIONS

from .options import LAYOUTS, MAX_BINS, STORAGES, TARGETS

Schema = dict[str, Any]

SUMMARY: Final = "TensorFlow.js and ml5.js models through PyTorch"
DESCRIPTION: Final = """\
Send the files that `model.save()` or ml5's `nn.save()` gave; get them back changed in PyTorch, or as PyTorch weights.

    const form = new FormData();
    for (const file of files) form.append("files", file);          // model.json, model.weights.bin, model_meta.json
    const answer = await fetch("/convert?process=" + encodeURIComponent('[{"step": "prune", "amount": 0.3}]'),
      { method: "POST", body: form, headers: { Accept: "multipart/form-data" } });
    const parts = await answer.formData();                         // parts.get("model.json"), parts.get("report.json")

    // more training: the data of nn.saveData() beside the model; with Accept: text/event-stream it tells every epoch
    form.append("data", dataFile);
    form.append("process", '[{"step": "finetune", "epochs": 50}]');

    // what nn.classify would answer, by PyTorch
    await fetch("/predict", { method: "POST", body: JSON.stringify({ model: id, input: { r: 255, g: 0, b: 90 } }) });

With curl: `curl -OJ -F f=@model.json -F f=@model.weights.bin "localhost:8000/convert?to=safetensors"`, and with a model
of Teachable Machine `curl -F model=@tm.zip -F picture=@cat.jpg localhost:8000/predict`.

tf.js saves here by itself: `await model.save("http://localhost:8000/models")`, and loads what is stored.

Parts are recognised by what they hold and by their file names; their order does not matter,
and of the names of the fields only `data`, `picture` and `sound` do.
Errors are `application/problem+json`: `detail` says what was expected and found, `where`, and `what_to_do`.
"""

_MODEL_JSON: Final = (
    '{"format":"layers-model","modelTopology":{"class_name":"Sequential","config":{"name":"example","layers":['
    '{"class_name":"Dense","config":{"name":"dense","units":1,"activation":"linear","use_bias":false,'
    '"batch_input_shape":[null,2],"dtype":"float32","trainable":true}}]}},"weightsManifest":[{"paths":'
    '["./model.weights.bin"],"weights":[{"name":"dense/kernel","shape":[2,1],"dtype":"float32"}]}]}'
)
_META: Final = (
    '{"inputUnits":[2],"outputUnits":1,"inputs":{"x":{"dtype":"number","min":0,"max":1},"y":{"dtype":"number","min":0,'
    '"max":1}},"outputs":{"z":{"dtype":"number","min":0,"max":1}},"isNormalized":true}'
)
_WEIGHTS: Final = "\x00\x00\x00\x00\x00\x00\x00\x00"  # two zeros


def _object(properties: dict[str, Schema], required: list[str] | None = None) -> Schema:
    return {"type": "object", "properties": properties, "required": required or list(properties)}


_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_NUMBER: Final[Schema] = {"type": ["number", "null"]}
_NUMBERS: Final = _object(
    {
        "min": _NUMBER, "max": _NUMBER, "mean": _NUMBER, "std": _NUMBER, "nan": _COUNT, "infinite": _COUNT,
        "histogram": {"type": "array", "items": _COUNT},
    },
    ["min", "max"],
)  # fmt: skip
_FILE: Final = _object({"name": _TEXT, "bytes": {"type": ["integer", "null"]}})
REPORT: Final = _object(
    {
        "to": {"enum": list(TARGETS)},
        "steps": {"type": "array", "items": {"type": "object"}},
        "tensors": {
            "type": "array",
            "items": _object(
                {
                    "name": _TEXT, "shape": {"type": "array", "items": _COUNT}, "dtype": _TEXT, "size": _COUNT,
                    "changed": {"type": ["integer", "null"]}, "largest_change": _NUMBER,
                    "before": _NUMBERS, "after": _NUMBERS, "range": {"type": ["array", "null"]},
                }
            ),
        },
        "changed_tensors": _COUNT, "parameters": _COUNT, "changed_parameters": _COUNT,
        "warnings": {"type": "array", "items": _TEXT}, "files": {"type": "array", "items": _FILE},
        "seconds": {"type": "number"},
        "finetune": _object(
            {
                "rows": _COUNT, "data": _TEXT, "seconds": _NUMBER,
                "epochs": {"type": "array", "items": {"type": "object"}}, "stopped": {"type": "boolean"},
                "accuracy": _object({"before": _NUMBER, "after": _NUMBER}),
                "loss": _object({"before": _NUMBER, "after": _NUMBER}),
                "labels": {"type": "array", "items": _TEXT}, "new_labels": {"type": "array", "items": _TEXT},
            },
            ["rows", "epochs", "stopped", "seconds", "labels", "new_labels"],
        ),
    },
    [
        "to", "steps", "tensors", "changed_tensors", "parameters", "changed_parameters", "warnings", "files", "seconds"
    ],
)  # fmt: skip
_FINDING: Final = _object(
    {
        "code": _TEXT, "severity": {"enum": ["error", "warning", "note"]}, "where": _TEXT, "message": _TEXT,
        "advice": _TEXT, "repairable": {"type": "boolean"}, "fails": {"type": "object"},
    }
)  # fmt: skip
_FINDINGS: Final[Schema] = {"type": "array", "items": _FINDING}
PROBLEM: Final = _object(
    {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT, "where": _TEXT, "what_to_do": _TEXT}
)
_STORED: Final = _object(
    {
        "id": _TEXT, "url": _TEXT, "expires": _TEXT,
        "files": {"type": "array", "items": _object({"name": _TEXT, "bytes": _COUNT, "url": _TEXT})},
        "warnings": {"type": "array", "items": _TEXT}, "report": REPORT,
    },
    ["id", "url", "expires", "files"],
)  # fmt: skip

_SAID: Final = {
    400: "malformed files or request", 401: "a token is needed", 403: "a page that may not call",
    404: "nothing there", 406: "no such kind of answer",
    408: "the upload came too slowly", 413: "beyond a limit", 415: "not read here", 421: "not this server's name",
    422: "parts or options that do not fit", 500: "a fault of the server", 507: "no room left",
}  # fmt: skip
_UPLOADS: Final = (400, 401, 403, 406, 408, 413, 415, 421, 422, 500, 507)


def _problems(*statuses: int) -> dict[int | str, Schema]:
    content = {"application/problem+json": {"schema": PROBLEM}}
    return {status: {"description": _SAID[status], "content": content} for status in statuses}


def _answers(content: dict[str, Schema], said: str, status: int = 200, problems: tuple[int, ...] = _UPLOADS) -> Schema:
    return {"responses": {status: {"description": said, "content": content}, **_problems(*problems)}}


def _query(name: str, schema: Schema, said: str, example: Any = None) -> Schema:
    found: Schema = {"name": name, "in": "query", "required": False, "schema": schema, "description": said}
    return found if example is None else {**found, "example": example}


def _upload(more: dict[str, Schema] | None = None, example: dict[str, Any] | None = None) -> Schema:
    binary: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}
    properties = {
        "model.json": {**binary, "description": "the model, as a file; any other field name will do"},
        "model.weights.bin": {**binary, "description": "its weights: every file that model.json names"},
        "model_meta.json": {**binary, "description": "ml5's description of inputs and outputs; or metadata.json"},
        **(more or {}),
    }
    form: Schema = {
        "schema": {"type": "object", "properties": properties, "required": ["model.json"]},
        "example": {"model.json": _MODEL_JSON, "model.weights.bin": _WEIGHTS, **(example or {})},
    }
    return {"required": True, "content": {"multipart/form-data": form}}


_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_EVENTS: Final = {"schema": {"type": "string"}}
_DATA: Final[dict[str, Schema]] = {
    "data": {
        "type": "string", "contentMediaType": "application/octet-stream",
        "description": "for the step finetune: what nn.saveData() saved, or a CSV with the same columns",
    }
}  # fmt: skip
_MODEL: Final = _query("model", {"type": "string"}, "id of a stored model, instead of its files")
_PREPROCESS: Final = _query(
    "preprocess", {"type": "string", "enum": list(CONVENTIONS)},
    "whose way of preparing pictures for a model of Teachable Machine: its own library's, ml5.imageClassifier's, or "
    "that of its snippet for Keras",
)  # fmt: skip
_FILES: Final[Schema] = {
    "type": "array", "items": {"type": "string", "contentMediaType": "application/octet-stream"}
}  # fmt: skip
_PROCESS: Final = _query(
    "process", {"type": "string"},
    f"JSON list of steps: {', '.join(processing.steps())}; GET /formats tells their options",
    '[{"step": "prune", "amount": 0.3}]',
)  # fmt: skip
_QUANTIZE: Final = _query(
    "quantize", {"type": "array", "items": {"type": "string"}},
    f"store float32 tensors as {', '.join(STORAGES)}, all of them or those of a glob: uint8:*kernel", [],
)  # fmt: skip
_SHARDS: Final = _query("shard_bytes", {"type": "string"}, "cut the weights into files of this size: 4MiB, 4194304")

CONVERT: Final[Schema] = {
    "summary": "Convert and process a model; nothing is kept",
    "description": "Accept says how: multipart/form-data (for `await answer.formData()`), application/zip, "
    "application/json (the report alone), or the single file. Nothing to do gives the same bytes. With "
    "text/event-stream the answer tells how it goes: events `started` with the address that stops a training early, "
    "`progress` with the numbers of an epoch, at last `done` with what POST /models/{id}/process answers (the result "
    "is stored), or `problem`.",
    **_answers(
        {
            "application/zip": _BINARY, "multipart/form-data": _BINARY, "application/octet-stream": _BINARY,
            "application/json": {"schema": REPORT}, "text/event-stream": _EVENTS,
        },
        "files, and report.json",
    ),
    "openapi_extra": {
        "requestBody": _upload(_DATA),
        "parameters": [
            _query("to", {"type": "string", "enum": list(TARGETS)}, "what to make of it", "tfjs"),
            _query("layout", {"type": "string", "enum": list(LAYOUTS)}, "names and shapes of PyTorch weights", "tfjs"),
            _QUANTIZE, _SHARDS, _PROCESS,
            _query("histograms", {"type": "integer", "minimum": 0, "maximum": MAX_BINS}, "bins in the report", 0),
        ],
    },
}  # fmt: skip
INSPECT: Final[Schema] = {
    "summary": "What a model is: layers, tensors, numbers, oddities",
    **_answers({"application/json": {"schema": {"type": "object"}}}, "as tfjs_torch.inspect, with layers and sidecars"),
    "openapi_extra": {"requestBody": _upload()},
}
PREDICT: Final[Schema] = {
    "summary": "What a model answers, computed by PyTorch",
    "description": "`inputs` are the network's own numbers, and so are the `outputs`. With `input`, what a sketch "
    "gives to nn.classify or nn.predict (an object, a list of values, or a list of such), the answer is ml5's: "
    "`results`, labelled and scaled back by model_meta.json. Objects in `inputs` are taken for `input`. Of a stored "
    "model send its id: {\"model\": id, \"input\": {\"r\": 255, \"g\": 0, \"b\": 90}}. Files in the field `picture` or "
    "`sound` are answered as Teachable Machine (metadata.json) or ml5 (imageClassification) does; several give a list.",
    **_answers(
        {"application/json": {"schema": {"anyOf": [
            _object({"outputs": {"type": "array"}, "output_names": {"type": "array"}}),
            _object({"task": {"type": ["string", "null"]}, "results": {"type": "array"}}),
        ]}, "example": {"outputs": [[[0.0]]], "output_names": ["dense"]}}},
        "one nested array an output; or ml5's results",
        200,
        (*_UPLOADS, 404),
    ),
    "openapi_extra": {
        "parameters": [_MODEL, _PREPROCESS],
        "requestBody": _upload(
            {
                "inputs": {**_TEXT, "description": "JSON: a list of one array (batch first) an input"},
                "input": {**_TEXT, "description": "JSON: what nn.classify or nn.predict takes"},
                "picture": {**_FILES, "description": "PNG, JPEG, WebP, GIF or BMP, instead of inputs"},
                "sound": {**_FILES, "description": "a .wav, for audio models of Teachable Machine"},
            },
            {"inputs": "[[[0.1, 0.2]]]"},
        ),
    },
}  # fmt: skip
CHECK: Final[Schema] = {
    "summary": "What ml5 0.x and 1.x will do with these files, by every way of loading them",
    "description": "Names count: send the files as they were saved, also if some are missing. "
    "Scripts and pages of a sketch may come along: what they give to nn.load is looked at, too.",
    **_answers(
        {
            "application/json": {
                "schema": _object({"findings": _FINDINGS, "ml5": {"type": ["object", "null"]}}),
                "example": {"findings": [], "ml5": None},
            }
        },
        "findings, the worst first, and what the network takes and answers", 200, (*_UPLOADS, 404),
    ),
    "openapi_extra": {"requestBody": _upload(), "parameters": [_MODEL]},
}  # fmt: skip
REPAIR: Final[Schema] = {
    "summary": "The files as every ml5 loads them",
    "description": "Answers as POST /convert does; the report tells in `done` what was done.",
    **_answers(
        {
            "application/zip": _BINARY, "multipart/form-data": _BINARY,
            "application/json": {
                "schema": _object(
                    {"done": {"type": "array", "items": _TEXT}, "findings": _FINDINGS,
                     "warnings": {"type": "array", "items": _TEXT}, "files": {"type": "array", "items": _FILE}}
                )
            },
        },
        "the three files, and report.json", 200, (*_UPLOADS, 404),
    ),
    "openapi_extra": {"requestBody": _upload({}, {"model_meta.json": _META}), "parameters": [_MODEL]},
}  # fmt: skip
STORE: Final[Schema] = {
    "summary": "Keep a model, for sketches to load; what tf.js' model.save(url) sends, or a zip",
    "status_code": 201,
    **_answers({"application/json": {"schema": _STORED}}, "where it is now", 201),
    "openapi_extra": {"requestBody": _upload()},
}
PROCESS: Final[Schema] = {
    "summary": "A stored model with other weights, as a new one",
    "status_code": 201,
    "description": "With Accept: text/event-stream it is answered by events, as in POST /convert.",
    "responses": {
        200: {"description": "the same as events", "content": {"text/event-stream": _EVENTS}},
        201: {"description": "where the new one is", "content": {"application/json": {"schema": _STORED}}},
        **_problems(*_UPLOADS, 404),
    },
    "openapi_extra": {
        "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": _TEXT},
            _PROCESS, _QUANTIZE, _SHARDS,
            _query("with", {"type": "array", "items": {"type": "string"}}, "ids of other models, to average"),
        ],
        "requestBody": {
            "required": False,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "process": {"type": "array"}, "with": {"type": "array", "items": _TEXT},
                            "quantize": {"type": "array", "items": _TEXT},
                            "shard_bytes": {"type": "integer", "minimum": 1},
                            "data": {"type": ["object", "array"], "description": "rows to finetune with"},
                        },
                    },
                    "example": {"process": [{"step": "prune", "amount": 0.3}]},
                }
            },
        },
    },
}  # fmt: skip


def _of_id(*more: str) -> Schema:
    return {
        "parameters": [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in ("id", *more)],
    }


STORED: Final[Schema] = {
    "summary": "What is stored under an id; with .zip behind it, everything as a zip",
    **_answers(
        {"application/json": {"schema": _STORED}, "application/zip": _BINARY},
        "names, lengths, addresses",
        200,
        (404, 421),
    ),
    "openapi_extra": _of_id(),
}
STORED_FILE: Final[Schema] = {
    "summary": "One file of a stored model: model.json, model_meta.json, any shard",
    "responses": {
        200: {
            "description": "the file",
            "content": {"application/json": {}, "application/octet-stream": _BINARY, "application/zip": _BINARY},
        },
        404: {"description": "no such file; the body is empty, since tf.js takes any body for weights"},
        **_problems(421),
    },
    "openapi_extra": _of_id("file"),
}
DELETE: Final[Schema] = {
    "summary": "Forget a stored model",
    "status_code": 204,
    "responses": {204: {"description": "it is gone"}, **_problems(401, 403, 404, 421)},
    "openapi_extra": _of_id(),
}
STOP: Final[Schema] = {
    "summary": "Let a training end after the epoch that runs, and keep what it has learnt",
    "status_code": 202,
    "description": "The event `started` of the training tells this address. What came of it is in its event `done`, as "
    "if fewer epochs had been asked for; `finetune.stopped` of the report is true then.",
    "responses": {202: {"description": "it will end; the answer is empty"}, **_problems(401, 403, 404, 421)},
    "openapi_extra": _of_id(),
}
FORMATS: Final[Schema] = {
    "summary": "What can be asked for, and within which limits",
    **_answers({"application/json": {"schema": {"type": "object"}}}, "formats, steps, limits", 200, (421,)),
}
HEALTH: Final[Schema] = {
    "summary": "Whether the server answers",
    **_answers({"application/json": {"schema": _object({"status": _TEXT, "version": _TEXT})}}, "it does", 200, (421,)),
}
