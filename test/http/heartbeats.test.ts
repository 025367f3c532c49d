import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HeartbeatBatcher } from '../../src/http/heartbeat-batcher.js';
import { findAgent } from '../../src/stores/clusters/index.js';
import { createMetrics } from '../../src/telemetry/index.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { addAgents } from '../support/fleet.js';
import { startTestApi, type TestApi } from './support.js';

let databases: TestDatabases;
let test: TestApi;
beforeAll(async () => {
  databases = await createTestDatabases();
  test = await startTestApi({ databases });
});
afterAll(async () => {
  await test.stop();
  await databases.drop();
});

const windowMs = 100;
const batcher = (metrics = createMetrics()) =>
  new HeartbeatBatcher(databases.clusters, () => ({ leaseSeconds: 30, windowMs }), metrics);

async function flushesOf(metrics: ReturnType<typeof createMetrics>): Promise<{ count: number; beats: number }> {
  const { values } = await metrics.heartbeatBatchSize.get();
  const valueOf = (name: string): number => values.find(({ metricName }) => metricName?.endsWith(name))?.value ?? 0;
  return { count: valueOf('_count'), beats: valueOf('_sum') };
}

describe('heartbeats', () => {
  it('concurrent heartbeats of 500 agents are written by at most two statements and all answered', async () => {
    const ids = await addAgents(databases.clusters, 500, {}, 'many');
    const metrics = createMetrics();
    const beats = batcher(metrics);
    const answers = await Promise.all(ids.map((id) => beats.beat(id, { load: 0.5 })));
    expect(answers.every((answer) => answer !== undefined && answer.leaseExpiresAt.getTime() > Date.now())).toBe(true);
    const { count, beats: written } = await flushesOf(metrics);
    expect(count).toBeLessThanOrEqual(2);
    expect(written).toBe(500);
    await beats.close();
  });

  it('concurrent heartbeats of 500 agents over HTTP are written by about one statement per window and all answered', async () => {
    const ids = await addAgents(databases.clusters, 500, {}, 'http');
    const startedAtMs = performance.now();
    const answers = await Promise.all(
      ids.map((id) => test.call('POST', `/v1/agents/${id}/heartbeat`, { token: test.tokens.admin, body: {} })),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    // One statement per window, however long the machine takes for 500 requests.
    const windows = (performance.now() - startedAtMs) / test.deps.config().heartbeatWindowMs;
    expect((await flushesOf(test.deps.metrics)).count).toBeLessThan(windows + 2);
  });

  it('the first heartbeat after a pause is written at once, and the next one waits for the window', async () => {
    const [id = ''] = await addAgents(databases.clusters, 1, {}, 'quiet');
    const beats = batcher();
    const startedAtMs = performance.now();
    await beats.beat(id, {});
    const firstMs = performance.now() - startedAtMs;
    await beats.beat(id, {});
    const secondMs = performance.now() - startedAtMs;
    expect(firstMs).toBeLessThan(windowMs);
    expect(secondMs).toBeGreaterThanOrEqual(windowMs - 1);
    await beats.close();
  });

  it("an agent's heartbeats of one window are merged, and the last value of each field counts", async () => {
    const [id = ''] = await addAgents(databases.clusters, 1, {}, 'merged');
    const metrics = createMetrics();
    const beats = batcher(metrics);
    const answers = await Promise.all([
      beats.beat(id, { readiness: 'busy', load: 0.1 }),
      beats.beat(id, { load: 0.9 }),
      beats.beat(id, { inboxDepth: 3 }),
    ]);
    expect(new Set(answers).size).toBe(1);
    expect(await flushesOf(metrics)).toEqual({ count: 1, beats: 1 });
    const agent = await findAgent(databases.clusters, id);
    expect(agent?.readiness).toEqual({ state: 'busy', load: expect.closeTo(0.9, 5), inboxDepth: 3 });
    await beats.close();
  });

  it('a heartbeat of an agent that has left gets 404 and the advice to register again', async () => {
    const token = await test.register('leaving');
    await sql`update agents set left_at = now() where id = 'leaving'`.execute(databases.clusters);
    const answer = await test.call('POST', '/v1/agents/leaving/heartbeat', { token, body: {} });
    expect([answer.status, (answer.body as { detail: string }).detail]).toEqual([
      404,
      'Agent "leaving" does not exist or has left; register again',
    ]);
  });

  it('heartbeats that cannot be written fail for all their callers, and later ones succeed', async () => {
    const [id = ''] = await addAgents(databases.clusters, 1, {}, 'failing');
    const beats = batcher();
    await sql`alter table agents rename to agents_away`.execute(databases.clusters);
    const failed = await Promise.allSettled([beats.beat(id, {}), beats.beat('another', {})]);
    await sql`alter table agents_away rename to agents`.execute(databases.clusters);
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await beats.beat(id, {})).toBeDefined();
    await beats.close();
  });

  it('accepted heartbeats are written before the server closes', async () => {
    const [id = ''] = await addAgents(databases.clusters, 1, {}, 'closing');
    const beats = batcher();
    await beats.beat(id, {});
    const last = beats.beat(id, { inboxDepth: 7 });
    await beats.close();
    expect(await last).toBeDefined();
    expect((await findAgent(databases.clusters, id))?.readiness.inboxDepth).toBe(7);
  });
});
