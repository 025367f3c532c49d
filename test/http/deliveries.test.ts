import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expireMessagesAndSubscriptions } from '../../src/maintenance/message-expirer.js';
import type { DeliveryView } from '../../src/contracts/inbox.js';
import type { DeadLetterView } from '../../src/contracts/messages.js';
import { waitFor } from '../support/wait-for.js';
import { codeOf, idsOf, mailingOf, only, type Mailing } from './messaging-fixture.js';
import { startTestApi, type Answer, type TestApi } from './support.js';

let test: TestApi;
let mail: Mailing;
beforeAll(async () => {
  test = await startTestApi({ communication: { retryDelaysSeconds: [0] } });
  mail = mailingOf(test);
});
afterAll(() => test.stop());

/** An agent with one message in its inbox, leased. */
async function held(agentId: string, more: object = {}): Promise<{ token: string; delivery: DeliveryView }> {
  const token = await test.register(agentId);
  await mail.send(test.tokens.admin, { id: `to-${agentId}`, to: { agent: agentId }, ...more });
  return { token, delivery: only(await mail.receive(agentId, token)) };
}

const refusal = (answer: Answer): [number, string] => [answer.status, codeOf(answer)];

/** Mail that was leased for a second, once that second is over. */
const again = (agentId: string, token: string) =>
  waitFor('the lease to run out', async () => {
    const deliveries = await mail.receive(agentId, token);
    return deliveries.length > 0 ? deliveries : undefined;
  });

async function whileLeasesAreShort<Result>(work: () => Promise<Result>): Promise<Result> {
  const { leaseSeconds } = test.deps.request.config().communication;
  mail.tune({ leaseSeconds: 1 });
  try {
    return await work();
  } finally {
    mail.tune({ leaseSeconds });
  }
}

describe('a lease', () => {
  it('keeps a delivery from being handed over twice, and ends by itself', async () => {
    const { token, delivery } = await whileLeasesAreShort(() => held('l1'));
    expect(await mail.receive('l1', token)).toEqual([]);
    const second = only(await again('l1', token));
    expect(second).toMatchObject({ id: delivery.id, sequence: delivery.sequence, attempt: 2 });
    expect(second.leaseToken).not.toBe(delivery.leaseToken);
    expect((await mail.way('to-l1')).hops.map(({ what }) => what)).toEqual([
      'accepted',
      'matched',
      'leased',
      'lease_expired',
      'leased',
    ]);
  });

  it('that went to another attempt is stale: a late ack, nack or extension hits nothing', async () => {
    const { token, delivery } = await whileLeasesAreShort(() => held('l2'));
    const second = only(await again('l2', token));
    for (const what of ['ack', 'nack', 'extend'] as const) {
      expect([what, ...refusal(await mail.settle(token, delivery, what))]).toEqual([what, 409, 'stale_lease']);
    }
    expect(await mail.way('to-l2')).toMatchObject({ deliveries: [{ state: 'leased', attempts: 2 }] });
    expect((await mail.settle(token, second)).status).toBe(200);
    expect(await mail.way('to-l2')).toMatchObject({ deliveries: [{ state: 'acked' }] });
  });

  it('takes a late ack as long as nobody else has the delivery', async () => {
    const { token, delivery } = await whileLeasesAreShort(() => held('l3'));
    await waitFor('the lease to run out', () => Date.parse(delivery.leaseExpiresAt) < Date.now() - 100);
    expect((await mail.settle(token, delivery)).status).toBe(200);
    expect(await mail.receive('l3', token)).toEqual([]);
  });

  it('is prolonged while it is held, counted from now', async () => {
    const { token, delivery } = await whileLeasesAreShort(() => held('l4'));
    await mail.send(test.tokens.admin, { id: 'beside', to: { agent: 'l4' } });
    const beside = only(await whileLeasesAreShort(() => mail.receive('l4', token)));
    const extended = await mail.settle(token, delivery, 'extend', { leaseSeconds: 60 });
    const { leaseExpiresAt } = extended.body as { leaseExpiresAt: string };
    expect(extended.status).toBe(200);
    expect(Date.parse(leaseExpiresAt) - Date.now()).toBeGreaterThan(55_000);
    // The one that was not prolonged comes again, the other stays where it is.
    expect(idsOf(await again('l4', token))).toEqual([beside.message.id]);
    expect((await mail.settle(token, delivery)).status).toBe(200);
  });

  it('cannot be prolonged once it is over', async () => {
    const { token, delivery } = await whileLeasesAreShort(() => held('l5'));
    await waitFor('the lease to run out', () => Date.parse(delivery.leaseExpiresAt) < Date.now() - 100);
    expect(refusal(await mail.settle(token, delivery, 'extend'))).toEqual([409, 'stale_lease']);
  });

  it('is of as many deliveries as a recipient may hold, and goes on after an ack', async () => {
    mail.tune({ maxUnacked: 3 });
    const token = await test.register('l6');
    const messages = Array.from({ length: 5 }, (_, index) => ({ id: `u-${index}`, to: { agent: 'l6' } }));
    await mail.send(test.tokens.admin, ...messages);
    const [first, ...more] = await mail.receive('l6', token, '?max=10');
    expect(more).toHaveLength(2);
    expect(await mail.receive('l6', token, '?max=10')).toEqual([]);
    if (first) await mail.settle(token, first);
    expect(idsOf(await mail.receive('l6', token, '?max=10'))).toEqual(['u-3']);
    mail.tune({ maxUnacked: 100 });
  });
});

