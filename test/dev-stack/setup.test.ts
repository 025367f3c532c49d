import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest';
import { packageFolder } from '../../src/dev-stack/paths.js';
import { temporaryFolder, writeProgram } from './support.js';

/** The development stack as the build makes it, built once: these tests are about when a build runs, not about the compiler. */
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

/** A small project with the real setup script, and stand-ins for npm, the compiler and the two servers. */
let project: string;

/** What the development stack imports before it asks a Temporal server. */
const libraries = ['compare-versions', 'execa', 'zod'];

const compiler = `
  import fs from 'node:fs';
  fs.cpSync(${JSON.stringify(built)}, 'dist', { recursive: true });
  if (fs.existsSync('src/broken.ts')) {
    console.error('src/broken.ts(1,14): error TS2322');
    process.exit(2);
  }`;

beforeEach(() => {
  project = temporaryFolder();
  const place = (...path: readonly string[]): string => {
    mkdirSync(dirname(join(project, ...path)), { recursive: true });
    return join(project, ...path);
  };
  const write = (path: string, text: string): void => writeFileSync(place(path), text);
  for (const path of ['scripts/setup.mjs', 'tsconfig.json', 'tsconfig.build.json']) {
    write(path, readFileSync(join(packageFolder, path), 'utf8'));
  }
  write('scripts/copy-sql.mjs', '');
  // The last step of a build: counts the builds.
  write('scripts/build-workflows.mjs', `import fs from 'node:fs'; fs.appendFileSync('builds', 'b');`);
  write('src/main.ts', '');
  write('package.json', '{"name":"project","version":"1.0.0","type":"module"}');
  write('package-lock.json', '{"name":"project","version":"1.0.0","lockfileVersion":3,"packages":{}}');
  for (const name of libraries)
    symlinkSync(join(packageFolder, 'node_modules', name), place('node_modules', name), 'dir');
  write('node_modules/typescript/bin/tsc', compiler);
  write('node_modules/typescript/package.json', '{"name":"typescript","type":"module"}');
});

const environment = (changes: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => {
  const bin = join(project, 'bin');
  writeProgram(join(bin, 'postgres'), 'echo "postgres (PostgreSQL) 17.4"');
  writeProgram(join(bin, 'initdb'), 'exit 0');
  const cli = writeProgram(join(bin, 'temporal'), 'echo "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)"');
  // Stands in for npm: there is nothing to install from an empty lock file.
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

it('setup installs and builds once, and prints only the two servers when there is nothing to do', () => {
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

it('setup does not install again after npm was run by hand, if the versions are those of the lock file', () => {
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

it('setup fails while the source does not compile, though an earlier build exists', () => {
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

it('setup fails with the reason when TEMPORAL_CLI_PATH cannot be used', () => {
  const { status, stderr } = run(environment({ TEMPORAL_CLI_PATH: '/no/such/temporal' }));
  expect(status).toBe(1);
  expect(stderr).toContain('TEMPORAL_CLI_PATH=/no/such/temporal cannot be used: /no/such/temporal does not exist');
});

it('two setups at the same time build once', async () => {
  const env = environment();
  const both = [1, 2].map(() => spawn(process.execPath, ['scripts/setup.mjs'], { cwd: project, env, stdio: 'ignore' }));
  onTestFinished(() => both.forEach((one) => one.kill('SIGKILL')));
  const codes = await Promise.all(both.map((one) => once(one, 'exit')));
  expect(codes.map(([code]: readonly unknown[]) => code)).toEqual([0, 0]);
  expect([read('installs'), read('builds')]).toEqual(['ci', 'b']);
});

it('a setup runs after another one was killed while it held the lock', async () => {
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

it('package-lock.json names the optional packages of every platform, without which npm ci refuses to install', () => {
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
