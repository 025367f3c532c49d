import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest';
import { packageFolder } from '../../src/dev-stack/paths.js';
import { temporaryFolder, writeProgram } from './support.js';

/** The launcher as the build makes it, made once: what these tests ask is when a build runs, not what the compiler does. */
const built = mkdtempSync(join(tmpdir(), 'cluster-manager-test-'));

beforeAll(() => {
  const sources = [
    'contracts/errors.ts',
    ...readdirSync(join(packageFolder, 'src/dev-stack'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `dev-stack/${name}`),
  ];
  for (const source of sources) {
    const { outputText } = ts.transpileModule(readFileSync(join(packageFolder, 'src', source), 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true },
    });
    const target = join(built, source.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, outputText);
  }
});

afterAll(() => rmSync(built, { recursive: true, force: true }));

/** A small project with the real set-up script, and stand-ins for npm, the compiler and the two servers. */
let project: string;

const compiler = `
  import fs from 'node:fs';
  fs.cpSync(${JSON.stringify(built)}, 'dist', { recursive: true });
  if (fs.existsSync('src/broken.ts')) {
    console.error('src/broken.ts(1,14): error TS2322');
    process.exit(2);
  }`;

beforeEach(() => {
  project = temporaryFolder();
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(project, path)), { recursive: true });
    writeFileSync(join(project, path), text);
  };
  for (const path of ['scripts/setup.mjs', 'tsconfig.json', 'tsconfig.build.json']) {
    write(path, readFileSync(join(packageFolder, path), 'utf8'));
  }
  // The last step of a build: counts its runs.
  write('scripts/build-workflows.mjs', `import fs from 'node:fs'; fs.appendFileSync('builds', 'b');`);
  write('src/main.ts', '');
  write('package.json', '{"name":"project","version":"1.0.0","type":"module"}');
  write('package-lock.json', '{"name":"project","version":"1.0.0","lockfileVersion":3,"packages":{}}');
  write('node_modules/typescript/bin/tsc', compiler);
  write('node_modules/typescript/package.json', '{"name":"typescript","type":"module"}');
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

it('takes the word of an npm that was run by hand, as long as its versions are those of the lock file', () => {
  const lock = (version: string): string =>
    `{"name":"project","version":"1.0.0","lockfileVersion":3,"packages":{"":{},"node_modules/a":{"version":"${version}"}}}`;
  writeFileSync(join(project, 'package-lock.json'), lock('1.0.0'));
  writeFileSync(join(project, 'node_modules/.package-lock.json'), lock('1.0.0'));
  run();
  expect(read('installs')).toBe('');
  writeFileSync(join(project, 'package-lock.json'), lock('1.0.1'));
  run();
  expect(read('installs')).toBe('ci');
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
