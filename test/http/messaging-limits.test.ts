import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeliveryView } from '../../src/contracts/inbox.js';
import { failureOf, idsOf, messagingOf, only, type MessagingCalls } from './messaging-fixture.js';
import { startTestApi, type Answer, type TestApi } from './support.js';

let test: TestApi;
let messaging: MessagingCalls;
beforeAll(async () => {
  test = await startTestApi();
  messaging = messagingOf(test);
});
afterAll(() => test.stop());

const refusal = ({ status, body }: Answer): [number, string] => [status, (body as { code: string }).code];

describe('resources of another agent', () => {
  let [a, b, sub, delivery, lease] = ['', '', '', '', ''];
  beforeAll(async () => {
    [a, b] = [await test.register('mine'), await test.register('yours')];
    await messaging.send(b, { id: 'private', to: { agent: 'yours' } });
    const leased = only(await messaging.receive('yours', b));
    [delivery, lease] = [leased.id, leased.leaseToken];
    const answer = await test.call('POST', '/v1/agents/yours/subscriptions', { token: b, body: { pattern: 'x' } });
    sub = (answer.body as { subscription: { id: string } }).subscription.id;
    await messaging.send(b, { id: 'broadcast', to: { topic: 'nobody' } });
  });

  const paths = (): readonly (readonly [string, string, unknown?])[] => [
    ['GET', '/v1/messages/private'],
    ['GET', '/v1/receipts/private'],
    ['GET', '/v1/receipts/broadcast'],
    ['POST', `/v1/deliveries/${delivery}/ack`, { leaseToken: lease }],
    ['POST', `/v1/deliveries/${delivery}/nack`, { leaseToken: lease, final: true }],
    ['POST', `/v1/deliveries/${delivery}/extend`, { leaseToken: lease }],
    ['GET', '/v1/agents/yours/inbox'],
    ['GET', '/v1/agents/yours/subscriptions'],
    ['POST', '/v1/agents/yours/subscriptions', { pattern: 'y' }],
    ['DELETE', `/v1/agents/yours/subscriptions/${sub}`],
    ['DELETE', `/v1/agents/mine/subscriptions/${sub}`],
    ['GET', '/v1/operations/op_none'],
  ];

  it("an agent gets 404 for another agent's messages, deliveries and subscriptions, also with a valid lease token", async () => {
    for (const [method, path, body] of paths()) {
      const answer = await test.call(method, path, { token: a, ...(body === undefined ? {} : { body }) });
      expect([method, path, ...refusal(answer)]).toEqual([method, path, 404, 'not_found']);
    }
    // None of the calls changed anything.
    expect((await test.call('GET', '/v1/agents/yours/subscriptions', { token: b })).body).toMatchObject({
      subscriptions: [{ id: sub, pattern: 'x' }],
    });
    expect((await messaging.settle(b, { id: delivery, leaseToken: lease })).status).toBe(200);
  });

  it("the 404 for another agent's message equals the one for a message that does not exist", async () => {
    const strip = ({ body }: Answer) => JSON.stringify(body).replaceAll(/private|no-such-one/g, 'X');
    const seen = await test.call('GET', '/v1/messages/private', { token: a });
    const never = await test.call('GET', '/v1/messages/no-such-one', { token: a });
    expect(strip(seen)).toBe(strip(never));
  });

  it('an agent that sent a message with the id of another sees only its own', async () => {
    await messaging.send(a, { id: 'private', to: { agent: 'mine' }, type: 'my-own' });
    expect(await messaging.trace('private', a)).toMatchObject({ source: 'mine', type: 'my-own' });
    expect(await messaging.trace('private', b)).toMatchObject({ source: 'yours' });
    expect((await test.call('GET', '/v1/receipts/private', { token: a })).body).toMatchObject({
      receipt: { messageId: 'private', matched: 1, acked: 0 },
    });
  });

  it('agents cannot list, replay or discard dead letters', async () => {
    expect(refusal(await test.call('GET', '/v1/dead-letters', { token: a }))).toEqual([403, 'forbidden']);
    for (const what of ['replay', 'discard']) {
      const answer = await test.call('POST', `/v1/dead-letters/dead_1/${what}`, { token: a });
      expect(refusal(answer)).toEqual([403, 'forbidden']);
    }
  });
});

