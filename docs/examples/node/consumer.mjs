// Handles each fact once: `npm ci`, then `node consumer.mjs`. Node 24.6 or newer.
import { DatabaseSync } from 'node:sqlite';
import { Consumer, stringDeserializers } from '@platformatic/kafka';
import { access } from './access.mjs';

const { KAFKA_GROUP_PREFIX, KAFKA_TOPIC_EVENTS } = process.env;
const INTERESTING = new Set(['invoiceos.invoice.issued.v1', 'invoiceos.invoice.paid.v1']);

const database = new DatabaseSync('partner.db');
database.exec(`
  create table if not exists handled (id text primary key);
  create table if not exists invoices (id text primary key, last_fact text, body text);
`);
const known = database.prepare('select 1 from handled where id = ?');
const keep = database.prepare('insert into handled values (?)');
const put = database.prepare('insert or replace into invoices values (?, ?, ?)');

// The effect of one fact; the id that tells a repeat is kept in the same transaction.
function handle({ headers, value }) {
  const [id, type, subject] = ['ce_id', 'ce_type', 'ce_subject'].map((name) => headers.get(name));
  if (!INTERESTING.has(type)) return; // types you do not know will come
  database.exec('begin immediate');
  try {
    if (known.get(id)) {
      database.exec('rollback');
      return;
    }
    keep.run(id);
    put.run(subject, type, value);
    database.exec('commit');
  } catch (error) {
    database.exec('rollback');
    throw error;
  }
  console.log(id, type, subject);
}

const consumer = new Consumer({
  ...access,
  groupId: `${KAFKA_GROUP_PREFIX}node`,
  deserializers: stringDeserializers,
  sessionTimeout: 10_000, // when you die, another takes over after this
});
const records = await consumer.consume({
  topics: [KAFKA_TOPIC_EVENTS],
  mode: 'committed',
  fallbackMode: 'earliest', // a new group begins with all that is kept
  autocommit: false,
});
for await (const record of records) {
  handle(record);
  await record.commit(); // after the effect: a crash before repeats, and loses nothing
}
