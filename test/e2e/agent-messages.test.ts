import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createAgent, finalError, type Agent, type AgentOptions } from '../../src/agent/index.js';
import { callApi } from '../../src/contracts/api-call.js';
import type { MessageView } from '../../src/contracts/inbox.js';
import type { DeadLetterView, MessageTrace } from '../../src/contracts/messages.js';
import { waitFor } from '../support/wait-for.js';
import { startManager, type TestManager } from './manager.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
let manager: TestManager;
const agents: Agent[] = [];

beforeAll(async () => {
  manager = await startManager({ leaseSeconds: 6, heartbeatSeconds: 1 });
  // Short leases and retries, applied while the manager runs.
  const settings = join(manager.stateDir, 'cluster-manager.yaml');
  writeFileSync(
    settings,
    `${readFileSync(settings, 'utf8')}  communication: { delivery_lease: 3, retry_delays: [0, 1] }\n`,
  );
  await manager.api.applyConfig();
});
afterAll(() => manager?.stop());
afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.leave().catch(() => undefined)));
});

interface Seen {
  readonly agent: Agent;
  readonly got: MessageView[];
  readonly attempts: number[];
  readonly errors: Error[];
}

/** A started agent that records the messages it receives. It leaves after the test. */
async function startAgent(options: Partial<AgentOptions> & { readonly id: string }): Promise<Seen> {
  const agent = createAgent({ url: manager.url, token: manager.enrolmentToken, ...options });
  const seen: Seen = { agent, got: [], attempts: [], errors: [] };
  agent.onMessage((message, { attempt }) => {
    if (message.type.startsWith('cluster.')) return;
    seen.got.push(message);
    seen.attempts.push(attempt);
  });
  agent.on('error', (error) => seen.errors.push(error));
  agents.push(agent);
  await agent.start();
  return seen;
}

const read = async (path: string): Promise<unknown> =>
  (await callApi(manager.url, { method: 'GET', path, token: manager.adminToken })).body;
const wayOf = async (id: string): Promise<MessageTrace> =>
  ((await read(`/v1/messages/${id}`)) as { message: MessageTrace }).message;
const deadLetters = async (recipient: string): Promise<readonly DeadLetterView[]> =>
  ((await read(`/v1/dead-letters?recipient=${recipient}`)) as { deadLetters: DeadLetterView[] }).deadLetters;
const acked = (id: string, of: number) =>
  waitFor(`${of} acks of ${id}`, async () => {
    const { deliveries } = await wayOf(id);
    return deliveries.filter(({ state }) => state === 'acked').length === of;
  });
const numbers = (seen: Seen): unknown[] => seen.got.map(({ data }) => data);

describe.each(['stream', 'poll'] as const)('agents that receive by %s', (receive) => {
  it('send messages, which are delivered in order and acked', async () => {
    const ada = await startAgent({ id: `ada-${receive}`, receive });
    const bo = await startAgent({ id: `bo-${receive}`, receive });
    const { id, ...sent } = await ada.agent.send({ to: { agent: bo.agent.id }, type: 'test.hello', data: 0 });
    expect(sent).toEqual({ accepted: true, matched: 1 });
    const results = await ada.agent.sendMany(
      Array.from({ length: 60 }, (_, n) => ({ to: { agent: bo.agent.id }, type: 'test.hello', data: n + 1 })),
    );
    expect(results.every(({ accepted }) => accepted)).toBe(true);
    await waitFor('all of them', () => bo.got.length === 61);
    expect(numbers(bo)).toEqual(Array.from({ length: 61 }, (_, n) => n));
    expect(bo.got[0]).toMatchObject({ id, source: ada.agent.id, type: 'test.hello', to: { agent: bo.agent.id } });
    await acked(results.at(-1)?.id ?? '', 1);
    expect(new Set(bo.attempts)).toEqual(new Set([1]));
    expect([...ada.errors, ...bo.errors]).toEqual([]);
  });

  it('request and reply, also within a handler, and fail with not_found without a recipient', async () => {
    const asker = await startAgent({ id: `asker-${receive}`, receive });
    const relay = await startAgent({ id: `relay-${receive}`, receive });
    const sage = await startAgent({ id: `sage-${receive}`, receive, capabilities: [`wisdom-${receive}`] });
    sage.agent.onMessage(({ data }) => ({ type: 'answer', data: `${String(data)}: 42` }));
    relay.agent.onMessage(async ({ data }) => {
      const reply = await relay.agent.request({ capability: `wisdom-${receive}` }, { type: 'question', data });
      return { type: 'relayed', data: reply.data };
    });
    const reply = await asker.agent.request({ agent: relay.agent.id }, { type: 'question', data: 'why' });
    expect(reply).toMatchObject({ source: relay.agent.id, type: 'relayed', data: 'why: 42' });
    expect(asker.got).toEqual([]);
    await acked(reply.id, 1);
    await expect(asker.agent.request({ agent: 'nobody-at-all' }, { type: 'question', data: 1 })).rejects.toMatchObject({
      code: 'not_found',
    });
  });
});

