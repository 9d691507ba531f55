# SPDX-License-Identifier: GPL-3.0-or-later
"""producer/openapi.yaml: is it one, and is an answer what it says? OpenAPI 3.1's schemas are JSON
Schema 2020-12, so that library's validator decides."""
import os
import re

import jsonschema
import yaml

from .samples import SOURCE

METHODS = ("get", "post", "put", "patch", "delete")
Validator = jsonschema.Draft202012Validator


class Description:
    def __init__(self):
        with open(os.path.join(SOURCE, "producer", "openapi.yaml"), encoding="utf-8") as f:
            self.api = yaml.safe_load(f)
        self.seen = set()  # (method, path, status)

    def resolve(self, node):
        while isinstance(node, dict) and "$ref" in node:
            target = self.api
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        return node

    def validate(self, schema, value):
        Validator({**schema, "components": self.api["components"]}).validate(value)

    def operations(self):
        for path, item in self.api["paths"].items():
            for method in METHODS:
                if method in item:
                    yield path, method, item, item[method]

    def find(self, method, path):
        """(path pattern, operation) or None."""
        for pattern, name, _, operation in self.operations():
            regex = re.sub(r"\\\{[A-Za-z]+\\\}", "[^/]+", re.escape(pattern))
            if name == method.lower() and re.fullmatch(regex, path):
                return pattern, operation
        return None

    def check(self, method, path, answer):
        """The answer is one of those that are described for this route; to HEAD, GET's without its content."""
        where = f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        bare = method == "HEAD"
        found = self.find("GET" if bare else method, path.partition("?")[0])
        if found is None:
            assert answer.status_code in (401, 403, 404, 405), where
            self.problem(answer, where)
            return
        pattern, operation = found
        responses = {str(k): v for k, v in operation["responses"].items()}
        assert str(answer.status_code) in responses, where
        self.seen.add((method.lower(), pattern, answer.status_code))
        response = self.resolve(responses[str(answer.status_code)])
        for name, header in response.get("headers", {}).items():
            assert name in answer.headers or header.get("required") is False, f"{where}: no {name}"
            if name in answer.headers:
                self.validate(header["schema"], answer.headers[name])
        content = response.get("content")
        if bare or not content:
            assert not answer.content, where
            return
        kind = answer.headers["Content-Type"].partition(";")[0]
        assert kind in content, f"{where}: {kind}"
        if kind.endswith("json"):
            self.validate(content[kind]["schema"], answer.json())
        if answer.status_code >= 400:
            self.problem(answer, where)

    def problem(self, answer, where):
        assert answer.headers["Content-Type"].startswith("application/problem+json"), where
        self.validate({"$ref": "#/components/schemas/Problem"}, answer.json())
        assert answer.json()["status"] == answer.status_code, where


def described(api, description):
    """An Api (harness/api.py) each of whose answers is checked."""
    call = api.call

    def checked(method, path, **more):
        answer = call(method, path, **more)
        description.check(method, "/api/v1" + path, answer)
        return answer
    api.call = checked
    return api
