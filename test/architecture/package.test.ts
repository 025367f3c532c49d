import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  exports: Record<string, Record<'types' | 'default', string>>;
  bin: Record<string, string>;
  scripts: Record<string, string>;
  version: string;
};

const tracked = execFileSync('git', ['ls-files'], { encoding: 'utf8' }).split('\n').filter(existsSync);

describe('the package', () => {
  const targets = [
    ...Object.entries(manifest.exports).flatMap(([name, files]) => Object.values(files).map((file) => [name, file])),
    ...Object.entries(manifest.bin),
  ] as [string, string][];

  it.each(targets)('exports %s from %s, which the build compiles from an existing source file', (_name, target) => {
    expect(target).toMatch(/^(\.\/)?dist\/.+\.(js|d\.ts)$/);
    const source = target.replace(/^(\.\/)?dist\//, 'src/').replace(/(\.d\.ts|\.js)$/, '.ts');
    expect(existsSync(source), source).toBe(true);
  });

  it.each(Object.keys(manifest.exports))('can be imported by the name %s', async (name) => {
    const source = manifest.exports[name]?.default.replace('./dist/', '../../src/').replace(/\.js$/, '.ts');
    const module = (await import(source ?? '')) as object;
    expect(Object.keys(module)).not.toEqual([]);
  });

  it('has every SQL file of the stores beside the compiled code once it is built, and no other', () => {
    expect(manifest.scripts['build']).toContain('node scripts/copy-sql.mjs');
    mkdirSync('dist/stores/clusters/functions', { recursive: true });
    writeFileSync('dist/stores/clusters/functions/removed.sql', 'select 1');
    execFileSync(process.execPath, ['scripts/copy-sql.mjs']);
    const textsIn = (folder: string) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((path) => path.endsWith('.sql'))
        .sort()
        .map((path) => [path, readFileSync(join(folder, path), 'utf8')]);
    expect(textsIn('dist/stores')).toEqual(textsIn('src/stores'));
  });

  it('names only existing files in its npm scripts', () => {
    const files = Object.values(manifest.scripts)
      .flatMap((script) => script.split(' '))
      .filter((word) => /^(scripts|examples|bench|test)\/\S+/.test(word));
    expect(files.filter((file) => !existsSync(file))).toEqual([]);
  });

  it('has its version described in CHANGELOG.md, below Unreleased', () => {
    const sections = [...readFileSync('CHANGELOG.md', 'utf8').matchAll(/^## (.+)$/gm)].map((match) => match[1] ?? '');
    expect(sections[0]).toBe('Unreleased');
    expect(sections.slice(1).filter((section) => !/^\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d$/.test(section))).toEqual([]);
    expect(sections.map((section) => section.split(' ')[0])).toContain(manifest.version);
  });

  it('is verified and tested in CI on Node 20, 22 and 24, by existing npm scripts', () => {
    const { jobs } = parse(readFileSync('.github/workflows/ci.yml', 'utf8')) as {
      jobs: { test: { strategy: { matrix: { node: number[] } }; steps: { run?: string }[] } };
    };
    const commands = jobs.test.steps.flatMap(({ run }) => (run === undefined ? [] : [run]));
    expect(commands).toEqual(['npm run setup', 'npm run verify', 'npm test']);
    expect(jobs.test.strategy.matrix.node).toEqual([20, 22, 24]);
    expect(Object.keys(manifest.scripts)).toEqual(expect.arrayContaining(['setup', 'verify', 'test']));
    const hashed = [...JSON.stringify(jobs).matchAll(/hashFiles\('(.+?)'\)/g)].map((match) => match[1] ?? '');
    expect(hashed.filter((file) => !existsSync(file))).toEqual([]);
  });

  it('imports only existing build outputs in scripts/', () => {
    const targets = tracked
      .filter((path) => /^scripts\/.+\.mjs$/.test(path))
      .flatMap((path) => [...readFileSync(path, 'utf8').matchAll(/'\.\.\/dist\/(.+)\.js'/g)])
      .map((match) => `src/${match[1]}.ts`);
    expect(targets).toContain('src/dev-stack/stack.ts');
    expect(targets.filter((source) => !existsSync(source))).toEqual([]);
  });

  it('records no download address in its lockfile', () => {
    expect(readFileSync('package-lock.json', 'utf8')).not.toMatch(/"resolved": "https?:/);
  });
});

describe('paths of one machine in the text files', () => {
  const texts = tracked.filter(
    (path) => path !== 'package-lock.json' && /\.(md|ts|tsx|mjs|cjs|json|ya?ml|sh|py)$|^\.ci\/run$/.test(path),
  );
  // A folder of somebody's machine: a home, or the top-level folders that only some machines have.
  const machinePath = new RegExp(
    `(^|[^\\w./:-])/(home|Users|${['ro', 'ot'].join('')}|${['wo', 'rk'].join('')})/[\\w.-]`,
    'm',
  );

  it('are recognised, unlike relative paths and URLs', () => {
    expect(`see ${['', 'home', 'ada', 'x'].join('/')}`).toMatch(machinePath);
    expect('see src/work/x and http://host/work/x').not.toMatch(machinePath);
  });

  it('do not occur', () => {
    expect(texts.length).toBeGreaterThan(100);
    const machineBound = texts.filter((path) => machinePath.test(readFileSync(path, 'utf8')));
    expect(machineBound).toEqual([]);
  });
});