describe('a request', () => {
  it('receives its reply although more messages than a batch wait for the handler', async () => {
    const busy = await startAgent({ id: 'busy', batchSize: 5 });
    const helper = await startAgent({ id: 'helper' });
    helper.agent.onMessage(() => ({ type: 'helped', data: null }));
    const done: string[] = [];
    busy.agent.onMessage(async ({ id }) => {
      await busy.agent.request({ agent: 'helper' }, { type: 'help', data: null }, { timeoutMs: 15_000 });
      done.push(id);
    });
    const orders = Array.from({ length: 30 }, (_, n) => ({
      id: `order-${n}`,
      to: { agent: 'busy' },
      type: 'order',
      data: n,
    }));
    await helper.agent.sendMany(orders);
    await waitFor('all orders', () => done.length === 30);
    expect(done).toEqual(orders.map(({ id }) => id));
    expect(busy.errors).toEqual([]);
  });

  it('that timed out has its late reply dead-lettered', async () => {
    const hasty = await startAgent({ id: 'hasty' });
    const slow = await startAgent({ id: 'slow' });
    let answer = (): void => undefined;
    slow.agent.onMessage(async () => {
      await new Promise<void>((resolve) => (answer = resolve));
      return { type: 'answer', data: null };
    });
    await expect(
      hasty.agent.request({ agent: 'slow' }, { type: 'question', data: null }, { timeoutMs: 1500 }),
    ).rejects.toMatchObject({ code: 'deadline_exceeded' });
    answer();
    const letter = await waitFor('the dead letter', async () => (await deadLetters('hasty'))[0]);
    expect(letter).toMatchObject({ source: 'slow', type: 'answer', reason: 'rejected' });
    expect(letter.detail).toContain('came too late');
    expect(hasty.got).toEqual([]);
  });
});

describe('clusters and topics', () => {
  it('a broadcast is delivered to every other member', async () => {
    const members = await Promise.all(['c1', 'c2', 'c3'].map((id) => startAgent({ id, capabilities: ['choir'] })));
    const { operation: formed } = await manager.api.processRequest({
      body: { type: 'FORMATION', name: 'choir', requiredCapabilities: ['choir'], size: { min: 3, desired: 3, max: 3 } },
      query: { wait: 30 },
    });
    const clusterId = formed.clusterId ?? '';
    const [first] = members;
    const sent = await first?.agent.broadcast(clusterId, { type: 'test.song', data: 'la' });
    expect(sent?.matched).toBe(2);
    await acked(sent?.id ?? '', 2);
    expect(members.map(({ got }) => got.map(({ data }) => data))).toEqual([[], ['la'], ['la']]);
    expect(members[1]?.got[0]).toMatchObject({ source: 'c1', clusterId, epoch: 1 });
  });

  it('a topic delivers to matching subscriptions, to one member of each queue group, and its last message to a later subscriber', async () => {
    const owner = await startAgent({ id: 'owner' });
    const all = await startAgent({ id: 'all' });
    const groups = await Promise.all(['g1', 'g2'].map((id) => startAgent({ id })));
    await owner.agent.createTopic({ name: 'orders.eu', retention: { keep: 'last' } });
    await all.agent.subscribe('orders.>');
    for (const { agent } of groups) await agent.subscribe('orders.eu', { queueGroup: 'workers' });
    for (let n = 0; n < 10; n++) {
      expect((await owner.agent.publish('orders.eu', { type: 'test.order', data: n })).matched).toBe(2);
    }
    const tens = Array.from({ length: 10 }, (_, n) => n);
    await waitFor('all orders', () => all.got.length === 10 && groups.flatMap(numbers).length === 10);
    expect(numbers(all)).toEqual(tens);
    expect(new Set(groups.flatMap(numbers))).toEqual(new Set(tens));
    const late = await startAgent({ id: 'late' });
    expect(await late.agent.subscribe('orders.eu')).toMatchObject({ retained: 1 });
    await waitFor('the last order', () => late.got.length === 1);
    expect(numbers(late)).toEqual([9]);
    expect(await all.agent.unsubscribe('orders.>')).toBe(true);
    expect(await all.agent.unsubscribe('orders.>')).toBe(false);
    expect((await owner.agent.publish('orders.eu', { type: 'test.order', data: 10 })).matched).toBe(2);
    expect(await owner.agent.deleteTopic('orders.eu', { mode: 'force' })).toMatchObject({ state: 'deleted' });
    expect(await owner.agent.publish('orders.eu', { type: 'test.order', data: 11 })).toMatchObject({
      matched: 0,
      deadLetter: 'unknown_topic',
    });
  });

  it('a subscription is renewed when the agent registers again', async () => {
    const owner = await startAgent({ id: 'teller' });
    const reader = await startAgent({ id: 'listener', registerAgainWithinMs: 100 });
    await owner.agent.createTopic({ name: 'news' });
    await reader.agent.subscribe('news');
    const again = new Promise<void>((resolve) => reader.agent.on('registered', () => resolve()));
    await manager.api.removeAgent({ params: { id: 'listener' } });
    await again;
    await waitFor(
      'the subscription',
      async () => (await owner.agent.publish('news', { type: 'n', data: 1 })).matched > 0,
    );
    await waitFor('the news', () => reader.got.length > 0);
    expect(reader.got[0]).toMatchObject({ topic: 'news', source: 'teller' });
  });
});

