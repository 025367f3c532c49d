import { describe, expect, it } from 'vitest';
import type { NewMessage } from '../../src/contracts/messages.js';
import { waitFor } from '../support/wait-for.js';
import { answer, refuse, type Call } from './support/fake-manager.js';
import { stopAgentsAfterEach, oneAgent } from './support/one-agent.js';

stopAgentsAfterEach();

const hello: NewMessage = { to: { agent: 'b' }, type: 'test.hello', data: { text: 'hello' } };
const idsOf = (call: Call): string[] => (call.body as { messages: { id: string }[] }).messages.map(({ id }) => id);
const isSend = ({ method, path }: Call): boolean => method === 'POST' && path === '/v1/messages';

describe('send', () => {
  it('sends the same message at every attempt: after a broken connection, 503, 429 and another registration', async () => {
    const { agent, manager } = await oneAgent();
    await agent.start();
    let attempts = 0;
    manager.respond((call, response) => {
      if (!isSend(call)) return false;
      switch (++attempts) {
        case 1:
          response.destroy();
          return true;
        case 2:
          return refuse(response, 503, 'service_unavailable');
        case 3:
          return refuse(response, 429, 'mailbox_full', { 'retry-after': '1' });
        case 4:
          return refuse(response, 401, 'unauthenticated');
        default:
          return false;
      }
    });
    const sent = await agent.send(hello);
    const calls = manager.callsTo('POST /v1/messages');
    expect(calls).toHaveLength(5);
    expect(sent).toEqual({ id: manager.sent()[0]?.[0]?.id, accepted: true, matched: 1 });
    expect(sent.id).toMatch(/^msg_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(manager.sent()).toEqual(calls.map(() => [{ ...hello, id: sent.id }]));
    expect((calls[3]?.atMs ?? 0) - (calls[2]?.atMs ?? 0)).toBeGreaterThanOrEqual(1000);
    expect(calls.map(({ token }) => token)).toEqual(['own-1', 'own-1', 'own-1', 'own-1', 'own-2']);
  });

  it('fails when its time limit is over, and the error says that the message may have been accepted', async () => {
    const { agent, manager } = await oneAgent();
    await agent.start();
    manager.respond((call, response) => isSend(call) && refuse(response, 503, 'service_unavailable'));
    const sending = agent.send({ ...hello, id: 'm-1' }, { timeoutMs: 2000 });
    await expect(sending).rejects.toMatchObject({
      code: 'service_unavailable',
      message: expect.stringContaining('"m-1"'),
    });
    await expect(sending).rejects.toThrow(/may have been accepted/);
    const calls = manager.callsTo('POST /v1/messages');
    expect(calls.length).toBeGreaterThan(1);
    expect((calls.at(-1)?.atMs ?? 0) - (calls[0]?.atMs ?? 0)).toBeLessThan(2000);
  });

  it('fails at once when Retry-After exceeds its time limit', async () => {
    const { agent, manager } = await oneAgent();
    await agent.start();
    manager.respond((call, response) => isSend(call) && refuse(response, 429, 'mailbox_full', { 'retry-after': '60' }));
    const startedMs = performance.now();
    await expect(agent.send(hello)).rejects.toMatchObject({ code: 'mailbox_full' });
    expect(performance.now() - startedMs).toBeLessThan(5000);
    expect(manager.callsTo('POST /v1/messages')).toHaveLength(1);
  });

  it('does not retry a refused call or a refused message', async () => {
    const { agent, manager } = await oneAgent();
    await agent.start();
    manager.respond((call, response) => isSend(call) && refuse(response, 400, 'invalid_request'));
    await expect(agent.publish('a.b', { type: 't', data: 1 })).rejects.toMatchObject({ code: 'invalid_request' });
    manager.respond((call, response) => {
      if (!isSend(call)) return false;
      const results = idsOf(call).map((id) => ({
        id,
        accepted: false,
        error: { code: 'body_too_large', detail: 'too much' },
      }));
      return answer(response, 202, { results });
    });
    await expect(agent.broadcast('cl_1', { type: 't', data: 1 })).rejects.toMatchObject({
      code: 'body_too_large',
      message: 'too much',
    });
    expect(manager.sent()).toMatchObject([[{ to: { topic: 'a.b' } }], [{ to: { cluster: 'cl_1' } }]]);
  });

  it('fails before start() and after stop(), and when its caller aborts it', async () => {
    const { agent, manager } = await oneAgent();
    await expect(agent.send(hello)).rejects.toMatchObject({ code: 'state_conflict' });
    await agent.start();
    manager.respond((call, response) => isSend(call) && refuse(response, 503, 'service_unavailable'));
    const caller = new AbortController();
    const sending = agent.send(hello, { signal: caller.signal });
    await waitFor('an attempt', () => manager.callsTo('POST /v1/messages').length > 0);
    caller.abort(new Error('enough'));
    await expect(sending).rejects.toThrow('enough');
    const another = agent.send(hello);
    await waitFor('its attempt', () => manager.callsTo('POST /v1/messages').length > 1);
    await agent.stop();
    await expect(another).rejects.toMatchObject({ code: 'state_conflict' });
    await expect(agent.send(hello)).rejects.toMatchObject({ code: 'state_conflict' });
  });
});

describe('sendMany', () => {
  it('sends in calls of at most 1,000 messages and 4 MiB, in order', async () => {
    const { agent, manager } = await oneAgent();
    await agent.start();
    const small = Array.from({ length: 1200 }, (_, n) => ({ ...hello, id: `s-${n}` }));
    const large = Array.from({ length: 30 }, (_, n) => ({ ...hello, id: `l-${n}`, data: 'x'.repeat(200 * 1024) }));
    const results = await agent.sendMany([...small, ...large]);
    expect(results.map(({ id }) => id)).toEqual([...small, ...large].map(({ id }) => id));
    const calls = manager.sent();
    expect(calls.flat().map(({ id }) => id)).toEqual(results.map(({ id }) => id));
    expect(calls.map((messages) => messages.length)).toEqual([1000, 220, 10]);
  });

  it('returns one result for each message and retries only those for a full mailbox', async () => {
    const { agent, manager } = await oneAgent();
    await agent.start();
    let isFull = true;
    manager.respond((call, response) => {
      if (!isSend(call)) return false;
      const results = idsOf(call).map((id) => {
        if (id === 'full' && isFull) {
          return { id, accepted: false, error: { code: 'mailbox_full', detail: 'full', retryAfterSeconds: 0.1 } };
        }
        if (id === 'bad') return { id, accepted: false, error: { code: 'idempotency_conflict', detail: 'another' } };
        return { id, accepted: true, matched: 1 };
      });
      isFull = false;
      return answer(response, 202, { results });
    });
    const results = await agent.sendMany(['good', 'full', 'bad'].map((id) => ({ ...hello, id })));
    expect(results).toMatchObject([
      { id: 'good', accepted: true },
      { id: 'full', accepted: true },
      { id: 'bad', accepted: false, error: { code: 'idempotency_conflict' } },
    ]);
    expect(manager.callsTo('POST /v1/messages').map(idsOf)).toEqual([['good', 'full', 'bad'], ['full']]);
  });

  it('returns a result for each message when the manager does not answer', async () => {
    const { agent, manager } = await oneAgent();
    await agent.start();
    manager.respond((call, response) => isSend(call) && refuse(response, 503, 'service_unavailable'));
    const results = await agent.sendMany([hello, hello], { timeoutMs: 100 });
    expect(results).toMatchObject([
      { accepted: false, error: { code: 'service_unavailable' } },
      { accepted: false, error: { code: 'service_unavailable' } },
    ]);
  });
});

describe('subscribe', () => {
  it('is repeated when the agent registers again, except for subscriptions it has ended', async () => {
    const { agent, manager } = await oneAgent();
    await agent.start();
    await agent.subscribe('orders.>', { queueGroup: 'workers', retained: false });
    await agent.subscribe('news.*');
    const isWithLostToken = (call: Call): boolean => call.method === 'GET' && call.token === 'own-1';
    manager.respond((call, response) => {
      if (call.method === 'GET' && call.path.endsWith('/subscriptions')) {
        const subscription = { id: 'sub-9', agentId: 'a', pattern: 'news.*', queueGroup: null, suspended: false };
        return answer(response, 200, { subscriptions: [{ ...subscription, createdAt: new Date().toISOString() }] });
      }
      return isWithLostToken(call) && refuse(response, 401, 'unauthenticated');
    });
    expect(await agent.unsubscribe('news.*')).toBe(true);
    expect(manager.callsTo('DELETE /v1/agents/a/subscriptions/sub-9')).toHaveLength(1);
    manager.streams[0]?.destroy();
    const calls = await waitFor('the third subscription', () => {
      const made = manager.callsTo('POST /v1/agents/a/subscriptions');
      return made.length === 3 && made;
    });
    expect(calls[2]).toMatchObject({
      token: 'own-2',
      body: { pattern: 'orders.>', queueGroup: 'workers', retained: false },
    });
  });
});
