import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAgent, type Agent } from '../../src/agent/index.js';
import { cacheFolder } from '../../src/dev-stack/paths.js';
import { startManager, type TestManager } from './manager.js';

const exec = promisify(execFile);
const folder = fileURLToPath(new URL('../../examples/python/', import.meta.url));
const requirements = join(folder, 'requirements.txt');

/**
 * Python with the example's requirements, in a virtual environment that is kept for the next run.
 * @returns its path, or why it is not available.
 */
async function python(): Promise<{ readonly path: string } | { readonly missing: string }> {
  const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const home = join(cacheFolder(), `python-example-${digest}`);
  const path = join(home, 'bin', 'python');
  if (existsSync(join(home, 'complete'))) return { path };
  const unfinished = `${home}.${process.pid}`;
  try {
    await exec('python3', ['-c', 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))']);
  } catch {
    return { missing: 'python3 (3.10 or later) with venv is not installed' };
  }
  try {
    mkdirSync(cacheFolder(), { recursive: true });
    rmSync(home, { recursive: true, force: true });
    await exec('python3', ['-m', 'venv', unfinished]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements];
    await exec(join(unfinished, 'bin', 'python'), pip, { timeout: 100_000 });
    mkdirSync(join(unfinished, 'complete'));
    renameSync(unfinished, home);
    return { path };
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    return { missing: `temporalio could not be installed from PyPI: ${String(error).split('\n')[0]}` };
  }
}

const found = await python();
const missing = 'missing' in found ? found.missing : undefined;
// In CI a missing Python is a failure, so that the example stays tested.
const skipped = missing !== undefined && !process.env['CI'];
if (skipped) console.warn(`The Python example is not tested: ${missing}`);

describe.skipIf(skipped)('the Python orchestrator', () => {
  let manager: TestManager;
  let agents: Agent[] = [];

  beforeAll(async () => {
    if (missing !== undefined) throw new Error(missing);
    manager = await startManager();
    agents = ['p1', 'p2', 'p3'].map((id) =>
      createAgent({ id, url: manager.url, token: manager.enrolmentToken, capabilities: ['translate'] }),
    );
    await Promise.all(agents.map((agent) => agent.start()));
  });
  afterAll(async () => {
    await Promise.all(agents.map((agent) => agent.stop()));
    await manager?.stop();
  });

  const run = async (...args: string[]) => {
    const path = 'path' in found ? found.path : '';
    const script = join(folder, 'form_a_cluster.py');
    const env = { PATH: process.env['PATH'] ?? '', ...manager.env };
    try {
      const { stdout, stderr } = await exec(path, [script, '--manager', manager.id, ...args], { env });
      return { code: 0, stdout, stderr };
    } catch (error) {
      return error as { code: number; stdout: string; stderr: string };
    }
  };

  it('forms a cluster with one JSON object, and returns the same result for the same request id', async () => {
    const args = ['--name', 'translators', '--capability', 'translate', '--size', '3', '--request-id', 'from-python'];
    const first = await run(...args);
    expect(first.code, first.stderr).toBe(0);
    const result = JSON.parse(first.stdout) as { clusterId: string; members: { agentId: string }[] };
    expect(result.clusterId).toBe('cl_from-python');
    expect(result.members.map(({ agentId }) => agentId).sort()).toEqual(['p1', 'p2', 'p3']);
    expect((await manager.api.getCluster({ params: { id: 'cl_from-python' } })).cluster.state).toBe('active');
    expect((await manager.api.getOperation({ params: { id: 'from-python' } })).operation).toMatchObject({
      state: 'completed',
    });
    const again = await run(...args);
    expect(JSON.parse(again.stdout)).toEqual(result);
  });

  it('prints the stable failure type and every problem of an invalid request', async () => {
    const refused = await run('--name', 'x', '--capability', 'not a name', '--size', '99');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/^InvalidRequest:\n {2}requiredCapabilities\.0: /);
  });

  it('prints which capability no agent has', async () => {
    const refused = await run('--name', 'x', '--capability', 'fly');
    expect(refused.code).toBe(6);
    expect(refused.stderr).toMatch(/^InsufficientAgents: .*fly/);
  });
});
