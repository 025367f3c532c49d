import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { lockStateFolder } from '../../src/dev-stack/state/state-folder.js';
import { temporaryFolder } from './support.js';

const script = fileURLToPath(new URL('./lock-contender.ts', import.meta.url));

it('a state folder can be locked again after it was unlocked', () => {
  const stateDir = temporaryFolder();
  const release = lockStateFolder(stateDir);
  expect(() => lockStateFolder(stateDir)).toThrow(`pid ${process.pid}`);
  release();
  expect(existsSync(join(stateDir, 'owner.json'))).toBe(false);
  lockStateFolder(stateDir)();
});

it.each([
  [
    'names a pid that now belongs to another process',
    JSON.stringify({ pid: process.ppid, startTime: '1', startedAt: '2026-01-01' }),
  ],
  ['is half written', '{"pid": 1'],
])('a state folder can be locked when its lock file %s', (_what, text) => {
  const stateDir = temporaryFolder();
  writeFileSync(join(stateDir, 'owner.json'), text);
  const release = lockStateFolder(stateDir);
  expect(JSON.parse(readFileSync(join(stateDir, 'owner.json'), 'utf8'))).toMatchObject({ pid: process.pid });
  release();
});

it('one manager locks the state folder when several find the lock of a dead process at the same time', async () => {
  const stateDir = temporaryFolder();
  writeFileSync(join(stateDir, 'owner.json'), JSON.stringify({ pid: 4_000_000, startTime: '1', startedAt: 'then' }));
  const starter = join(stateDir, 'go');
  const contenders = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ['--import', 'tsx', script, stateDir, starter], { stdio: ['pipe', 'pipe', 'pipe'] }),
  );
  const answers = contenders.map(() => '');
  contenders.forEach((contender, index) =>
    contender.stdout.on('data', (text: Buffer) => (answers[index] += text.toString())),
  );
  await expect.poll(() => answers.every((answer) => answer.includes('waiting')), { timeout: 20_000 }).toBe(true);
  writeFileSync(starter, '');
  await expect.poll(() => answers.every((answer) => /owner|busy/.test(answer)), { timeout: 20_000 }).toBe(true);
  expect(answers.filter((answer) => answer.includes('owner'))).toHaveLength(1);
  expect(answers.filter((answer) => answer.includes('busy'))).toHaveLength(3);
  const ends = contenders.map((contender) => once(contender, 'exit'));
  for (const contender of contenders) contender.stdin.end();
  await Promise.all(ends);
});
