import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newToken } from '../../src/stores/clusters/index.js';
import { endpoints } from '../../src/contracts/endpoints.js';
import { startTestApi, type TestApi } from './support.js';

/*
 * Written by hand from the design, not read from the code: A admin, O orchestrator, V viewer, a the agent itself,
 * b an agent on another agent's id (or on what is not its own), e enrolment. A capital or small letter that stands
 * means "may"; b never stands.
 */
const allowed: Readonly<Record<string, string>> = {
  registerAgent: 'AOae',
  listAgents: 'AOV',
  getAgent: 'AOVa',
  removeAgent: 'Aa',
  heartbeat: 'Aa',
  drainAgent: 'AOa',
  readInbox: 'Aa',
  answerInvitation: 'Aa',
  ackDelivery: 'a',
  ackDeliveries: 'a',
  nackDelivery: 'a',
  extendDelivery: 'a',
  sendMessages: 'AOa',
  storeBatch: 'AOa',
  getMessage: 'AOVa',
  getReceipt: 'AOVa',
  listDeadLetters: 'AOV',
  replayDeadLetter: 'AO',
  discardDeadLetter: 'AO',
  listTopics: 'AOVa',
  getTopic: 'AOVa',
  createTopic: 'AOa',
  deleteTopic: 'AOa',
  listSubscriptions: 'AOVa',
  subscribe: 'AOa',
  unsubscribe: 'AOa',
  processRequest: 'AOa',
  listOperations: 'AOV',
  getOperation: 'AOVa',
  cancelOperation: 'AOa',
  listClusters: 'AOVa',
  getCluster: 'AOVa',
  dissolveCluster: 'AO',
  scaleCluster: 'AO',
  listDecisions: 'AOVa',
  getDecision: 'AOVa',
  getScore: 'AOVa',
  listResourceRequests: 'AOV',
  getResourceRequest: 'AOV',
  grantResources: 'AO',
  denyResources: 'AO',
  listPools: 'AOV',
  getPool: 'AOV',
  putPool: 'AO',
  deletePool: 'AO',
  getQuotas: 'AOVa',
  putQuotas: 'AO',
  takeGrants: 'AOa',
  listGrants: 'AOVa',
  extendGrant: 'AOa',
  releaseGrant: 'AOa',
  listBudgets: 'AOVa',
  putBudget: 'AO',
  reserveBudget: 'AOa',
  commitReservation: 'AOa',
  releaseReservation: 'AOa',
  reportUsage: 'AOa',
  getResources: 'AOV',
  listLedger: 'AV',
  runFormationInterval: 'AO',
  runScalingInterval: 'AO',
  applyConfig: 'A',
  getStatus: 'AOV',
  listEvents: 'AOV',
  listTokens: 'A',
  createToken: 'A',
  revokeToken: 'A',
  getMetrics: 'AV',
  livez: 'public',
  readyz: 'public',
  getOpenApi: 'public',
};

let test: TestApi;
beforeAll(async () => {
  test = await startTestApi();
});
afterAll(() => test.stop());

/** Ids that do not exist: an allowed request finds nothing and changes nothing. */
const targetOf = (path: string, agentId: string): string =>
  path.startsWith('/v1/agents/{id}')
    ? path.replace('{id}', agentId).replace('{clusterId}', 'cl_none').replace('{subscriptionId}', 'sub_none')
    : path
        .replace('{name}', 'none')
        .replace('{clusterId}', 'cl_none')
        .replace('{id}', path.startsWith('/v1/tokens') ? 'tok_none' : 'none');

const routes = Object.entries(endpoints).map(([operationId, { method, path }]) => ({ operationId, method, path }));

/** The body fits no schema: an allowed request gets a 400 or an answer, a refused one a 401 or 403 before validation. */
const attempt = (
  route: { method: string; path: string },
  agentId: string,
  token: string | undefined,
  headers: Record<string, string> = {},
) => {
  const { method, path } = route;
  const target = `${targetOf(path, agentId)}${method === 'get' && path.includes('v1') ? '?nonsense=1' : ''}`;
  const needsBody = (method === 'post' || method === 'put') && !/\/(drain|cancel|replay|discard|release)$/.test(path);
  return test.call(method.toUpperCase(), target, { token, headers, ...(needsBody ? { body: { nonsense: 1 } } : {}) });
};

