import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ackDeliveries,
  deadLetterDeliveries,
  deliveryIdOf,
  extendLease,
  nackDelivery,
  moveDeliveries,
  parseDeliveryId,
  type CommunicationDb,
  type LeaseClaim,
  type Leased,
} from '../../../src/stores/communication/index.js';
import { communicationInvariants } from '../../invariants/communication-db.js';
import { checkInvariants } from '../../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../../support/database.js';
import { accept, agents, claimOf, lapse, message, rules, take } from './builders.js';

let stores: TestDatabases;
let db: CommunicationDb;

beforeAll(async () => {
  stores = await createTestDatabases({ maxConnections: 24 });
  db = stores.communication;
});
afterAll(() => stores?.drop());

/** An agent that holds so many deliveries. */
async function holder(
  count: number,
): Promise<{ agentId: string; held: readonly Leased[]; claims: readonly LeaseClaim[] }> {
  const [agentId] = (await agents(db, 1)) as [string];
  await accept(
    db,
    Array.from({ length: count }, () => message({ recipients: [agentId] })),
  );
  const held = await take(db, agentId, count);
  return { agentId, held, claims: held.map((one) => claimOf(agentId, one)) };
}

const outcomesOf = async (agentId: string): Promise<string[]> => {
  const { rows } = await sql<{ outcome: string }>`
    select coalesce(s.outcome, 'open') as outcome from deliveries d full join delivery_history s using (inbox_no, sequence)
    join inboxes i on i.no = inbox_no where i.agent_id = ${agentId} order by sequence`.execute(db);
  return rows.map(({ outcome }) => outcome);
};

const fail = { delaySeconds: 0, reason: undefined, final: false };
/** Every way to use a claim, and whether it did anything. */
const uses = {
  ack: async (claim: LeaseClaim) => (await ackDeliveries(db, [claim])).size > 0,
  extend: async (claim: LeaseClaim) => (await extendLease(db, claim, 30)) !== undefined,
  nack: async (claim: LeaseClaim) => (await nackDelivery(db, claim, fail, rules)) !== undefined,
} as const;
const ways = Object.entries(uses);

const keyOf = (claim: LeaseClaim | undefined) => {
  const key = parseDeliveryId(claim?.id ?? '');
  if (!key) throw new Error('It has no id');
  return key;
};

describe('an ack', () => {
  it('an ack ends a delivery once, and a repeated ack is confirmed again', async () => {
    const { agentId, claims } = await holder(3);
    const first = await ackDeliveries(db, claims.slice(0, 2));
    expect([...first.keys()].sort((a, b) => a - b)).toEqual([0, 1]);
    expect(first.get(0)?.ackedAfterMs).toBeGreaterThanOrEqual(0);
    const again = await ackDeliveries(db, claims);
    expect([...again.keys()].sort((a, b) => a - b)).toEqual([0, 1, 2]);
    expect(again.get(0)).toEqual({ clusterId: null, ackedAfterMs: null });
    expect(await outcomesOf(agentId)).toEqual(['acked', 'acked', 'acked']);
    await lapse(db, agentId);
    expect(await take(db, agentId)).toEqual([]);
  });

  it('concurrent acks of the same deliveries in any order are all confirmed', async () => {
    const { agentId, claims } = await holder(20);
    const orders = Array.from({ length: 24 }, (_, n) => (n % 2 ? claims : [...claims].reverse()));
    const confirmed = await Promise.all(orders.map(async (order) => (await ackDeliveries(db, order)).size));
    expect(confirmed).toEqual(orders.map(() => 20));
    expect(await outcomesOf(agentId)).toEqual(claims.map(() => 'acked'));
  });

  it('an ack after the lease expired counts unless the delivery was leased again', async () => {
    const { agentId, claims } = await holder(1);
    await lapse(db, agentId);
    expect((await ackDeliveries(db, claims)).size).toBe(1);
  });
});

describe('a claim with the lease token of an earlier attempt', () => {
  it.each(ways)('a claim without a valid lease changes nothing: %s', async (_name, use) => {
    const { agentId, claims } = await holder(1);
    await lapse(db, agentId);
    const [again] = await take(db, agentId);
    expect(again?.delivery.attempt).toBe(2);
    expect(await use(claims[0] as LeaseClaim)).toBe(false);
    expect(await outcomesOf(agentId)).toEqual(['open']);
    expect(await uses.ack(claimOf(agentId, again as Leased))).toBe(true);
    expect(await use(claims[0] as LeaseClaim)).toBe(false);
    expect(await outcomesOf(agentId)).toEqual(['acked']);
  });
});

