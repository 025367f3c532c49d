import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { lockStateFolder } from '../../src/dev-stack/state/owner-lock.js';
import { temporaryFolder } from './support.js';

const script = fileURLToPath(new URL('./lock-contender.ts', import.meta.url));

it('is given up by release and can then be taken again', () => {
  const stateDir = temporaryFolder();
  const release = lockStateFolder(stateDir);
  expect(() => lockStateFolder(stateDir)).toThrow(`pid ${process.pid}`);
  release();
  expect(existsSync(join(stateDir, 'owner.json'))).toBe(false);
  lockStateFolder(stateDir)();
});

it.each([
  ['whose pid is now another process', JSON.stringify({ pid: process.ppid, startTime: '1', startedAt: '2026-01-01' })],
  ['that is half written', '{"pid": 1'],
])('is taken from an owner %s', (_what, text) => {
  const stateDir = temporaryFolder();
  writeFileSync(join(stateDir, 'owner.json'), text);
  const release = lockStateFolder(stateDir);
  expect(JSON.parse(readFileSync(join(stateDir, 'owner.json'), 'utf8'))).toMatchObject({ pid: process.pid });
  release();
});

it('goes to exactly one of several managers that find a dead owner at once', async () => {
  const stateDir = temporaryFolder();
  writeFileSync(join(stateDir, 'owner.json'), JSON.stringify({ pid: 4_000_000, startTime: '1', startedAt: 'then' }));
  const starter = join(stateDir, 'go');
  const contenders = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ['--import', 'tsx', script, stateDir, starter], { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  const words = contenders.map(() => '');
  contenders.forEach((contender, index) =>
    contender.stdout.on('data', (text: Buffer) => (words[index] += text.toString())),
  );
  await expect.poll(() => words.every((word) => word.includes('waiting')), { timeout: 20_000 }).toBe(true);
  writeFileSync(starter, '');
  await expect.poll(() => words.every((word) => /owner|busy/.test(word)), { timeout: 20_000 }).toBe(true);
  expect(words.filter((word) => word.includes('owner'))).toHaveLength(1);
  expect(words.filter((word) => word.includes('busy'))).toHaveLength(3);
  const ends = contenders.map((contender) => once(contender, 'exit'));
  for (const contender of contenders) contender.stdin.end();
  await Promise.all(ends);
});
