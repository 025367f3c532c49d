import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
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
    isReady: async ({ logSinceStart }) => logSinceStart().includes('ready'),
    ...changes,
  };
  const process_ = new SupervisedProcess(spec, openChildRecords(folder), report);
  onTestFinished(() => process_.stop());
  return { part: process_, folder, events };
};

const forever = 'setInterval(() => {}, 1e6);';

it('is ready when its own log of this run says so', async () => {
  const { part, folder } = supervised(`console.log('ready'); ${forever}`);
  writeFileSync(join(folder, 'part.log'), 'ready, said an earlier run\n');
  await part.start();
  expect(readFileSync(join(folder, 'part.log'), 'utf8')).toBe('ready, said an earlier run\nready\n');
});

it('waits for the successor after a signal that ends it', async () => {
  const { part, events } = supervised(`console.log('ready'); ${forever}`);
  await part.start();
  const pid = part.signal('SIGKILL');
  await part.waitReady();
  expect(part.status()).toMatchObject({ restarts: 1 });
  expect(part.status().pid).not.toBe(pid);
  expect(events.map(({ level, message }) => `${level} ${message.replace(/\d+ ms/g, 'N ms')}`)).toContain(
    'warn was ended by SIGKILL after N ms; starting it again in N ms',
  );
});

it('stays the same process after a signal that it handles', async () => {
  const { part } = supervised(`process.on('SIGHUP', () => {}); console.log('ready'); ${forever}`);
  await part.start();
  const pid = part.signal('SIGHUP');
  await part.waitReady();
  expect(part.status()).toMatchObject({ restarts: 0, pid });
});

it('waits longer before each further start of a process that keeps ending', async () => {
  const { part, events, folder } = supervised(
    `const fs = require('fs');
     if (fs.existsSync('broken')) process.exit(3);
     console.log('ready'); ${forever}`,
  );
  await part.start();
  writeFileSync(join(folder, 'broken'), '');
  part.signal('SIGKILL');
  const waits = (): readonly string[] => events.flatMap(({ message }) => /again in (\d+) ms/.exec(message)?.[1] ?? []);
  await expect.poll(waits, { timeout: 10_000 }).toEqual(['100', '200', '400', '800']);
  expect(events.some(({ message }) => message.startsWith('ended with exit code 3'))).toBe(true);
});

it('refuses a first start that fails, with the end of the log, and runs nothing then', async () => {
  const { part, folder } = supervised(`console.error('no such table'); process.exit(4)`);
  const refusal = await refusalOf(part.start());
  expect(refusal.code).toBe('service_unavailable');
  expect(refusal.message).toContain('ended with exit code 4');
  expect(refusal.message).toContain('no such table');
  expect(readFileSync(join(folder, 'children.json'), 'utf8')).not.toContain('part');
});

it('refuses a program that is not there', async () => {
  const { part } = supervised('', { command: '/no/such/program' });
  expect((await refusalOf(part.start())).message).toMatch(/could not be started.*ENOENT/);
});

it('refuses a process that never becomes ready, and ends it', async () => {
  const { part, folder } = supervised(`require('fs').writeFileSync('pid', String(process.pid)); ${forever}`, {
    readyTimeoutMs: 3_000,
  });
  expect((await refusalOf(part.start())).message).toContain('was not ready within 3000 ms');
  // It may still be a zombie for a moment: ended, and not yet collected.
  const identity = identityOf(Number(readFileSync(join(folder, 'pid'), 'utf8')));
  expect(identity !== undefined && isRunning(identity)).toBe(false);
});

it('kills what does not end in its time', async () => {
  const { part, events } = supervised(`process.on('SIGTERM', () => {}); console.log('ready'); ${forever}`, {
    graceMs: 200,
  });
  await part.start();
  const identity = identityOf(part.status().pid);
  await part.stop();
  expect(identity && isRunning(identity)).toBe(false);
  expect(events.at(-1)?.message).toBe('still runs 200 ms after SIGTERM');
});

it('sets a large log aside', async () => {
  const { part, folder } = supervised(`console.log('ready'); ${forever}`);
  appendFileSync(join(folder, 'part.log'), Buffer.alloc(17 * 1024 * 1024, 'x'));
  await part.start();
  expect(statSync(join(folder, 'part.log')).size).toBeLessThan(100);
  expect(statSync(join(folder, 'part.log.1')).size).toBe(17 * 1024 * 1024);
});
