"""What the backbone tells Prometheus about itself."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)

OUTBOX_AGE = Gauge("invoiceos_outbox_oldest_age_seconds", "Age of the oldest unsent fact")
OUTBOX_ROWS = Gauge("invoiceos_outbox_rows", "Facts that wait to be sent")
OUTBOX_PARKED = Gauge("invoiceos_outbox_parked_rows", "Facts the broker will not take")
RELAYED = Counter("invoiceos_relay_sent_total", "Facts acknowledged by the broker", ["topic"])
RELAY_FAILURES = Counter("invoiceos_relay_failures_total", "Runs of the relay that failed")
RELAY_SHARDS = Gauge("invoiceos_relay_owned_shards", "Shards of the outbox this process owns")
BATCH_SIZE = Histogram("invoiceos_batch_size", "Items in one transaction", ["of"], buckets=_SIZES)
BATCH_SECONDS = Histogram(
    "invoiceos_batch_seconds", "Seconds of one transaction", ["of"], buckets=_SECONDS
)
DEDUPLICATED = Counter("invoiceos_inbox_duplicates_total", "Events seen before", ["consumer"])
NACKS = Counter(
    "invoiceos_consumer_nacks_total", "Batches that had to be tried again", ["consumer"]
)
DEAD_LETTERS = Counter("invoiceos_dead_letters_total", "Records put aside", ["consumer", "reason"])
LAG = Gauge("invoiceos_consumer_lag_records", "Records not yet read", ["consumer", "topic"])
LAST_POLL = Gauge(
    "invoiceos_consumer_last_poll_timestamp_seconds", "When last polled", ["consumer"]
)
NACK_STREAK = Gauge("invoiceos_consumer_nack_streak", "Failures in a row", ["consumer"])
TIMERS_LATE = Gauge("invoiceos_timer_oldest_late_seconds", "How late the oldest due timer is")
WRITER_QUEUE = Gauge("invoiceos_writer_queue", "Requests waiting for a transaction")
IDEMPOTENT_REPLAYS = Counter("invoiceos_idempotent_replays_total", "Answers given again")
