// Runs every static check, two at a time. Prints one line for each, then the whole output of those that failed.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

const cache = 'node_modules/.cache';

// Each tool's own file, since npx would add its start-up time to every check. The slow checks come first.
const checks = [
  ['lint', 'node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings'],
  [
    'types',
    'node_modules/typescript/bin/tsc',
    '--noEmit',
    '--incremental',
    '--tsBuildInfoFile',
    `${cache}/verify.tsbuildinfo`,
  ],
  ['format', 'node_modules/prettier/bin/prettier.cjs', '--check', '.', '--log-level', 'warn', '--cache'],
  ['unused', 'node_modules/knip/bin/knip.js', '--no-progress'],
  [
    'imports',
    'node_modules/dependency-cruiser/bin/dependency-cruise.mjs',
    'src',
    '--config',
    '.dependency-cruiser.cjs',
  ],
  ['package', 'node_modules/publint/src/cli.js', '--strict', '--pack', 'false'],
  ['openapi', 'scripts/openapi.mjs', '--check'],
].filter(([, file]) => file.startsWith('node_modules/') || existsSync(join(root, file)));

const run = ([name, ...args]) =>
  new Promise((resolve) => {
    const started = performance.now();
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    const end = (ok, text) => resolve({ name, ok, output: text, seconds: (performance.now() - started) / 1000 });
    child.once('error', (error) => end(false, String(error)));
    child.once('close', (code) => end(code === 0, output));
  });

const started = performance.now();
const waiting = [...checks];
const failed = [];
const runNext = async () => {
  for (let check = waiting.shift(); check; check = waiting.shift()) {
    const { name, ok, output, seconds } = await run(check);
    console.log(`${ok ? 'ok  ' : 'FAIL'} ${name.padEnd(8)} ${seconds.toFixed(1).padStart(5)} s`);
    if (!ok) failed.push({ name, output });
  }
};
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, runNext));

for (const { name, output } of failed) console.log(`\n--- ${name} ---\n${output.trim()}`);
const seconds = ((performance.now() - started) / 1000).toFixed(1);
console.log(
  `${failed.length === 0 ? 'verified' : `not verified: ${failed.map((f) => f.name).join(', ')}`} in ${seconds} s`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
