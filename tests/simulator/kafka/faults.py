"""What can go wrong between a service and its broker."""

from dataclasses import dataclass

FAULTS = (
    "kafka.ack_lost",
    "kafka.append_refused",
    "kafka.ack_slow",
    "kafka.append_doubled",
    "kafka.records_late",
    "kafka.commit_lost",
    "kafka.commit_failed",
    "kafka.rewound",
    "kafka.poll_small",
    "kafka.poll_failed",
    "kafka.broker_away",
    "kafka.leader_away",
    "kafka.rebalance_forced",
    "kafka.member_thrown_out",
)
"""What `KafkaFaults` asks for; each name is reported when it truly took effect."""
CONSEQUENCES = (
    "kafka.append_after_crash",
    "kafka.append_lost_in_crash",
    "kafka.append_after_pause",
    "kafka.append_lost_in_pause",
    "kafka.append_failed",
    "kafka.append_retried",
    "kafka.commit_after_crash",
    "kafka.commit_refused",
    "kafka.session_expired",
    "kafka.rebalance_timed_out",
    "kafka.instance_returned",
    "kafka.member_fenced",
    "kafka.member_idle",
    "kafka.seek_back",
)
"""What follows from them, or from crashes and pauses, and is reported as well."""
RARE = (
    "kafka.commit_after_crash",
    "kafka.rebalance_timed_out",
    "kafka.member_fenced",
    "kafka.member_idle",
)
"""Consequences that need a crash within a millisecond, or minutes of silence: not in every run."""


@dataclass(slots=True)
class KafkaFaults:
    """How often each fault comes; nothing goes wrong by default.

    The first group are probabilities for one batch of one partition, one append, one commit, one
    assignment or one poll; the second how many happen in a virtual minute, on the average.
    """

    ack_lost: float = 0.0
    """Appended, but the client learns of a failure."""
    append_refused: float = 0.0
    """Not appended, and the client learns of it."""
    ack_slow: float = 0.0
    """Acknowledged after up to 14 seconds."""
    append_doubled: float = 0.0
    """Appended again a little later, as a producer that was restarted would."""
    records_late: float = 0.0
    """Appended and acknowledged, but consumers see them up to 10 seconds later."""
    commit_lost: float = 0.0
    """Acknowledged, but not kept."""
    commit_failed: float = 0.0
    """The client learns of a failure; kept or not."""
    rewound: float = 0.0
    """A new owner of a partition starts some records before the committed offset."""
    poll_small: float = 0.0
    """One to five records where there are more."""
    poll_failed: float = 0.0
    """The poll raises, after which FastStream sleeps for five seconds."""

    broker_away_per_minute: float = 0.0
    """Nothing answers for 0.1 to 30 seconds."""
    leader_away_per_minute: float = 0.0
    """One partition neither takes nor gives records for 0.1 to 20 seconds."""
    rebalance_forced_per_minute: float = 0.0
    """One group shares its partitions out anew."""
    member_thrown_out_per_minute: float = 0.0
    """A member's heartbeats are not seen: it is gone, and learns it with its next one."""
