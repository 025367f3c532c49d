// Prepares a fresh clone: installs the dependencies, builds, and finds or installs PostgreSQL and Temporal. It runs before
// start, demo, test and bench, before the dependencies are installed: it uses Node's own modules only. When there is nothing to
// do it prints only which PostgreSQL and Temporal are used.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const at = (...parts) => join(root, ...parts);
const say = (line) => process.stderr.write(`${line}\n`);

const fail = (message) => {
  say(`setup failed: ${message}`);
  process.exit(1);
};

const checkNode = () => {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  fail(
    `this is Node ${process.versions.node}; 20.19 or later is needed. Install it from your package manager or a version manager.`,
  );
};

/** Runs a command in the project. What it prints goes to stderr: stdout may be read by a program. */
const run = (command, args) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2], env: { ...process.env, NODE_ENV: '' } });
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`${command} ${args[0]} ended with ${signal ?? `exit code ${code}`}`)),
    );
  });

const hashOf = (files) => {
  const hash = createHash('sha256');
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(readFileSync(at(file)))
      .update('\0');
  return hash.digest('hex');
};

const filesUnder = (folder) =>
  readdirSync(at(folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .sort();

const stampOf = (path) => (existsSync(path) ? readFileSync(path, 'utf8').trim() : '');

const isRunning = (pid) => {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
};

/** Holds a lock file during `work`: two npm commands at once must not both write node_modules or dist. */
const withLock = async (work) => {
  // Not in node_modules, which npm ci deletes, nor where git would see it.
  const name = createHash('sha256').update(root).digest('hex').slice(0, 12);
  const lock = join(tmpdir(), `cluster-manager-setup-${name}.lock`);
  for (let isLogged = false; ;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = Number(stampOf(lock));
    // After a power failure the pid may belong to another program: a lock this old counts as stale.
    const isStale = existsSync(lock) && Date.now() - statSync(lock).mtimeMs > 1_800_000;
    if (isStale || (holder > 0 && !isRunning(holder))) {
      rmSync(lock, { force: true });
      continue;
    }
    if (!isLogged) say(`setup: waiting for another setup (pid ${holder || 'unknown'})`);
    isLogged = true;
    await delay(250);
  }
  const release = () => {
    if (Number(stampOf(lock)) === process.pid) unlinkSync(lock);
  };
  process.once('exit', release);
  await work();
  process.off('exit', release);
  release();
};

/** Whether npm was run by hand: npm's record in node_modules then has every version of the lock file. */
const isInstalled = () => {
  const record = at('node_modules', '.package-lock.json');
  if (!existsSync(record)) return false;
  const { packages: installed } = JSON.parse(readFileSync(record, 'utf8'));
  const { packages: wanted } = JSON.parse(readFileSync(at('package-lock.json'), 'utf8'));
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === '' || optional || installed[path]?.version === version,
  );
};

const installDependencies = async () => {
  const stamp = at('node_modules', '.cluster-manager-setup');
  const wanted = hashOf(['package-lock.json']);
  if (stampOf(stamp) === wanted) return;
  if (isInstalled()) {
    writeFileSync(stamp, `${wanted}\n`);
    return;
  }
  say('setup: installing dependencies (npm ci)');
  const npm = process.env.npm_execpath;
  const [command, before] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  // NODE_ENV=production would leave out the compiler that the next step needs.
  await run(command, [...before, 'ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(stamp, `${wanted}\n`);
};

const build = async () => {
  const stamp = at('dist', '.stamp');
  const inputs = [
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'scripts/build-workflows.mjs',
    'scripts/copy-sql.mjs',
    ...filesUnder('src'),
  ];
  const wanted = hashOf(inputs);
  if (stampOf(stamp) === wanted) return;
  const startedMs = Date.now();
  say('setup: building');
  // A failed build must not pass for the last good one.
  rmSync(stamp, { force: true });
  await run(process.execPath, [at('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json']);
  await run(process.execPath, [at('scripts', 'copy-sql.mjs')]);
  await run(process.execPath, [at('scripts', 'build-workflows.mjs')]);
  mkdirSync(at('dist'), { recursive: true });
  writeFileSync(stamp, `${wanted}\n`);
  say(`setup: built in ${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
};

checkNode();
try {
  await withLock(async () => {
    await installDependencies();
    await build();
  });
  const { ensureServices } = await import('../dist/dev-stack/ensure-services.js');
  await ensureServices(({ part, message }) => say(`setup: ${part}: ${message}`));
} catch (error) {
  fail(error instanceof Error ? error.message : String(error));
}
