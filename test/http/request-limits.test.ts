import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, startTestApi, type Answer, type TestApi } from './support.js';

let test: TestApi;
let token: string;
beforeAll(async () => {
  test = await startTestApi();
  token = await test.register('limited');
});
afterAll(() => test.stop());

type Limits = ReturnType<TestApi['deps']['config']>['tokenLimits'];
const limit = (change: Partial<Limits>) =>
  test.configure({ tokenLimits: { ...test.deps.config().tokenLimits, ...change } });

let defaults: Limits;
beforeAll(() => {
  defaults = test.deps.config().tokenLimits;
});
afterEach(() => test.configure({ tokenLimits: defaults }));

const beat = (as = token, id = 'limited') => test.call('POST', `/v1/agents/${id}/heartbeat`, { token: as, body: {} });
const messages = (count: number) => ({
  messages: Array.from({ length: count }, () => ({ to: { agent: 'limited' }, type: 'task', data: null })),
});

function expectRefused(answer: Answer, key: string): void {
  expect([answer.status, codeOf(answer)]).toEqual([429, 'too_many_requests']);
  expect((answer.body as { detail: string }).detail).toContain(key);
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
}

describe('a token above its limits', () => {
  it('gets 429 for more requests in a second than it may make, and other tokens are not affected', async () => {
    const other = await test.register('unlimited');
    limit({ requestsPerSecond: 3 });
    const answers = await Promise.all(Array.from({ length: 10 }, () => beat()));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThanOrEqual(4);
    for (const answer of refused) expectRefused(answer, 'limits.requests_per_second');
    expect((await beat(other, 'unlimited')).status).toBe(200);
    const metrics = (await test.call('GET', '/metrics', { token: test.tokens.viewer })).body as string;
    expect(metrics).toMatch(/cluster_manager_limit_refusals_total\{limit="requestsPerSecond"\} [1-9]/);
  });

  it('gets 429 for more bytes in a second than it may send, before they are read', async () => {
    limit({ bytesPerSecond: 1000 });
    const text = JSON.stringify({ messages: [{ to: { agent: 'limited' }, type: 'task', data: 'x'.repeat(2000) }] });
    const answer = await test.call('POST', '/v1/messages', { token, text });
    expect(answer.status).toBe(429);
    expectRefused(answer, 'limits.kib_per_second');
  });

  it('gets 429 for more messages in a second than it may send, and none of them is accepted', async () => {
    limit({ itemsPerSecond: 10 });
    expectRefused(await test.call('POST', '/v1/messages', { token, body: messages(11) }), 'limits.items_per_second');
    test.configure({ tokenLimits: defaults });
    const { body } = await test.call('GET', '/v1/agents/limited/inbox?max=10', { token });
    expect(body).toEqual({ deliveries: [] });
  });

  it('gets 429 for more requests in progress than it may have, and is served again when one has ended', async () => {
    limit({ concurrentRequests: 2 });
    const ending = new AbortController();
    const polls = [1, 2].map(() =>
      test
        .call('GET', '/v1/agents/limited/inbox?waitSeconds=30', { token, signal: ending.signal })
        .catch((error: unknown) => error),
    );
    await expect.poll(async () => (await beat()).status).toBe(429);
    expectRefused(await beat(), 'limits.concurrent_requests');
    ending.abort();
    await Promise.all(polls);
    await expect.poll(async () => (await beat()).status).toBe(200);
  });
});

describe('an address without a token', () => {
  it('gets 429 for more public requests in a second than it may make', async () => {
    limit({ publicRequestsPerSecond: 2 });
    const answers = await Promise.all(Array.from({ length: 8 }, () => test.call('GET', '/livez')));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThanOrEqual(4);
    for (const answer of refused) expectRefused(answer, 'limits.public_requests_per_second');
  });
});
