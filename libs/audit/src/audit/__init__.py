"""The auditor: what must always hold, looked for in the databases and on the topics."""

from audit.invariant import Invariant
from audit.invariants import INVARIANTS
from audit.report import Finding, Report
from audit.running import GRACE_S, CannotAudit, Session, run
from audit.topics import TopicRecord

__all__ = [
    "GRACE_S",
    "INVARIANTS",
    "CannotAudit",
    "Finding",
    "Invariant",
    "Report",
    "Session",
    "TopicRecord",
    "run",
]