describe('a handler', () => {
  it('that throws has the message redelivered, or dead-lettered with the reason when the error is final', async () => {
    const sender = await startAgent({ id: 'giver' });
    const taker = await startAgent({ id: 'taker' });
    const seen: [unknown, number][] = [];
    taker.agent.onMessage(({ data }, { attempt }) => {
      seen.push([data, attempt]);
      if (data === 'final') throw finalError('there is no such document');
      if (attempt === 1) throw new Error('not today');
    });
    const again = await sender.agent.send({ to: { agent: 'taker' }, type: 't', data: 'again' });
    await acked(again.id, 1);
    await sender.agent.send({ to: { agent: 'taker' }, type: 't', data: 'final' });
    const letter = await waitFor('the dead letter', async () => (await deadLetters('taker'))[0]);
    expect(letter).toMatchObject({ reason: 'rejected', detail: 'there is no such document', attempts: 1 });
    expect(seen).toEqual([
      ['again', 1],
      ['again', 2],
      ['final', 1],
    ]);
    expect((await wayOf(again.id)).hops.map(({ what, detail }) => [what, detail]).join('\n')).toContain('not today');
  });

  it('that runs longer than the lease keeps its message and those queued behind it', async () => {
    const sender = await startAgent({ id: 'impatient' });
    const thinker = await startAgent({ id: 'thinker' });
    const seen: [unknown, number][] = [];
    let finish = (): void => undefined;
    thinker.agent.onMessage(async ({ data }, { attempt }) => {
      seen.push([data, attempt]);
      if (data === 'long') await new Promise<void>((resolve) => (finish = resolve));
    });
    const to = { agent: 'thinker' };
    const [long, next] = await sender.agent.sendMany([
      { to, type: 't', data: 'long' },
      { to, type: 't', data: 'next' },
    ]);
    await waitFor('the work to begin', () => seen.length === 1);
    const begunMs = performance.now();
    await waitFor('more than two leases to pass', () => performance.now() - begunMs > 7000);
    finish();
    await acked(long?.id ?? '', 1);
    await acked(next?.id ?? '', 1);
    expect(seen).toEqual([
      ['long', 1],
      ['next', 1],
    ]);
  });
});