describe('acks', () => {
  it('of many have an outcome each', async () => {
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
    expect((await mail.settle(foreign.token, foreign.delivery)).status).toBe(200);
  });

  it('that were confirmed are confirmed again, and nothing is handed over after them', async () => {
    const { token, delivery } = await held('a3');
    for (const _time of [1, 2, 3]) expect((await mail.settle(token, delivery)).status).toBe(200);
    expect(refusal(await mail.settle(token, delivery, 'nack'))).toEqual([409, 'stale_lease']);
    expect(refusal(await mail.settle(token, delivery, 'extend'))).toEqual([409, 'stale_lease']);
    expect(await mail.receive('a3', token)).toEqual([]);
  });
});

describe('a delivery that is given back', () => {
  it('comes again at once, or after the delay that was asked for', async () => {
    const { token, delivery } = await held('n1');
    expect((await mail.settle(token, delivery, 'nack', { delaySeconds: 0 })).body).toEqual({
      id: delivery.id,
      outcome: 'waiting',
    });
    const second = only(await mail.receive('n1', token));
    expect(second).toMatchObject({ id: delivery.id, attempt: 2 });
    await mail.settle(token, second, 'nack', { delaySeconds: 3600 });
    expect(await mail.receive('n1', token)).toEqual([]);
    expect(await mail.way('to-n1')).toMatchObject({ deliveries: [{ state: 'waiting', attempts: 2 }] });
  });

  it('wakes a long poll of its recipient when its delay is over', async () => {
    const { token, delivery } = await held('n2');
    const polled = mail.receive('n2', token, '?waitSeconds=20');
    await mail.settle(token, delivery, 'nack', { delaySeconds: 0.2 });
    expect(only(await polled)).toMatchObject({ id: delivery.id, attempt: 2 });
  });

  it('for good is a dead letter with the reason that was given', async () => {
    const { token, delivery } = await held('n3');
    const answer = await mail.settle(token, delivery, 'nack', { final: true, reason: 'cannot parse "x"' });
    expect(answer.body).toEqual({ id: delivery.id, outcome: 'dead' });
    expect(only(await mail.deadLetters('?recipient=n3'))).toMatchObject({
      reason: 'rejected',
      detail: 'cannot parse "x"',
      attempts: 1,
      state: 'dead',
    });
    expect(await mail.receive('n3', token)).toEqual([]);
  });

  it('after its last try is a dead letter', async () => {
    mail.tune({ tries: 2 });
    const { token, delivery } = await held('n4');
    expect((await mail.settle(token, delivery, 'nack', { reason: 'one' })).body).toMatchObject({ outcome: 'waiting' });
    const second = only(await mail.receive('n4', token));
    expect((await mail.settle(token, second, 'nack', { reason: 'two' })).body).toMatchObject({ outcome: 'dead' });
    mail.tune({ tries: 5 });
    const letter = only(await mail.deadLetters('?recipient=n4'));
    expect(letter).toMatchObject({ reason: 'tries_exhausted', attempts: 2 });
    expect(letter.detail).toContain('two');
    expect((await mail.way('to-n4')).hops.map(({ what }) => what)).toEqual([
      'accepted',
      'matched',
      'leased',
      'nacked',
      'leased',
      'nacked',
      'dead',
    ]);
  });

  it('never, by a consumer that says nothing, is a dead letter as well', async () => {
    mail.tune({ tries: 1 });
    const { token } = await whileLeasesAreShort(() => held('n5'));
    const letter = await waitFor('the last lease to run out', async () => {
      expect(await mail.receive('n5', token)).toEqual([]);
      return (await mail.deadLetters('?recipient=n5'))[0];
    });
    mail.tune({ tries: 5 });
    expect(letter).toMatchObject({ reason: 'tries_exhausted', attempts: 1 });
  });

  it('holds up nobody else’s mail: a poison message is passed over', async () => {
    const { token, delivery } = await held('n6');
    await mail.send(test.tokens.admin, { id: 'healthy', to: { agent: 'n6' } });
    await mail.settle(token, delivery, 'nack', { delaySeconds: 3600 });
    expect(idsOf(await mail.receive('n6', token))).toEqual(['healthy']);
  });

  it('holds back later ones of its partition key, and none of another', async () => {
    const token = await test.register('n7');
    const to = { agent: 'n7' };
    await mail.send(
      test.tokens.admin,
      { id: 'k1-1', to, partitionKey: 'k1' },
      { id: 'k1-2', to, partitionKey: 'k1' },
      { id: 'k2-1', to, partitionKey: 'k2' },
      { id: 'free', to },
    );
    const received = await mail.receive('n7', token, '?max=1');
    expect(idsOf(received)).toEqual(['k1-1']);
    expect(idsOf(await mail.receive('n7', token))).toEqual(['k2-1', 'free']);
    const [first] = received;
    if (first) await mail.settle(token, first, 'nack', { delaySeconds: 0 });
    // The same one again, before its successor.
    const retried = await mail.receive('n7', token);
    expect(retried[0]).toMatchObject({ attempt: 2, message: { id: 'k1-1' } });
    for (const each of retried) await mail.settle(token, each);
    expect(idsOf([...retried.slice(1), ...(await mail.receive('n7', token))])).toEqual(['k1-2']);
  });
});

