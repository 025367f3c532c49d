import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expireMessagesAndSubscriptions } from '../../src/maintenance/message-expirer.js';
import type { DeliveryView } from '../../src/contracts/inbox.js';
import type { DeadLetterView } from '../../src/contracts/messages.js';
import { inTransaction } from '../../src/stores/database.js';
import { waitFor } from '../support/wait-for.js';
import { codeOf, idsOf, messagingOf, only, type MessagingCalls } from './messaging-fixture.js';
import { startTestApi, type Answer, type TestApi } from './support.js';

let test: TestApi;
let messaging: MessagingCalls;
beforeAll(async () => {
  test = await startTestApi({ communication: { retryDelaysSeconds: [0] } });
  messaging = messagingOf(test);
});
afterAll(() => test.stop());

/** Registers an agent and leases one delivery for it. */
async function held(agentId: string, more: object = {}): Promise<{ token: string; delivery: DeliveryView }> {
  const token = await test.register(agentId);
  await messaging.send(test.tokens.admin, { id: `to-${agentId}`, to: { agent: agentId }, ...more });
  return { token, delivery: only(await messaging.receive(agentId, token)) };
}

const refusal = (answer: Answer): [number, string] => [answer.status, codeOf(answer)];

/** Leases again the deliveries that were leased for a second, once those leases have expired. */
const again = (agentId: string, token: string) =>
  waitFor('the lease to run out', async () => {
    const deliveries = await messaging.receive(agentId, token);
    return deliveries.length > 0 ? deliveries : undefined;
  });

async function whileLeasesAreShort<Result>(work: () => Promise<Result>): Promise<Result> {
  const { leaseSeconds } = test.deps.config().communication;
  messaging.tune({ leaseSeconds: 1 });
  try {
    return await work();
  } finally {
    messaging.tune({ leaseSeconds });
  }
}

describe('the lease of a delivery', () => {
  it('a leased delivery is not delivered again until its lease expires', async () => {
    const { token, delivery } = await whileLeasesAreShort(() => held('l1'));
    expect(await messaging.receive('l1', token)).toEqual([]);
    const second = only(await again('l1', token));
    expect(second).toMatchObject({ id: delivery.id, sequence: delivery.sequence, attempt: 2 });
    expect(second.leaseToken).not.toBe(delivery.leaseToken);
    expect((await messaging.trace('to-l1')).hops.map(({ what }) => what)).toEqual([
      'accepted',
      'matched',
      'leased',
      'lease_expired',
      'leased',
    ]);
  });

  it('an ack, nack or extension with the lease of an earlier attempt is refused and changes nothing', async () => {
    const { token, delivery } = await whileLeasesAreShort(() => held('l2'));
    const second = only(await again('l2', token));
    for (const what of ['ack', 'nack', 'extend'] as const) {
      expect([what, ...refusal(await messaging.settle(token, delivery, what))]).toEqual([what, 409, 'stale_lease']);
    }
    expect(await messaging.trace('to-l2')).toMatchObject({ deliveries: [{ state: 'leased', attempts: 2 }] });
    expect((await messaging.settle(token, second)).status).toBe(200);
    expect(await messaging.trace('to-l2')).toMatchObject({ deliveries: [{ state: 'acked' }] });
  });

  it('an ack after the lease expired succeeds while the delivery has not been leased again', async () => {
    const { token, delivery } = await whileLeasesAreShort(() => held('l3'));
    await waitFor('the lease to run out', () => Date.parse(delivery.leaseExpiresAt) < Date.now() - 100);
    expect((await messaging.settle(token, delivery)).status).toBe(200);
    expect(await messaging.receive('l3', token)).toEqual([]);
  });

  it('a valid lease can be extended, counted from the time of the call', async () => {
    const { token, delivery } = await whileLeasesAreShort(() => held('l4'));
    await messaging.send(test.tokens.admin, { id: 'beside', to: { agent: 'l4' } });
    const beside = only(await whileLeasesAreShort(() => messaging.receive('l4', token)));
    const extended = await messaging.settle(token, delivery, 'extend', { leaseSeconds: 60 });
    const { leaseExpiresAt } = extended.body as { leaseExpiresAt: string };
    expect(extended.status).toBe(200);
    expect(Date.parse(leaseExpiresAt) - Date.now()).toBeGreaterThan(55_000);
    // Only the delivery whose lease was not extended is delivered again.
    expect(idsOf(await again('l4', token))).toEqual([beside.message.id]);
    expect((await messaging.settle(token, delivery)).status).toBe(200);
  });

  it('an expired lease cannot be extended', async () => {
    const { token, delivery } = await whileLeasesAreShort(() => held('l5'));
    await waitFor('the lease to run out', () => Date.parse(delivery.leaseExpiresAt) < Date.now() - 100);
    expect(refusal(await messaging.settle(token, delivery, 'extend'))).toEqual([409, 'stale_lease']);
  });

  it('a recipient holds at most max_unacked leases, and gets the next delivery after an ack', async () => {
    messaging.tune({ maxUnacked: 3 });
    const token = await test.register('l6');
    const messages = Array.from({ length: 5 }, (_, index) => ({ id: `u-${index}`, to: { agent: 'l6' } }));
    await messaging.send(test.tokens.admin, ...messages);
    const [first, ...more] = await messaging.receive('l6', token, '?max=10');
    expect(more).toHaveLength(2);
    expect(await messaging.receive('l6', token, '?max=10')).toEqual([]);
    if (first) await messaging.settle(token, first);
    expect(idsOf(await messaging.receive('l6', token, '?max=10'))).toEqual(['u-3']);
    messaging.tune({ maxUnacked: 100 });
  });
});

