"""The trace of a request runs through the outbox and is linked from the batch that handles it."""

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from invoiceos_contracts.identity_v1 import TenantCreated
from messaging import processing
from testkit.service import a_tenant, record_of


def tracing():
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider.get_tracer("test"), spans


async def test_a_fact_carries_the_trace_of_the_transaction_that_stated_it(toy):
    tracer, _ = tracing()
    cause = await toy.worker.fetchval("select gen_random_uuid()")
    with tracer.start_as_current_span("request") as span:
        async with toy.worker.transaction() as tx:
            tx.stage([(TenantCreated(tenant_id=a_tenant(), name="n"), cause)])
    (row,) = await toy.worker.fetch("select traceparent, causation_id from outbox")
    assert row["traceparent"].split("-")[1] == format(span.get_span_context().trace_id, "032x")
    assert row["causation_id"] == cause


async def test_a_batch_is_one_span_linked_to_each_trace_it_handles(toy, monkeypatch):
    tracer, spans = tracing()
    monkeypatch.setattr(processing, "_TRACER", tracer)
    records = []
    for number in range(3):
        record = record_of(TenantCreated(tenant_id=a_tenant(), name="n"))
        parent = f"00-{number + 1:032x}-{number + 1:016x}-01".encode()
        object.__setattr__(record, "headers", (*record.headers, ("traceparent", parent)))
        records.append(record)
    await toy.receives(*records)
    (span,) = spans.get_finished_spans()
    assert span.kind is SpanKind.CONSUMER
    assert [link.context.trace_id for link in span.links] == [1, 2, 3]
    staged = await toy.worker.fetch("select distinct traceparent from outbox")
    assert [row["traceparent"].split("-")[1] for row in staged] == [
        format(span.get_span_context().trace_id, "032x")
    ]
