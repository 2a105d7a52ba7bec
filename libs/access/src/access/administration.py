"""The broker's users, rights and quotas, through the one client library that knows all three."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Self

from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    OffsetSpec,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka.errors import KafkaError, for_code
from kafka.protocol.admin import AlterClientQuotasRequest, DescribeClientQuotasRequest

from access.grants import Grant
from invoiceos_contracts.registry import TopicSpec
from messaging import KafkaAccess

SCRAM_ITERATIONS = 8192
SETTLES_S = 30.0
"""A broker hears of a change a moment after it was made; longer than this, something is wrong."""
_LOOK_AGAIN_S = 0.05
_LOG_IN_MS = 5_000
_EXACTLY = 0
_ALL = ACLFilter(
    None,
    None,
    ACLOperation.ANY,
    ACLPermissionType.ANY,
    ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
)


class AdministrationError(Exception):
    """The broker refused a change; the text is its own."""


class Administration(AbstractContextManager["Administration"]):
    """What an operator changes on a broker.

    Every change is safe to repeat, and holds on the broker that is asked when the call returns.
    """

    def __init__(self, kafka: KafkaAccess) -> None:
        """Connect as the operator; raises `AdministrationError` where that fails."""
        self._kafka = kafka
        try:
            self._client = KafkaAdminClient(**kafka.options(), client_id="invoiceos.operator")
        except KafkaError as error:
            raise AdministrationError(str(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    # -- rights ----------------------------------------------------------------------------------

    def rights(self, principal: str) -> set[Any]:
        """The broker's entries for a principal, refusals too."""
        found, _ = self._client.describe_acls(_ALL)
        return {entry for entry in found if entry.principal == f"User:{principal}"}

    def replace(self, principal: str, grants: Collection[Grant]) -> None:
        """Let a principal do this and nothing else."""
        present = self.rights(principal)
        wanted = {entry_of(grant) for grant in grants}
        self.give(grant for grant in grants if entry_of(grant) not in present)
        self.take(present - wanted)
        _settled("the rights", lambda: self.rights(principal) == wanted)

    def give(self, grants: Iterable[Grant]) -> None:
        """Add grants; those that are there stay as they are."""
        wanted = [entry_of(grant) for grant in grants]
        if wanted and self._client.create_acls(wanted)["failed"]:
            raise AdministrationError(
                "the broker took not all of the grants; it has an authorizer?"
            )

    def take(self, entries: Iterable[Any]) -> None:
        """Remove the broker's own entries."""
        filters = [
            ACLFilter(
                entry.principal,
                entry.host,
                entry.operation,
                entry.permission_type,
                entry.resource_pattern,
            )
            for entry in entries
        ]
        for _, _, error in self._client.delete_acls(filters) if filters else ():
            if error.errno:
                raise AdministrationError(f"a grant could not be removed: {error.__name__}")

    # -- users -----------------------------------------------------------------------------------

    def users(self) -> set[str]:
        """Who has a password."""
        return set(self._client.describe_user_scram_credentials())

    def set_password(self, user: str, password: str) -> None:
        """Make a user, or give one another password; the old one lets nobody in any more."""
        self._alter(
            UserScramCredentialUpsertion(
                user, ScramMechanism.SCRAM_SHA_512, password, iterations=SCRAM_ITERATIONS
            )
        )
        _settled("the password", lambda: self._lets_in(user, password))

    def remove_user(self, user: str) -> None:
        """Take the password away; nothing where there is none."""
        if user in self.users():
            self._alter(UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512))
            _settled("the password", lambda: user not in self.users())

    def _lets_in(self, user: str, password: str) -> bool:
        access = replace(self._kafka, username=user, password=password)
        try:
            KafkaAdminClient(**access.options(), bootstrap_timeout_ms=_LOG_IN_MS).close()
        except KafkaError:
            return False
        return True

    def _alter(self, alteration: Any) -> None:
        for user, error in self._client.alter_user_scram_credentials([alteration]).items():
            if error is not None:
                raise AdministrationError(f"the password of {user}: {error}")

    # -- quotas ----------------------------------------------------------------------------------

    def quota(self, user: str) -> dict[str, float]:
        """The user's limits by the broker's names for them, bytes a second; empty: none."""
        component = DescribeClientQuotasRequest.ComponentData
        asked = DescribeClientQuotasRequest(
            components=[component(entity_type="user", match_type=_EXACTLY, match=user)], strict=True
        )
        answer = self._ask(asked)
        _check(answer.error_code, answer.error_message)
        return {value.key: value.value for entry in answer.entries or () for value in entry.values}

    def set_quota(self, user: str, limits: Mapping[str, float | None]) -> None:
        """Set limits; None removes one."""
        entry = AlterClientQuotasRequest.EntryData
        operations = [
            entry.OpData(key=key, value=limit or 0.0, remove=limit is None)
            for key, limit in limits.items()
        ]
        entity = [entry.EntityData(entity_type="user", entity_name=user)]
        asked = AlterClientQuotasRequest(
            entries=[entry(entity=entity, ops=operations)], validate_only=False
        )
        for result in self._ask(asked).entries:
            _check(result.error_code, result.error_message)
        _settled(
            "the limits",
            lambda: {key: self.quota(user).get(key) for key in limits} == dict(limits),
        )

    def _ask(self, request: Any) -> Any:
        """Quotas have requests in the library, and no method yet."""
        manager = self._client._manager
        return manager.run(manager.send, request)

    # -- topics and groups -----------------------------------------------------------------------

    def topics(self) -> set[str]:
        """The names of all topics."""
        return set(self._client.list_topics())

    def create_topics(self, specs: Iterable[TopicSpec], replication: int) -> list[str]:
        """Create those that are missing; their names."""
        present = self.topics()
        missing = {
            spec.name: {
                "num_partitions": spec.partitions,
                "replication_factor": replication,
                "configs": {
                    "retention.ms": str(spec.retention_ms),
                    "min.insync.replicas": str(max(1, replication - 1)),
                    "cleanup.policy": "delete",
                },
            }
            for spec in specs
            if spec.name not in present
        }
        if missing:
            self._client.create_topics(missing, wait_for_metadata=True)
        return list(missing)

    def lag(self, prefix: str) -> dict[str, dict[Any, tuple[int, int]]]:
        """By group whose name begins so: of each partition the offset read up to, and the end."""
        names = [g["group_id"] for g in self._client.list_groups()]
        groups = [name for name in names if name.startswith(prefix)]
        if not groups:
            return {}
        read = self._client.list_group_offsets(groups)
        places = {place: OffsetSpec.LATEST for offsets in read.values() for place in offsets}
        ends = self._client.list_partition_offsets(places) if places else {}
        return {
            group: {place: (offset.offset, ends[place].offset) for place, offset in offsets.items()}
            for group, offsets in read.items()
        }