describe('the role matrix', () => {
  it('has a row for every endpoint, and an endpoint for every row', () => {
    const operations = routes.map((route) => route.operationId);
    expect(new Set(operations)).toEqual(new Set(Object.keys(allowed)));
    expect(operations.length).toBe(Object.keys(allowed).length);
  });

  it('describes every route that the API serves', () => {
    const described = new Set(
      routes.map(({ method, path }) => `${method.toUpperCase()} ${path.replaceAll(/\{([^}]+)\}/g, ':$1')}`),
    );
    const served = new Set(
      test.api.routes.filter(({ method }) => method !== 'ALL').map(({ method, path }) => `${method} ${path}`),
    );
    expect(served).toEqual(described);
  });

  it('refuses a missing and an unknown token with 401, unless the endpoint is public', async () => {
    // Each route from an address of its own, below the limit of failures.
    test.configure({ behindProxy: true });
    for (const [index, route] of routes.entries()) {
      const from = { 'x-forwarded-for': `198.51.100.1, 203.0.113.${index}` };
      const isPublic = allowed[route.operationId] === 'public';
      for (const token of [undefined, newToken()]) {
        const { status } = await attempt(route, 'agent-a', token, from);
        expect([route.operationId, status === 401]).toEqual([route.operationId, !isPublic]);
      }
    }
  });

  it('allows each role exactly the endpoints of its row', async () => {
    const own = await test.register('agent-a');
    const other = await test.register('agent-b');
    const { admin, orchestrator, viewer, enrolment } = test.tokens;
    for (const route of routes.filter(({ operationId }) => operationId !== 'removeAgent')) {
      const row = allowed[route.operationId] ?? '';
      if (row === 'public') continue;
      const rights = Object.entries({ A: admin, O: orchestrator, V: viewer, e: enrolment, a: own });
      for (const [letter, token] of rights) {
        const { status } = await attempt(route, 'agent-a', token);
        const seen = {
          operation: route.operationId,
          letter,
          forbidden: status === 403,
          unauthenticated: status === 401,
        };
        expect(seen).toEqual({
          operation: route.operationId,
          letter,
          forbidden: !row.includes(letter),
          unauthenticated: false,
        });
      }
      if (route.path.startsWith('/v1/agents/{id}')) {
        expect([route.operationId, (await attempt(route, 'agent-a', other)).status]).toEqual([route.operationId, 404]);
        expect([route.operationId, (await attempt(route, 'agent-none', other)).status]).toEqual([
          route.operationId,
          404,
        ]);
      }
    }
  });

  it('allows only the agent itself and an admin to remove an agent', async () => {
    const first = await test.register('leaver-1');
    await test.register('leaver-2');
    const other = await test.register('stayer');
    const { orchestrator, viewer, enrolment, admin } = test.tokens;
    const remove = async (id: string, token: string) =>
      (await test.call('DELETE', `/v1/agents/${id}`, { token })).status;
    expect(await remove('leaver-1', orchestrator)).toBe(403);
    expect(await remove('leaver-1', viewer)).toBe(403);
    expect(await remove('leaver-1', enrolment)).toBe(403);
    expect(await remove('leaver-1', other)).toBe(404);
    expect(await remove('leaver-1', first)).toBe(200);
    expect(await remove('leaver-1', first)).toBe(401);
    expect(await remove('leaver-2', admin)).toBe(200);
    expect(await remove('leaver-none', admin)).toBe(404);
  });

  it('answers an agent 404, not 403, for clusters and operations of others', async () => {
    const token = await test.register('curious');
    const { body } = await test.call('POST', '/v1/requests', {
      token: test.tokens.orchestrator,
      body: { type: 'FORMATION', name: 'not yours' },
    });
    const { id, clusterId } = (body as { operation: { id: string; clusterId: string } }).operation;
    expect((await test.call('GET', `/v1/operations/${id}`, { token })).status).toBe(404);
    expect((await test.call('POST', `/v1/operations/${id}/cancel`, { token })).status).toBe(404);
    expect((await test.call('GET', `/v1/clusters/${clusterId}`, { token })).status).toBe(404);
    expect((await test.call('GET', '/v1/clusters', { token })).body).toEqual({ clusters: [], nextCursor: null });
  });
});
