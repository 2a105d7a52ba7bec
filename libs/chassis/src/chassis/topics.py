"""Topics are declared in the contracts and created here; brokers make none by themselves."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError

from invoiceos_contracts import topics
from messaging import KafkaAccess


async def create(kafka: KafkaAccess, *, replication: int = 1) -> list[str]:
    """Create the topics that are missing; their names."""
    admin = AIOKafkaAdminClient(**kafka.options())
    await admin.start()
    try:
        present = set(await admin.list_topics())
        missing = [spec for spec in topics() if spec.name not in present]
        wanted = [
            NewTopic(
                spec.name,
                spec.partitions,
                replication,
                topic_configs={
                    "retention.ms": str(spec.retention_ms),
                    "min.insync.replicas": str(max(1, replication - 1)),
                    "cleanup.policy": "compact" if spec.compacted else "delete",
                },
            )
            for spec in missing
        ]
        if wanted:
            answer = await admin.create_topics(wanted)
            for name, code, *_ in answer.topic_errors:
                if code not in (0, TopicAlreadyExistsError.errno):
                    message = f"topic {name} could not be created: broker error {code}"
                    raise RuntimeError(message)
    finally:
        await admin.close()
    return [spec.name for spec in missing]
