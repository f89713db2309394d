"""The programs that check what is deployed, and the schemas that they check it against."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

KUBERNETES = "1.34"
CHART = Path("deploy/helm/endcap")
COMPOSE = Path("deploy/compose.yaml")
_REFERENCE = re.compile(r'"#/\$defs/([^"]+)"')
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "endcap" / "tools"


def tool(name: str) -> str:
    """Its path; the test is skipped, by its name, where there is none."""
    found = shutil.which(name) or shutil.which(name, path=_CACHE / "bin")
    if found is None:
        pytest.skip(f"{name} is not installed: `.ci/tools` builds it")
    return found


def write_schemas(folder: Path) -> str:
    """Strict schemas of Kubernetes' own kinds and of the CRDs; returns kubeconform's location.

    Kubernetes' are those of the package kubernetes-validate. kubeconform follows no reference
    into another file, so each schema gets the definitions that it needs.
    """
    for file, schema in (*_own_schemas(), *_custom_schemas()):
        (folder / file).write_text(json.dumps(schema))
    return f"{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"


def _own_schemas() -> Iterator[tuple[str, Any]]:
    package = find_spec("kubernetes_validate")
    assert package is not None, "install endcap[dev]"
    assert package.origin is not None
    folder = Path(package.origin).parent / "kubernetes-json-schema"
    folder /= f"v{KUBERNETES}.0-local-strict"
    definitions = json.loads((folder / "_definitions.json").read_text())["$defs"]
    for kind in (
        *("configmap-v1", "service-v1", "serviceaccount-v1", "deployment-apps-v1"),
        *("statefulset-apps-v1", "job-batch-v1", "ingress-networking-v1"),
        *("networkpolicy-networking-v1", "poddisruptionbudget-policy-v1"),
        "horizontalpodautoscaler-autoscaling-v2",
    ):
        text = (folder / f"{kind}.json").read_text().replace("/api/_definitions.json#", "#")
        yield f"{kind}.json", json.loads(text) | {"$defs": _needed(text, definitions)}


def _needed(text: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Those that the schema refers to, and those that they refer to: all of them take seconds."""
    found: dict[str, Any] = {}
    wanted = set(_REFERENCE.findall(text))
    while wanted:
        name = wanted.pop()
        found[name] = definitions[name]
        wanted |= set(_REFERENCE.findall(json.dumps(found[name]))) - found.keys()
    return found


def _custom_schemas() -> Iterator[tuple[str, Any]]:
    files = sorted((_CACHE / "crds").glob("*.yaml"))
    if not files:
        pytest.skip("the CRDs of KEDA and of the Prometheus operator are missing: run `.ci/tools`")
    for file in files:
        spec = yaml.safe_load(file.read_text())["spec"]
        group = spec["group"].split(".")[0]
        for version in spec["versions"]:
            schema = _strict(version["schema"]["openAPIV3Schema"])
            yield f"{spec['names']['kind'].lower()}-{group}-{version['name']}.json", schema


def _strict(schema: Any) -> Any:
    """Properties that are not named are refused, as the API server prunes them."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _strict(each) for name, each in schema.items()}
    if isinstance(found.get("properties"), dict) and found.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found
