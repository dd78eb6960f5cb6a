"""What the server offers and how it is asked: the parameters in one table with their ranges and limits, all of it as
OpenAPI, and as a page that needs nothing from anywhere else."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from samcli._version import __version__
from samcli.engine.options import RunOptions
from samcli.serving.gate import RefusedError

LONGEST_TEXT = 2000  # characters of any parameter
TASKS = {"caption": "caption", "tag": "tag", "ask": "ask", "events": "tag"}  # the last is a timeline


@dataclass(frozen=True)
class Parameter:
    """One parameter: how it is read, and what it is in the page that describes it."""

    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    about: str
    tasks: tuple[str, ...] = ("caption", "tag", "ask", "events")


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return read


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not low <= int(text[:9]) <= high or len(text) > 9:
            raise ValueError
        return int(text)

    return read


def _labels(text: str) -> tuple[str, ...]:
    rows = csv.reader(text.splitlines(), skipinitialspace=True)
    return tuple(label.strip() for row in rows for label in row if label.strip())


def _threshold(text: str) -> float | str:
    return text if text == "auto" else _number(0, 1)(text)


def _words(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError
    return text.strip()


PARAMETERS = {
    "question": Parameter(
        _words, {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT, "pattern": r"^[ -~]*[!-~][ -~]*$"},
        "What to answer.", ("ask",),
    ),
    "top_k": Parameter(
        _whole(1, 527), {"type": "integer", "minimum": 1, "maximum": 527},
        "At most so many tags.", ("tag", "events"),
    ),
    "threshold": Parameter(
        _threshold, {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"const": "auto"}]},
        "Lowest score, or auto for each label's own.", ("tag", "events"),
    ),
    "labels": Parameter(
        _labels, {"type": "string", "maxLength": LONGEST_TEXT, "example": "Dog,Siren"},
        "Only these, with commas between; one that holds a comma is quoted.", ("tag", "events"),
    ),
    "segment": Parameter(
        _number(0.5, 3600), {"type": "number", "minimum": 0.5, "maximum": 3600},
        "A record for every so many seconds; a line comes when it is heard.", ("caption", "tag", "ask"),
    ),
}  # fmt: skip


def options_of(task: str, given: Mapping[str, str]) -> RunOptions:
    """The engine's settings, or a refusal that names what is wrong."""
    found: dict[str, Any] = {}
    for name, text in given.items():
        parameter = PARAMETERS.get(name)
        if parameter is None or task not in parameter.tasks:
            raise RefusedError(400, "parameter", f"{task} has no parameter {name[:50]!r}.")
        try:
            if len(text) > LONGEST_TEXT:
                raise ValueError
            found[name] = parameter.read(text)
        except (ValueError, OverflowError, csv.Error):
            raise RefusedError(400, "parameter", f"{name!r} cannot be {text[:50]!r}. {parameter.about}") from None
    if task == "ask" and "question" not in found:
        raise RefusedError(400, "parameter", "A question is missing: question=is there a dog?")
    return RunOptions(timeline=task == "events", **found)


def described(task: str) -> list[dict[str, Any]]:
    """The parameters of a task as OpenAPI describes them."""
    return [
        {
            "name": name,
            "in": "query",
            "description": parameter.about,
            "schema": dict(parameter.schema),
            "required": name == "question",
        }
        for name, parameter in PARAMETERS.items()
        if task in parameter.tasks
    ]


ABOUT = {
    "caption": "One sentence about each sound",
    "tag": "The sounds that are heard, with scores",
    "ask": "The answer to a question about each sound",
    "events": "The sounds that are heard, with start and end",
}
REFUSALS = {
    "400": "A wish or the body is wrong", "401": "A token is needed", "403": "The address or the page is not allowed",
    "404": "There is no such thing", "408": "The request came too slowly", "413": "The request is too large",
    "415": "The body is of no kind that can be heard", "421": "Not a name of this server",
    "429": "Too many requests wait; Retry-After says when to try again", "502": "The address cannot be fetched",
    "504": "It was not heard in time",
}  # fmt: skip
NUMBER, TEXT = {"type": ["number", "null"]}, {"type": ["string", "null"]}
RECORD = {
    "type": "object",
    "description": "As in sam's files; the README describes every key.",
    "required": ["schema", "task", "path"],
    "properties": {
        "schema": {"const": 1}, "task": {"type": "string"}, "path": {"type": "string"}, "start": NUMBER, "end": NUMBER,
        "duration": NUMBER, "covered": NUMBER, "caption": TEXT, "tags": {"type": ["array", "null"]}, "question": TEXT,
        "answer": TEXT, "silent": {"type": ["boolean", "null"]}, "error": {"type": ["object", "null"]}, "warning": TEXT,
    },
}  # fmt: skip
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}
FILE = {"type": "string", "contentMediaType": "application/octet-stream"}