describe('when the server is killed while messages flow', () => {
  it('no message is lost or handled twice, and those of one partition key stay in order', async () => {
    const senders = await Promise.all(['s1', 's2', 's3'].map((id) => startAgent({ id })));
    const reader = await startAgent({ id: 'reader', concurrency: 2 });
    const each = 40;
    let accepted = 0;
    const flows = senders.map(async ({ agent }, at) => {
      const key = at === 0 ? { partitionKey: 'in-order' } : {};
      for (let n = 0; n < each; n++) {
        await agent.send({ to: { agent: 'reader' }, type: 'test.count', data: n, ...key }, { timeoutMs: 60_000 });
        accepted++;
      }
    });
    for (const at of [30, 70]) {
      await waitFor(`${at} messages`, () => accepted >= at);
      expect(manager.stack.signal('server', 'SIGKILL')).toBeGreaterThan(0);
      await manager.stack.waitReady('server');
    }
    await Promise.all(flows);
    await waitFor('all of them', () => reader.got.length >= 3 * each, { timeoutMs: 40_000 });
    const all = Array.from({ length: each }, (_, n) => n);
    for (const [at, { agent }] of senders.entries()) {
      const from = reader.got.filter(({ source }) => source === agent.id).map(({ data }) => Number(data));
      // Without a key, a message that was in flight at the kill may be delivered after its successors.
      expect(at === 0 ? from : from.sort((a, b) => a - b)).toEqual(all);
    }
    await waitFor('all acks', async () => (await openDeliveries('reader')) === 0);
  }, 120_000);
});

async function openDeliveries(agentId: string): Promise<number> {
  const { rows } = await sql<{ open: number }>`
    select count(*) as open from deliveries d join inboxes i on i.no = d.inbox_no where i.agent_id = ${agentId}`.execute(
    manager.databases.communication,
  );
  return Number(rows[0]?.open);
}

describe('the Python agent', () => {
  it('receives messages, replies over plain HTTP and leaves', async () => {
    const asker = await startAgent({ id: 'ts-asker' });
    const running = promisify(execFile)(
      'python3',
      [join(root, 'examples/python/inbox.py'), '--id', 'echo-1', '--capability', 'echo', '--messages', '2'],
      {
        env: {
          PATH: process.env['PATH'] ?? '',
          CLUSTER_MANAGER_URL: manager.url,
          CLUSTER_MANAGER_ENROLMENT_TOKEN: manager.enrolmentToken,
        },
      },
    );
    await waitFor(
      'the agent',
      async () => (await manager.api.getAgent({ params: { id: 'echo-1' } })).agent.liveness.state === 'alive',
    );
    const reply = await asker.agent.request({ capability: 'echo' }, { type: 'test.echo', data: { text: 'žlutý 🐎' } });
    expect(reply).toMatchObject({ source: 'echo-1', type: 'echo.reply', data: { text: 'žlutý 🐎' } });
    await asker.agent.send({ id: 'plain-1', to: { agent: 'echo-1' }, type: 'test.echo', data: 2 });
    await waitFor('the echo', () => asker.got.length === 1);
    expect(asker.got[0]).toMatchObject({ correlationId: 'plain-1', data: 2 });
    const { stdout } = await running;
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { event: string }).event);
    expect(events).toEqual(['registered', 'message', 'replied', 'message', 'replied', 'left']);
    expect((await manager.api.getAgent({ params: { id: 'echo-1' } })).agent.liveness.state).toBe('left');
    await acked('plain-1', 1);
  });
});

describe('the debate example', () => {
  it('prints the debate, exits, and leaves no cluster, topic or agent', async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', join(root, 'examples/02-debate.ts'), manager.id],
      {
        cwd: root,
        env: {
          PATH: process.env['PATH'] ?? '',
          CLUSTER_MANAGER_URL: manager.url,
          CLUSTER_MANAGER_ENROLMENT_TOKEN: manager.enrolmentToken,
          ...manager.env,
        },
      },
    );
    const lines = stdout.trim().split('\n');
    expect(lines.filter((line) => /^ {2}\w+ \((one service|many services)\): /.test(line))).toHaveLength(4);
    expect(lines.filter((line) => /^ {4}suggested by \w+$/.test(line))).toHaveLength(4);
    expect(lines.filter((line) => /^ {2}\w+ heard [234] statements and votes for "/.test(line))).toHaveLength(6);
    expect(lines.at(-1)).toMatch(/^"one service" wins with 6 of 6 votes$/);
    const { clusters } = await manager.api.listClusters({ query: { state: 'active' } });
    expect(clusters.map(({ name }) => name)).not.toContain('one service');
    const { topics } = (await read('/v1/topics')) as { topics: { name: string }[] };
    expect(topics.filter(({ name }) => name.startsWith('debate.'))).toEqual([]);
    expect((await manager.api.getAgent({ params: { id: 'moderator' } })).agent.liveness.state).toBe('left');
  }, 60_000);
});
