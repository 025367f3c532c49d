import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DecisionSummary, DecisionView, ScoreView } from '../../src/contracts/decisions.js';
import type { OperationView } from '../../src/contracts/operations.js';
import type { CapacityRequestView } from '../../src/contracts/capacity-requests.js';
import { findCluster, findOperation } from '../../src/stores/clusters/index.js';
import { saveDecision, saveScores } from '../../src/stores/resources/index.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { clusterOf as formCluster } from '../support/clusters.js';
import { addAgents } from '../support/fleet.js';
import { waitFor } from '../support/wait-for.js';
import { startTestWorker, testSettings, type TestWorker } from '../support/worker.js';
import { codeOf } from './messaging-fixture.js';
import { startTestApi, type Answer, type TestApi, operationOf } from './support.js';

let databases: TestDatabases;
let worker: TestWorker;
let test: TestApi;
beforeAll(async () => {
  databases = await createTestDatabases();
  worker = await startTestWorker(databases, {
    settings: { scaling: { ...testSettings.scaling, newMemberSeconds: 0, soakGrowSeconds: 0, soakShrinkSeconds: 0 } },
  });
  test = await startTestApi({ databases, client: worker.manager });
});
afterAll(async () => {
  await test?.stop();
  await worker?.stop();
  await databases?.drop();
});

/** A cluster of three agents with its own capability. @param spare further free agents; -1 when one exists already. */
const clusterOf = (name: string, spare = 0): Promise<string> =>
  formCluster({ clusters: databases.clusters, manager: worker.manager }, name, 3, { spare });

const refusal = (answer: Answer): [number, string] => [answer.status, codeOf(answer)];
const scale = (clusterId: string, body?: object, more: { query?: string; key?: string; token?: string } = {}) =>
  test.call('POST', `/v1/clusters/${clusterId}/scale${more.query ?? ''}`, {
    token: more.token ?? test.tokens.orchestrator,
    body,
    headers: more.key === undefined ? {} : { 'idempotency-key': more.key },
  });
const read = async <Body>(path: string, token = test.tokens.viewer): Promise<Body> => {
  const answer = await test.call('GET', path, { token });
  if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body as Body;
};
const decide = (id: string, clusterId: string, sentence = 'Stays.') =>
  saveDecision(databases.resources, {
    id,
    clusterId,
    operationId: null,
    round: 0,
    atMs: Date.now(),
    decision: { direction: 'none' },
    facts: { nowMs: 1 },
    sentence,
  });