def _settled(what: str, holds: Callable[[], bool]) -> None:
    """Wait until a change holds; raises `AdministrationError`."""
    deadline = time.monotonic() + SETTLES_S
    while not holds():
        if time.monotonic() > deadline:
            raise AdministrationError(f"{what} were changed, and the broker does not go by it yet")
        time.sleep(_LOOK_AGAIN_S)


def _check(code: int, text: str | None) -> None:
    if code:
        raise AdministrationError(text or for_code(code).__name__)


_KINDS = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}
_OPERATIONS = {"read": ACLOperation.READ, "write": ACLOperation.WRITE}


def entry_of(grant: Grant) -> Any:
    """A grant as the broker keeps it."""
    form = ACLResourcePatternType.PREFIXED if grant.prefix else ACLResourcePatternType.LITERAL
    return ACL(
        f"User:{grant.principal}",
        "*",
        _OPERATIONS[grant.operation],
        ACLPermissionType.ALLOW,
        ResourcePattern(_KINDS[grant.kind], grant.name, form),
    )


def line_of(entry: Any) -> str:
    """An entry of the broker as one line for people."""
    pattern = entry.resource_pattern
    many = "*" if pattern.pattern_type == ACLResourcePatternType.PREFIXED else ""
    host = "" if entry.host == "*" else f" from {entry.host}"
    refused = "REFUSED " if entry.permission_type == ACLPermissionType.DENY else ""
    return (
        f"{entry.principal.removeprefix('User:'):<22} {refused}{entry.operation.name.lower():<8} "
        f"{pattern.resource_type.name.lower():<5} {pattern.resource_name}{many}{host}"
    )
