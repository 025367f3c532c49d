import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openChildRecords } from '../../src/dev-stack/processes/orphans.js';
import { identityOf, isRunning } from '../../src/dev-stack/processes/process-identity.js';
import { SupervisedProcess } from '../../src/dev-stack/processes/supervised-process.js';
import type { ProcessSpec } from '../../src/dev-stack/processes/supervised-process.js';
import { collector, refusalOf, temporaryFolder } from './support.js';

const supervised = (program: string, changes: Partial<ProcessSpec> = {}) => {
  const folder = temporaryFolder();
  const { events, report } = collector();
  const spec: ProcessSpec = {
    name: 'part',
    command: process.execPath,
    args: ['-e', program],
    env: { PATH: process.env['PATH'] },
    cwd: folder,
    logFile: join(folder, 'part.log'),
    marker: 'part',
    stopSignals: ['SIGTERM'],
    graceMs: 5_000,
    readyTimeoutMs: 10_000,
    isReady: async () => readyPid(folder) !== undefined,
    ...changes,
  };
  const process_ = new SupervisedProcess(spec, openChildRecords(folder), report);
  onTestFinished(() => process_.stop());
  return { part: process_, folder, events };
};

const forever = 'setInterval(() => {}, 1e6);';
const becomeReady = "require('fs').writeFileSync('ready', String(process.pid));";

/** The pid that the running program wrote when it became ready. */
const readyPid = (folder: string): number | undefined => {
  const file = join(folder, 'ready');
  return existsSync(file) ? identityOf(Number(readFileSync(file, 'utf8')))?.pid : undefined;
};

it('the error of a failed start quotes the log of that run only, and the log of earlier runs is kept', async () => {
  const { part, folder } = supervised(`console.error('of this run'); process.exit(4)`);
  writeFileSync(join(folder, 'part.log'), 'of an earlier run\n');
  const refusal = await refusalOf(part.start());
  expect(refusal.message).toContain('of this run');
  expect(refusal.message).not.toContain('of an earlier run');
  expect(readFileSync(join(folder, 'part.log'), 'utf8')).toBe('of an earlier run\nof this run\n');
});

it('waitReady waits for the replacement of a process that a signal ended', async () => {
  const { part, events } = supervised(`${becomeReady} ${forever}`);
  await part.start();
  const pid = part.signal('SIGKILL');
  await part.waitReady();
  expect(part.status()).toMatchObject({ restarts: 1 });
  expect(part.status().pid).not.toBe(pid);
  expect(events.map(({ level, message }) => `${level} ${message.replace(/\d+ ms/g, 'N ms')}`)).toContain(
    'warn was ended by SIGKILL after N ms; restarting in N ms',
  );
});

it('a process that handles a signal is not restarted', async () => {
  const { part } = supervised(`process.on('SIGHUP', () => {}); ${becomeReady} ${forever}`);
  await part.start();
  const pid = part.signal('SIGHUP');
  await part.waitReady();
  expect(part.status()).toMatchObject({ restarts: 0, pid });
});

it('a process that keeps ending is restarted after a longer wait each time', async () => {
  const { part, events, folder } = supervised(
    `const fs = require('fs');
     if (fs.existsSync('broken')) process.exit(3);
     ${becomeReady} ${forever}`,
  );
  await part.start();
  writeFileSync(join(folder, 'broken'), '');
  part.signal('SIGKILL');
  const waits = (): readonly string[] =>
    events.flatMap(({ message }) => /restarting in (\d+) ms/.exec(message)?.[1] ?? []);
  await expect.poll(waits, { timeout: 10_000 }).toEqual(['100', '200', '400', '800']);
  expect(events.some(({ message }) => message.startsWith('ended with exit code 3'))).toBe(true);
});

it('a first start that fails is refused with the end of the log and leaves no process', async () => {
  const { part, folder } = supervised(`console.error('no such table'); process.exit(4)`);
  const refusal = await refusalOf(part.start());
  expect(refusal.code).toBe('service_unavailable');
  expect(refusal.message).toContain('ended with exit code 4');
  expect(refusal.message).toContain('no such table');
  expect(readFileSync(join(folder, 'children.json'), 'utf8')).not.toContain('part');
});

it('a start is refused when the program does not exist', async () => {
  const { part } = supervised('', { command: '/no/such/program' });
  expect((await refusalOf(part.start())).message).toMatch(/could not be started.*ENOENT/);
});

it('a process that does not become ready in time is refused and ended', async () => {
  const { part, folder } = supervised(`require('fs').writeFileSync('pid', String(process.pid)); ${forever}`, {
    readyTimeoutMs: 3_000,
  });
  expect((await refusalOf(part.start())).message).toContain('was not ready within 3000 ms');
  // For a moment it may be a zombie, which has ended.
  const identity = identityOf(Number(readFileSync(join(folder, 'pid'), 'utf8')));
  expect(identity !== undefined && isRunning(identity)).toBe(false);
});

it('a process that ignores its stop signal is killed after its grace time', async () => {
  const { part, events } = supervised(`process.on('SIGTERM', () => {}); ${becomeReady} ${forever}`, {
    graceMs: 200,
  });
  await part.start();
  const identity = identityOf(part.status().pid);
  await part.stop();
  expect(identity && isRunning(identity)).toBe(false);
  expect(events.at(-1)?.message).toBe('still runs 200 ms after SIGTERM');
});

it('a log above 16 MiB is renamed before the start', async () => {
  const { part, folder } = supervised(`${becomeReady} ${forever}`);
  appendFileSync(join(folder, 'part.log'), Buffer.alloc(17 * 1024 * 1024, 'x'));
  await part.start();
  expect(statSync(join(folder, 'part.log')).size).toBeLessThan(100);
  expect(statSync(join(folder, 'part.log.1')).size).toBe(17 * 1024 * 1024);
});
