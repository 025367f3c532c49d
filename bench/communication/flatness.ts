import { sql } from 'kysely';
import type { Stack } from '../../src/dev-stack/stack.js';
import { compared, quantile, type Figure } from '../figure.js';
import type { Stores } from '../../src/stores/open.js';
import { insertAgents, numberedIds } from './agents.js';
import { openProductQueue } from './product-queue.js';
import { openPlainQueue } from './plain-queue.js';
import { batchSize, body, endToEnd, recipients } from './queue.js';

const unmeasured = numberedIds('behind', 10);
/** Open deliveries in each measured inbox during the measurement; an inbox holds 10,000 at most. */
const backlog = 5000;

/**
 * (f) Batches end to end in fresh tables, after a million acked messages, and with a hundred thousand open deliveries in
 * other inboxes and five thousand in each measured inbox. Each is relative to plain SQL at that moment, so that noise of the
 * machine is not taken for an effect of the table size.
 */
export async function flatness(stack: Stack, plainUrl: string, quick: boolean, stores: Stores): Promise<Figure[]> {
  const plain = await openPlainQueue(plainUrl);
  const product = openProductQueue(stack.urls.api ?? '');
  const load = { messages: quick ? 10_000 : 20_000, perCall: batchSize, concurrency: 4 };
  const measure = async (): Promise<{ rate: number; share: number }> => {
    const rounds: { rate: number; share: number }[] = [];
    for (let round = 0; round <= (quick ? 3 : 5); round += 1) {
      const limit = await endToEnd(plain.queue, load);
      const rate = await endToEnd(product.queue, load);
      // The first round warms caches and fills the first pages of the plain table; it is not counted.
      if (round > 0) rounds.push({ rate, share: rate / limit });
    }
    return {
      rate: quantile(
        rounds.map(({ rate }) => rate),
        0.5,
      ),
      share: quantile(
        rounds.map(({ share }) => share),
        0.5,
      ),
    };
  };
  const fresh = await measure();
  await insertAcked(stores, quick ? 100_000 : 1_000_000);
  const behindAcked = await measure();
  await insertAgents(stores, unmeasured);
  await insertWaiting(stores, quick ? 1000 : 10_000);
  for (let sent = 0; sent < backlog * recipients; sent += batchSize) await product.queue.sendBatch(batchSize);
  const behindWaiting = await measure();
  product.close();
  await plain.close();
  const figure = (name: string, now: typeof fresh): Figure =>
    compared(
      `communication.flat.${name}`,
      now.rate,
      'messages/s',
      { against: 'fresh tables', reference: fresh.rate, ratio: now.share / fresh.share },
      { text: '>= 0.8', isMet: (ratio) => ratio >= 0.8 },
    );
  return [
    figure(quick ? 'acked100k' : 'acked1M', behindAcked),
    figure(quick ? 'waiting10k' : 'waiting100k', behindWaiting),
  ];
}

/** Inserts messages to the measured recipients and their acked deliveries, as sending and acking would store them. */
async function insertAcked({ communication }: Stores, count: number): Promise<void> {
  const each = count / recipients;
  const ids = numberedIds('recipient', recipients);
  await sql`
    with boxes as (
      update inboxes set next_sequence = next_sequence + ${each}, sequence_limit = next_sequence + ${each}
      where agent_id = any(${ids}::text[]) returning no, agent_id, next_sequence - ${each} as first
    ), cursors as (
      insert into inbox_cursors (inbox_no, low_water, leased_up_to)
      select no, first + ${each}, first + ${each} - 1 from boxes
      on conflict (inbox_no) do update set low_water = excluded.low_water, leased_up_to = excluded.leased_up_to
    ), stored as (
      insert into messages (id, source, kind, address, type, data, body_hash, matched, time, expires_at)
      select 'acked-' || b.no || '-' || (b.first + g), 'sender-0', 'agent', jsonb_build_object('agent', b.agent_id),
        'bench.item', ${JSON.stringify(body)}, '\\x00', 1, now() - interval '1 hour', now()
      from boxes b, generate_series(0, ${each - 1}::bigint) g
      returning no, id
    )
    insert into delivery_history (inbox_no, sequence, message_no, via, outcome, attempts, lease_token, accepted_at,
      first_leased_at, last_leased_at, ended_at)
    select split_part(id, '-', 2)::integer, split_part(id, '-', 3)::bigint, no, 'agent', 'acked', 1,
      gen_random_uuid(), now() - interval '1 hour', now() - interval '1 hour', now() - interval '1 hour',
      now() - interval '1 hour'
    from stored`.execute(communication);
  await sql`vacuum analyze messages`.execute(communication);
  await sql`vacuum analyze delivery_history`.execute(communication);
}

/** Inserts open deliveries in inboxes that are not measured. */
async function insertWaiting({ communication }: Stores, each: number): Promise<void> {
  await sql`
    with boxes as (
      update inboxes set next_sequence = next_sequence + ${each}, sequence_limit = next_sequence + ${each}
      where agent_id = any(${unmeasured}::text[]) returning no, agent_id, next_sequence - ${each} as first
    ), stored as (
      insert into messages (id, source, kind, address, type, data, body_hash, matched, expires_at)
      select 'waiting-' || b.no || '-' || (b.first + g), 'sender-0', 'agent', jsonb_build_object('agent', b.agent_id),
        'bench.item', ${JSON.stringify(body)}, '\\x00', 1, now() + interval '1 day'
      from boxes b, generate_series(0, ${each - 1}::bigint) g
      returning no, id
    )
    insert into deliveries (inbox_no, sequence, message_no, via, expires_at)
    select split_part(id, '-', 2)::integer, split_part(id, '-', 3)::bigint, no, 'agent', now() + interval '1 day'
    from stored`.execute(communication);
  await sql`vacuum analyze deliveries`.execute(communication);
}
