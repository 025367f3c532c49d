import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createAgent, type Agent } from '../../src/agent/index.js';
import { errorTable } from '../../src/contracts/errors.js';
import { run, type Ran } from './command-line.js';
import { startManager, type TestManager } from './manager.js';

// Each test starts several processes, which is slow on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let manager: TestManager;
let folder: string;
let agents: Agent[];
let env: Readonly<Record<string, string>>;

beforeAll(async () => {
  manager = await startManager();
  folder = mkdtempSync(join(tmpdir(), 'cluster-manager-cli-'));
  writeFileSync(join(folder, 'token'), `${manager.adminToken}\n`);
  env = { CLUSTER_MANAGER_URL: manager.url, CLUSTER_MANAGER_TOKEN: manager.adminToken };
  agents = ['a1', 'a2', 'a3', 'a4'].map((id, index) =>
    createAgent({
      id,
      url: manager.url,
      token: manager.enrolmentToken,
      capabilities: ['write', index === 0 ? 'plan' : 'review'],
      host: `host-${index}`,
      maxClusters: 2,
    }),
  );
  await Promise.all(agents.map((agent) => agent.start()));
});
afterAll(async () => {
  await Promise.all((agents ?? []).map((agent) => agent.stop()));
  await manager?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

const json = <Shape>({ stdout }: Ran): Shape => JSON.parse(stdout) as Shape;
const errorOf = ({ stderr }: Ran) => (JSON.parse(stderr) as { error: { code: string; message: string } }).error;
const lines = ({ stdout }: Ran): string[] => stdout.trimEnd().split('\n');

interface Operation {
  readonly id: string;
  readonly state: string;
  readonly clusterId: string;
  readonly steps: readonly { readonly name: string; readonly state: string }[];
}

const formArgs = ['form', '--name', 'writers', '--capability', 'write', '--capability', 'plan', '--size', '3'];

describe('the command line with a running manager', () => {
  it('lists agents in aligned columns without colour codes, or as one JSON document', async () => {
    const text = await run(['agents', 'list', '--capability', 'review'], env);
    expect(text).toMatchObject({ code: 0, stderr: '' });
    const [heading = '', ...rows] = lines(text);
    expect(rows.map((row) => row.slice(0, 2))).toEqual(['a2', 'a3', 'a4']);
    expect(new Set(rows.map((row) => row.indexOf('alive')))).toEqual(new Set([heading.indexOf('LIVENESS')]));
    // eslint-disable-next-line no-control-regex -- that is what must not be there
    expect(text.stdout).not.toMatch(/\u001b/);
    const document = json<{ agents: { id: string; liveness: string }[]; more: boolean }>(
      await run(['--json', 'agents', 'list', '--limit', '2'], env),
    );
    expect(document.agents.map(({ id, liveness }) => [id, liveness])).toEqual([
      ['a1', 'alive'],
      ['a2', 'alive'],
    ]);
    expect(document.more).toBe(true);
  });

  it('forms a cluster, shows it and its operation, and dissolves it', async () => {
    const formed = await run([...formArgs, '--spread', 'host:hard', '--wait', '--json'], env);
    expect(formed).toMatchObject({ code: 0, stderr: '' });
    const { operation } = json<{ operation: Operation }>(formed);
    expect(operation).toMatchObject({ state: 'completed' });
    expect(operation.steps.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'identifyAgents completed',
      'defineCluster completed',
      'establishConnections completed',
      'initializeCluster completed',
    ]);
    const shown = await run(['clusters', 'show', operation.clusterId], env);
    expect(shown.stdout).toMatch(/^state +active$/m);
    expect(shown.stdout).toMatch(/^a1 +active/m);
    expect(lines(await run(['operations', 'show', operation.id], env))[0]).toBe(`operation     ${operation.id}`);
    const dissolved = await run(['clusters', 'dissolve', operation.clusterId, '--drain', '0', '--wait'], env);
    expect(dissolved).toMatchObject({ code: 0, stdout: `Cluster ${operation.clusterId} is dissolved.\n` });
    const list = json<{ clusters: { id: string }[] }>(
      await run(['clusters', 'list', '--state', 'active', '--json'], env),
    );
    expect(list.clusters.map(({ id }) => id)).not.toContain(operation.clusterId);
  });

  it('prints the members of a formed cluster', async () => {
    const formed = await run([...formArgs, '--wait'], env);
    expect(formed.stdout).toMatch(/^Formed cl_\S+: 3 members, epoch 1, in [\d.]+ s\n\nAGENT  COORDINATOR\n/);
  });

  it('reads a request from a file or stdin; the same request id returns the same operation, another body is a conflict', async () => {
    const request = { type: 'FORMATION', name: 'from a file', requiredCapabilities: ['nobody-has-this'] };
    const file = join(folder, 'request.json');
    writeFileSync(file, JSON.stringify(request));
    const first = await run(['form', '--file', file, '--request-id', 'from-file', '--json'], env);
    expect(first.code, first.stderr).toBe(0);
    const again = await run(['form', '--file', '-', '--request-id', 'from-file', '--json'], env, {
      stdin: JSON.stringify(request),
    });
    expect(json<{ operation: Operation }>(again).operation.id).toBe('from-file');
    const other = await run(['form', '--file', file, '--name', 'other', '--request-id', 'from-file', '--json'], env);
    expect(other).toMatchObject({ code: errorTable.idempotency_conflict.exit, stdout: '' });
    expect(errorOf(other).code).toBe('idempotency_conflict');
  });

  it('drains and removes an agent', async () => {
    expect((await run(['agents', 'drain', 'a4'], env)).stdout).toMatch(/^readiness +draining/m);
    expect(await run(['agents', 'remove', 'a4'], env)).toMatchObject({ code: 0, stdout: 'Agent a4 is removed.\n' });
    expect((await run(['agents', 'show', 'no-such-agent'], env)).code).toBe(errorTable.not_found.exit);
  });

  it('runs the formation interval as a dry run', async () => {
    const report = json<{ dryRun: boolean; lines: string[] }>(
      await run(['interval', 'formation', '--dry-run', '--json'], env),
    );
    expect(report.dryRun).toBe(true);
  });

  it("creates a token that has its role's rights until it is revoked", async () => {
    const made = await run(['token', 'create', '--role', 'viewer', '--name', 'dashboard'], env);
    expect(made.stdout).toMatch(/^cmt_\S+\n$/);
    const id = /tok_\S+/.exec(made.stderr)?.[0] ?? '';
    const viewer = { ...env, CLUSTER_MANAGER_TOKEN: made.stdout.trim() };
    expect((await run(['status'], viewer)).stdout).toMatch(/^manager +ClusterManager/);
    expect((await run(formArgs, viewer)).code).toBe(errorTable.forbidden.exit);
    expect((await run(['token', 'list'], env)).stdout).toMatch(new RegExp(`^${id} +viewer +dashboard`, 'm'));
    expect((await run(['token', 'revoke', id], env)).code).toBe(0);
    expect((await run(['status'], viewer)).code).toBe(errorTable.unauthenticated.exit);
  });

  it("finds the state folder's manager, and sends that manager's token to no other address", async () => {
    const here = { CLUSTER_MANAGER_HOME: manager.stateDir };
    expect((await run(['status'], here)).code).toBe(0);
    const elsewhere = await run(['status', '--url', 'http://127.0.0.1:2'], here);
    expect(elsewhere.code).toBe(errorTable.unauthenticated.exit);
    const byFile = await run(['status', '--url', manager.url, '--token-file', join(folder, 'token')], {});
    expect(byFile.code).toBe(0);
  });
});

describe('errors of the command line', () => {
  const refusals: [string, string[], Readonly<Record<string, string>>, keyof typeof errorTable, RegExp][] = [
    ['an unknown command', ['nope'], {}, 'invalid_request', /unknown command 'nope'/],
    ['a missing command', ['agents'], {}, 'invalid_request', /A command is missing/],
    ['an invalid size', ['form', '--name', 'x', '--size', 'big'], {}, 'invalid_request', /3\.\.5/],
    ['a request without a name', ['form'], {}, 'invalid_request', /--name/],
    ['an invalid limit', ['agents', 'list', '--limit', '0'], {}, 'invalid_request', /1 to 100000/],
    ['a folder without a manager', ['status'], {}, 'service_unavailable', /npm start/],
    [
      'a manager that does not answer',
      ['status'],
      { CLUSTER_MANAGER_URL: 'http://127.0.0.1:2', CLUSTER_MANAGER_TOKEN: 'x' },
      'service_unavailable',
      /ECONNREFUSED.*npm start/,
    ],
    [
      'a settings file with a typo',
      ['config', 'check', '--config', 'typo.yaml'],
      {},
      'invalid_configuration',
      /formation_interval/,
    ],
  ];

  it.each(refusals)(
    '%s is an error on stderr with the exit code of the error table',
    async (_what, args, extra, code, message) => {
      writeFileSync(join(folder, 'typo.yaml'), 'cluster_manager:\n  id: "m"\n  formation_intervall: 300\n');
      const text = await run(args, extra, { cwd: folder });
      expect(text, text.stderr).toMatchObject({ code: errorTable[code].exit, stdout: '' });
      expect(text.stderr).toMatch(message);
      expect(text.stderr).not.toMatch(/\n\s+at /);
      const machine = await run([...args, '--json'], extra, { cwd: folder });
      expect(machine).toMatchObject({ code: errorTable[code].exit, stdout: '' });
      expect(errorOf(machine).code).toBe(code);
    },
  );

  it('a refused request prints the error of the API or of the operation', async () => {
    const tooSmall = await run([...formArgs.slice(0, -1), '1', '--json'], env);
    expect(tooSmall.code).toBe(errorTable.invalid_request.exit);
    expect(errorOf(tooSmall)).toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('size') as string,
    });
    const lacking = await run(['form', '--name', 'x', '--capability', 'fly', '--wait'], env);
    expect(lacking).toMatchObject({ code: errorTable.insufficient_agents.exit, stdout: '' });
    expect(lacking.stderr).toContain('fly');
  });

  it('a command with an unknown token exits with the code of an unauthenticated request', async () => {
    const wrong = await run(['status', '--json'], { ...env, CLUSTER_MANAGER_TOKEN: 'cmt_wrong' });
    expect(wrong.code).toBe(errorTable.unauthenticated.exit);
    expect(errorOf(wrong).code).toBe('unauthenticated');
  });
});
