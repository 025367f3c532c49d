import { createServer, type AddressInfo } from 'node:net';
import { Client, Connection } from '@temporalio/client';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { rescueOperations } from '../../src/maintenance/operation-rescuer.js';
import { createClusterManagerClient } from '../../src/client/index.js';
import type { OperationView } from '../../src/contracts/operations.js';
import { endOperation, findOperation } from '../../src/stores/clusters/index.js';
import { waitFor } from '../support/wait-for.js';
import { startTestApi, type Call, type TestApi, codeOf, operationOf } from './support.js';

let test: TestApi;
beforeAll(async () => {
  test = await startTestApi();
});
afterAll(() => test.stop());

const body = (name: string, more: object = {}) => ({ type: 'FORMATION', name, requiredCapabilities: ['c'], ...more });
const ask = (request: object, call: Call = {}, query = '') =>
  test.call('POST', `/v1/requests${query}`, { token: test.tokens.orchestrator, body: request, ...call });
const rows = async (): Promise<number> =>
  (await sql<{ n: number }>`select count(*) as n from operations`.execute(test.databases.clusters)).rows[0]?.n ?? 0;

/** Whether Temporal has the workflow. It makes no progress: its task queue has no worker. */
const isStarted = async (id: string): Promise<boolean> =>
  (await test.deps.client.progress(`formation/${id}`))?.running === true;

describe('POST /v1/requests', () => {
  it('a name with Markdown or HTML is shown as text in the Temporal UI', async () => {
    const { id } = operationOf(await ask(body('**bold** [link](http://x) <img src=x>')));
    const { address, namespace } = inject('temporal');
    const connection = await Connection.connect({ address });
    const described = await new Client({ connection, namespace }).workflow.getHandle(`formation/${id}`).describe();
    expect(await described.staticSummary()).toBe(
      String.raw`Form cluster "\*\*bold\*\* \[link\]\(http://x\) \<img src=x\>"`,
    );
    await connection.close();
  });

  it('a request stores its operation, starts its workflow and gets 202 with the location of the operation', async () => {
    const answer = await ask(body('first'));
    const operation = operationOf(answer);
    expect(answer.status).toBe(202);
    expect(answer.headers.get('location')).toBe(`/v1/operations/${operation.id}`);
    expect(operation).toMatchObject({ type: 'FORMATION', state: 'running', endedAt: null });
    expect(operation.clusterId).toBe(operation.id.replace('op_', 'cl_'));
    expect(operation.temporalUrl).toBe(
      `http://127.0.0.1:8233/namespaces/default/workflows/formation%2F${operation.id}`,
    );
    expect(operation.steps.map(({ name, state }) => [name, state])).toEqual([
      ['identifyAgents', 'pending'],
      ['defineCluster', 'pending'],
      ['establishConnections', 'pending'],
      ['initializeCluster', 'pending'],
    ]);
    expect(await isStarted(operation.id)).toBe(true);
  });

  it('requests with one idempotency key and one body are one operation, in any order of fields', async () => {
    const headers = { 'idempotency-key': 'nightly' };
    const first = operationOf(await ask(body('keyed', { weight: 2 }), { headers }));
    const again = await ask({ weight: 2, requiredCapabilities: ['c'], name: 'keyed', type: 'FORMATION' }, { headers });
    expect(operationOf(again).id).toBe(first.id);
    const other = await ask(body('keyed', { weight: 3 }), { headers });
    expect([other.status, codeOf(other)]).toEqual([409, 'idempotency_conflict']);
  });

  it('one idempotency key used with two tokens makes two operations', async () => {
    const headers = { 'idempotency-key': 'shared word' };
    const mine = operationOf(await ask(body('mine'), { headers }));
    const theirs = operationOf(await ask(body('mine'), { headers, token: test.tokens.admin }));
    expect(theirs.id).not.toBe(mine.id);
  });

  it('50 identical concurrent requests store one operation', async () => {
    const before = await rows();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => ask(body('together', { requestId: 'together-1' }))),
    );
    expect(new Set(answers.map((answer) => operationOf(answer).id))).toEqual(new Set(['together-1']));
    expect(answers.every(({ status }) => status === 202)).toBe(true);
    expect(await rows()).toBe(before + 1);
  });

  it('a request that waits gets 200 when its operation ends', async () => {
    const id = 'awaited-1';
    const asked = ask(body('awaited', { requestId: id }), {}, '?wait=20');
    await waitFor('the operation to be stored', () => findOperation(test.databases.clusters, id));
    const endedAtMs = performance.now();
    const error = { code: 'insufficient_agents', detail: 'no agent has c' };
    await endOperation(test.databases.clusters, id, { state: 'refused', event: 'formation.refused', error });
    const answer = await asked;
    expect(performance.now() - endedAtMs).toBeLessThan(1000);
    expect(answer.status).toBe(200);
    expect(operationOf(answer)).toMatchObject({ state: 'refused', error });
    const again = await ask(body('awaited', { requestId: id }));
    expect([again.status, operationOf(again).state]).toEqual([200, 'refused']);
  });

  it('a request whose wait ends before its operation gets 202', async () => {
    const answer = await ask(body('slow'), {}, '?wait=1');
    expect([answer.status, operationOf(answer).state]).toEqual([202, 'running']);
  });

  it('an agent can make and read its own request, and cannot use the request id of another party', async () => {
    const token = await test.register('asker');
    const operation = operationOf(await ask(body('by an agent', { requestId: 'agents-own' }), { token }));
    expect(operation.requestedBy).toBe('agent:asker');
    expect((await test.call('GET', '/v1/operations/agents-own', { token })).status).toBe(200);
    await ask(body('by others', { requestId: 'others-own' }));
    const taken = await ask(body('by others', { requestId: 'others-own' }), { token });
    expect([taken.status, codeOf(taken)]).toEqual([409, 'idempotency_conflict']);
  });

  it('a request that the settings turn off is refused and not stored', async () => {
    const before = await rows();
    const token = await test.register('outsider');
    const settings = test.deps.config();
    test.configure({ relationships: ['orchestrator'] });
    expect(codeOf(await ask(body('x'), { token }))).toBe('relationship_refused');
    test.configure({ relationships: ['all_agents'] });
    expect(codeOf(await ask(body('x')))).toBe('relationship_refused');
    test.configure({ relationships: settings.relationships, capabilities: ['scaling'] });
    const disabled = await ask(body('x'));
    expect([disabled.status, codeOf(disabled)]).toEqual([403, 'capability_disabled']);
    test.configure({ capabilities: settings.capabilities });
    expect(await rows()).toBe(before);
  });
});

