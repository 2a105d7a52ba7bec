"""Our AsyncAPI documents are read without an error or a warning by AsyncAPI's own parser."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.partner_clients.tools import NODE, node_modules

HERE = Path(__file__).parent / "asyncapi"
DOCUMENTS = sorted((Path(__file__).resolve().parents[2] / "contracts" / "asyncapi").glob("*.json"))


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judge")
    (folder / "judge.mjs").write_bytes((HERE / "judge.mjs").read_bytes())
    (folder / "node_modules").symlink_to(node_modules(HERE))
    return folder / "judge.mjs"


def judged(judge: Path, *documents: Path) -> list[dict[str, Any]]:
    command = [NODE, str(judge), *map(str, documents)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_document_passes(judge: Path) -> None:
    found = judged(judge, *DOCUMENTS)
    assert [Path(one["path"]) for one in found] == DOCUMENTS
    assert [one for one in found if one["wrong"]] == []
    for path, one in zip(DOCUMENTS, found, strict=True):
        document = json.loads(path.read_text())
        assert one["operations"] == len(document["operations"]), path
        assert one["messages"] == len(document["components"]["messages"]), path


def test_the_judge_finds_a_message_that_its_channel_does_not_have(
    judge: Path, tmp_path: Path
) -> None:
    document = json.loads(DOCUMENTS[0].read_text())
    operation = next(iter(document["operations"].values()))
    operation["messages"].append({"$ref": "#/components/messages/Nothing"})
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(document))
    (found,) = judged(judge, broken)
    assert any("Nothing" in reason or "invalid-ref" in reason for reason in found["wrong"])
