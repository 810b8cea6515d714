"""Cuts what we ask of GitHub out of GitHub's own description of its API.

Run `python -m tests.openapi.cut` after a change here; it needs the network. It takes the description from npm
(`@octokit/openapi`, MIT), keeps the operations named below and of these what a request is made of, and writes
`github.json` beside this file. JSON Schema does not know OpenAPI 3.0's word `nullable`: null is added to the
types and the enums instead, as OpenAPI 3.1 has it.
"""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.emulator.emulator import find_node

HERE = Path(__file__).resolve().parent
PACKAGE = "@octokit/openapi@23.0.2"
INTEGRITY = "pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg=="
DESCRIPTION = "package/generated/api.github.com.deref.json"

_REPOSITORY = "/repos/{owner}/{repo}"
_ISSUE = f"{_REPOSITORY}/issues/{{issue_number}}"

OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "/app": ("get",),
    "/installation/repositories": ("get",),
    "/rate_limit": ("get",),
    "/user": ("get",),
    _REPOSITORY: ("get",),
    f"{_REPOSITORY}/issues": ("get", "post"),
    f"{_REPOSITORY}/issues/comments/{{comment_id}}": ("get", "patch"),
    f"{_REPOSITORY}/labels": ("get", "post"),
    f"{_REPOSITORY}/pulls": ("get", "post"),
    f"{_REPOSITORY}/pulls/{{pull_number}}": ("get", "patch"),
    _ISSUE: ("get", "patch"),
    f"{_ISSUE}/comments": ("get", "post"),
    f"{_ISSUE}/events": ("get",),
    f"{_ISSUE}/labels": ("get", "post", "put"),
}

_PLAIN = (
    "enum",
    "format",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "required",
    "type",
)
_LISTS = ("allOf", "anyOf", "oneOf")
_NESTED = ("additionalProperties", "items", "not")


def download(directory: Path) -> tuple[dict[str, Any], str]:
    """Fetch the package into a directory; give GitHub's description and the licence it comes under."""
    arguments = ["pack", PACKAGE, "--silent", "--pack-destination", str(directory)]
    subprocess.run([*find_node().npm, *arguments], check=True, stdout=subprocess.DEVNULL)
    (archive,) = directory.glob("*.tgz")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != INTEGRITY:
        sys.exit(f"{PACKAGE} is not the package it was: its SHA-512 is {digest}")
    with tarfile.open(archive) as package:
        return json.loads(_member(package, DESCRIPTION)), _member(package, "package/LICENSE").decode()


def cut(description: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the operations named above, and of each what its requests are made of."""
    paths: dict[str, dict[str, Any]] = {}
    for path, methods in OPERATIONS.items():
        paths[path] = {method: _operation(description["paths"][path][method]) for method in methods}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "What riskloop asks of GitHub, cut from GitHub's official description",
            "version": description["info"]["version"],
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
    }


def with_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Rewrite a schema of OpenAPI 3.0 as JSON Schema; what only explains is left out."""
    made: dict[str, Any] = {name: schema[name] for name in _PLAIN if name in schema}
    for name in _LISTS:
        if name in schema:
            made[name] = [with_null(part) for part in schema[name]]
    for name in _NESTED:
        if name in schema:
            part = schema[name]
            made[name] = with_null(part) if isinstance(part, dict) else part
    if "properties" in schema:
        made["properties"] = {name: with_null(part) for name, part in schema["properties"].items()}
    if schema.get("nullable"):
        _add_null(made)
    return made


def written(document: Mapping[str, Any]) -> str:
    """Write the document so that the same content is always the same text."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _add_null(schema: dict[str, Any]) -> None:
    if "type" in schema:
        schema["type"] = [schema["type"], "null"]
    if "enum" in schema and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    for name in ("anyOf", "oneOf"):
        if name in schema and {"type": "null"} not in schema[name]:
            schema[name].append({"type": "null"})


def _operation(operation: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"parameters": list(_parameters(operation.get("parameters", [])))}
    body = operation.get("requestBody")
    if body:
        schema = with_null(body["content"]["application/json"]["schema"])
        made["requestBody"] = {
            "content": {"application/json": {"schema": schema}},
            "required": body.get("required", False),
        }
    return made


def _parameters(parameters: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for parameter in sorted(parameters, key=lambda p: (p["in"], p["name"])):
        yield {
            "in": parameter["in"],
            "name": parameter["name"],
            "required": parameter.get("required", False),
            "schema": with_null(parameter["schema"]),
        }


def _member(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(name)
    if file is None:
        sys.exit(f"{PACKAGE} has no {name}")
    return file.read()


def main() -> None:
    """Write `github.json`, and the licence it comes under."""
    with tempfile.TemporaryDirectory() as scratch:
        description, licence = download(Path(scratch))
    (HERE / "github.json").write_text(written(cut(description)), encoding="utf-8")
    (HERE / "LICENSE").write_text(licence, encoding="utf-8")


if __name__ == "__main__":
    main()
