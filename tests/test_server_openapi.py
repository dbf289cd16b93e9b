"""The OpenAPI document: what it promises is what the server does, judged by schemathesis; its examples are real."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from serving import Server, ask, get, post, saved

with warnings.catch_warnings():  # what schemathesis imports is its own business
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.generation import GenerationMode
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 15
OPERATIONS = [
    "POST /convert", "POST /inspect", "POST /predict", "POST /check", "POST /repair",
    "POST /models", "PUT /models", "GET /models/{id}",
    "DELETE /models/{id}", "POST /models/{id}/process", "POST /trainings/{id}/stop", "GET /formats", "GET /healthz",
]  # fmt: skip


@pytest.fixture(scope="module")
def document(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = get(server, "/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> dict[str, Any]:
    methods = ("get", "put", "post", "delete", "head")
    return {
        f"{method.upper()} {path}": told for path, item in document["paths"].items() for method, told in item.items()
        if method in methods
    }  # fmt: skip


def test_every_endpoint_is_told(document: dict[str, Any]) -> None:
    assert set(OPERATIONS) <= set(operations(document))


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_endpoint_is_told_with_words_and_with_its_errors(name: str, document: dict[str, Any]) -> None:
    told = operations(document)[name]
    assert told["summary"]
    problems = {
        status for status, one in told["responses"].items() if "application/problem+json" in one.get("content", {})
    }
    if "requestBody" in told:
        assert {"400", "413", "415", "422"} <= problems
    assert "HTTPValidationError" not in json.dumps(told)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", OPERATIONS)
def test_what_the_document_promises_is_what_the_server_does(
    name: str, mode: GenerationMode, document: dict[str, Any], server: Server
) -> None:
    method, path = name.split()
    operation = schemathesis.openapi.from_dict(document)[path][method]
    if mode is GenerationMode.NEGATIVE and "requestBody" not in operations(document)[name]:
        return  # nothing can be wrong with them

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def judge(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        case.call_and_validate(base_url=server.url, checks=CHECKS, headers={"Connection": "close"})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        judge()


def test_a_stored_model_keeps_the_promises_too(document: dict[str, Any], server: Server) -> None:
    told = operations(document)["GET /models/{id}"]["responses"]["200"]["content"]["application/json"]["schema"]
    schema = schemathesis.openapi.from_dict(document)
    case = schema["/models/{id}"]["GET"].Case(path_parameters={"id": saved(server)["id"]})
    case.call_and_validate(base_url=server.url, checks=CHECKS)
    assert told


def examples(document: dict[str, Any]) -> list[tuple[str, Any, dict[str, Any]]]:
    """(operation, schema, example) of every request's body."""
    found = [
        (name, kind, content)
        for name, told in operations(document).items()
        for kind, content in told.get("requestBody", {}).get("content", {}).items()
    ]
    return [(f"{name} {kind}", content["schema"], content["example"]) for name, kind, content in found]


def test_every_example_of_the_document_works(document: dict[str, Any], server: Server) -> None:
    found = examples(document)
    assert len(found) >= 6
    for name, schema, example in found:
        method, path, kind = name.split()
        path = path.replace("{id}", str(saved(server)["id"]))
        if kind == "application/json":
            response = ask(server, method, path, json=example)
        else:
            files = {key for key, one in schema["properties"].items() if "contentMediaType" in one}
            sent = {key: text.encode("latin-1") for key, text in example.items() if key in files}
            fields = {key: text for key, text in example.items() if key not in files}
            response = post(server, path, sent, fields=fields, method=method)
        assert response.is_success, f"{name}: {response.text}"


def test_the_docs_page_needs_nothing_from_elsewhere(server: Server) -> None:
    page = get(server, "/docs")
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
