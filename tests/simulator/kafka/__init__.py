"""Kafka in one process: the broker, and what stands for aiokafka and FastStream before it."""

from tests.simulator.kafka.faults import CONSEQUENCES, FAULTS, RARE, KafkaFaults
from tests.simulator.kafka.simulated import SimKafka

__all__ = ["CONSEQUENCES", "FAULTS", "RARE", "KafkaFaults", "SimKafka"]
