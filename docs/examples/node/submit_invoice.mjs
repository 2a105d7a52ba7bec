// Asks for an invoice and waits for its outcome: `npm ci`, then `node submit_invoice.mjs`.
import { randomUUID } from 'node:crypto';
import { Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka';
import { access } from './access.mjs';

const { KAFKA_GROUP_PREFIX, KAFKA_TOPIC_OUTCOMES, KAFKA_TOPIC_REQUESTS } = process.env;
const WAIT_MS = 60_000;
// Keep the id with the order it is for: the same id again is the same request, never a second.
const requestId = randomUUID();
const invoice = {
  asset: 'USD',
  reference: 'PO-2207',
  due_at: new Date(Date.now() + 14 * 24 * 3600 * 1000).toISOString(),
  lines: [{ description: 'Consulting', quantity: '12', unit_price_minor: 9500 }],
  customer: { name: 'Ada Example', email: 'ada@example.com' },
};

const consumer = new Consumer({
  ...access,
  groupId: `${KAFKA_GROUP_PREFIX}${requestId}`,
  deserializers: stringDeserializers,
});
const outcomes = await consumer.consume({
  topics: [KAFKA_TOPIC_OUTCOMES],
  mode: 'latest', // from here on, before anything is asked
  autocommit: false,
});
const producer = new Producer({ ...access, idempotent: true, serializers: stringSerializers });
await producer.send({
  messages: [{
    topic: KAFKA_TOPIC_REQUESTS,
    key: requestId,
    value: JSON.stringify(invoice),
    headers: {
      ce_specversion: '1.0',
      ce_id: requestId,
      ce_type: 'partner.invoice_requested.v1',
      ce_source: '/acme/orders',
      'content-type': 'application/json',
    },
  }],
});

setTimeout(() => { console.error('no outcome yet; ask again with the same id'); process.exit(2); }, WAIT_MS);
for await (const { headers, value } of outcomes) {
  const body = JSON.parse(value);
  if (body.request_id !== requestId) continue;
  const accepted = headers.get('ce_type') === 'invoiceos.invoice_request.accepted.v1';
  if (accepted) console.log('accepted', body.invoice_id);
  else console.log('turned away:', body.code, body.detail, JSON.stringify(body.problems));
  process.exit(accepted ? 0 : 1);
}
