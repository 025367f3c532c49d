import type fc from 'fast-check';
import { sql } from 'kysely';
import { expect } from 'vitest';
import type { Address } from '../../../../src/contracts/messages.js';
import {
  ackDeliveries,
  deliveryIdOf,
  extendLease,
  nackDelivery,
  leaseDeliveries,
  type LeaseClaim,
} from '../../../../src/stores/communication/index.js';
import { lapse } from '../builders.js';
import { look } from './look.js';
import { bounds, type Claim, type Copy, type Model } from './model.js';
import { leaseRules, type Real } from './real.js';
import { post, send } from './sending.js';

export type Command = fc.AsyncCommand<Model, Real>;

/** A command that ends with a look whether the store holds what the model does. */
export const command = (
  name: string,
  run: (model: Model, real: Real) => Promise<void>,
  check: (model: Readonly<Model>) => boolean = () => true,
): Command => ({
  check,
  toString: () => name,
  run: async (model, real) => {
    await run(model, real);
    model.expectSame(await look(real.db, real.root));
  },
});

export const pick = <Value>(values: readonly Value[], index: number): Value | undefined =>
  values[index % values.length];

const nth = (model: Model, index: number): string => pick(model.agentIds, index) as string;

export const sendMail = (
  id: number,
  from: number,
  /** `agent`, `role`, `cluster`, or a topic's name. */
  to: string,
  which: number,
  key: string | null,
): Command =>
  command(`send m${id} from ${from} to ${to} ${which}${key === null ? '' : ` key ${key}`}`, async (model, real) => {
    const address: Address =
      to === 'agent'
        ? { agent: nth(model, which) }
        : to === 'role'
          ? { role: 'worker', cluster: model.clusterId }
          : to === 'cluster'
            ? { cluster: model.clusterId }
            : { topic: `${real.root}.${to}` };
    await send(model, real, {
      id: `${real.root}-m${model.messages.size}-${id}`,
      source: nth(model, from),
      to: address,
      key,
    });
  });

/** The same again changes nothing, and the same id for something else is refused. */
export const sendAgain = (index: number, isOther: boolean): Command =>
  command(
    `send again ${index}${isOther ? ' with other data' : ''}`,
    async (model, real) => {
      const known = pick([...model.messages.values()], index);
      if (!known) return;
      const result = await post(real, isOther ? { ...known, data: 2 } : known);
      if (isOther) expect(result).toMatchObject({ accepted: false, error: { code: 'idempotency_conflict' } });
      else expect(result).toMatchObject({ accepted: true, duplicate: true, matched: known.matched });
    },
    ({ messages }) => messages.size > 0,
  );

export const receiveMail = (which: number, max: number): Command =>
  command(`receive ${which} at most ${max}`, async (model, real) => {
    const agentId = nth(model, which);
    const open = model.open(agentId);
    const exhausted = open.filter((copy) => model.isExhausted(copy));
    const eligible = model.eligible(agentId);
    const room = Math.max(0, Math.min(max, bounds.maxUnacked - open.filter(({ held }) => held).length));
    const leased = await leaseDeliveries(real.db, agentId, max, leaseRules);
    // A look that is full of one key finds fewer than there are, but never none and never out of order.
    const keyed = open.some(({ messageId }) => model.message(messageId).key !== null);
    const expected = eligible.slice(0, keyed ? leased.length : room);
    expect(leased.map(({ delivery }) => delivery.sequence)).toEqual(expected.map(({ sequence }) => sequence));
    expect(leased.length).toBeLessThanOrEqual(room);
    if (room > 0 && eligible.length > 0) expect(leased.length).toBeGreaterThan(0);
    for (const copy of exhausted) model.bury(copy, 'tries_exhausted');
    for (const [index, copy] of expected.entries()) {
      const { leaseToken, attempt, message } = leased[index]?.delivery ?? {
        leaseToken: '',
        attempt: 0,
        message: { id: '' },
      };
      copy.attempts += 1;
      copy.token = leaseToken;
      copy.held = true;
      expect([attempt, message.id]).toEqual([copy.attempts, copy.messageId]);
      model.claims.push({ agentId, sequence: copy.sequence, token: leaseToken });
    }
  });

