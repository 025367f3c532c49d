import pg from 'pg';
import { batchSize, body, pause, recipients, type Queue } from './queue.js';

const text = JSON.stringify(body);

/**
 * The limit: one narrow table in plain SQL, leased with `for update skip locked`, acked by delete. It has no tokens, no
 * order across commits, no receipts and no message traces.
 */
export async function openPlainQueue(
  url: string,
): Promise<{ readonly queue: Queue; readonly pool: pg.Pool; close(): Promise<void> }> {
  const pool = new pg.Pool({ connectionString: url, max: 16 + recipients, options: '-c jit=off' });
  // When the stack stops after a failure, connection errors must not hide that failure.
  pool.on('error', () => undefined);
  await pool.query(`
    drop table if exists plain_queue;
    create table plain_queue (
      id bigint generated always as identity,
      recipient integer not null,
      body text not null,
      leased_until timestamptz,
      primary key (recipient, id)
    ) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0)`);
  const insert = {
    name: 'insert',
    text: 'insert into plain_queue (recipient, body) select * from unnest($1::int[], $2::text[])',
  };
  const insertOne = { name: 'insertOne', text: 'insert into plain_queue (recipient, body) values ($1, $2)' };
  const lease = {
    name: 'lease',
    text: `with next as (
        select recipient, id from plain_queue
        where recipient = $1 and (leased_until is null or leased_until < now())
        order by id limit $2 for update skip locked
      )
      update plain_queue m set leased_until = now() + interval '30 seconds' from next n
      where m.recipient = n.recipient and m.id = n.id returning m.id, m.body`,
  };
  const ack = { name: 'ack', text: 'delete from plain_queue where recipient = $1 and id = any($2::bigint[])' };
  const queue: Queue = {
    sendBatch: async (count) => {
      const values = [Array.from({ length: count }, (_, index) => index % recipients), new Array(count).fill(text)];
      await pool.query({ ...insert, values });
    },
    sendOne: async (recipient) => void (await pool.query({ ...insertOne, values: [recipient, text] })),
    leaseAndAck: async (recipient) => {
      await pause(2);
      const { rows } = await pool.query<{ id: string }>({ ...lease, values: [recipient, batchSize] });
      if (rows.length === 0) return 0;
      const { rowCount } = await pool.query({ ...ack, values: [recipient, rows.map(({ id }) => id)] });
      return rowCount ?? 0;
    },
  };
  return { queue, pool, close: () => pool.end() };
}
