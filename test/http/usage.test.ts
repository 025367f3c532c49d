import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { usageOf } from '../../src/stores/resources/index.js';
import { addAgents } from '../support/fleet.js';
import { codeOf } from './messaging-fixture.js';
import { startTestApi, type Answer, type TestApi } from './support.js';

let test: TestApi;
let token: string;
beforeAll(async () => {
  test = await startTestApi();
  token = await test.register('teller');
});
afterAll(() => test.stop());

const report = (samples: readonly object[], as = token) =>
  test.call('POST', '/v1/usage', { token: as, body: { samples } });
const sample = (amount: unknown, more: object = {}) => ({ agentId: 'teller', resource: 'slots', amount, ...more });
const refusal = (answer: Answer): [number, string] => [answer.status, codeOf(answer)];
const told = (...ids: string[]) => usageOf(test.databases.resources, ids);

describe('a report of usage', () => {
  it('is stored when it is answered, and the same again counts once', async () => {
    const at = new Date().toISOString();
    for (const _time of [1, 2]) expect((await report([sample(2, { at })])).body).toEqual({ samples: 1 });
    expect(await told('teller')).toMatchObject([{ resource: 'slots', amount: 2, samples: 1, atMs: Date.parse(at) }]);
  });

  it('is of an agent itself, or of any agents by an orchestrator', async () => {
    const ids = await addAgents(test.databases.clusters, 2, {}, 'told');
    const both = ids.map((agentId) => sample(3, { agentId }));
    expect(refusal(await report(both))).toEqual([404, 'not_found']);
    expect(refusal(await report(both, test.tokens.viewer))).toEqual([403, 'forbidden']);
    expect(await told(...ids)).toEqual([]);
    expect((await report(both, test.tokens.orchestrator)).status).toBe(202);
    expect(await told(...ids)).toHaveLength(2);
    const unknown = await report([...both, sample(1, { agentId: 'nobody' })], test.tokens.orchestrator);
    expect(refusal(unknown)).toEqual([404, 'not_found']);
    expect((unknown.body as { detail: string }).detail).toContain('"nobody"');
  });

  it('of many agents at once is gathered into few statements, and none is lost', async () => {
    const ids = await addAgents(test.databases.clusters, 50, {}, 'crowd');
    const answers = await Promise.all(
      ids.map((agentId, index) => report([sample(index, { agentId })], test.tokens.orchestrator)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect((await told(...ids)).map(({ amount }) => amount).sort((a, b) => a - b)).toEqual(ids.map((_id, i) => i));
  });

  it('may have a thousand samples, not more', async () => {
    const many = Array.from({ length: 1001 }, (_, index) => sample(index, { resource: `r${index}` }));
    expect(refusal(await report(many))).toEqual([400, 'invalid_request']);
    expect((await report(many.slice(1))).body).toEqual({ samples: 1000 });
    expect(await told('teller')).toHaveLength(1001);
    expect(refusal(await report([]))).toEqual([400, 'invalid_request']);
  });

  it('of a clock that is wrong is refused, says how far, and changes nothing', async () => {
    const before = await told('teller');
    const off = (seconds: number) => sample(7, { at: new Date(Date.now() + seconds * 1000).toISOString() });
    const answer = await report([sample(7), off(3600), off(-3600)]);
    expect(refusal(answer)).toEqual([400, 'invalid_request']);
    const { errors } = answer.body as { errors: { path: string; message: string }[] };
    expect(errors.map(({ path }) => path)).toEqual(['samples.1.at', 'samples.2.at']);
    expect(errors[0]?.message).toContain("ahead of the server's clock");
    expect(await told('teller')).toEqual(before);
  });

  it.each([
    ['a negative amount', { amount: -1 }],
    ['an amount as text', { amount: 'NaN' }],
    ['an absurd amount', { amount: 1e13 }],
    ['a hostile resource', { resource: `'; drop table usage_latest; --` }],
    ['a time that is none', { at: 'yesterday' }],
    ['a year beyond all', { at: '+275760-09-13T00:00:00.000Z' }],
    ['a field that is not known', { value: 1 }],
  ])('refuses %s', async (_what, wrong) => {
    expect(refusal(await report([sample(1, wrong)]))).toEqual([400, 'invalid_request']);
  });
});