/** A claim as its holder, or as somebody else, would write it. */
async function written(real: Real, claim: Claim, by: string): Promise<LeaseClaim> {
  const { rows } = await sql<{ no: number }>`select no from inboxes where agent_id = ${claim.agentId}`.execute(real.db);
  return {
    agentId: by,
    id: deliveryIdOf({ inboxNo: rows[0]?.no ?? 0, sequence: claim.sequence }),
    leaseToken: claim.token,
  };
}

const onClaim = (
  name: string,
  index: number,
  run: (context: {
    model: Model;
    real: Real;
    copy: Copy;
    claim: LeaseClaim;
    isOwn: boolean;
    isCurrent: boolean;
  }) => Promise<void>,
  thief?: number,
): Command =>
  command(
    `${name} claim ${index}${thief === undefined ? '' : ` by ${thief}`}`,
    async (model, real) => {
      const claim = pick(model.claims, index);
      if (!claim) return;
      const by = thief === undefined ? claim.agentId : nth(model, thief);
      const copy = model.of(claim.agentId)[claim.sequence - 1];
      if (!copy) throw new Error('The model lost a copy');
      const isOwn = by === claim.agentId;
      const isCurrent = isOwn && copy.state === 'open' && copy.token === claim.token;
      await run({ model, real, copy, claim: await written(real, claim, by), isOwn, isCurrent });
    },
    ({ claims }) => claims.length > 0,
  );

/** Counts when nobody else has the delivery, also late, and is confirmed again for ever. */
export const ackMail = (index: number, thief?: number): Command =>
  onClaim(
    'ack',
    index,
    async ({ real, copy, claim, isOwn, isCurrent }) => {
      const isRepeated = isOwn && copy.state === 'acked' && copy.token === claim.leaseToken;
      expect((await ackDeliveries(real.db, [claim])).size).toBe(isCurrent || isRepeated ? 1 : 0);
      if (isCurrent) Object.assign(copy, { state: 'acked', held: false });
    },
    thief,
  );

export const giveMailBack = (index: number, delaySeconds: 0 | 3600, final: boolean, thief?: number): Command =>
  onClaim(
    `nack${final ? ' finally' : ` for ${delaySeconds} s`}`,
    index,
    async ({ model, real, copy, claim, isCurrent }) => {
      const outcome = await nackDelivery(real.db, claim, { delaySeconds, reason: 'test', final }, leaseRules);
      const isOver = final || copy.attempts >= bounds.tries;
      expect(outcome).toBe(isCurrent ? (isOver ? 'dead' : 'waiting') : undefined);
      if (!isCurrent) return;
      Object.assign(copy, { token: null, held: false, waits: delaySeconds > 0 });
      if (isOver) model.bury(copy, final ? 'rejected' : 'tries_exhausted');
    },
    thief,
  );

export const prolong = (index: number, thief?: number): Command =>
  onClaim(
    'prolong',
    index,
    async ({ real, copy, claim, isCurrent }) => {
      const end = await extendLease(real.db, claim, 600);
      expect(end !== undefined).toBe(isCurrent && copy.held);
    },
    thief,
  );

export const leasesRunOut = (which: number): Command =>
  command(`leases of ${which} run out`, async (model, real) => {
    await lapse(real.db, nth(model, which));
    for (const copy of model.open(nth(model, which))) copy.held = false;
  });

export const delaysAreOver = (which: number): Command =>
  command(`delays of ${which} are over`, async (model, real) => {
    await sql`update deliveries d set available_at = now() from inboxes i
      where i.no = d.inbox_no and i.agent_id = ${nth(model, which)} and d.lease_token is null`.execute(real.db);
    for (const copy of model.open(nth(model, which))) copy.waits = false;
  });
