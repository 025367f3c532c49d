import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { usageOf } from '../../src/stores/resources/index.js';
import { addAgents } from '../support/fleet.js';
import { codeOf } from './messaging-fixture.js';
import { startTestApi, type Answer, type TestApi } from './support.js';

let test: TestApi;
let token: string;
beforeAll(async () => {
  test = await startTestApi();
  token = await test.register('reporter');
});
afterAll(() => test.stop());

const report = (samples: readonly object[], as = token) =>
  test.call('POST', '/v1/usage', { token: as, body: { samples } });
const sample = (amount: unknown, more: object = {}) => ({ agentId: 'reporter', resource: 'slots', amount, ...more });
const refusal = (answer: Answer): [number, string] => [answer.status, codeOf(answer)];
const storedUsage = (...ids: string[]) => usageOf(test.databases.resources, ids);

describe('a usage report', () => {
  it('a usage report is stored before it is answered, and a repeated report counts once', async () => {
    const at = new Date().toISOString();
    for (const _time of [1, 2]) expect((await report([sample(2, { at })])).body).toEqual({ samples: 1 });
    expect(await storedUsage('reporter')).toMatchObject([
      { resource: 'slots', amount: 2, samples: 1, atMs: Date.parse(at) },
    ]);
  });

  it('an agent can report only its own usage, and an orchestrator that of any agents', async () => {
    const ids = await addAgents(test.databases.clusters, 2, {}, 'reported');
    const both = ids.map((agentId) => sample(3, { agentId }));
    expect(refusal(await report(both))).toEqual([404, 'not_found']);
    expect(refusal(await report(both, test.tokens.viewer))).toEqual([403, 'forbidden']);
    expect(await storedUsage(...ids)).toEqual([]);
    expect((await report(both, test.tokens.orchestrator)).status).toBe(202);
    expect(await storedUsage(...ids)).toHaveLength(2);
    const unknown = await report([...both, sample(1, { agentId: 'nobody' })], test.tokens.orchestrator);
    expect(refusal(unknown)).toEqual([404, 'not_found']);
    expect((unknown.body as { detail: string }).detail).toContain('"nobody"');
  });

  it('concurrent usage reports of 50 agents are all stored', async () => {
    const ids = await addAgents(test.databases.clusters, 50, {}, 'crowd');
    const answers = await Promise.all(
      ids.map((agentId, index) => report([sample(index, { agentId })], test.tokens.orchestrator)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect((await storedUsage(...ids)).map(({ amount }) => amount).sort((a, b) => a - b)).toEqual(
      ids.map((_id, i) => i),
    );
  });

  it('a usage report of 1,000 samples is accepted, and one of 1,001 is refused', async () => {
    const many = Array.from({ length: 1001 }, (_, index) => sample(index, { resource: `r${index}` }));
    expect(refusal(await report(many))).toEqual([400, 'invalid_request']);
    expect((await report(many.slice(1))).body).toEqual({ samples: 1000 });
    expect(await storedUsage('reporter')).toHaveLength(1001);
    expect(refusal(await report([]))).toEqual([400, 'invalid_request']);
  });

  it("a usage report with times far from the server's clock is refused and changes nothing", async () => {
    const before = await storedUsage('reporter');
    const off = (seconds: number) => sample(7, { at: new Date(Date.now() + seconds * 1000).toISOString() });
    const answer = await report([sample(7), off(3600), off(-3600)]);
    expect(refusal(answer)).toEqual([400, 'invalid_request']);
    const { errors } = answer.body as { errors: { path: string; message: string }[] };
    expect(errors.map(({ path }) => path)).toEqual(['samples.1.at', 'samples.2.at']);
    expect(errors[0]?.message).toContain("ahead of the server's clock");
    expect(await storedUsage('reporter')).toEqual(before);
  });

  it.each([
    ['a negative amount', { amount: -1 }],
    ['a text as the amount', { amount: 'NaN' }],
    ['an amount above the limit', { amount: 1e13 }],
    ['SQL as the resource', { resource: `'; drop table usage_latest; --` }],
    ['a time that is not a date', { at: 'yesterday' }],
    ['a time with the last possible year', { at: '+275760-09-13T00:00:00.000Z' }],
    ['an unknown field', { value: 1 }],
  ])('a usage report with %s is refused', async (_what, wrong) => {
    expect(refusal(await report([sample(1, wrong)]))).toEqual([400, 'invalid_request']);
  });
});
