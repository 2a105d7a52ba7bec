"""Embedded Kafka, PostgreSQL, Tempo chain and mail sink, and the supervisor behind make up."""