/** A port without a listener. */
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

describe('while Temporal is unreachable', () => {
  it('a request made while Temporal is unreachable gets 503, is stored, and is started by the sweep later', async () => {
    const nowhere = new Client({ connection: Connection.lazy({ address: `127.0.0.1:${await freePort()}` }) });
    const client = createClusterManagerClient(nowhere, test.deps.client.managerId);
    const away = await startTestApi({ databases: test.databases, client });
    const request = body('kept', { requestId: 'kept-1' });
    const answer = await away.call('POST', '/v1/requests', { token: test.tokens.orchestrator, body: request });
    const { body: readiness, status } = await away.call('GET', '/readyz');
    expect([status, readiness]).toMatchObject([
      503,
      { ready: false, parts: [{}, {}, {}, { name: 'temporal', ready: false }] },
    ]);
    await away.stop();
    expect([answer.status, codeOf(answer)]).toEqual([503, 'service_unavailable']);
    expect((answer.body as { detail: string }).detail).toMatch(/kept-1 has not started yet.*is stored/s);
    expect(await isStarted('kept-1')).toBe(false);
    expect(operationOf(await test.call('GET', '/v1/operations/kept-1', { token: test.tokens.viewer })).state).toBe(
      'running',
    );
    // As if more than ten seconds had passed.
    await sql`update operations set created_at = created_at - interval '11 seconds' where id = 'kept-1'`.execute(
      test.databases.clusters,
    );
    expect(await rescueOperations(test.maintenance)).toContain('kept-1');
    expect(await isStarted('kept-1')).toBe(true);
  });
});

describe('operations', () => {
  it('operations are listed newest first, page by page, each once', async () => {
    const made: string[] = [];
    for (let index = 0; index < 5; index += 1) made.push(operationOf(await ask(body(`page ${index}`))).id);
    const seen: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const answer = await test.call('GET', `/v1/operations?limit=2${query}`, { token: test.tokens.viewer });
      const page = answer.body as { operations: OperationView[]; nextCursor: string | null };
      seen.push(...page.operations.map(({ id }) => id));
      cursor = page.nextCursor;
    }
    expect(seen.slice(0, 5)).toEqual(made.toReversed());
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBe(await rows());
  });

  it('an operation shows its completed and its undone steps', async () => {
    const { id } = operationOf(await ask(body('steps')));
    for (const step of ['identifyAgents', 'defineCluster', 'undo:defineCluster']) {
      await sql`insert into operation_steps (operation_id, step, attempt, started_at, result)
        values (${id}, ${step}, 2, now(), 'null')`.execute(test.databases.clusters);
    }
    const { steps } = operationOf(await test.call('GET', `/v1/operations/${id}`, { token: test.tokens.viewer }));
    expect(steps.map(({ name, state, attempts }) => [name, state, attempts])).toEqual([
      ['identifyAgents', 'completed', 2],
      ['defineCluster', 'undone', 2],
      ['establishConnections', 'pending', 0],
      ['initializeCluster', 'pending', 0],
    ]);
  });

  it('an operation can be cancelled while it runs, and not after it ended', async () => {
    const { id } = operationOf(await ask(body('to cancel')));
    const cancel = () => test.call('POST', `/v1/operations/${id}/cancel`, { token: test.tokens.orchestrator });
    expect((await cancel()).status).toBe(202);
    await endOperation(test.databases.clusters, id, { state: 'cancelled', event: 'formation.cancelled' });
    const late = await cancel();
    expect([late.status, codeOf(late)]).toEqual([409, 'operation_ended']);
  });

  it('an unknown operation gets 404', async () => {
    expect((await test.call('GET', '/v1/operations/op_none', { token: test.tokens.viewer })).status).toBe(404);
  });
});