describe('time to live', () => {
  it('ends mail that nobody fetched as a dead letter, and never hands it over', async () => {
    const token = await test.register('t1');
    await mail.send(test.tokens.admin, { id: 'short', to: { agent: 't1' }, ttlSeconds: 1 });
    await mail.send(test.tokens.admin, { id: 'long', to: { agent: 't1' } });
    const letter = await waitFor('its time to be over', async () => {
      await expireMessagesAndSubscriptions(test.maintenance);
      return (await mail.deadLetters('?recipient=t1'))[0];
    });
    expect(letter).toMatchObject({ messageId: 'short', reason: 'expired', attempts: 0 });
    expect(idsOf(await mail.receive('t1', token))).toEqual(['long']);
  });

  it('does not take mail out of the hands of one who works on it', async () => {
    const { token, delivery } = await held('t2', { ttlSeconds: 1 });
    await waitFor('its time to be over', async () => Date.parse((await mail.way('to-t2')).expiresAt) < Date.now() - 50);
    await expireMessagesAndSubscriptions(test.maintenance);
    expect(await mail.deadLetters('?recipient=t2')).toEqual([]);
    expect((await mail.settle(token, delivery)).status).toBe(200);
  });
});

describe('dead letters', () => {
  const act = (id: string, what: 'replay' | 'discard') =>
    test.call('POST', `/v1/dead-letters/${id}/${what}`, { token: test.tokens.orchestrator });
  const buried = async (agentId: string): Promise<{ token: string; letter: DeadLetterView }> => {
    const { token, delivery } = await held(agentId);
    await mail.settle(token, delivery, 'nack', { final: true });
    return { token, letter: only(await mail.deadLetters(`?recipient=${agentId}`)) };
  };

  it('are replayed once, with all their tries', async () => {
    const { token, letter } = await buried('d1');
    const { status, body } = await act(letter.id, 'replay');
    expect(status).toBe(200);
    expect(body).toMatchObject({ matched: 1, deadLetter: { id: letter.id, state: 'replayed' } });
    expect((body as { deadLetter: DeadLetterView }).deadLetter.endedBy).toMatch(/^orchestrator:tok_/);
    expect(refusal(await act(letter.id, 'replay'))).toEqual([409, 'state_conflict']);
    expect(refusal(await act(letter.id, 'discard'))).toEqual([409, 'state_conflict']);
    const delivery = only(await mail.receive('d1', token));
    expect(delivery).toMatchObject({ attempt: 1, sequence: 2, message: { id: 'to-d1' } });
    expect((await mail.settle(token, delivery)).status).toBe(200);
    expect((await mail.way('to-d1')).hops.map(({ what }) => what)).toEqual([
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

  it('are replayed once by many at a time', async () => {
    const { token, letter } = await buried('d2');
    const answers = await Promise.all(Array.from({ length: 10 }, () => act(letter.id, 'replay')));
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([
      200,
      ...Array.from({ length: 9 }, () => 409),
    ]);
    expect(await mail.receive('d2', token)).toHaveLength(1);
  });

  it('are let go', async () => {
    const { token, letter } = await buried('d3');
    expect((await act(letter.id, 'discard')).body).toMatchObject({ deadLetter: { state: 'discarded' } });
    expect(refusal(await act(letter.id, 'replay'))).toEqual([409, 'state_conflict']);
    expect(refusal(await act(letter.id, 'discard'))).toEqual([409, 'state_conflict']);
    expect(await mail.receive('d3', token)).toEqual([]);
    expect(await mail.deadLetters('?recipient=d3&state=dead')).toEqual([]);
    expect(await mail.deadLetters('?recipient=d3&state=discarded')).toHaveLength(1);
    expect((await mail.way('to-d3')).hops.slice(-2).map(({ what }) => what)).toEqual(['dead', 'discarded']);
  });

  it('that matched nobody find their recipient when it is there', async () => {
    await mail.send(test.tokens.admin, { id: 'early', to: { agent: 'late' } });
    const letter = only(await mail.deadLetters('?recipient=late'));
    expect(refusal(await act(letter.id, 'replay'))).toEqual([409, 'state_conflict']);
    const token = await test.register('late');
    expect((await act(letter.id, 'replay')).body).toMatchObject({ matched: 1 });
    expect(idsOf(await mail.receive('late', token))).toEqual(['early']);
  });

  it('of a topic that was not there are published by their replay', async () => {
    await mail.send(test.tokens.admin, { id: 'topical', to: { topic: 'later.on' } });
    const letter = only((await mail.deadLetters('?reason=unknown_topic')).filter((l) => l.messageId === 'topical'));
    const tokens = [await test.register('sub-1'), await test.register('sub-2')];
    await test.call('POST', '/v1/topics', { token: test.tokens.admin, body: { name: 'later.on' } });
    for (const id of ['sub-1', 'sub-2']) {
      const body = { pattern: 'later.*' };
      await test.call('POST', `/v1/agents/${id}/subscriptions`, { token: test.tokens.admin, body });
    }
    expect((await act(letter.id, 'replay')).body).toMatchObject({ matched: 2 });
    expect(idsOf(await mail.receive('sub-1', tokens[0] ?? ''))).toEqual(['topical']);
    expect(idsOf(await mail.receive('sub-2', tokens[1] ?? ''))).toEqual(['topical']);
  });

  it('are listed newest first, page by page, by state, reason, recipient and cluster', async () => {
    await test.register('d4');
    await mail.route('cl_d4', { d4: [] });
    for (const n of [1, 2, 3])
      await mail.send(test.tokens.admin, { id: `p-${n}`, to: { role: 'x', cluster: 'cl_d4' } });
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

  it.each(['dead_0', 'dead_999999999', 'dead_99999999999999999999', 'nonsense'])('%s is not there', async (id) => {
    expect(refusal(await act(id, 'replay'))).toEqual([404, 'not_found']);
    expect(refusal(await act(id, 'discard'))).toEqual([404, 'not_found']);
  });
});