describe('scaling a cluster over HTTP', () => {
  it('a cluster grows to the requested size, and its decision is shown with the facts behind it', async () => {
    const clusterId = await clusterOf('grow', 1);
    const answer = await scale(clusterId, { desired: 4, reason: 'a rush' }, { query: '?wait=30' });
    const operation = operationOf(answer);
    expect([answer.status, operation.state, operation.type]).toEqual([200, 'completed', 'SCALING']);
    expect(operation.result).toMatchObject({ clusterId, outcome: 'scaled', from: 3, size: 4 });

    const { decisions } = await read<{ decisions: DecisionSummary[] }>(`/v1/clusters/${clusterId}/decisions`);
    expect(decisions).toHaveLength(1);
    expect(decisions[0]).toMatchObject({ clusterId, operationId: operation.id, outcome: 'scaled' });
    const { decision } = await read<{ decision: DecisionView }>(`/v1/decisions/${decisions[0]?.id}`);
    expect(decision).toMatchObject({
      sentence: decisions[0]?.sentence,
      decision: { direction: 'out', from: 3, desired: 4, because: 'asked' },
      facts: { asked: 4 },
      outcomeDetail: { operationId: operation.id },
    });
  });

  it('the latest stability score of a cluster is shown with its parts, and none before the first assessment', async () => {
    const clusterId = await clusterOf('scored');
    const cluster = `/v1/clusters/${clusterId}`;
    expect(await read(`${cluster}/score`)).toEqual({ clusterId, scores: [] });
    expect(await read(cluster)).toMatchObject({ cluster: { stability: { score: null } } });

    await scale(clusterId, {}, { query: '?wait=30' });
    const { scores } = await read<{ scores: ScoreView[] }>(`${cluster}/score?count=1`);
    const last = scores[0];
    expect(last?.score).toBeGreaterThan(0);
    expect(Object.keys(last?.parts ?? {}).sort()).toEqual(['a', 'b', 'd', 'l', 'm']);
    expect(await read(cluster)).toMatchObject({
      cluster: { stability: { score: last?.score, parts: last?.parts, at: last?.at } },
    });
  });

  it('an unknown stability score is shown as null with its reason', async () => {
    const clusterId = await clusterOf('unscored');
    const parts = { a: null, m: null, l: null, d: null, b: null };
    const row = {
      clusterId,
      atMs: Date.now(),
      score: null,
      parts,
      caps: [],
      assumed: [],
      unknown: 'no assessment yet',
    };
    await saveScores(databases.resources, [row]);
    const { scores } = await read<{ scores: ScoreView[] }>(`/v1/clusters/${clusterId}/score`);
    expect(scores).toMatchObject([{ score: null, parts, unknown: 'no assessment yet' }]);
    for (const count of ['0', '1001', 'x']) {
      const answer = await test.call('GET', `/v1/clusters/${clusterId}/score?count=${count}`, {
        token: test.tokens.viewer,
      });
      expect(refusal(answer)).toEqual([400, 'invalid_request']);
    }
  });

  it('a scaling request repeated with its key returns the first operation, also after the cluster was dissolved', async () => {
    const clusterId = await clusterOf('again');
    const first = operationOf(await scale(clusterId, { desired: 3 }, { key: 'k', query: '?wait=30' }));
    expect(refusal(await scale(clusterId, { desired: 4 }, { key: 'k' }))).toEqual([409, 'idempotency_conflict']);
    await test.call('DELETE', `/v1/clusters/${clusterId}?wait=30`, {
      token: test.tokens.admin,
      body: { drainSeconds: 0 },
    });
    expect(operationOf(await scale(clusterId, { desired: 3 }, { key: 'k' })).id).toBe(first.id);
    expect(refusal(await scale(clusterId, { desired: 3 }, { key: 'other' }))).toEqual([409, 'state_conflict']);
  });

  it('scaling an unknown or forming cluster is refused and not stored', async () => {
    expect(refusal(await scale('cl_nowhere', { requestId: 'nowhere' }))).toEqual([404, 'not_found']);
    // No agent answers its invitation, so the cluster stays forming.
    await addAgents(databases.clusters, 3, { capabilities: ['asked'], acceptance: 'ask' }, 'asked');
    const body = { type: 'FORMATION', requestId: 'forming', name: 'asked', requiredCapabilities: ['asked'] };
    await test.call('POST', '/v1/requests', { token: test.tokens.orchestrator, body });
    await waitFor('the forming cluster', async () => (await findCluster(databases.clusters, 'cl_forming'))?.state);
    const early = await scale('cl_forming', { requestId: 'early' });
    expect(refusal(early)).toEqual([409, 'state_conflict']);
    expect((early.body as { detail: string }).detail).toContain('wait for its operation forming');
    await test.call('POST', '/v1/operations/forming/cancel', { token: test.tokens.orchestrator });
    const asRequest = await test.call('POST', '/v1/requests', {
      token: test.tokens.orchestrator,
      body: { type: 'SCALING', requestId: 'nowhere', clusterId: 'cl_nowhere' },
    });
    expect(refusal(asRequest)).toEqual([404, 'not_found']);
    for (const id of ['nowhere', 'early']) expect(await findOperation(databases.clusters, id)).toBeUndefined();
  });

  it('agents cannot scale a cluster, neither by its scale path nor by a request', async () => {
    const clusterId = await clusterOf('closed');
    const token = await test.register('member-of-nothing');
    expect(refusal(await scale(clusterId, {}, { token }))).toEqual([403, 'forbidden']);
    const body = { type: 'SCALING', clusterId, desired: 3 };
    expect(refusal(await test.call('POST', '/v1/requests', { token, body }))).toEqual([403, 'forbidden']);
  });

  it.each([
    ['a size of 0', { desired: 0 }, 'desired'],
    ['a negative size', { desired: -3 }, 'desired'],
    ['a size of 3.5', { desired: 3.5 }, 'desired'],
    ['a text as the size', { desired: '4' }, 'desired'],
    ['a size above the limit', { desired: 1e12 }, 'desired'],
    ['a negative soak', { soakSeconds: -1 }, 'soakSeconds'],
    ['an empty reason', { reason: '' }, 'reason'],
    ['a reason of 501 characters', { reason: 'x'.repeat(501) }, 'reason'],
    ['an unknown field', { size: 4 }, 'size'],
    ['another cluster', { clusterId: 'cl_other' }, 'clusterId'],
  ])('a scaling request with %s is refused', async (_what, body, where) => {
    const answer = await scale('cl_any', body);
    expect(refusal(answer)).toEqual([400, 'invalid_request']);
    expect((answer.body as { errors: { path: string }[] }).errors[0]?.path).toBe(where);
  });

  it("a cluster's decisions and scores are shown to its members only, and hostile text in them unchanged", async () => {
    const own = await test.register('member', { capabilities: ['private'] });
    const clusterId = await clusterOf('private', -1);
    const token = await test.register('stranger');
    const hostile = `'; drop table decisions; -- <script>\u202e\u001b[2J`;
    for (const id of ['dec_p1', 'dec_p2', 'dec_p3']) await decide(id, clusterId, hostile);
    for (const path of [`clusters/${clusterId}/decisions`, `clusters/${clusterId}/score`, 'decisions/dec_p1']) {
      expect((await test.call('GET', `/v1/${path}`, { token })).status).toBe(404);
      expect((await test.call('GET', `/v1/${path}`, { token: own })).status).toBe(200);
    }
    type Page = { decisions: DecisionSummary[]; nextCursor: string | null };
    const first = await read<Page>(`/v1/clusters/${clusterId}/decisions?limit=2`);
    expect(first.decisions.map(({ id }) => id)).toEqual(['dec_p3', 'dec_p2']);
    expect(first.decisions[0]?.sentence).toBe(hostile);
    const rest = await read<Page>(`/v1/clusters/${clusterId}/decisions?cursor=${first.nextCursor}`);
    expect([rest.decisions.map(({ id }) => id), rest.nextCursor]).toEqual([['dec_p1'], null]);
    const strange = await test.call('GET', `/v1/clusters/${clusterId}/decisions?cursor=WyJ4Il0`, { token: own });
    expect(refusal(strange)).toEqual([400, 'invalid_request']);
    expect((await test.call('GET', '/v1/decisions/dec_none', { token: own })).status).toBe(404);
  });

  it('a scaling operation that waits for a capacity request continues at once when it is granted', async () => {
    const clusterId = await clusterOf('short');
    const accepted = operationOf(await scale(clusterId, { desired: 4, grantSeconds: 600 }));
    const request = await waitFor('the capacity request', async () => {
      const query = `?state=open&clusterId=${clusterId}`;
      return (await read<{ resourceRequests: CapacityRequestView[] }>(`/v1/resource-requests${query}`))
        .resourceRequests[0];
    });
    expect(request).toMatchObject({ operationId: accepted.id, need: { agents: 1 }, answeredBy: null });
    await addAgents(databases.clusters, 1, { capabilities: ['short'] }, 'short-granted');
    const granted = await test.call('POST', `/v1/resource-requests/${request.id}/grant`, {
      token: test.tokens.orchestrator,
      body: { reason: 'one more was started' },
    });
    expect(granted.body).toMatchObject({
      resourceRequest: { state: 'granted', answerReason: 'one more was started' },
    });
    // The deadline is ten minutes away, so only the grant can have woken the workflow.
    const ended = await waitFor('the operation to end', async () => {
      const { operation } = await read<{ operation: OperationView }>(`/v1/operations/${accepted.id}`);
      return operation.endedAt !== null && operation;
    });
    expect(ended).toMatchObject({ state: 'completed', result: { outcome: 'scaled', size: 4 } });
  });
});