describe('clusters', () => {
  const addCluster = (id: string, state: string) =>
    sql`insert into clusters (id, name, state, epoch, spec, operation_id) values (${id}, ${id}, ${state}, 1,
      ${JSON.stringify({ size: { min: 3, desired: 3, max: 5 }, requiredCapabilities: ['c'], labels: {} })}, 'op')`.execute(
      test.databases.clusters,
    );
  const dissolve = (id: string, call: Call = {}) =>
    test.call('DELETE', `/v1/clusters/${id}`, { token: test.tokens.orchestrator, ...call });

  it('clusters are listed by id, page by page, and shown one by one', async () => {
    for (const id of ['cl_b', 'cl_a', 'cl_c']) await addCluster(id, 'active');
    const list = async (query: string) =>
      (await test.call('GET', `/v1/clusters?${query}`, { token: test.tokens.viewer })).body as {
        clusters: { id: string }[];
        nextCursor: string | null;
      };
    const first = await list('limit=2');
    expect(first.clusters.map(({ id }) => id)).toEqual(['cl_a', 'cl_b']);
    const second = await list(`limit=2&cursor=${first.nextCursor}`);
    expect([second.clusters.map(({ id }) => id), second.nextCursor]).toEqual([['cl_c'], null]);
    expect((await list('state=dissolved')).clusters).toEqual([]);
    expect((await test.call('GET', '/v1/clusters/cl_a', { token: test.tokens.viewer })).status).toBe(200);
    expect((await test.call('GET', '/v1/clusters/cl_none', { token: test.tokens.viewer })).status).toBe(404);
  });

  it('repeated requests to dissolve a cluster are one operation', async () => {
    await addCluster('cl_end', 'active');
    const first = operationOf(await dissolve('cl_end', { body: { drainSeconds: 0 } }));
    expect(first).toMatchObject({ id: 'op_dissolve_cl_end', type: 'DISSOLUTION', clusterId: 'cl_end' });
    const again = operationOf(await dissolve('cl_end', { body: { drainSeconds: 0 } }));
    expect(again.id).toBe(first.id);
    expect((await test.deps.client.progress('dissolution/cl_end'))?.running).toBe(true);
  });

  it('a cluster can be dissolved again after the first dissolution was cancelled', async () => {
    await addCluster('cl_retry', 'active');
    const { id } = operationOf(await dissolve('cl_retry'));
    await endOperation(test.databases.clusters, id, { state: 'cancelled', event: 'formation.cancelled' });
    expect(operationOf(await dissolve('cl_retry')).id).toBe('op_dissolve_cl_retry_2');
  });

  it('a forming or failed cluster cannot be dissolved', async () => {
    await addCluster('cl_forming', 'forming');
    await addCluster('cl_failed', 'failed');
    for (const id of ['cl_forming', 'cl_failed']) {
      const answer = await dissolve(id);
      expect([id, answer.status, codeOf(answer)]).toEqual([id, 409, 'state_conflict']);
    }
    expect((await dissolve('cl_none')).status).toBe(404);
  });
});

describe('the state of the manager', () => {
  it('status, events, health, metrics and the OpenAPI document are served', async () => {
    const { viewer } = test.tokens;
    const { body: status } = await test.call('GET', '/v1/status', { token: viewer });
    expect(status).toMatchObject({
      manager: { name: 'ClusterManager' },
      thresholds: { clusterSize: { min: 3, max: 10 } },
    });
    const { body: events } = await test.call('GET', '/v1/events?limit=1', { token: viewer });
    const { next } = events as { next: number };
    const { body: rest } = await test.call('GET', `/v1/events?after=${next}`, { token: viewer });
    expect((rest as { events: { seq: number }[] }).events[0]?.seq).toBe(next + 1);
    expect((await test.call('GET', '/livez')).body).toEqual({ alive: true });
    expect((await test.call('GET', '/readyz')).body).toMatchObject({ ready: true });
    const metrics = await test.call('GET', '/metrics', { token: viewer });
    expect(metrics.headers.get('content-type')).toMatch(/^text\/plain/);
    expect(metrics.body).toMatch(/^# HELP /);
    expect(metrics.body).toMatch(/^cluster_manager_formations_total\{outcome="accepted"\} \d+$/m);
    expect((await test.call('GET', '/openapi.json')).body).toMatchObject({ openapi: '3.1.0' });
  });
});