describe('acks', () => {
  it('each ack of a batch has its own outcome', async () => {
    const { token, delivery } = await held('a1');
    const foreign = await held('a2');
    const acks = [
      { id: delivery.id, leaseToken: delivery.leaseToken },
      { id: delivery.id, leaseToken: delivery.leaseToken },
      { id: delivery.id, leaseToken: foreign.delivery.leaseToken },
      { id: foreign.delivery.id, leaseToken: foreign.delivery.leaseToken },
      { id: 'dl_zz_zz', leaseToken: delivery.leaseToken },
      { id: "'; drop table deliveries; --", leaseToken: "' or true" },
    ];
    const { status, body } = await test.call('POST', '/v1/deliveries/ack', { token, body: { acks } });
    expect(status).toBe(200);
    expect(
      (body as { results: { acked: boolean; error?: { code: string } }[] }).results.map(({ acked, error }) =>
        acked ? 'acked' : error?.code,
      ),
    ).toEqual(['acked', 'acked', 'stale_lease', 'not_found', 'not_found', 'not_found']);
    expect((await messaging.settle(foreign.token, foreign.delivery)).status).toBe(200);
  });

  it('a repeated ack is confirmed again, and an acked delivery is not delivered again', async () => {
    const { token, delivery } = await held('a3');
    for (const _time of [1, 2, 3]) expect((await messaging.settle(token, delivery)).status).toBe(200);
    expect(refusal(await messaging.settle(token, delivery, 'nack'))).toEqual([409, 'stale_lease']);
    expect(refusal(await messaging.settle(token, delivery, 'extend'))).toEqual([409, 'stale_lease']);
    expect(await messaging.receive('a3', token)).toEqual([]);
  });
});

