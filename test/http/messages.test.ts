import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageLimitBytes } from '../../src/contracts/messages.js';
import { codeOf, idsOf, mailingOf, only, type Mailing } from './messaging-fixture.js';
import { startTestApi, type TestApi } from './support.js';

describe.each([{ wakeUps: true }, { wakeUps: false }])('messages, with wake-ups: $wakeUps', ({ wakeUps }) => {
  let test: TestApi;
  let mail: Mailing;
  beforeAll(async () => {
    test = await startTestApi({ communication: { wakeUps } });
    mail = mailingOf(test);
  });
  afterAll(() => test.stop());

  describe('a message', () => {
    it('reaches its recipient as its sender wrote it, with what the server stamps', async () => {
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
      expect(await mail.send(ada, message)).toEqual([{ id: 'm-1', accepted: true, matched: 1 }]);
      const delivery = only(await mail.receive('bob', bob));
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
      expect((await mail.settle(bob, delivery)).status).toBe(200);
      expect(await mail.receive('bob', bob)).toEqual([]);
    });

    it('gets an id when it has none, and null where it says nothing', async () => {
      const token = await test.register('plain');
      const { id } = only(await mail.send(test.tokens.admin, { to: { agent: 'plain' }, data: null }));
      expect(id).toMatch(/^msg_[0-9a-f-]{36}$/);
      expect(only(await mail.receive('plain', token)).message).toMatchObject({ id, data: null, replyTo: null });
    });

    it('of an operator has a source that no agent can register', async () => {
      const token = await test.register('reader');
      await mail.send(test.tokens.orchestrator, { to: { agent: 'reader' } });
      const { source } = only(await mail.receive('reader', token)).message;
      expect(source).toMatch(/^\/orchestrator\/tok_/);
      const taken = await test.call('POST', '/v1/agents', { token: test.tokens.enrolment, body: { id: source } });
      expect([taken.status, codeOf(taken)]).toEqual([400, 'invalid_request']);
    });

    it('keeps its place among those of its sender, over batches and single ones', async () => {
      const [from, token] = [await test.register('writer'), await test.register('ordered')];
      const batch = Array.from({ length: 20 }, (_, index) => ({ id: `o-${index}`, to: { agent: 'ordered' } }));
      await mail.send(from, ...batch);
      for (const index of [20, 21, 22]) await mail.send(from, { id: `o-${index}`, to: { agent: 'ordered' } });
      const received = await mail.receive('ordered', token, '?max=100');
      expect(idsOf(received)).toEqual(Array.from({ length: 23 }, (_, index) => `o-${index}`));
      expect(received.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 23 }, (_, index) => index + 1));
    });

    it('wakes a long poll', async () => {
      const token = await test.register('sleeper');
      const polled = mail.receive('sleeper', token, '?waitSeconds=20');
      await mail.send(test.tokens.admin, { id: 'wake', to: { agent: 'sleeper' } });
      expect(idsOf(await polled)).toEqual(['wake']);
    });

    it('is told hop by hop, to its sender, its recipient and operators', async () => {
      const [from, to] = [await test.register('way-from'), await test.register('way-to')];
      await mail.send(from, { id: 'way', to: { agent: 'way-to' } });
      const first = only(await mail.receive('way-to', to));
      await mail.settle(to, first, 'nack', { delaySeconds: 0, reason: 'busy' });
      const second = only(await mail.receive('way-to', to));
      expect(second).toMatchObject({ id: first.id, attempt: 2 });
      expect(await mail.way('way')).toMatchObject({ deliveries: [{ id: first.id, state: 'leased', attempts: 2 }] });
      await mail.settle(to, second);
      for (const token of [from, to, test.tokens.viewer]) {
        const way = await mail.way('way', token);
        expect(way).toMatchObject({ id: 'way', source: 'way-from', to: { agent: 'way-to' }, matched: 1 });
        expect(way).toMatchObject({ operationId: null, temporalUrl: null });
        expect(way.deliveries).toEqual([
          { id: first.id, recipient: 'way-to', state: 'acked', attempts: 2, via: 'agent' },
        ]);
        expect(way.hops.map(({ what, recipient }) => [what, recipient])).toEqual([
          ['accepted', null],
          ['matched', null],
          ['leased', 'way-to'],
          ['nacked', 'way-to'],
          ['leased', 'way-to'],
          ['acked', 'way-to'],
        ]);
        expect(way.hops[3]?.detail).toBe('busy');
      }
    });
  });

  describe('an address', () => {
    const tokens = new Map<string, string>();
    const inboxes = async (): Promise<Record<string, string[]>> => {
      const all: [string, string[]][] = [];
      for (const [id, token] of tokens) {
        const deliveries = await mail.receive(id, token, '?max=100');
        for (const delivery of deliveries) await mail.settle(token, delivery);
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
      await mail.route('cl_one', { lead: ['lead'], worker: ['hand'], shared: [] });
      await mail.route('cl_two', { shared: ['hand'], other: [] }, 4);
    });

    it('of a role finds its holder in that cluster', async () => {
      const result = only(await mail.send(tokenOf('lead'), { id: 'r', to: { role: 'hand', cluster: 'cl_one' } }));
      expect(result).toEqual({ id: 'r', accepted: true, matched: 1 });
      expect(await inboxes()).toEqual({ worker: ['r'] });
      expect(await mail.way('r')).toMatchObject({ clusterId: 'cl_one', epoch: 1, deliveries: [{ via: 'role:hand' }] });
    });

    it('of a capability finds one who has it, in the fleet or in a cluster', async () => {
      await mail.send(tokenOf('lead'), { id: 'c1', to: { capability: 'ocr', cluster: 'cl_two' } });
      expect(await inboxes()).toEqual({ other: ['c1'] });
      await mail.send(tokenOf('worker'), { id: 'c2', to: { capability: 'ocr' } });
      // Never its sender, who may have it too.
      expect(await inboxes()).toEqual({ other: ['c2'] });
      await mail.send(tokenOf('lead'), { id: 'c3', to: { capability: 'rare@2' } });
      expect(await inboxes()).toEqual({ loner: ['c3'] });
    });

    it('of a capability prefers the one with less open mail', async () => {
      const many = Array.from({ length: 10 }, (_, index) => ({ id: `spread-${index}`, to: { capability: 'ocr' } }));
      await mail.send(tokenOf('lead'), ...many);
      const { worker = [], other = [] } = await inboxes();
      expect([worker.length, other.length]).toEqual([5, 5]);
    });

    it('of a cluster reaches its members at the epoch in force, and not its sender', async () => {
      await mail.send(tokenOf('shared'), { id: 'k1', to: { cluster: 'cl_two' } });
      expect(await inboxes()).toEqual({ other: ['k1'] });
      await mail.send(test.tokens.orchestrator, { id: 'k2', to: { cluster: 'cl_two' } });
      expect(await inboxes()).toEqual({ other: ['k2'], shared: ['k2'] });
      expect(await mail.way('k2')).toMatchObject({ clusterId: 'cl_two', epoch: 4, matched: 2 });
    });

    it('of several clusters, and of all, reaches each member once', async () => {
      const both = only(await mail.send(tokenOf('lead'), { id: 's1', to: { clusters: ['cl_two', 'cl_one'] } }));
      expect(both).toMatchObject({ matched: 3 });
      expect(await inboxes()).toEqual({ worker: ['s1'], shared: ['s1'], other: ['s1'] });
      await mail.send(test.tokens.admin, { id: 's2', to: { allClusters: true } });
      expect(await inboxes()).toEqual({ lead: ['s2'], worker: ['s2'], shared: ['s2'], other: ['s2'] });
    });

    it('follows the membership at once', async () => {
      await mail.route('cl_two', { shared: ['hand'], loner: [] }, 5);
      await mail.send(test.tokens.admin, { id: 'f1', to: { cluster: 'cl_two' } });
      expect(await inboxes()).toEqual({ shared: ['f1'], loner: ['f1'] });
      expect(await mail.way('f1')).toMatchObject({ epoch: 5 });
    });
  });

  describe('the same id again', () => {
    it('is the same message, and delivered once', async () => {
      const [from, to] = [await test.register('dup-from'), await test.register('dup-to')];
      const message = { id: 'd-1', to: { agent: 'dup-to' }, data: { a: 1 } };
      expect(await mail.send(from, message)).toEqual([{ id: 'd-1', accepted: true, matched: 1 }]);
      expect(await mail.send(from, message)).toEqual([{ id: 'd-1', accepted: true, matched: 1, duplicate: true }]);
      const delivery = only(await mail.receive('dup-to', to));
      await mail.settle(to, delivery);
      expect(only(await mail.send(from, message))).toMatchObject({ duplicate: true });
      expect(await mail.receive('dup-to', to)).toEqual([]);
    });

    it('with other content is a conflict, and changes nothing', async () => {
      const [from, to] = [await test.register('con-from'), await test.register('con-to')];
      await mail.send(from, { id: 'x-1', to: { agent: 'con-to' }, data: 1 });
      for (const change of [{ data: 2 }, { type: 'other' }, { correlationId: 'c' }, { ttlSeconds: 5 }]) {
        const result = only(await mail.send(from, { id: 'x-1', to: { agent: 'con-to' }, data: 1, ...change }));
        expect(result).toMatchObject({ accepted: false, error: { code: 'idempotency_conflict' } });
      }
      expect(only(await mail.receive('con-to', to)).message.data).toBe(1);
    });

    it('within one call is one message, or a conflict', async () => {
      const token = await test.register('twice');
      const to = { agent: 'twice' };
      const results = await mail.send(test.tokens.admin, { id: 't', to }, { id: 't', to }, { id: 't', to, data: 2 });
      expect(results).toEqual([
        { id: 't', accepted: true, matched: 1 },
        { id: 't', accepted: true, matched: 1, duplicate: true },
        { id: 't', accepted: false, error: { code: 'idempotency_conflict', detail: expect.any(String) as string } },
      ]);
      expect(idsOf(await mail.receive('twice', token))).toEqual(['t']);
    });

    it('of another sender is another message', async () => {
      const [one, two, to] = [await test.register('s1'), await test.register('s2'), await test.register('s3')];
      for (const token of [one, two]) await mail.send(token, { id: 'same', to: { agent: 's3' } });
      const received = await mail.receive('s3', to);
      expect(received.map(({ message }) => message.source)).toEqual(['s1', 's2']);
    });

    it('many times at once is delivered once', async () => {
      const token = await test.register('burst');
      const message = { id: 'burst-1', to: { agent: 'burst' } };
      const all = await Promise.all(Array.from({ length: 30 }, () => mail.send(test.tokens.admin, message)));
      const fresh = all.flat().filter((result) => result.accepted && !result.duplicate);
      expect(fresh).toHaveLength(1);
      expect(idsOf(await mail.receive('burst', token))).toEqual(['burst-1']);
    });
  });

  describe('the borders of sending', () => {
    const stored = async (): Promise<number> =>
      (await sql<{ n: number }>`select count(*) as n from messages`.execute(test.databases.communication)).rows[0]?.n ??
      0;
    const post = (body: unknown) => test.call('POST', '/v1/messages', { token: test.tokens.admin, body });

    it('takes data of 256 KiB, and refuses a byte more without refusing the others', async () => {
      const token = await test.register('large');
      const to = { agent: 'large' };
      // Two bytes a letter, and the quotes.
      const data = 'ä'.repeat(messageLimitBytes / 2 - 1);
      const [fits, over, small] = await mail.send(
        test.tokens.admin,
        { id: 'fits', to, data },
        { id: 'over', to, data: `${data}x` },
        { id: 'small', to },
      );
      expect(fits).toMatchObject({ accepted: true, matched: 1 });
      expect(over).toMatchObject({ accepted: false, error: { code: 'body_too_large' } });
      expect(over).toMatchObject({ error: { detail: expect.stringContaining('262145 bytes, 262144 are') as string } });
      expect(small).toMatchObject({ accepted: true });
      const received = await mail.receive('large', token);
      expect(idsOf(received)).toEqual(['fits', 'small']);
      expect(received[0]?.message.data).toBe(data);
      // What was refused was not stored: its id is free.
      expect(only(await mail.send(test.tokens.admin, { id: 'over', to }))).toEqual({
        id: 'over',
        accepted: true,
        matched: 1,
      });
    });

    it('takes a thousand messages, and refuses a thousand and one whole', async () => {
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
      mail.tune({ maxUnacked: 1000 });
      const received = await mail.receive('crowd', token, '?max=1000');
      mail.tune({ maxUnacked: 100 });
      expect(received.map(({ message }) => message.data)).toEqual(Array.from({ length: 1000 }, (_, index) => index));
    });

    it('refuses a body of more than 8 MiB', async () => {
      const answer = await post({ messages: [], filler: 'x'.repeat(8 * 1024 * 1024) });
      expect([answer.status, codeOf(answer)]).toEqual([413, 'body_too_large']);
    });

    it.each(['orders.*', 'orders.>', '>', '*'])('refuses to publish to %s', async (topic) => {
      const answer = await post({ messages: [{ to: { topic }, type: 't', data: 1 }] });
      expect([answer.status, codeOf(answer)]).toEqual([400, 'invalid_request']);
      expect(JSON.stringify(answer.body)).toContain('wildcards are for subscriptions');
    });

    it.each(['cluster.joined', 'manager.said', 'agent.left'])(
      'refuses the type %s, the manager’s own',
      async (type) => {
        const answer = await post({ messages: [{ to: { agent: 'a' }, type, data: 1 }] });
        expect([answer.status, codeOf(answer)]).toEqual([400, 'invalid_request']);
        expect(JSON.stringify(answer.body)).toContain('messages.0.type');
      },
    );

    it('refuses the manager’s own id to agents, so that its mail cannot be imitated', async () => {
      for (const token of [test.tokens.enrolment, test.tokens.admin, test.tokens.orchestrator]) {
        const answer = await test.call('POST', '/v1/agents', { token, body: { id: test.deps.request.config().id } });
        expect([answer.status, codeOf(answer)]).toEqual([409, 'state_conflict']);
      }
    });
  });

  describe('mail that nobody can take is a dead letter with its reason', () => {
    const cases: readonly (readonly [string, object, string])[] = [
      ['an agent that is not there', { agent: 'nobody' }, 'unknown_recipient'],
      ['a cluster that is not there', { cluster: 'cl_none' }, 'unknown_cluster'],
      ['a role in a cluster that is not there', { role: 'lead', cluster: 'cl_none' }, 'unknown_cluster'],
      ['one of several clusters that is not there', { clusters: ['cl_lonely', 'cl_none'] }, 'unknown_cluster'],
      ['a topic that is not there', { topic: 'no.such' }, 'unknown_topic'],
      ['a topic without subscribers', { topic: 'silent' }, 'no_subscriber'],
      ['a role that nobody has', { role: 'king', cluster: 'cl_lonely' }, 'no_subscriber'],
      ['a capability that nobody has', { capability: 'flying' }, 'no_subscriber'],
      ['a cluster with no other member', { cluster: 'cl_lonely' }, 'no_subscriber'],
    ];
    let lonely: string;
    beforeAll(async () => {
      lonely = await test.register('lonely');
      await mail.route('cl_lonely', { lonely: [] });
      await test.call('POST', '/v1/topics', { token: lonely, body: { name: 'silent' } });
    });

    it.each(cases)('%s', async (_what, to, reason) => {
      const result = only(await mail.send(lonely, { to: to as { agent: string } }));
      expect(result).toEqual({ id: result.id, accepted: true, matched: 0, deadLetter: reason });
      const letter = only((await mail.deadLetters()).filter(({ messageId }) => messageId === result.id));
      expect(letter).toMatchObject({ reason, state: 'dead', source: 'lonely', to, attempts: 0 });
      expect(letter.detail).not.toBe('');
      expect((await mail.way(result.id)).hops.map(({ what }) => what)).toEqual(['accepted', 'matched', 'dead']);
    });

    it('an agent that has left, and again reached when it is back', async () => {
      const token = await test.register('comes-and-goes');
      await test.call('DELETE', '/v1/agents/comes-and-goes', { token });
      const to = { agent: 'comes-and-goes' };
      expect(only(await mail.send(lonely, { to }))).toMatchObject({ matched: 0, deadLetter: 'unknown_recipient' });
      const back = await test.register('comes-and-goes');
      const { id } = only(await mail.send(lonely, { to }));
      expect(idsOf(await mail.receive('comes-and-goes', back))).toEqual([id]);
    });

    it('mail that waited for an agent that leaves', async () => {
      const token = await test.register('leaver');
      const { id } = only(await mail.send(lonely, { to: { agent: 'leaver' } }));
      await test.call('DELETE', '/v1/agents/leaver', { token });
      expect(only(await mail.deadLetters('?recipient=leaver'))).toMatchObject({
        messageId: id,
        reason: 'recipient_left',
      });
    });

    it('a reply to nobody', async () => {
      const answer = only(
        await mail.send(lonely, { to: { agent: 'gone-away' }, type: 'answer', correlationId: 'question-1' }),
      );
      expect(answer).toMatchObject({ matched: 0, deadLetter: 'unknown_recipient' });
    });
  });

  describe('a full mailbox', () => {
    it('pushes back with 429 and Retry-After, and takes mail again when there is room', async () => {
      mail.tune({ mailbox: 3 });
      const token = await test.register('full');
      const to = { agent: 'full' };
      const one = (id: string) => ({ messages: [{ id, to, type: 't', data: 1 }] });
      await mail.send(test.tokens.admin, { id: 'f-0', to }, { id: 'f-1', to }, { id: 'f-2', to });
      const refused = await test.call('POST', '/v1/messages', { token: test.tokens.admin, body: one('f-3') });
      expect([refused.status, codeOf(refused), refused.headers.get('retry-after')]).toEqual([429, 'mailbox_full', '5']);
      // The same one that is there already is no new mail.
      expect(only(await mail.send(test.tokens.admin, { id: 'f-2', to }))).toMatchObject({ duplicate: true });
      const [first] = await mail.receive('full', token, '?max=1');
      if (!first) throw new Error('nothing was delivered');
      await mail.settle(token, first);
      expect(only(await mail.send(test.tokens.admin, { id: 'f-3', to }))).toMatchObject({ accepted: true, matched: 1 });
      expect(idsOf(await mail.receive('full', token))).toEqual(['f-1', 'f-2', 'f-3']);
      mail.tune({ mailbox: 10_000 });
    });

    it('refuses only the messages that are for it', async () => {
      mail.tune({ mailbox: 2 });
      const [full, roomy] = [await test.register('box-1'), await test.register('box-2')];
      const results = await mail.send(
        test.tokens.admin,
        { id: 'b-0', to: { agent: 'box-1' } },
        { id: 'b-1', to: { agent: 'box-1' } },
        { id: 'b-2', to: { agent: 'box-1' } },
        { id: 'b-3', to: { agent: 'box-2' } },
      );
      expect(results.map(({ accepted }) => accepted)).toEqual([true, true, false, true]);
      expect(results[2]).toMatchObject({ error: { code: 'mailbox_full', retryAfterSeconds: 5 } });
      expect(idsOf(await mail.receive('box-1', full))).toEqual(['b-0', 'b-1']);
      expect(idsOf(await mail.receive('box-2', roomy))).toEqual(['b-3']);
      mail.tune({ mailbox: 10_000 });
    });

    it('of one among many makes a dead letter of its copy, and the others get theirs', async () => {
      mail.tune({ mailbox: 1 });
      const [full, roomy] = [await test.register('fan-1'), await test.register('fan-2')];
      await mail.route('cl_fan', { 'fan-1': [], 'fan-2': [] });
      await mail.send(test.tokens.admin, { id: 'fan-a', to: { agent: 'fan-1' } });
      const result = only(await mail.send(test.tokens.admin, { id: 'fan-b', to: { cluster: 'cl_fan' } }));
      // Two were matched; what became of each is told by its way and its receipt.
      expect(result).toMatchObject({ accepted: true, matched: 2 });
      expect(idsOf(await mail.receive('fan-2', roomy))).toEqual(['fan-b']);
      expect(idsOf(await mail.receive('fan-1', full))).toEqual(['fan-a']);
      expect(only(await mail.deadLetters('?recipient=fan-1'))).toMatchObject({
        messageId: 'fan-b',
        reason: 'mailbox_full',
      });
      mail.tune({ mailbox: 10_000 });
    });
  });
});
