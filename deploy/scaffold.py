"""Begins what has a fixed shape: `service NAME` or `adr TITLE` (make new-service, new-adr).

Standard library only. Writes new files and adds lines to those that list the services; it never
overwrites a file.
"""

import argparse
import re
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from scaffold_texts import MIGRATION, PYPROJECT, SOURCES, TEST

MODEL = "reserve-ledger"
"""The service whose manifests are copied: it has no address of its own to the outside."""
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class Refused(Exception):
    """It cannot be begun like this; the message says what to do instead."""


def new_service(root: Path, name: str) -> list[Path]:
    """Write a service that runs; what was written and changed."""
    if not NAME.fullmatch(name):
        raise Refused(f"{name!r}: use lower case words joined by hyphens, such as fx-quotes")
    package = name.replace("-", "_")
    if (root / "services" / name).exists():
        raise Refused(f"services/{name} is there already")
    words = {
        "name": name,
        "package": package,
        "camel": "".join(word.capitalize() for word in name.split("-")),
        "title": name.replace("-", " ").capitalize(),
    }
    folder = root / "services" / name
    made = [
        _put(folder / "pyproject.toml", PYPROJECT, words),
        _put(folder / "migrations" / f"0001_pre_{package}.sql", MIGRATION, words),
        _put(root / "tests" / package / "test_domain.py", TEST, words),
    ]
    for path, text in SOURCES.items():
        made.append(_put(folder / "src" / package / path, text, words))
    made += _manifests(root, name)
    for register in (_in_import_linter, _in_compose, _in_dockerfile, _in_readme):
        made.append(register(root, name))
    return made


def _put(path: Path, text: str, words: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_sorted_imports(text.format(**words)))
    return path


def _sorted_imports(text: str) -> str:
    """Our own imports in order: where the new name stands among them is known only now."""
    own = re.compile(r"(?:^from [a-z_.]+ import .+\n){2,}", re.MULTILINE)
    return own.sub(lambda m: "".join(sorted(m[0].splitlines(keepends=True), key=_place)), text)


def _place(line: str) -> str:
    return line.split()[1]


def _manifests(root: Path, name: str) -> list[Path]:
    source, target = root / "k8s" / "base" / MODEL, root / "k8s" / "base" / name
    shutil.copytree(source, target)
    made = sorted(target.glob("*.yaml"))
    for path in made:
        text = path.read_text().replace(MODEL, name)
        lines = [line for line in text.splitlines() if "EVIDENCE" not in line]
        path.write_text("\n".join(lines) + "\n")
    index = target.parent / "kustomization.yaml"
    index.write_text(_with_item(index.read_text(), r"^  - {}$", name))
    return [*made, index]


def _with_item(text: str, pattern: str, name: str) -> str:
    """A line for a name before the first of its kind that sorts after it, else after the last."""
    lines = text.splitlines()
    kind = re.compile(pattern.format(r"([a-z][a-z0-9-]*)"))
    places = [(i, m[1]) for i, line in enumerate(lines) if (m := kind.match(line))]
    after = [i for i, other in places if other > name and other != "platform"]
    line = pattern.strip("^$").format(name)
    lines.insert(after[0] if after else places[-1][0] + 1, line)
    return "\n".join(lines) + "\n"


def _in_import_linter(root: Path, name: str) -> Path:
    """Wherever the model's package stands in the linter's lists, the new one stands after it."""
    path, package, model = root / "pyproject.toml", name.replace("-", "_"), MODEL.replace("-", "_")
    head, mark, lists = path.read_text().partition("[tool.importlinter]")
    lists = lists.replace(f'"{model}"', f'"{model}", "{package}"')
    lists = lists.replace(f'"{model}.domain"', f'"{model}.domain", "{package}.domain"')
    lists = lists.replace(f"| {model} ", f"| {model} | {package} ")
    path.write_text(head + mark + lists)
    return path


def _in_compose(root: Path, name: str) -> Path:
    path, package = root / "docker-compose.yml", name.replace("-", "_")
    entry = f"""\
  {name}:
    <<: *service
    command: [serve, {name}]
    environment:
      <<: *settings
      INVOICEOS_DATABASE_API_URL: {_database(f"{package}_api")}
      INVOICEOS_DATABASE_WORKER_URL: {_database(f"{package}_worker")}

"""
    before, mark, rest = path.read_text().partition("  # A tenant to try things with")
    path.write_text(before + entry + mark + rest)
    return path


def _database(role: str) -> str:
    """Address of a role with the password that compose's public seed gives it."""
    import hashlib
    import hmac

    seed = b"development-only-password-seed"
    password = hmac.new(seed, role.encode(), hashlib.sha256).hexdigest()
    return f"postgresql://{role}:{password}@postgres:5432/invoiceos"


def _in_dockerfile(root: Path, name: str) -> Path:
    path = root / "deploy" / "Dockerfile"
    path.write_text(
        path.read_text().replace(f"--package {MODEL} ", f"--package {MODEL} --package {name} ", 1)
    )
    return path


def _in_readme(root: Path, name: str) -> Path:
    path = root / "README.md"
    lines = path.read_text().splitlines()
    last = max(i for i, line in enumerate(lines) if line.startswith("| `notification`"))
    lines.insert(last + 1, f"| `{name}` | say what it owns | - |")
    path.write_text("\n".join(lines) + "\n")
    return path


def new_adr(root: Path, title: str) -> Path:
    """Begin a decision record with the next number."""
    folder = root / "docs" / "adr"
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    if not slug:
        raise Refused("give the decision a title: make new-adr TITLE='Cache in memory'")
    numbers = [int(path.name[:4]) for path in folder.glob("[0-9][0-9][0-9][0-9]-*.md")]
    number = f"{max(numbers, default=0) + 1:04}"
    text = (folder / "template.md").read_text().replace("NNNN: Title", f"{number}: {title}")
    today = datetime.now(UTC).date().isoformat()
    status = "Proposed | Accepted | Superseded by NNNN, and the date."
    path = folder / f"{number}-{slug}.md"
    path.write_text(text.replace(status, f"Proposed, {today}."))
    return path


def main(arguments: list[str], root: Path) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("service").add_argument("name")
    commands.add_parser("adr").add_argument("title")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "adr":
            made = [new_adr(root, chosen.title)]
        else:
            made = new_service(root, chosen.name)
    except Refused as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    for path in made:
        sys.stdout.write(f"{path.relative_to(root)}\n")
    if chosen.command == "service":
        sys.stdout.write("Next: make lock install, then docs/adding-a-service.md from step 2.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parents[1]))