describe('the inbox of an enrolled agent', () => {
  it("registering an agent's id with another enrolment token changes neither its capabilities nor its inbox", async () => {
    const token = await test.register('guarded', { capabilities: ['sing'] });
    const { body } = await test.call('POST', '/v1/tokens', {
      token: test.tokens.admin,
      body: { role: 'agent', name: 'stranger' },
    });
    const stranger = (body as { secret: string }).secret;
    const steal = () =>
      test.call('POST', '/v1/agents', { token: stranger, body: { id: 'guarded', capabilities: ['steal'] } });
    expect(refusal(await steal())).toEqual([409, 'state_conflict']);
    expect(only(await messaging.send(test.tokens.admin, { to: { capability: 'sing' } }))).toMatchObject({ matched: 1 });
    expect(only(await messaging.send(test.tokens.admin, { to: { capability: 'steal' } }))).toMatchObject({
      matched: 0,
    });
    await test.call('DELETE', '/v1/agents/guarded', { token });
    expect((await steal()).status).toBe(409);
    expect(only(await messaging.send(test.tokens.admin, { to: { agent: 'guarded' } }))).toMatchObject({
      matched: 0,
      deadLetter: 'unknown_recipient',
    });
  });

  it('an inbox is open after its agent leaves and registers again concurrently', async () => {
    let token = await test.register('hasty');
    for (let round = 0; round < 10; round += 1) {
      const [, back] = await Promise.all([
        test.call('DELETE', '/v1/agents/hasty', { token: test.tokens.admin }),
        test.register('hasty'),
      ]);
      token = back;
      const { body } = await test.call('GET', '/v1/agents/hasty', { token: test.tokens.viewer });
      if ((body as { agent: { liveness: { state: string } } }).agent.liveness.state === 'left') continue;
      const { id } = only(await messaging.send(test.tokens.admin, { to: { agent: 'hasty' } }));
      expect(idsOf(await messaging.receive('hasty', token, '?max=100'))).toContain(id);
    }
  });
});

describe('reach: cluster', () => {
  beforeAll(() => messaging.tune({ reach: 'cluster' }));
  afterAll(() => messaging.tune({ reach: 'fleet' }));

  it('with reach "cluster", agents can write only to agents of their clusters and to topics, and operators to all', async () => {
    const [inside, near, far] = [
      await test.register('r-in', { capabilities: ['reach'] }),
      await test.register('r-near', { capabilities: ['reach'] }),
      await test.register('r-far', { capabilities: ['reach'] }),
    ];
    await messaging.route('cl_r1', { 'r-in': [], 'r-near': ['hand'] });
    await messaging.route('cl_r2', { 'r-far': ['hand'] });
    await test.call('POST', '/v1/topics', { token: inside, body: { name: 'reach.all' } });
    await test.call('POST', '/v1/agents/r-far/subscriptions', { token: far, body: { pattern: 'reach.*' } });
    const allowed = [
      { agent: 'r-near' },
      { agent: 'r-in' },
      { cluster: 'cl_r1' },
      { role: 'hand', cluster: 'cl_r1' },
      { capability: 'reach', cluster: 'cl_r1' },
      { topic: 'reach.all' },
    ];
    const refused = [
      { agent: 'r-far' },
      { agent: 'nobody-at-all' },
      { cluster: 'cl_r2' },
      { clusters: ['cl_r1', 'cl_r2'] },
      { allClusters: true as const },
      { role: 'hand', cluster: 'cl_r2' },
      { capability: 'reach' },
      { capability: 'reach', cluster: 'cl_r2' },
    ];
    for (const to of allowed) {
      expect([to, only(await messaging.send(inside, { to }))]).toMatchObject([to, { accepted: true, matched: 1 }]);
    }
    for (const to of refused) {
      const result = only(await messaging.send(inside, { to }));
      expect([to, result]).toMatchObject([to, { accepted: false, error: { code: 'forbidden' } }]);
    }
    expect(only(await messaging.send(test.tokens.orchestrator, { to: { agent: 'r-far' } }))).toMatchObject({
      matched: 1,
    });
    expect((await messaging.receive('r-far', far)).length).toBe(2);
    expect((await messaging.receive('r-near', near)).length).toBe(4);
  });
});

