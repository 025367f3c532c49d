import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageLimitBytes } from '../../src/contracts/messages.js';
import { codeOf, idsOf, messagingOf, only, type MessagingCalls } from './messaging-fixture.js';
import { startTestApi, type TestApi } from './support.js';

describe.each([{ wakeUps: true }, { wakeUps: false }])('messages, with notifications: $wakeUps', ({ wakeUps }) => {
  let test: TestApi;
  let messaging: MessagingCalls;
  beforeAll(async () => {
    test = await startTestApi({ communication: { wakeUps } });
    messaging = messagingOf(test);
  });
  afterAll(() => test.stop());

  describe('a message', () => {
    it('a message reaches its recipient unchanged, with the source and time that the server adds', async () => {
      const [ada, bob] = [await test.register('ada'), await test.register('bob')];
      const message = {
        id: 'm-1',
        to: { agent: 'bob' },
        type: 'question',
        data: { text: 'why? – "weil"\u2028', deep: [1, { two: null }] },
        correlationId: 'talk 7',
        partitionKey: 'p',
        ttlSeconds: 60,
      };
      expect(await messaging.send(ada, message)).toEqual([{ id: 'm-1', accepted: true, matched: 1 }]);
      const delivery = only(await messaging.receive('bob', bob));
      expect(delivery).toMatchObject({ attempt: 1, sequence: 1 });
      expect(delivery.message).toEqual({
        id: 'm-1',
        source: 'ada',
        type: 'question',
        time: expect.any(String) as string,
        datacontenttype: 'application/json',
        to: { agent: 'bob' },
        clusterId: null,
        epoch: null,
        topic: null,
        correlationId: 'talk 7',
        replyTo: 'ada',
        partitionKey: 'p',
        data: message.data,
      });
      expect((await messaging.settle(bob, delivery)).status).toBe(200);
      expect(await messaging.receive('bob', bob)).toEqual([]);
    });

    it('a message without an id gets one, and its omitted fields are null', async () => {
      const token = await test.register('plain');
      const { id } = only(await messaging.send(test.tokens.admin, { to: { agent: 'plain' }, data: null }));
      expect(id).toMatch(/^msg_[0-9a-f-]{36}$/);
      expect(only(await messaging.receive('plain', token)).message).toMatchObject({ id, data: null, replyTo: null });
    });

    it('a message of an orchestrator has a source that no agent can register as its id', async () => {
      const token = await test.register('reader');
      await messaging.send(test.tokens.orchestrator, { to: { agent: 'reader' } });
      const { source } = only(await messaging.receive('reader', token)).message;
      expect(source).toMatch(/^\/orchestrator\/tok_/);
      const taken = await test.call('POST', '/v1/agents', { token: test.tokens.enrolment, body: { id: source } });
      expect([taken.status, codeOf(taken)]).toEqual([400, 'invalid_request']);
    });

    it('messages of one sender are delivered in the order of their calls, in batches and singly', async () => {
      const [from, token] = [await test.register('writer'), await test.register('ordered')];
      const batch = Array.from({ length: 20 }, (_, index) => ({ id: `o-${index}`, to: { agent: 'ordered' } }));
      await messaging.send(from, ...batch);
      for (const index of [20, 21, 22]) await messaging.send(from, { id: `o-${index}`, to: { agent: 'ordered' } });
      const received = await messaging.receive('ordered', token, '?max=100');
      expect(idsOf(received)).toEqual(Array.from({ length: 23 }, (_, index) => `o-${index}`));
      expect(received.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 23 }, (_, index) => index + 1));
    });

    it('a message ends a long poll of its recipient', async () => {
      const token = await test.register('sleeper');
      const polled = messaging.receive('sleeper', token, '?waitSeconds=20');
      await messaging.send(test.tokens.admin, { id: 'wake', to: { agent: 'sleeper' } });
      expect(idsOf(await polled)).toEqual(['wake']);
    });

    it('a message trace lists every hop for the sender, the recipient and operators', async () => {
      const [from, to] = [await test.register('trace-from'), await test.register('trace-to')];
      await messaging.send(from, { id: 'trace', to: { agent: 'trace-to' } });
      const first = only(await messaging.receive('trace-to', to));
      await messaging.settle(to, first, 'nack', { delaySeconds: 0, reason: 'busy' });
      const second = only(await messaging.receive('trace-to', to));
      expect(second).toMatchObject({ id: first.id, attempt: 2 });
      expect(await messaging.trace('trace')).toMatchObject({
        deliveries: [{ id: first.id, state: 'leased', attempts: 2 }],
      });
      await messaging.settle(to, second);
      for (const token of [from, to, test.tokens.viewer]) {
        const trace = await messaging.trace('trace', token);
        expect(trace).toMatchObject({ id: 'trace', source: 'trace-from', to: { agent: 'trace-to' }, matched: 1 });
        expect(trace).toMatchObject({ operationId: null, temporalUrl: null });
        expect(trace.deliveries).toEqual([
          { id: first.id, recipient: 'trace-to', state: 'acked', attempts: 2, via: 'agent' },
        ]);
        expect(trace.hops.map(({ what, recipient }) => [what, recipient])).toEqual([
          ['accepted', null],
          ['matched', null],
          ['leased', 'trace-to'],
          ['nacked', 'trace-to'],
          ['leased', 'trace-to'],
          ['acked', 'trace-to'],
        ]);
        expect(trace.hops[3]?.detail).toBe('busy');
      }
    });
  });

  describe('an address', () => {
    const tokens = new Map<string, string>();
    const inboxes = async (): Promise<Record<string, string[]>> => {
      const all: [string, string[]][] = [];
      for (const [id, token] of tokens) {
        const deliveries = await messaging.receive(id, token, '?max=100');
        for (const delivery of deliveries) await messaging.settle(token, delivery);
        if (deliveries.length > 0) all.push([id, idsOf(deliveries)]);
      }
      return Object.fromEntries(all);
    };
    const tokenOf = (id: string): string => tokens.get(id) ?? '';
    beforeAll(async () => {
      for (const id of ['lead', 'worker', 'shared', 'other', 'loner']) {
        const capabilities = id === 'worker' || id === 'other' ? ['ocr'] : id === 'loner' ? ['rare@2'] : [];
        tokens.set(id, await test.register(id, { capabilities }));
      }
      await messaging.route('cl_one', { lead: ['lead'], worker: ['hand'], shared: [] });
      await messaging.route('cl_two', { shared: ['hand'], other: [] }, 4);
    });

    it('a message to a role is delivered to its holder in that cluster', async () => {
      const result = only(await messaging.send(tokenOf('lead'), { id: 'r', to: { role: 'hand', cluster: 'cl_one' } }));
      expect(result).toEqual({ id: 'r', accepted: true, matched: 1 });
      expect(await inboxes()).toEqual({ worker: ['r'] });
      expect(await messaging.trace('r')).toMatchObject({
        clusterId: 'cl_one',
        epoch: 1,
        deliveries: [{ via: 'role:hand' }],
      });
    });

    it('a message to a capability is delivered to an agent that has it, in the fleet or in a cluster', async () => {
      await messaging.send(tokenOf('lead'), { id: 'c1', to: { capability: 'ocr', cluster: 'cl_two' } });
      expect(await inboxes()).toEqual({ other: ['c1'] });
      await messaging.send(tokenOf('worker'), { id: 'c2', to: { capability: 'ocr' } });
      // Never to its sender, which has the capability too.
      expect(await inboxes()).toEqual({ other: ['c2'] });
      await messaging.send(tokenOf('lead'), { id: 'c3', to: { capability: 'rare@2' } });
      expect(await inboxes()).toEqual({ loner: ['c3'] });
    });

    it('messages to a capability prefer the agent with fewer open deliveries', async () => {
      const many = Array.from({ length: 10 }, (_, index) => ({ id: `spread-${index}`, to: { capability: 'ocr' } }));
      await messaging.send(tokenOf('lead'), ...many);
      const { worker = [], other = [] } = await inboxes();
      expect([worker.length, other.length]).toEqual([5, 5]);
    });

    it('a message to a cluster is delivered to its members of the current epoch except the sender', async () => {
      await messaging.send(tokenOf('shared'), { id: 'k1', to: { cluster: 'cl_two' } });
      expect(await inboxes()).toEqual({ other: ['k1'] });
      await messaging.send(test.tokens.orchestrator, { id: 'k2', to: { cluster: 'cl_two' } });
      expect(await inboxes()).toEqual({ other: ['k2'], shared: ['k2'] });
      expect(await messaging.trace('k2')).toMatchObject({ clusterId: 'cl_two', epoch: 4, matched: 2 });
    });

    it('a message to several or all clusters is delivered to each member once', async () => {
      const both = only(await messaging.send(tokenOf('lead'), { id: 's1', to: { clusters: ['cl_two', 'cl_one'] } }));
      expect(both).toMatchObject({ matched: 3 });
      expect(await inboxes()).toEqual({ worker: ['s1'], shared: ['s1'], other: ['s1'] });
      await messaging.send(test.tokens.admin, { id: 's2', to: { allClusters: true } });
      expect(await inboxes()).toEqual({ lead: ['s2'], worker: ['s2'], shared: ['s2'], other: ['s2'] });
    });

    it('a message to a cluster follows a change of its membership at once', async () => {
      await messaging.route('cl_two', { shared: ['hand'], loner: [] }, 5);
      await messaging.send(test.tokens.admin, { id: 'f1', to: { cluster: 'cl_two' } });
      expect(await inboxes()).toEqual({ shared: ['f1'], loner: ['f1'] });
      expect(await messaging.trace('f1')).toMatchObject({ epoch: 5 });
    });
  });

  describe('a repeated message id', () => {
    it('a message sent again with its id is a duplicate and delivered once', async () => {
      const [from, to] = [await test.register('dup-from'), await test.register('dup-to')];
      const message = { id: 'd-1', to: { agent: 'dup-to' }, data: { a: 1 } };
      expect(await messaging.send(from, message)).toEqual([{ id: 'd-1', accepted: true, matched: 1 }]);
      expect(await messaging.send(from, message)).toEqual([{ id: 'd-1', accepted: true, matched: 1, duplicate: true }]);
      const delivery = only(await messaging.receive('dup-to', to));
      await messaging.settle(to, delivery);
      expect(only(await messaging.send(from, message))).toMatchObject({ duplicate: true });
      expect(await messaging.receive('dup-to', to)).toEqual([]);
    });

    it('a message id used again with other content is a conflict and changes nothing', async () => {
      const [from, to] = [await test.register('con-from'), await test.register('con-to')];
      await messaging.send(from, { id: 'x-1', to: { agent: 'con-to' }, data: 1 });
      for (const change of [{ data: 2 }, { type: 'other' }, { correlationId: 'c' }, { ttlSeconds: 5 }]) {
        const result = only(await messaging.send(from, { id: 'x-1', to: { agent: 'con-to' }, data: 1, ...change }));
        expect(result).toMatchObject({ accepted: false, error: { code: 'idempotency_conflict' } });
      }
      expect(only(await messaging.receive('con-to', to)).message.data).toBe(1);
    });

    it('a message id repeated within one call is a duplicate, or a conflict with other content', async () => {
      const token = await test.register('twice');
      const to = { agent: 'twice' };
      const results = await messaging.send(
        test.tokens.admin,
        { id: 't', to },
        { id: 't', to },
        { id: 't', to, data: 2 },
      );
      expect(results).toEqual([
        { id: 't', accepted: true, matched: 1 },
        { id: 't', accepted: true, matched: 1, duplicate: true },
        { id: 't', accepted: false, error: { code: 'idempotency_conflict', detail: expect.any(String) as string } },
      ]);
      expect(idsOf(await messaging.receive('twice', token))).toEqual(['t']);
    });

    it('messages of two senders with one id are two messages', async () => {
      const [one, two, to] = [await test.register('s1'), await test.register('s2'), await test.register('s3')];
      for (const token of [one, two]) await messaging.send(token, { id: 'same', to: { agent: 's3' } });
      const received = await messaging.receive('s3', to);
      expect(received.map(({ message }) => message.source)).toEqual(['s1', 's2']);
    });

    it('a message sent concurrently 30 times is delivered once', async () => {
      const token = await test.register('burst');
      const message = { id: 'burst-1', to: { agent: 'burst' } };
      const all = await Promise.all(Array.from({ length: 30 }, () => messaging.send(test.tokens.admin, message)));
      const fresh = all.flat().filter((result) => result.accepted && !result.duplicate);
      expect(fresh).toHaveLength(1);
      expect(idsOf(await messaging.receive('burst', token))).toEqual(['burst-1']);
    });
  });

  describe('limits of sending', () => {
    const stored = async (): Promise<number> =>
      (await sql<{ n: number }>`select count(*) as n from messages`.execute(test.databases.communication)).rows[0]?.n ??
      0;
    const post = (body: unknown) => test.call('POST', '/v1/messages', { token: test.tokens.admin, body });

    it('a message with 256 KiB of data is accepted, and one of a byte more is refused alone', async () => {
      const token = await test.register('large');
      const to = { agent: 'large' };
      // Two bytes per letter, and the quotes.
      const data = 'ä'.repeat(messageLimitBytes / 2 - 1);
      const [fits, over, small] = await messaging.send(
        test.tokens.admin,
        { id: 'fits', to, data },
        { id: 'over', to, data: `${data}x` },
        { id: 'small', to },
      );
      expect(fits).toMatchObject({ accepted: true, matched: 1 });
      expect(over).toMatchObject({ accepted: false, error: { code: 'body_too_large' } });
      expect(over).toMatchObject({ error: { detail: expect.stringContaining('262145 bytes, 262144 are') as string } });
      expect(small).toMatchObject({ accepted: true });
      const received = await messaging.receive('large', token);
      expect(idsOf(received)).toEqual(['fits', 'small']);
      expect(received[0]?.message.data).toBe(data);
      // The refused message was not stored, so its id is free.
      expect(only(await messaging.send(test.tokens.admin, { id: 'over', to }))).toEqual({
        id: 'over',
        accepted: true,
        matched: 1,
      });
    });

    it('a call with 1,000 messages is accepted, and one with 1,001 is refused as a whole', async () => {
      const token = await test.register('crowd');
      const messages = Array.from({ length: 1001 }, (_, index) => ({
        id: `n-${index}`,
        to: { agent: 'crowd' },
        type: 't',
        data: index,
      }));
      const before = await stored();
      const refused = await post({ messages });
      expect([refused.status, codeOf(refused)]).toEqual([400, 'invalid_request']);
      expect((refused.body as { errors: { path: string }[] }).errors.map(({ path }) => path)).toEqual(['messages']);
      expect(await stored()).toBe(before);
      expect((await post({ messages: messages.slice(0, 1000) })).status).toBe(202);
      expect(await stored()).toBe(before + 1000);
      messaging.tune({ maxUnacked: 1000 });
      const received = await messaging.receive('crowd', token, '?max=1000');
      messaging.tune({ maxUnacked: 100 });
      expect(received.map(({ message }) => message.data)).toEqual(Array.from({ length: 1000 }, (_, index) => index));
    });

    it('a body of more than 8 MiB is refused', async () => {
      const answer = await post({ messages: [], filler: 'x'.repeat(8 * 1024 * 1024) });
      expect([answer.status, codeOf(answer)]).toEqual([413, 'body_too_large']);
    });

    it.each(['orders.*', 'orders.>', '>', '*'])('publishing to the wildcard %s is refused', async (topic) => {
      const answer = await post({ messages: [{ to: { topic }, type: 't', data: 1 }] });
      expect([answer.status, codeOf(answer)]).toEqual([400, 'invalid_request']);
      expect(JSON.stringify(answer.body)).toContain('wildcards are for subscriptions');
    });

    it.each(['cluster.joined', 'manager.said', 'agent.left'])(
      'a message of the type %s is refused because the manager reserves it',
      async (type) => {
        const answer = await post({ messages: [{ to: { agent: 'a' }, type, data: 1 }] });
        expect([answer.status, codeOf(answer)]).toEqual([400, 'invalid_request']);
        expect(JSON.stringify(answer.body)).toContain('messages.0.type');
      },
    );

    it("an agent cannot register the manager's id, so that no agent can imitate the manager's messages", async () => {
      for (const token of [test.tokens.enrolment, test.tokens.admin, test.tokens.orchestrator]) {
        const answer = await test.call('POST', '/v1/agents', { token, body: { id: test.deps.config().id } });
        expect([answer.status, codeOf(answer)]).toEqual([409, 'state_conflict']);
      }
    });
  });

  describe('a message without a recipient', () => {
    const cases: readonly (readonly [string, object, string])[] = [
      ['an unknown agent', { agent: 'nobody' }, 'unknown_recipient'],
      ['an unknown cluster', { cluster: 'cl_none' }, 'unknown_cluster'],
      ['a role in an unknown cluster', { role: 'lead', cluster: 'cl_none' }, 'unknown_cluster'],
      ['two clusters of which one is unknown', { clusters: ['cl_lonely', 'cl_none'] }, 'unknown_cluster'],
      ['an unknown topic', { topic: 'no.such' }, 'unknown_topic'],
      ['a topic without subscribers', { topic: 'silent' }, 'no_subscriber'],
      ['a role without a holder', { role: 'king', cluster: 'cl_lonely' }, 'no_subscriber'],
      ['a capability that no agent has', { capability: 'flying' }, 'no_subscriber'],
      ['a cluster with no other member', { cluster: 'cl_lonely' }, 'no_subscriber'],
    ];
    let lonely: string;
    beforeAll(async () => {
      lonely = await test.register('lonely');
      await messaging.route('cl_lonely', { lonely: [] });
      await test.call('POST', '/v1/topics', { token: lonely, body: { name: 'silent' } });
    });

    it.each(cases)('a message to %s becomes a dead letter with its reason', async (_what, to, reason) => {
      const result = only(await messaging.send(lonely, { to: to as { agent: string } }));
      expect(result).toEqual({ id: result.id, accepted: true, matched: 0, deadLetter: reason });
      const letter = only((await messaging.deadLetters()).filter(({ messageId }) => messageId === result.id));
      expect(letter).toMatchObject({ reason, state: 'dead', source: 'lonely', to, attempts: 0 });
      expect(letter.detail).not.toBe('');
      expect((await messaging.trace(result.id)).hops.map(({ what }) => what)).toEqual(['accepted', 'matched', 'dead']);
    });

    it('a message to an agent that has left becomes a dead letter, and one sent after its return is delivered', async () => {
      const token = await test.register('comes-and-goes');
      await test.call('DELETE', '/v1/agents/comes-and-goes', { token });
      const to = { agent: 'comes-and-goes' };
      expect(only(await messaging.send(lonely, { to }))).toMatchObject({ matched: 0, deadLetter: 'unknown_recipient' });
      const back = await test.register('comes-and-goes');
      const { id } = only(await messaging.send(lonely, { to }));
      expect(idsOf(await messaging.receive('comes-and-goes', back))).toEqual([id]);
    });

    it('an open delivery of an agent that leaves becomes a dead letter', async () => {
      const token = await test.register('leaver');
      const { id } = only(await messaging.send(lonely, { to: { agent: 'leaver' } }));
      await test.call('DELETE', '/v1/agents/leaver', { token });
      expect(only(await messaging.deadLetters('?recipient=leaver'))).toMatchObject({
        messageId: id,
        reason: 'recipient_left',
      });
    });

    it('a reply to an unknown agent becomes a dead letter', async () => {
      const answer = only(
        await messaging.send(lonely, { to: { agent: 'gone-away' }, type: 'answer', correlationId: 'question-1' }),
      );
      expect(answer).toMatchObject({ matched: 0, deadLetter: 'unknown_recipient' });
    });
  });

  describe('a full inbox', () => {
    it('a message to a full inbox gets 429 with Retry-After, and is accepted after an ack', async () => {
      messaging.tune({ mailbox: 3 });
      const token = await test.register('full');
      const to = { agent: 'full' };
      const one = (id: string) => ({ messages: [{ id, to, type: 't', data: 1 }] });
      await messaging.send(test.tokens.admin, { id: 'f-0', to }, { id: 'f-1', to }, { id: 'f-2', to });
      const refused = await test.call('POST', '/v1/messages', { token: test.tokens.admin, body: one('f-3') });
      expect([refused.status, codeOf(refused), refused.headers.get('retry-after')]).toEqual([429, 'mailbox_full', '5']);
      // A duplicate needs no room.
      expect(only(await messaging.send(test.tokens.admin, { id: 'f-2', to }))).toMatchObject({ duplicate: true });
      const [first] = await messaging.receive('full', token, '?max=1');
      if (!first) throw new Error('nothing was delivered');
      await messaging.settle(token, first);
      expect(only(await messaging.send(test.tokens.admin, { id: 'f-3', to }))).toMatchObject({
        accepted: true,
        matched: 1,
      });
      expect(idsOf(await messaging.receive('full', token))).toEqual(['f-1', 'f-2', 'f-3']);
      messaging.tune({ mailbox: 10_000 });
    });

    it('a full inbox refuses only the messages of a call that are addressed to it', async () => {
      messaging.tune({ mailbox: 2 });
      const [full, roomy] = [await test.register('box-1'), await test.register('box-2')];
      const results = await messaging.send(
        test.tokens.admin,
        { id: 'b-0', to: { agent: 'box-1' } },
        { id: 'b-1', to: { agent: 'box-1' } },
        { id: 'b-2', to: { agent: 'box-1' } },
        { id: 'b-3', to: { agent: 'box-2' } },
      );
      expect(results.map(({ accepted }) => accepted)).toEqual([true, true, false, true]);
      expect(results[2]).toMatchObject({ error: { code: 'mailbox_full', retryAfterSeconds: 5 } });
      expect(idsOf(await messaging.receive('box-1', full))).toEqual(['b-0', 'b-1']);
      expect(idsOf(await messaging.receive('box-2', roomy))).toEqual(['b-3']);
      messaging.tune({ mailbox: 10_000 });
    });

    it('a cluster message to a full inbox becomes a dead letter there and is delivered to the other members', async () => {
      messaging.tune({ mailbox: 1 });
      const [full, roomy] = [await test.register('fan-1'), await test.register('fan-2')];
      await messaging.route('cl_fan', { 'fan-1': [], 'fan-2': [] });
      await messaging.send(test.tokens.admin, { id: 'fan-a', to: { agent: 'fan-1' } });
      const result = only(await messaging.send(test.tokens.admin, { id: 'fan-b', to: { cluster: 'cl_fan' } }));
      // Two recipients matched; the trace and the receipt show the outcome of each.
      expect(result).toMatchObject({ accepted: true, matched: 2 });
      expect(idsOf(await messaging.receive('fan-2', roomy))).toEqual(['fan-b']);
      expect(idsOf(await messaging.receive('fan-1', full))).toEqual(['fan-a']);
      expect(only(await messaging.deadLetters('?recipient=fan-1'))).toMatchObject({
        messageId: 'fan-b',
        reason: 'mailbox_full',
      });
      messaging.tune({ mailbox: 10_000 });
    });
  });
});
