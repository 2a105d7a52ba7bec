"""Whether a schema may take the place of another inside the same version: only additions may.

A reader of version 1 must understand every message of version 1, whenever it was written.
"""

from typing import Any

Schema = dict[str, Any]


def breaks(old: Schema, new: Schema) -> list[str]:
    """What a reader of `old` could no longer rely on in `new`; empty when nothing.

    Refused: a field removed or retyped, a new required field, a field no longer required, an enum
    value or an alternative taken away, a bound or pattern tightened or changed.
    """
    return _compare(old, new, old, new, "")


def _resolve(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    return schema


def _compare(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str) -> list[str]:
    old, new = _resolve(old, old_root), _resolve(new, new_root)
    found = []
    if old.get("type") != new.get("type"):
        found.append(f"{path or 'the body'}: type {old.get('type')} became {new.get('type')}")
        return found
    known: list[Any] = old.get("enum", [])
    gone = set(known) - set(new.get("enum", known))
    found += [f"{path}: the value {value!r} is gone" for value in sorted(gone)]
    if "enum" in new and "enum" not in old:
        found.append(f"{path}: any value was allowed, now only some")
    found += _bounds(old, new, path)
    found += _alternatives(old, new, old_root, new_root, path)
    for name in ("items", "additionalProperties"):
        if isinstance(old.get(name), dict) and isinstance(new.get(name), dict):
            found += _compare(old[name], new[name], old_root, new_root, f"{path}[]")
    return found + _fields(old, new, old_root, new_root, path)


def _fields(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str) -> list[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    found = [f"{path}.{name} is gone" for name in before.keys() - after.keys()]
    needed_before, needed_after = set(old.get("required", [])), set(new.get("required", []))
    found += [f"{path}.{name} is newly required" for name in needed_after - needed_before]
    found += [
        f"{path}.{name} is no longer always there"
        for name in (needed_before - needed_after) & after.keys()
    ]
    for name in sorted(before.keys() & after.keys()):
        found += _compare(before[name], after[name], old_root, new_root, f"{path}.{name}")
    return sorted(found)


def _bounds(old: Schema, new: Schema, path: str) -> list[str]:
    found = []
    for name, tighter in (("minimum", 1), ("maximum", -1), ("minLength", 1), ("maxLength", -1)):
        before, after = old.get(name), new.get(name)
        if after is not None and (before is None or (after - before) * tighter > 0):
            found.append(f"{path}: {name} was tightened from {before} to {after}")
    found += [
        f"{path}: {name} changed"
        for name in ("pattern", "format", "const")
        if name in new and old.get(name) != new[name]
    ]
    return found


def _alternatives(
    old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str
) -> list[str]:
    """Each alternative of old must still have a place in new."""
    before, after = old.get("anyOf"), new.get("anyOf")
    if before is None and after is None:
        return []
    if before is None or after is None:
        return [f"{path}: alternatives came or went"]
    return [
        f"{path}: the alternative {option} is gone"
        for option in before
        if all(_compare(option, other, old_root, new_root, path) for other in after)
    ]
