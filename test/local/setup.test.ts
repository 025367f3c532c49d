import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { packageFolder } from '../../src/local/paths.js';
import { temporaryFolder, writeProgram } from './support.js';

/** A small project with the real set-up script, the real compiler and stand-ins for the two servers. */
let project: string;

beforeEach(() => {
  project = temporaryFolder();
  const at = (path: string): string => join(project, path);
  mkdirSync(at('scripts'));
  cpSync(join(packageFolder, 'scripts/setup.mjs'), at('scripts/setup.mjs'));
  cpSync(join(packageFolder, 'tsconfig.json'), at('tsconfig.json'));
  cpSync(join(packageFolder, 'tsconfig.build.json'), at('tsconfig.build.json'));
  // Counts its runs: the last step of a build.
  writeFileSync(at('scripts/build-workflows.mjs'), `import fs from 'node:fs'; fs.appendFileSync('builds', 'b');`);
  mkdirSync(at('src/local'), { recursive: true });
  cpSync(join(packageFolder, 'src/local'), at('src/local'), { recursive: true });
  mkdirSync(at('src/contracts'));
  cpSync(join(packageFolder, 'src/contracts/errors.ts'), at('src/contracts/errors.ts'));
  writeFileSync(at('package.json'), '{"name":"project","version":"1.0.0","type":"module"}');
  writeFileSync(at('package-lock.json'), '{"name":"project","version":"1.0.0","lockfileVersion":3,"packages":{}}');
  mkdirSync(at('node_modules'));
  for (const name of ['typescript', '@types'])
    symlinkSync(join(packageFolder, 'node_modules', name), at(`node_modules/${name}`));
});

const environment = (changes: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => {
  const bin = join(project, 'bin');
  writeProgram(join(bin, 'postgres'), 'echo "postgres (PostgreSQL) 17.4"');
  writeProgram(join(bin, 'initdb'), 'exit 0');
  const cli = writeProgram(join(bin, 'temporal'), 'echo "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)"');
  // Stands in for npm: installing nothing is right for a lock file that names nothing.
  const npm = join(bin, 'npm.js');
  writeFileSync(npm, `import fs from 'node:fs'; fs.appendFileSync('installs', process.argv[2]);`);
  return { PATH: process.env['PATH'], POSTGRES_BIN_DIR: bin, TEMPORAL_CLI_PATH: cli, npm_execpath: npm, ...changes };
};

const run = (env = environment()) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/setup.mjs'], {
    cwd: project,
    env,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
};

const read = (name: string): string =>
  existsSync(join(project, name)) ? readFileSync(join(project, name), 'utf8') : '';

it('installs and builds once, and then only names the two servers', () => {
  const first = run();
  expect(first.status, first.stderr).toBe(0);
  expect(first.stdout).toBe('');
  const second = run();
  expect(second.stderr.split('\n').filter(Boolean)).toEqual([
    `setup: postgres: PostgreSQL 17.4 from POSTGRES_BIN_DIR (${join(project, 'bin')})`,
    `setup: temporal: server 1.29.1 from TEMPORAL_CLI_PATH (${join(project, 'bin', 'temporal')})`,
  ]);
  expect([read('installs'), read('builds')]).toEqual(['ci', 'b']);

  writeFileSync(join(project, 'package-lock.json'), `${read('package-lock.json')}\n`);
  run();
  expect([read('installs'), read('builds')]).toEqual(['cici', 'bb']);
});

it('fails on a program that does not compile, and does not take the last build for this one', () => {
  run();
  const broken = join(project, 'src/broken.ts');
  writeFileSync(broken, 'export const n: number = "text";');
  const failed = run();
  expect(failed.status).toBe(1);
  expect(failed.stderr).toContain('src/broken.ts');
  expect(failed.stderr).toContain('setup failed: ');
  expect(run().status).toBe(1);
  rmSync(broken);
  expect(run().status).toBe(0);
});

it('names a program that was chosen and cannot be used', () => {
  const { status, stderr } = run(environment({ TEMPORAL_CLI_PATH: '/no/such/temporal' }));
  expect(status).toBe(1);
  expect(stderr).toContain('TEMPORAL_CLI_PATH=/no/such/temporal cannot be used: /no/such/temporal is not there');
});

it('builds once when two commands begin at the same time', async () => {
  const env = environment();
  const both = [1, 2].map(() => spawn(process.execPath, ['scripts/setup.mjs'], { cwd: project, env, stdio: 'ignore' }));
  onTestFinished(() => both.forEach((one) => one.kill('SIGKILL')));
  const codes = await Promise.all(both.map((one) => once(one, 'exit')));
  expect(codes.map(([code]: readonly unknown[]) => code)).toEqual([0, 0]);
  expect([read('installs'), read('builds')]).toEqual(['ci', 'b']);
});

it('goes on after a set-up that was killed while it held the lock', async () => {
  const env = environment();
  const first = spawn(process.execPath, ['scripts/setup.mjs'], {
    cwd: project,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  for await (const text of first.stderr) if (String(text).includes('building')) break;
  first.kill('SIGKILL');
  await expect.poll(() => first.signalCode).toBe('SIGKILL');
  expect(run(env).status).toBe(0);
});

it('has a lock file that names every platform, without which npm ci refuses to install', () => {
  interface Package {
    readonly optionalDependencies?: Readonly<Record<string, string>>;
  }
  const lock = JSON.parse(readFileSync(join(packageFolder, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Package>>;
  };
  const missing = Object.entries(lock.packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !lock.packages[`node_modules/${name}`] && !lock.packages[`${path}/node_modules/${name}`],
    ),
  );
  expect(missing).toEqual([]);
});