describe('a negative acknowledgement', () => {
  it('a nacked delivery is delivered again after the requested delay', async () => {
    const { token, delivery } = await held('n1');
    expect((await messaging.settle(token, delivery, 'nack', { delaySeconds: 0 })).body).toEqual({
      id: delivery.id,
      outcome: 'waiting',
    });
    const second = only(await messaging.receive('n1', token));
    expect(second).toMatchObject({ id: delivery.id, attempt: 2 });
    await messaging.settle(token, second, 'nack', { delaySeconds: 3600 });
    expect(await messaging.receive('n1', token)).toEqual([]);
    expect(await messaging.trace('to-n1')).toMatchObject({ deliveries: [{ state: 'waiting', attempts: 2 }] });
  });

  it('a nacked delivery ends a long poll of its recipient when its delay has passed', async () => {
    const { token, delivery } = await held('n2');
    const polled = messaging.receive('n2', token, '?waitSeconds=20');
    await messaging.settle(token, delivery, 'nack', { delaySeconds: 0.2 });
    expect(only(await polled)).toMatchObject({ id: delivery.id, attempt: 2 });
  });

  it('a delivery whose client is gone when it is leased is available at once and loses no attempt', async () => {
    const { token, delivery: first } = await held('goes');
    await messaging.settle(token, first);
    const leaving = new AbortController();
    const polled = test
      .call('GET', '/v1/agents/goes/inbox?waitSeconds=20', { token, signal: leaving.signal })
      .catch((error: unknown) => error);
    await waitFor('the poll to wait', () => test.deps.notifier.waiting === 1);
    await inTransaction(test.databases.communication, async (tx) => {
      // The lease waits for this lock, so that the client goes before it is taken.
      await sql`select from inbox_cursors c join inboxes i on i.no = c.inbox_no
        where i.agent_id = 'goes' for update of c`.execute(tx);
      await messaging.send(test.tokens.admin, { id: 'for-goes', to: { agent: 'goes' } });
      await waitFor('the poll to lease', () => test.deps.notifier.waiting === 0);
      leaving.abort();
      await polled;
      // Served after the disconnect was seen.
      await test.call('GET', '/livez');
    });
    const again = only(await messaging.receive('goes', token, '?waitSeconds=10'));
    expect(again).toMatchObject({ message: { id: 'for-goes' }, attempt: 1 });
    expect((await messaging.settle(token, again)).status).toBe(200);
  });

  it('a final nack makes the delivery a dead letter with the given reason', async () => {
    const { token, delivery } = await held('n3');
    const answer = await messaging.settle(token, delivery, 'nack', { final: true, reason: 'cannot parse "x"' });
    expect(answer.body).toEqual({ id: delivery.id, outcome: 'dead' });
    expect(only(await messaging.deadLetters('?recipient=n3'))).toMatchObject({
      reason: 'rejected',
      detail: 'cannot parse "x"',
      attempts: 1,
      state: 'dead',
    });
    expect(await messaging.receive('n3', token)).toEqual([]);
  });

  it('a delivery nacked at its last attempt becomes a dead letter', async () => {
    messaging.tune({ tries: 2 });
    const { token, delivery } = await held('n4');
    expect((await messaging.settle(token, delivery, 'nack', { reason: 'one' })).body).toMatchObject({
      outcome: 'waiting',
    });
    const second = only(await messaging.receive('n4', token));
    expect((await messaging.settle(token, second, 'nack', { reason: 'two' })).body).toMatchObject({ outcome: 'dead' });
    messaging.tune({ tries: 5 });
    const letter = only(await messaging.deadLetters('?recipient=n4'));
    expect(letter).toMatchObject({ reason: 'tries_exhausted', attempts: 2 });
    expect(letter.detail).toContain('two');
    expect((await messaging.trace('to-n4')).hops.map(({ what }) => what)).toEqual([
      'accepted',
      'matched',
      'leased',
      'nacked',
      'leased',
      'nacked',
      'dead',
    ]);
  });

  it('a delivery whose last lease expires without an ack becomes a dead letter', async () => {
    messaging.tune({ tries: 1 });
    const { token } = await whileLeasesAreShort(() => held('n5'));
    const letter = await waitFor('the last lease to run out', async () => {
      expect(await messaging.receive('n5', token)).toEqual([]);
      return (await messaging.deadLetters('?recipient=n5'))[0];
    });
    messaging.tune({ tries: 5 });
    expect(letter).toMatchObject({ reason: 'tries_exhausted', attempts: 1 });
  });

  it('a delivery that waits for its retry does not delay the deliveries behind it', async () => {
    const { token, delivery } = await held('n6');
    await messaging.send(test.tokens.admin, { id: 'healthy', to: { agent: 'n6' } });
    await messaging.settle(token, delivery, 'nack', { delaySeconds: 3600 });
    expect(idsOf(await messaging.receive('n6', token))).toEqual(['healthy']);
  });

  it('an unacked delivery delays later ones of its partition key, and none of another key', async () => {
    const token = await test.register('n7');
    const to = { agent: 'n7' };
    await messaging.send(
      test.tokens.admin,
      { id: 'k1-1', to, partitionKey: 'k1' },
      { id: 'k1-2', to, partitionKey: 'k1' },
      { id: 'k2-1', to, partitionKey: 'k2' },
      { id: 'free', to },
    );
    const received = await messaging.receive('n7', token, '?max=1');
    expect(idsOf(received)).toEqual(['k1-1']);
    expect(idsOf(await messaging.receive('n7', token))).toEqual(['k2-1', 'free']);
    const [first] = received;
    if (first) await messaging.settle(token, first, 'nack', { delaySeconds: 0 });
    // The retried delivery comes before the next one of its key.
    const retried = await messaging.receive('n7', token);
    expect(retried[0]).toMatchObject({ attempt: 2, message: { id: 'k1-1' } });
    for (const each of retried) await messaging.settle(token, each);
    expect(idsOf([...retried.slice(1), ...(await messaging.receive('n7', token))])).toEqual(['k1-2']);
  });
});

