import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CapacityRequestView } from '../../src/contracts/capacity-requests.js';
import { findCapacityRequest, openCapacityRequest } from '../../src/stores/resources/index.js';
import { waitFor } from '../support/wait-for.js';
import { codeOf } from './messaging-fixture.js';
import { startTestApi, type Answer, type TestApi } from './support.js';

let test: TestApi;
const woken: string[] = [];
let wakeFails = false;
beforeAll(async () => {
  test = await startTestApi();
  Object.assign(test.deps.client, {
    wake: (workflowId: string) => {
      woken.push(workflowId);
      return wakeFails ? Promise.reject(new Error('Temporal is away')) : Promise.resolve();
    },
  });
});
afterAll(() => test.stop());

const open = (name: string, more: { clusterId?: string; reason?: string; deadlineSeconds?: number } = {}) =>
  openCapacityRequest(test.databases.resources, {
    id: `rr_${name}_0`,
    clusterId: `cl_${name}`,
    operationId: name,
    round: 0,
    need: { agents: 2 },
    reason: 'no agent is free',
    deadlineSeconds: 600,
    ...more,
  });
const answer = (name: string, verb: 'grant' | 'deny', more: { token?: string; body?: object } = {}) =>
  test.call('POST', `/v1/resource-requests/rr_${name}_0/${verb}`, { token: test.tokens.orchestrator, ...more });
const requestOf = ({ body }: Answer) => (body as { resourceRequest: CapacityRequestView }).resourceRequest;
const refusal = (given: Answer): [number, string] => [given.status, codeOf(given)];
const list = async (query: string) =>
  (await test.call('GET', `/v1/resource-requests${query}`, { token: test.tokens.viewer })).body as {
    resourceRequests: CapacityRequestView[];
    nextCursor: string | null;
  };

describe('a capacity request', () => {
  it('capacity requests are listed newest first, by state and cluster, page by page', async () => {
    for (const name of ['l1', 'l2', 'l3']) await open(name, { clusterId: 'cl_listed' });
    await answer('l2', 'deny');
    const ids = ({ resourceRequests }: { resourceRequests: CapacityRequestView[] }) =>
      resourceRequests.map(({ operationId }) => operationId);
    expect(ids(await list('?clusterId=cl_listed'))).toEqual(['l3', 'l2', 'l1']);
    expect(ids(await list('?clusterId=cl_listed&state=open'))).toEqual(['l3', 'l1']);
    expect(ids(await list('?clusterId=cl_listed&state=denied'))).toEqual(['l2']);
    const first = await list('?clusterId=cl_listed&limit=2');
    expect(ids(first)).toEqual(['l3', 'l2']);
    expect(ids(await list(`?clusterId=cl_listed&cursor=${first.nextCursor}`))).toEqual(['l1']);
    const bad = await test.call('GET', '/v1/resource-requests?state=maybe', { token: test.tokens.viewer });
    expect(refusal(bad)).toEqual([400, 'invalid_request']);
  });

  it('a capacity request is answered once and wakes its workflow, and any other answer is a conflict', async () => {
    await open('once');
    const granted = await answer('once', 'grant', { body: { reason: 'two were started' } });
    expect([granted.status, requestOf(granted)]).toMatchObject([
      200,
      { state: 'granted', answerReason: 'two were started', answeredBy: expect.stringMatching(/^orchestrator:tok_/) },
    ]);
    expect(woken.at(-1)).toBe('scaling/once');
    const again = await answer('once', 'grant', { body: { reason: 'two were started' } });
    expect([again.status, requestOf(again)]).toEqual([200, requestOf(granted)]);
    expect(refusal(await answer('once', 'deny'))).toEqual([409, 'state_conflict']);
    expect(refusal(await answer('once', 'grant', { body: { reason: 'another' } }))).toEqual([409, 'state_conflict']);
    expect(refusal(await answer('once', 'grant', { token: test.tokens.admin }))).toEqual([409, 'state_conflict']);
    const shown = await test.call('GET', '/v1/resource-requests/rr_once_0', { token: test.tokens.viewer });
    expect(requestOf(shown)).toEqual(requestOf(granted));
  });

  it('a capacity request that two parties answer concurrently has one answer', async () => {
    await open('race');
    const answers = await Promise.all([answer('race', 'grant'), answer('race', 'deny', { token: test.tokens.admin })]);
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 409]);
  });

  it('a capacity request that does not exist or is past its deadline cannot be answered', async () => {
    expect(refusal(await answer('none', 'grant'))).toEqual([404, 'not_found']);
    expect((await test.call('GET', '/v1/resource-requests/rr_none_0', { token: test.tokens.admin })).status).toBe(404);
    await open('late');
    await sql`update capacity_requests set deadline_at = now() - interval '1 second' where id = 'rr_late_0'`.execute(
      test.databases.resources,
    );
    const late = await answer('late', 'grant');
    expect(refusal(late)).toEqual([409, 'state_conflict']);
    expect((late.body as { detail: string }).detail).toContain('expired at');
    const shown = await test.call('GET', '/v1/resource-requests/rr_late_0', { token: test.tokens.viewer });
    expect(requestOf(shown).state).toBe('expired');
  });

  it('a capacity request keeps its answer when its workflow cannot be woken, and the failure is logged', async () => {
    await open('asleep');
    wakeFails = true;
    expect((await answer('asleep', 'grant')).status).toBe(200);
    wakeFails = false;
    expect(await findCapacityRequest(test.databases.resources, 'rr_asleep_0')).toMatchObject({ state: 'granted' });
    await waitFor('the failure to be logged', () => test.log.some((line) => line.includes('scaling/asleep')));
  });

  it.each([
    ['an empty reason', { reason: '' }],
    ['a reason of 501 characters', { reason: 'x'.repeat(501) }],
    ['a number as the reason', { reason: 7 }],
    ['a reason with a NUL character', { reason: 'a\0b' }],
    ['an unknown field', { amount: 7 }],
  ])('an answer to a capacity request is refused with %s', async (_what, body) => {
    expect(refusal(await answer('none', 'grant', { body }))).toEqual([400, 'invalid_request']);
  });

  it('a reason with SQL, control characters or emoji is stored unchanged', async () => {
    const hostile = `'); drop table capacity_requests; -- \u001b[2J<script>\u202e${'🙈'.repeat(10)}`;
    await open('hostile', { reason: hostile });
    const denied = requestOf(await answer('hostile', 'deny', { body: { reason: hostile } }));
    expect(denied).toMatchObject({ reason: hostile, answerReason: hostile, state: 'denied' });
  });

  it('only orchestrators and admins can answer a capacity request', async () => {
    await open('roles');
    const agent = await test.register('not-an-orchestrator');
    for (const token of [test.tokens.viewer, test.tokens.enrolment, agent]) {
      expect((await answer('roles', 'grant', { token })).status).toBe(403);
    }
    test.configure({ capabilities: ['cluster_management'] });
    expect(refusal(await answer('roles', 'grant'))).toEqual([403, 'capability_disabled']);
    test.configure({ capabilities: ['cluster_management', 'communication_management', 'scaling'] });
  });
});
