import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished, vi } from 'vitest';
import { openChildRecords, endOrphans } from '../../src/dev-stack/processes/orphans.js';
import { identityOf, isRunning } from '../../src/dev-stack/processes/process-identity.js';
import type { ProcessIdentity } from '../../src/dev-stack/processes/process-identity.js';
import { startStack } from '../../src/dev-stack/stack.js';
import { collector, temporaryFolder } from './support.js';

const script = fileURLToPath(new URL('./manager-process.ts', import.meta.url));

/** Starts a manager in another process. @returns it and its children, when all are ready. */
const startManager = async (
  stateDir: string,
  ending = '',
): Promise<{ readonly manager: ChildProcess; readonly children: readonly ProcessIdentity[] }> => {
  const manager = spawn(process.execPath, ['--import', 'tsx', script, stateDir, ending], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  manager.stderr.on('data', (text: Buffer) => (errors += text.toString()));
  for await (const line of createInterface(manager.stdout)) {
    const pids = JSON.parse(line) as readonly number[];
    return { manager, children: pids.flatMap((pid) => identityOf(pid) ?? []) };
  }
  throw new Error(`The manager ended before it was ready: ${errors}`);
};

it('the servers that a killed manager left running are ended by the next manager before it starts its own', async () => {
  const stateDir = temporaryFolder();
  const { manager, children } = await startManager(stateDir);
  expect(children).toHaveLength(2);
  manager.kill('SIGKILL');
  await once(manager, 'exit');
  expect(children.filter(isRunning)).toHaveLength(2);

  const { events, report } = collector();
  const stack = await startStack({ stateDir, ports: 'free', services: 'data', durable: false, report });
  onTestFinished(() => stack.stop());
  expect(children.filter(isRunning)).toEqual([]);
  const reported = events.filter(({ message }) => message.includes('died')).map(({ message }) => message);
  expect(reported).toHaveLength(2);
  for (const { pid } of children) expect(reported.join()).toContain(`pid ${pid}`);
  expect(stack.processes().every(({ pid }) => !children.some((child) => child.pid === pid))).toBe(true);
});

it.each(['exit', 'throw'])('a manager that ends by %s without stopping ends its servers', async (ending) => {
  const stateDir = temporaryFolder();
  const { manager, children } = await startManager(stateDir, ending);
  if (manager.exitCode === null) await once(manager, 'exit');
  await vi.waitFor(() => expect(children.filter(isRunning)).toEqual([]), { timeout: 15_000 });
});

it('a process that has the pid of a dead child is not ended', async () => {
  const stateDir = temporaryFolder();
  const bystander = spawn('sleep', ['60'], { stdio: 'ignore' });
  onTestFinished(() => void bystander.kill('SIGKILL'));
  const { pid = 0 } = bystander;
  const identity = identityOf(pid);
  if (!identity) throw new Error('sleep did not start');
  const records = openChildRecords(stateDir);
  records.add({ pid, startTime: '1', name: 'postgres', marker: '60' });
  records.add({ ...identity, name: 'temporal', marker: join(stateDir, 'temporal.sqlite') });
  await endOrphans(stateDir, undefined);
  expect(isRunning(identity)).toBe(true);
});

it('a damaged list of child processes is refused, not ignored', async () => {
  const stateDir = temporaryFolder();
  writeFileSync(join(stateDir, 'children.json'), '{"children":[{"pid":"all"}]}');
  await expect(endOrphans(stateDir, undefined)).rejects.toMatchObject({ code: 'state_folder_corrupt' });
  expect(readFileSync(join(stateDir, 'children.json'), 'utf8')).toContain('all');
});