describe('time to live', () => {
  it('a message that is not leased within its time to live becomes a dead letter and is not delivered', async () => {
    const token = await test.register('t1');
    await messaging.send(test.tokens.admin, { id: 'short', to: { agent: 't1' }, ttlSeconds: 1 });
    await messaging.send(test.tokens.admin, { id: 'long', to: { agent: 't1' } });
    const letter = await waitFor('its time to live to end', async () => {
      await expireMessagesAndSubscriptions(test.maintenance);
      return (await messaging.deadLetters('?recipient=t1'))[0];
    });
    expect(letter).toMatchObject({ messageId: 'short', reason: 'expired', attempts: 0 });
    expect(idsOf(await messaging.receive('t1', token))).toEqual(['long']);
  });

  it('a leased delivery is not dead-lettered when its time to live ends, and can be acked', async () => {
    const { token, delivery } = await held('t2', { ttlSeconds: 1 });
    await waitFor(
      'its time to live to end',
      async () => Date.parse((await messaging.trace('to-t2')).expiresAt) < Date.now() - 50,
    );
    await expireMessagesAndSubscriptions(test.maintenance);
    expect(await messaging.deadLetters('?recipient=t2')).toEqual([]);
    expect((await messaging.settle(token, delivery)).status).toBe(200);
  });
});