describe('a claim on an ended delivery', () => {
  const ends: Readonly<Record<string, (claim: LeaseClaim) => Promise<unknown>>> = {
    'given back': uses.nack,
    'a dead letter': (claim) => deadLetterDeliveries(db, [keyOf(claim)], 'expired', 'test'),
    're-addressed': async (claim) => {
      const [successor] = (await agents(db, 1)) as [string];
      return moveDeliveries(db, [{ ...keyOf(claim), to: successor }]);
    },
  };
  const cases = Object.entries(ends).flatMap(([end, make]) => ways.map(([name, use]) => ({ end, make, name, use })));
  it.each(cases)('a claim on an ended delivery changes nothing: $name after $end', async ({ make, use }) => {
    const { agentId, claims } = await holder(1);
    const [claim] = claims as [LeaseClaim];
    await make(claim);
    const before = await outcomesOf(agentId);
    expect(await use(claim)).toBe(false);
    expect(await outcomesOf(agentId)).toEqual(before);
  });
});

describe('a claim by another agent', () => {
  it.each(ways)("another agent's claim with the right id and token changes nothing: %s", async (_name, use) => {
    const { agentId, claims } = await holder(1);
    const { agentId: thief } = await holder(1);
    const [claim] = claims as [LeaseClaim];
    for (const other of [thief, 'nobody', '', agentId.toUpperCase()])
      expect(await use({ ...claim, agentId: other })).toBe(false);
    expect(await outcomesOf(agentId)).toEqual(['open']);
    expect(await use(claim)).toBe(true);
  });

  it("an agent's call that also names another agent's delivery acks only its own", async () => {
    const [mine, theirs] = [await holder(1), await holder(1)];
    const stolen = theirs.claims.map((claim) => ({ ...claim, agentId: mine.agentId }));
    expect([...(await ackDeliveries(db, [...stolen, ...mine.claims])).keys()]).toEqual([1]);
    expect(await outcomesOf(theirs.agentId)).toEqual(['open']);
  });
});

describe('malformed ids and tokens', () => {
  const odd = [
    '',
    ' ',
    'dl_',
    'dl__',
    'dl_1',
    'dl_1_',
    'dl_0_0',
    'dl_1_1_1',
    'dl_-1_1',
    'dl_zzzzzz_1',
    'dl_1_zzzzzzzzzz',
    'DL_1_1',
    'dl_1_1\u0000',
    "dl_1_1'; drop table deliveries; --",
    'dl_١_١',
    '\u0000',
    '\ud800',
    'null',
    '[]',
    'x'.repeat(10_000),
    '00000000-0000-0000-0000-000000000000',
    'dl_zik0zj_zzzzzzzzzz',
  ];
  it('malformed delivery ids and tokens change nothing and cause no error', async () => {
    const { agentId, claims } = await holder(1);
    const [claim] = claims as [LeaseClaim];
    for (const text of odd) {
      for (const [, use] of ways) {
        expect(await use({ ...claim, id: text })).toBe(false);
        expect(await use({ ...claim, leaseToken: text })).toBe(false);
      }
    }
    expect(await outcomesOf(agentId)).toEqual(['open']);
    const everything = await ackDeliveries(db, [...odd.map((id) => ({ ...claim, id })), claim]);
    expect([...everything.keys()]).toEqual([odd.length]);
  });

  it('a text parses as no delivery id or as exactly one, which formats back to the same text', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 0x7fff_ffff }),
        fc.integer({ min: 1, max: 36 ** 10 - 1 }),
        (inboxNo, sequence) => {
          expect(parseDeliveryId(deliveryIdOf({ inboxNo, sequence }))).toEqual({ inboxNo, sequence });
        },
      ),
    );
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^dl_[0-9a-zA-Z_]{1,20}$/)), (text) => {
        const key = parseDeliveryId(text);
        if (!key) return;
        expect(
          Number.isSafeInteger(key.inboxNo) && key.inboxNo <= 0x7fff_ffff && Number.isSafeInteger(key.sequence),
        ).toBe(true);
      }),
    );
  });
});

describe('an extended lease', () => {
  it("an extended lease expires later by the database's clock and can be extended again", async () => {
    const { agentId, claims } = await holder(1);
    const [claim] = claims as [LeaseClaim];
    const [first, second] = [await extendLease(db, claim, 60), await extendLease(db, claim, 120)];
    expect((second as Date).getTime() - (first as Date).getTime()).toBeGreaterThan(59_000);
    expect(await take(db, agentId)).toEqual([]);
  });

  it('an expired lease cannot be extended', async () => {
    const { agentId, claims } = await holder(1);
    await lapse(db, agentId);
    expect(await uses.extend(claims[0] as LeaseClaim)).toBe(false);
  });
});

it('every invariant holds after the tests of this file', async () => {
  expect(await checkInvariants(stores, { among: communicationInvariants })).toEqual([]);
});