def description() -> dict[str, Any]:
    """The whole of it."""
    paths: dict[str, Any] = {f"/v1/{task}": {"post": _hearing(task, about)} for task, about in ABOUT.items()}
    paths["/v1/audio/classification"] = {"post": _classification()}
    paths["/health"] = {"get": _reading("Whether the server is well", "application/json")}
    paths["/metrics"] = {"get": _reading("Figures for Prometheus", "text/plain")}
    return {
        "openapi": "3.1.0",
        "info": {"title": "sam", "version": __version__, "description": "Listens to sound and says what is heard."},
        "paths": paths,
        "components": {
            "schemas": {"Record": RECORD, "Error": ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _hearing(task: str, about: str) -> dict[str, Any]:
    record = {"$ref": "#/components/schemas/Record"}
    answer = {
        "application/x-ndjson": {"schema": {"type": "string", "description": "A record a line, each when it is there"}},
        "application/json": {"schema": {"type": "array", "items": record}},
    }
    files = {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "array", "items": FILE, "minItems": 1}},
    }
    return {
        "operationId": task,
        "summary": about,
        "parameters": described(task),
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": files}, "application/octet-stream": {"schema": FILE}},
        },
        "responses": {
            "200": {"description": "Records, as in sam's files", "content": answer},
            "422": {"description": "The one sound cannot be heard; its record says why", "content": answer},
            **_refusals(),
        },
    }


def _classification() -> dict[str, Any]:
    properties = {"file": FILE, "model": {"type": "string"}, "top_k": {"type": "integer", "minimum": 0, "maximum": 527}}
    properties["threshold"] = {"type": "number", "minimum": 0, "maximum": 1}
    form = {"type": "object", "required": ["file"], "properties": properties}
    detection = {"index": {"type": "integer"}, "label": {"type": "string"}, "score": {"type": "number"}}
    detections = {"type": "array", "items": {"type": "object", "properties": detection}}
    answer = {"type": "object", "required": ["model", "detections"], "properties": {"model": {"type": "string"}}}
    answer["properties"] |= {"detections": detections}  # type: ignore[operator]
    return {
        "operationId": "classification",
        "summary": "Tags in the form of LocalAI",
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": {
            "200": {"description": "Tags", "content": {"application/json": {"schema": answer}}},
            "422": {"description": "The sound cannot be heard", "content": _error()},
            **_refusals(),
        },
    }


def _reading(about: str, kind: str) -> dict[str, Any]:
    answers = {"200": {"description": about, "content": {kind: {"schema": {}}}}}
    return {"summary": about, "responses": answers | {key: _refusals()[key] for key in ("401", "403", "421")}}


def _error() -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}


def _refusals() -> dict[str, Any]:
    return {status: {"description": words, "content": _error()} for status, words in REFUSALS.items()}


def page(description: Mapping[str, Any]) -> str:
    """Every request with its parameters; no script, nothing fetched."""
    parts = []
    for path, methods in description["paths"].items():
        for method, about in methods.items():
            rows = "".join(
                f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['description'])}</tr>"
                for one in about.get("parameters", ())
            )
            parts.append(
                f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(about['summary'])}.</p>"
                + (f"<table>{rows}</table>" if rows else "")
            )
    style = "body{font:1rem/1.5 system-ui;max-width:44rem;margin:2rem auto;padding:0 1rem}td{padding:0 1rem 0 0}"
    example = "curl -F file=@street.flac http://127.0.0.1:8008/v1/tag"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>sam</title><style>{style}</style><h1>sam</h1>"
        f"<p>{escape(description['info']['description'])}</p><pre>{example}</pre>{''.join(parts)}"
        "<h2><code>WEBSOCKET /v1/live</code></h2><p>16-bit mono samples in, a record for every segment out; "
        "<code>task</code>, <code>rate</code>, <code>segment</code> and other wishes stand in the address; any text "
        "message ends the sound.</p><p>All of it: <a href=/openapi.json>openapi.json</a></p></html>"
    )