describe('messaging that the settings turn off', () => {
  const attempts = (token: string, agentId: string) =>
    Promise.all(
      [
        ['POST', '/v1/messages', { messages: [{ to: { agent: agentId }, type: 't', data: 1 }] }] as const,
        ['POST', '/v1/message-batches', { messages: [] }] as const,
        ['POST', '/v1/topics', { name: 'off' }] as const,
        ['DELETE', '/v1/topics/off', undefined] as const,
        ['POST', `/v1/agents/${agentId}/subscriptions`, { pattern: 'off' }] as const,
        ['DELETE', `/v1/agents/${agentId}/subscriptions/sub_1`, undefined] as const,
        [
          'POST',
          '/v1/requests',
          { type: 'COMMUNICATION', messages: [{ to: { topic: 'x' }, type: 't', data: 1 }] },
        ] as const,
      ].map(async ([method, path, body]) =>
        refusal(await test.call(method, path, { token, ...(body ? { body } : {}) })),
      ),
    );

  it('sending without communication_management gets capability_disabled, and stored deliveries can still be acked', async () => {
    const token = await test.register('off-1');
    await messaging.send(test.tokens.admin, { to: { agent: 'off-1' } });
    const { capabilities } = test.deps.config();
    test.configure({ capabilities: ['cluster_management'] });
    for (const who of [token, test.tokens.orchestrator, test.tokens.admin]) {
      const outcomes = await attempts(who, 'off-1');
      expect(new Set(outcomes.map(String))).toEqual(new Set(['403,capability_disabled']));
    }
    const delivery = only(await messaging.receive('off-1', token));
    expect((await messaging.settle(token, delivery)).status).toBe(200);
    test.configure({ capabilities });
  });

  it('sending gets relationship_refused for exactly the parties that relationships does not list', async () => {
    const token = await test.register('off-2');
    const { relationships } = test.deps.config();
    for (const [listed, refused, taken] of [
      ['orchestrator', token, test.tokens.orchestrator],
      ['all_agents', test.tokens.orchestrator, token],
    ] as const) {
      test.configure({ relationships: [listed] });
      expect(new Set((await attempts(refused, 'off-2')).map(String))).toEqual(new Set(['403,relationship_refused']));
      expect(only(await messaging.send(taken, { to: { agent: 'off-2' } }))).toMatchObject({ accepted: true });
      expect(only(await messaging.send(test.tokens.admin, { to: { agent: 'off-2' } }))).toMatchObject({
        accepted: true,
      });
    }
    test.configure({ relationships });
  });
});

/** Texts that often break parsers, queries or logs, some of them too long. */
const hostile: readonly string[] = [
  '',
  ' ',
  '0',
  '-1',
  'null',
  'undefined',
  '[object Object]',
  '__proto__',
  'constructor',
  'toString',
  "'; drop table messages; --",
  "' or '1'='1",
  '"; select pg_sleep(10); --',
  '$1',
  '${jndi:ldap://x}',
  '{{7*7}}',
  '<script>alert(1)</script>',
  '../../etc/passwd',
  '%00',
  '%2e%2e%2f',
  '\\',
  '\\u0000',
  'a\0b',
  'a\nb\r\nc',
  '\u001b[2J',
  '\ud800',
  '\u202e\u200b\ufeff',
  '\uffff',
  '😀'.repeat(60),
  'ä'.repeat(199),
  '*',
  '>',
  '**.>',
  '.',
  '..',
  'a..b',
  '/',
  '/orchestrator/tok_1',
  'cluster.joined',
  'x'.repeat(201),
  'x'.repeat(100_000),
  'true',
  '1e999',
  'NaN',
  '9'.repeat(400),
];
const strange: readonly unknown[] = [null, true, 0, -1, 1e308, 0.1, [], {}, [[]], { a: { b: [] } }, ['x'], ...hostile];

