"""What the server offers, as OpenAPI, and as a page that needs nothing from anywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from samcli._version import __version__
from samcli.serving.http.answers import parameters

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
        "parameters": parameters(task),
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
    """Every request with its wishes; no script, nothing fetched."""
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