describe('dead letters', () => {
  const act = (id: string, what: 'replay' | 'discard') =>
    test.call('POST', `/v1/dead-letters/${id}/${what}`, { token: test.tokens.orchestrator });
  const deadLettered = async (agentId: string): Promise<{ token: string; letter: DeadLetterView }> => {
    const { token, delivery } = await held(agentId);
    await messaging.settle(token, delivery, 'nack', { final: true });
    return { token, letter: only(await messaging.deadLetters(`?recipient=${agentId}`)) };
  };

  it('a dead letter is replayed once, with a full number of attempts', async () => {
    const { token, letter } = await deadLettered('d1');
    const { status, body } = await act(letter.id, 'replay');
    expect(status).toBe(200);
    expect(body).toMatchObject({ matched: 1, deadLetter: { id: letter.id, state: 'replayed' } });
    expect((body as { deadLetter: DeadLetterView }).deadLetter.endedBy).toMatch(/^orchestrator:tok_/);
    expect(refusal(await act(letter.id, 'replay'))).toEqual([409, 'state_conflict']);
    expect(refusal(await act(letter.id, 'discard'))).toEqual([409, 'state_conflict']);
    const delivery = only(await messaging.receive('d1', token));
    expect(delivery).toMatchObject({ attempt: 1, sequence: 2, message: { id: 'to-d1' } });
    expect((await messaging.settle(token, delivery)).status).toBe(200);
    expect((await messaging.trace('to-d1')).hops.map(({ what }) => what)).toEqual([
      'accepted',
      'matched',
      'leased',
      'nacked',
      'dead',
      'replayed',
      'leased',
      'acked',
    ]);
  });

  it('a dead letter that is replayed concurrently is delivered once', async () => {
    const { token, letter } = await deadLettered('d2');
    const answers = await Promise.all(Array.from({ length: 10 }, () => act(letter.id, 'replay')));
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([
      200,
      ...Array.from({ length: 9 }, () => 409),
    ]);
    expect(await messaging.receive('d2', token)).toHaveLength(1);
  });

  it('a discarded dead letter is not delivered and cannot be replayed', async () => {
    const { token, letter } = await deadLettered('d3');
    expect((await act(letter.id, 'discard')).body).toMatchObject({ deadLetter: { state: 'discarded' } });
    expect(refusal(await act(letter.id, 'replay'))).toEqual([409, 'state_conflict']);
    expect(refusal(await act(letter.id, 'discard'))).toEqual([409, 'state_conflict']);
    expect(await messaging.receive('d3', token)).toEqual([]);
    expect(await messaging.deadLetters('?recipient=d3&state=dead')).toEqual([]);
    expect(await messaging.deadLetters('?recipient=d3&state=discarded')).toHaveLength(1);
    expect((await messaging.trace('to-d3')).hops.slice(-2).map(({ what }) => what)).toEqual(['dead', 'discarded']);
  });

  it('a dead letter without a recipient can be replayed once its recipient is registered', async () => {
    await messaging.send(test.tokens.admin, { id: 'early', to: { agent: 'late' } });
    const letter = only(await messaging.deadLetters('?recipient=late'));
    expect(refusal(await act(letter.id, 'replay'))).toEqual([409, 'state_conflict']);
    const token = await test.register('late');
    expect((await act(letter.id, 'replay')).body).toMatchObject({ matched: 1 });
    expect(idsOf(await messaging.receive('late', token))).toEqual(['early']);
  });

  it('replaying a dead letter of a missing topic publishes it once the topic exists', async () => {
    await messaging.send(test.tokens.admin, { id: 'topical', to: { topic: 'later.on' } });
    const letter = only(
      (await messaging.deadLetters('?reason=unknown_topic')).filter((l) => l.messageId === 'topical'),
    );
    const tokens = [await test.register('sub-1'), await test.register('sub-2')];
    await test.call('POST', '/v1/topics', { token: test.tokens.admin, body: { name: 'later.on' } });
    for (const id of ['sub-1', 'sub-2']) {
      const body = { pattern: 'later.*' };
      await test.call('POST', `/v1/agents/${id}/subscriptions`, { token: test.tokens.admin, body });
    }
    expect((await act(letter.id, 'replay')).body).toMatchObject({ matched: 2 });
    expect(idsOf(await messaging.receive('sub-1', tokens[0] ?? ''))).toEqual(['topical']);
    expect(idsOf(await messaging.receive('sub-2', tokens[1] ?? ''))).toEqual(['topical']);
  });

  it('dead letters are listed newest first, page by page, by state, reason, recipient and cluster', async () => {
    await test.register('d4');
    await messaging.route('cl_d4', { d4: [] });
    for (const n of [1, 2, 3])
      await messaging.send(test.tokens.admin, { id: `p-${n}`, to: { role: 'x', cluster: 'cl_d4' } });
    const page = async (query: string) =>
      (await test.call('GET', `/v1/dead-letters?clusterId=cl_d4${query}`, { token: test.tokens.viewer })).body as {
        deadLetters: DeadLetterView[];
        nextCursor: string | null;
      };
    const first = await page('&limit=2');
    expect(first.deadLetters.map(({ messageId }) => messageId)).toEqual(['p-3', 'p-2']);
    const second = await page(`&limit=2&cursor=${first.nextCursor}`);
    expect([second.deadLetters.map(({ messageId }) => messageId), second.nextCursor]).toEqual([['p-1'], null]);
    expect((await page('&reason=no_subscriber')).deadLetters).toHaveLength(3);
    expect((await page('&reason=expired')).deadLetters).toEqual([]);
    expect((await page('&state=replayed')).deadLetters).toEqual([]);
  });

  it.each(['dead_0', 'dead_999999999', 'dead_99999999999999999999', 'nonsense'])(
    'replaying or discarding the unknown dead letter %s gets 404',
    async (id) => {
      expect(refusal(await act(id, 'replay'))).toEqual([404, 'not_found']);
      expect(refusal(await act(id, 'discard'))).toEqual([404, 'not_found']);
    },
  );
});
