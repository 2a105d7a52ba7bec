"""Certificates are judged as whoever holds one would judge it, not by the service that wrote it."""

from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from audit.invariant import Row
from chassis.certificates import findings
from invoiceos_contracts.ephemeral_v1 import Certificate


def wrong_certificates(rows: Sequence[Row]) -> Iterator[Row]:
    """Those whose hash, key, signature or content is not right, with what is wrong."""
    for row in rows:
        try:
            found = findings(Certificate.model_validate(row["certificate"]))
        except ValidationError as error:
            wrong = [f"not a certificate: {error.error_count()} errors"]
        else:
            wrong = [f"not so: {what}" for what, right in found if not right]
        if wrong:
            yield {
                "tenant_id": str(row["tenant_id"]),
                "number": row["number"],
                "wrong": "; ".join(wrong),
            }
