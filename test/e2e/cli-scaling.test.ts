import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { errorTable } from '../../src/contracts/errors.js';
import type { FormationResult } from '../../src/contracts/formation.js';
import { addAgents } from '../support/fleet.js';
import { waitFor } from '../support/wait-for.js';
import { run, type Ran } from './command-line.js';
import { startManager, type TestManager } from './manager.js';

// Each test starts several processes, which is slow on a busy machine.
vi.setConfig({ testTimeout: 90_000 });

let manager: TestManager;
let env: Readonly<Record<string, string>>;
let clusterId: string;

beforeAll(async () => {
  manager = await startManager();
  env = { CLUSTER_MANAGER_URL: manager.url, CLUSTER_MANAGER_TOKEN: manager.adminToken };
  await addAgents(manager.databases.clusters, 3, { capabilities: ['write'], resources: { slots: 4 } }, 'writer');
  const { id } = await manager.api.request({
    type: 'FORMATION',
    name: 'writers',
    requiredCapabilities: ['write'],
    size: { min: 3, desired: 3, max: 6 },
  });
  const formed = await manager.api.waitForOperation(id, { timeoutMs: 60_000 });
  ({ clusterId } = formed.result as FormationResult);
}, 120_000);
afterAll(() => manager?.stop());

const cli = (...args: readonly string[]) => run(args, env);
const json = <Shape>({ stdout }: Ran): Shape => JSON.parse(stdout) as Shape;
const codeOf = ({ stderr }: Ran) => (JSON.parse(stderr) as { error: { code: string } }).error.code;
const ok = (ran: Ran): Ran => {
  expect(ran.code, ran.stderr).toBe(0);
  return ran;
};

describe('scaling commands', () => {
  it('grow a cluster after a grant, and explain prints the numbers of the decision', async () => {
    expect(ok(await cli('score', clusterId)).stdout).toContain('No score');
    const accepted = ok(await cli('scale', clusterId, '--desired', '4', '--soak', '0', '--json'));
    const { operation } = json<{ operation: { id: string } }>(accepted);
    const request = await waitFor('a request', async () => {
      const listed = ok(await cli('requests', 'list', '--state', 'open', '--json'));
      return json<{ requests: { id: string; need: object }[] }>(listed).requests[0];
    });
    expect(request.need).toMatchObject({ agents: 1 });
    await addAgents(manager.databases.clusters, 1, { capabilities: ['write'] }, 'granted');
    expect(ok(await cli('grant', request.id, '--reason', 'one more')).stdout).toContain(`${request.id} is granted`);
    const denied = await cli('deny', request.id, '--json');
    expect([denied.code, codeOf(denied)]).toEqual([errorTable.state_conflict.exit, 'state_conflict']);
    const ended = await manager.api.waitForOperation(operation.id, { timeoutMs: 60_000 });
    expect(ended.result).toMatchObject({ outcome: 'scaled', size: 4 });

    const explained = ok(await cli('explain', clusterId)).stdout;
    expect(explained.split('\n')[0]).toContain('4 members');
    expect(explained).toMatch(/^members +3 now, 4 desired; 4 before limits, because of asked; bounds 3\.\.6$/m);
    expect(explained).toContain('outcome');
    const asJson = json<{ decision: { id: string; decision: object; facts: object } }>(
      ok(await cli('explain', `dec_${operation.id}`, '--json')),
    );
    expect(asJson.decision).toMatchObject({ decision: { desired: 4 }, facts: { asked: 4 } });
    expect(ok(await cli('score', clusterId)).stdout).toMatch(/SCORE +AVAILABLE/);
  });

  it('wait for the end and print the outcome', async () => {
    const { stdout } = ok(await cli('scale', clusterId, '--desired', '4', '--reason', 'as it is', '--wait'));
    expect(stdout).toContain('unchanged, from 4 to 4 members');
  });

  it('exit with the code of the error', async () => {
    for (const args of [
      ['scale', 'cl_none'],
      ['explain', 'dec_none'],
      ['explain', 'cl_none'],
      ['grant', 'rr_none'],
    ]) {
      const ran = await cli(...args, '--json');
      expect([args, ran.code, codeOf(ran)]).toEqual([args, errorTable.not_found.exit, 'not_found']);
    }
    const invalid = await cli('scale', clusterId, '--desired', '0', '--json');
    expect([invalid.code, codeOf(invalid)]).toEqual([errorTable.invalid_request.exit, 'invalid_request']);
  });
});

describe('resource commands', () => {
  it('put, show and remove pools, quotas and budgets', async () => {
    ok(await cli('pools', 'put', 'llm', 'tokensPerMinute=90000', '--label', 'provider=acme'));
    expect(ok(await cli('pools', 'show', 'llm')).stdout).toContain('provider=acme');
    expect(json(ok(await cli('pools', 'list', '--json')))).toMatchObject({
      pools: [{ name: 'llm', resources: { tokensPerMinute: { capacity: 90_000, used: 0 } } }],
      more: false,
    });
    ok(await cli('quotas', 'set', clusterId, 'tokensPerMinute=20000', '--weight', '2'));
    expect(ok(await cli('quotas', 'show', clusterId)).stdout).toMatch(/tokensPerMinute +0 +20000/);
    ok(await cli('budgets', 'put', 'monthly', '--cluster', clusterId, '--resource', 'usd', '--limit', '50'));
    expect(ok(await cli('budgets', 'list', clusterId)).stdout).toMatch(/monthly +usd +50/);
    const all = ok(await cli('resources')).stdout;
    expect(all).toContain('tokensPerMinute');
    expect(all).toContain('The ledger agrees');
    expect(ok(await cli('pools', 'remove', 'llm')).stdout).toContain('Pool llm is deleted');
    const again = await cli('pools', 'remove', 'llm', '--json');
    expect([again.code, codeOf(again)]).toEqual([errorTable.not_found.exit, 'not_found']);
  });

  it('reject invalid amounts before they send a request', async () => {
    for (const args of [
      ['pools', 'put', 'llm', 'tokensPerMinute'],
      ['pools', 'put', 'llm', 'tokensPerMinute=NaN'],
      ['quotas', 'set', clusterId],
      ['quotas', 'set', clusterId, '--weight', '0'],
      ['budgets', 'put', 'b', '--cluster', clusterId, '--resource', 'usd', '--limit', '-1'],
    ]) {
      const ran = await cli(...args, '--json');
      expect([args, ran.code]).toEqual([args, errorTable.invalid_request.exit]);
    }
  });
});
