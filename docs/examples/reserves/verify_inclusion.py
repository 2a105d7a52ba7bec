"""Checks that what you are owed is in the platform's published proof of liabilities.

    python verify_inclusion.py leaf.json root.json

`leaf.json` is one item of `GET /api/v1/reserves/proofs/{id}/leaves`, `root.json` the answer of
`GET /api/v1/reserves/proofs/{id}`. Only the standard library is needed; where `cryptography` is
installed the signature is checked too.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path


def leaf_node(holder: str, balance_minor: int, salt: bytes) -> bytes:
    balance = balance_minor.to_bytes(16, "big")
    salted = hashlib.sha256(salt + holder.encode()).digest()
    return hashlib.sha256(b"\x00" + salted + balance + salt).digest() + balance


def climb(leaf: dict) -> bytes:
    """The root that the leaf and its path lead to: hash and sum."""
    node = leaf_node(leaf["holder"], leaf["balance_minor"], bytes.fromhex(leaf["salt"]))
    place = leaf["place"]
    for step in leaf["path"]:
        beside = bytes.fromhex(step["hash"]) + step["sum_minor"].to_bytes(16, "big")
        left, right = (beside, node) if place & 1 else (node, beside)
        total = int.from_bytes(left[32:], "big") + int.from_bytes(right[32:], "big")
        node = hashlib.sha256(b"\x01" + left + right).digest() + total.to_bytes(16, "big")
        place >>= 1
    return node


def signed_hash(root: dict) -> bytes:
    names = ("asset", "leaf_count", "root", "statement_sequence", "total_minor")
    body = json.dumps({name: root[name] for name in names}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(len(body).to_bytes(8, "big") + body.encode()).digest()


def is_signed(root: dict, public_key: str) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key))
    try:
        key.verify(base64.b64decode(root["signature"]), signed_hash(root))
    except InvalidSignature:
        return False
    return True


def findings(leaf: dict, root: dict) -> list[str]:
    """What is wrong; nothing where the leaf is in the proof."""
    found = []
    node = climb(leaf)
    if leaf["balance_minor"] < 0 or any(step["sum_minor"] < 0 for step in leaf["path"]):
        found.append("a sum is negative")
    if node[:32].hex() != root["root"]:
        found.append("the path does not lead to the root")
    if int.from_bytes(node[32:], "big") != root["total_minor"]:
        found.append("the sums on the path do not make the total")
    return found


if __name__ == "__main__":
    leaf, root = (json.loads(Path(name).read_text()) for name in sys.argv[1:3])
    wrong = findings(leaf, root)
    try:
        if root.get("public_key") and not is_signed(root, root["public_key"]):
            wrong.append("the signature of the root is wrong")
    except ImportError:
        sys.stderr.write("cryptography is not installed: the signature was not checked\n")
    sys.stdout.write("\n".join(wrong) + "\n" if wrong else "it is in the proof\n")
    sys.exit(bool(wrong))
