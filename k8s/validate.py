"""Checks every manifest under `k8s/` against the Kubernetes API's schemas, unknown fields refused.

Prints what is wrong, then one line; run by `make check`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

VERSION = "1.33"
"""The oldest API we promise to run on."""
NOT_OF_THE_API = ("kustomize.config.k8s.io/",)
Finding = tuple[str, str]


def manifests(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Each document of each file, the kustomizations too."""
    for path in sorted(folder.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document is not None:
                yield path, document


def wrong_with(document: dict[str, Any]) -> str:
    """What is wrong with one manifest; empty when nothing."""
    if str(document.get("apiVersion", "")).startswith(NOT_OF_THE_API):
        return ""
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(str(part) for part in error.path) or 'the document'}: {error.message}"
    except (kubernetes_validate.SchemaNotFoundError, KeyError) as error:
        return f"not a kind of the API: {getattr(error, 'message', error)}"
    return ""


def missing_resources(path: Path, document: dict[str, Any]) -> Iterator[Finding]:
    """Files a kustomization names that are not there, and files beside it that it does not name."""
    if document.get("kind") != "Kustomization":
        return
    named = set(document.get("resources", []))
    for name in sorted(named):
        if not (path.parent / name).exists():
            yield str(path), f"{name} is named and not there"
    beside = {other.name for other in path.parent.glob("*.yaml")} - {path.name}
    for name in sorted(beside - named):
        yield str(path), f"{name} lies beside it and is not applied: name it under resources"


def findings(folder: Path) -> tuple[int, list[Finding]]:
    """How many manifests there are, and what is wrong with them."""
    found: list[Finding] = []
    count = 0
    for path, document in manifests(folder):
        count += 1
        wrong = wrong_with(document)
        if wrong:
            found.append((str(path), wrong))
        found += missing_resources(path, document)
    return count, found


def main() -> int:
    """Check the folder this file lies in."""
    count, found = findings(Path(__file__).resolve().parent)
    for path, wrong in found:
        sys.stderr.write(f"{path}: {wrong}\n")
    verdict = f"{len(found)} findings" if found else "all valid"
    sys.stdout.write(f"k8s: {count} manifests, {verdict} (Kubernetes {VERSION}, strict)\n")
    return 1 if found or not count else 0


if __name__ == "__main__":
    sys.exit(main())