describe('hostile values in every field', () => {
  const whole = {
    id: 'h-base',
    to: { agent: 'target' },
    type: 't',
    data: 1,
    correlationId: 'c',
    replyTo: 'target',
    partitionKey: 'p',
    ttlSeconds: 60,
  };
  let token: string;
  let round = 0;
  beforeAll(async () => {
    token = await test.register('target');
    await messaging.route('cl_h', { target: ['r'] });
    messaging.tune({ maxUnacked: 1000 });
  });
  /** Acks and returns everything in the inbox. Deliveries with one partition key can only be leased one after the other. */
  const emptied = async (): Promise<DeliveryView[]> => {
    const all: DeliveryView[] = [];
    for (;;) {
      const received = await messaging.receive('target', token, '?max=1000');
      if (received.length === 0) return all;
      all.push(...received);
      const acks = received.map(({ id, leaseToken }) => ({ id, leaseToken }));
      const { body } = await test.call('POST', '/v1/deliveries/ack', { token, body: { acks } });
      expect((body as { results: { acked: boolean }[] }).results.every(({ acked }) => acked)).toBe(true);
    }
  };

  /** Asserts that the inbox still accepts and delivers: no earlier message blocks it. */
  const isAlive = async (): Promise<void> => {
    const id = `alive-${(round += 1)}`;
    expect(only(await messaging.send(test.tokens.admin, { id, to: { agent: 'target' } }))).toMatchObject({
      matched: 1,
    });
    expect(idsOf(await emptied())).toContain(id);
  };

  /** Tries all values concurrently. @returns the status of each. @throws on a status of 500 or above. */
  const withEach = (attempt: (value: unknown) => Promise<{ readonly status: number }>): Promise<number[]> =>
    Promise.all(
      strange.map(async (value) => {
        const { status } = await attempt(value);
        if (status >= 500) throw new Error(`${status} for ${JSON.stringify(value)}: ${failureOf(test)}`);
        return status;
      }),
    );

  const places: readonly (readonly [string, (value: unknown) => object])[] = [
    ['id', (value) => ({ ...whole, id: value })],
    ['type', (value) => ({ ...whole, id: undefined, type: value })],
    ['data', (value) => ({ ...whole, id: undefined, data: value })],
    ['correlationId', (value) => ({ ...whole, id: undefined, correlationId: value })],
    ['replyTo', (value) => ({ ...whole, id: undefined, replyTo: value })],
    ['partitionKey', (value) => ({ ...whole, id: undefined, partitionKey: value })],
    ['ttlSeconds', (value) => ({ ...whole, id: undefined, ttlSeconds: value })],
    ['to', (value) => ({ ...whole, id: undefined, to: value })],
    ['to.agent', (value) => ({ ...whole, id: undefined, to: { agent: value } })],
    ['to.topic', (value) => ({ ...whole, id: undefined, to: { topic: value } })],
    ['to.cluster', (value) => ({ ...whole, id: undefined, to: { cluster: value } })],
    ['to.clusters', (value) => ({ ...whole, id: undefined, to: { clusters: [value] } })],
    ['to.role', (value) => ({ ...whole, id: undefined, to: { role: value, cluster: 'cl_h' } })],
    ['to.capability', (value) => ({ ...whole, id: undefined, to: { capability: value } })],
    ['data as a key', (value) => ({ ...whole, id: undefined, data: { [String(value)]: value } })],
  ];
  it.each(places)('hostile values in the field %s of a message get 202 or 400', async (_where, make) => {
    const seen = await withEach((value) =>
      test.call('POST', '/v1/messages', { token: test.tokens.admin, body: { messages: [make(value)] } }),
    );
    expect(seen.filter((status) => ![202, 400].includes(status))).toEqual([]);
    await isAlive();
  });

  it('hostile values as message data are delivered unchanged', async () => {
    const values = strange.filter((value) => typeof value !== 'string' || !/[\0\p{Surrogate}]/u.test(value));
    const messages = values.map((data, index) => ({ id: `data-${index}`, to: { agent: 'target' }, data }));
    await messaging.send(test.tokens.admin, ...messages);
    expect((await emptied()).map(({ message }) => message.data)).toEqual(values);
  });

  const bodies: readonly (readonly [string, string, (value: unknown) => object])[] = [
    ['POST', '/v1/topics', (value) => ({ name: value })],
    ['POST', '/v1/topics', (value) => ({ name: 'h.t', retention: value })],
    ['POST', '/v1/topics', (value) => ({ name: 'h.t', retention: { keep: 'count', count: value } })],
    ['POST', '/v1/topics', (value) => ({ name: 'h.t', publish: { agents: [value], clusters: [value] } })],
    ['POST', '/v1/topics', (value) => ({ name: 'h.c', subscribe: { clusters: [value] } })],
    ['POST', '/v1/topics', (value) => ({ name: 'h.t', maxSubscribers: value })],
    ['POST', '/v1/agents/target/subscriptions', (value) => ({ pattern: value })],
    ['POST', '/v1/agents/target/subscriptions', (value) => ({ pattern: 'h.>', queueGroup: value })],
    ['POST', '/v1/agents/target/subscriptions', (value) => ({ pattern: 'h.>', retained: value })],
    ['POST', '/v1/deliveries/ack', (value) => ({ acks: [{ id: value, leaseToken: value }] })],
    ['POST', '/v1/deliveries/dl_1_1/ack', (value) => ({ leaseToken: value })],
    ['POST', '/v1/deliveries/dl_1_1/nack', (value) => ({ leaseToken: value, delaySeconds: value, reason: value })],
    ['POST', '/v1/deliveries/dl_1_1/nack', (value) => ({ leaseToken: 'x', reason: value })],
    ['POST', '/v1/deliveries/dl_1_1/extend', (value) => ({ leaseToken: 'x', leaseSeconds: value })],
    ['POST', '/v1/message-batches', (value) => ({ messages: [{ ...whole, data: value }] })],
    ['POST', '/v1/message-batches', (value) => ({ messages: value, broadcasts: value })],
    ['POST', '/v1/requests', (value) => ({ type: 'COMMUNICATION', messages: value })],
    ['POST', '/v1/requests', (value) => ({ type: 'COMMUNICATION', batchId: value, requestId: value })],
    ['POST', '/v1/requests', (value) => ({ type: 'COMMUNICATION', topics: [{ action: value, name: value }] })],
    [
      'POST',
      '/v1/requests',
      (value) => ({ type: 'COMMUNICATION', routing: [{ clusterId: 'cl_h', expectedEpoch: value }, value] }),
    ],
    ['POST', '/v1/requests', (value) => ({ type: value, name: value })],
  ];
  for (const [method, path, make] of bodies) {
    it(`hostile values in the body cause no server error: ${method} ${path} ${JSON.stringify(make('…'))}`, async () => {
      const bearer = path.includes('deliveries') ? token : test.tokens.admin;
      const seen = await withEach((value) => test.call(method, path, { token: bearer, body: make(value) }));
      expect(seen).toHaveLength(strange.length);
      await isAlive();
    });
  }

  const targets: readonly (readonly [string, (value: string) => string])[] = [
    ['GET', (value) => `/v1/messages/${value}`],
    ['GET', (value) => `/v1/receipts/${value}`],
    ['GET', (value) => `/v1/topics/${value}`],
    ['DELETE', (value) => `/v1/topics/${value}`],
    ['DELETE', (value) => `/v1/topics/none?mode=${value}`],
    ['GET', (value) => `/v1/topics?cursor=${value}`],
    ['GET', (value) => `/v1/topics?cursor=${Buffer.from(JSON.stringify([value])).toString('base64url')}`],
    ['GET', (value) => `/v1/dead-letters?cursor=${Buffer.from(JSON.stringify([value])).toString('base64url')}`],
    ['GET', (value) => `/v1/dead-letters?recipient=${value}`],
    ['GET', (value) => `/v1/dead-letters?clusterId=${value}`],
    ['GET', (value) => `/v1/dead-letters?reason=${value}`],
    ['GET', (value) => `/v1/dead-letters?state=${value}`],
    ['POST', (value) => `/v1/dead-letters/${value}/replay`],
    ['POST', (value) => `/v1/dead-letters/${value}/discard`],
    ['POST', (value) => `/v1/dead-letters/dead_${value}/discard`],
    ['DELETE', (value) => `/v1/agents/target/subscriptions/${value}`],
    ['GET', (value) => `/v1/agents/${value}/subscriptions`],
    ['GET', (value) => `/v1/agents/target/inbox?max=${value}`],
    ['GET', (value) => `/v1/agents/target/inbox?waitSeconds=0&max=1&${value}=1`],
  ];
  for (const [method, make] of targets) {
    it(`hostile values in the URL cause no server error: ${method} ${make('…')}`, async () => {
      const seen = await withEach(async (value) => {
        const text = String(value).slice(0, 1000);
        // A URL cannot hold a lone surrogate, so its UTF-8 bytes are sent, as some clients do.
        const path = make(/\p{Surrogate}/u.test(text) ? '%ED%A0%80' : encodeURIComponent(text));
        return { status: await plain(method, path) };
      });
      expect(seen).toHaveLength(strange.length);
      await isAlive();
    });
  }

  /** A call that is not checked against the endpoint table: `..` and the like make other paths. */
  const plain = async (method: string, path: string): Promise<number> => {
    const response = await fetch(`${test.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${test.tokens.admin}` },
    });
    await response.text();
    return response.status;
  };

  it('hostile values drop no table', async () => {
    const { rows } = await sql<{ n: number }>`
      select count(*) as n from information_schema.tables where table_name in
      ('messages', 'deliveries', 'delivery_history', 'dead_letters', 'topics', 'subscriptions', 'inboxes')`.execute(
      test.databases.communication,
    );
    expect(rows[0]?.n).toBe(7);
  });
});
