import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

interface Cruise {
  readonly modules: readonly {
    readonly source: string;
    readonly dependencies: readonly { readonly resolved: string; readonly dependencyTypes: readonly string[] }[];
  }[];
  readonly summary: {
    readonly violations: readonly {
      readonly from: string;
      readonly to: string;
      readonly rule: { readonly name: string };
    }[];
  };
}
interface Rule {
  readonly name: string;
  readonly comment: string;
}

const project = process.cwd();
const program = resolve('node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
const rules = (createRequire(import.meta.url)(resolve('.dependency-cruiser.cjs')) as { forbidden: Rule[] }).forbidden;

/** Runs dependency-cruiser with a configuration over some folders. @returns its whole report. */
function cruise(cwd: string, config: string, ...folders: string[]): Promise<Cruise> {
  const args = [program, ...folders, '--config', config, '--output-type', 'json'];
  return new Promise((done, fail) => {
    execFile(process.execPath, args, { cwd, maxBuffer: 2 ** 27 }, (error, stdout) => {
      // With violations the exit code is their number, and the report is still complete.
      if (stdout === '') fail(error ?? new Error('dependency-cruiser printed nothing'));
      else done(JSON.parse(stdout) as Cruise);
    });
  });
}

// Two seconds on an idle machine, ten times that beside other tests.
vi.setConfig({ testTimeout: 120_000 });

describe('the rooms of src', () => {
  it('import only what their rules allow', async () => {
    const { summary, modules } = await cruise(project, '.dependency-cruiser.cjs', 'src');
    expect(modules.length).toBeGreaterThan(100);
    expect(summary.violations.map(({ from, to, rule }) => `${from} -> ${to}: ${rule.name}`)).toEqual([]);
  });

  it('have a rule each', () => {
    const rooms = readdirSync('src', { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const ruled = new Set(rules.map(({ name }) => name.replace(/: imports$/, '')));
    expect(rooms.map(({ name }) => name).filter((name) => !ruled.has(name))).toEqual([]);
  });

  it('are described in ARCHITECTURE.md in the same sentences', () => {
    // Line breaks and code marks may differ.
    const plain = (text: string) => text.replaceAll('`', '').replace(/\s+/g, ' ');
    const page = plain(readFileSync('ARCHITECTURE.md', 'utf8'));
    expect(rules.map(({ comment }) => comment).filter((sentence) => !page.includes(plain(sentence)))).toEqual([]);
  });
});

describe('the import rules', () => {
  let folder: string;
  let violations: readonly string[];

  /** File, content, and the rule that reports it; null where it is allowed, undefined where another case needs it. */
  const cases: readonly [file: string, text: string, rule: string | null | undefined][] = [
    ['src/contracts/a.ts', "import { z } from 'zod';\nexport const a = z;", null],
    ['src/contracts/b.ts', "import pg from 'pg';\nexport const b = pg;", 'contracts: imports'],
    [
      'src/contracts/c.ts',
      "import { readFileSync } from 'node:fs';\nexport const c = readFileSync;",
      'contracts: built-ins',
    ],
    ['src/contracts/steps.ts', "import { z } from 'zod';\nexport const steps = z;", 'contracts without imports'],
    ['src/contracts/ids.ts', "import { a } from './a.js';\nexport const ids = a;", 'contracts without imports'],
    ['src/domain/a.ts', "import type { a } from '../contracts/a.js';\nexport type A = typeof a;", null],
    ['src/domain/b.ts', "import { a } from '../contracts/a.js';\nexport const b = a;", 'domain: contracts as types'],
    ['src/domain/c.ts', "import { hash } from 'node:crypto';\nexport const c = hash;", 'domain: built-ins'],
    ['src/domain/d.ts', "import { v7 } from 'uuid';\nexport const d = v7;", 'domain: imports'],
    ['src/activities/a.ts', "import { a } from '../stores/clusters/a.js';\nexport const step = a;", null],
    ['src/activities/b.ts', "import { a } from '../http/a.js';\nexport const b = a;", 'activities: imports'],
    ['src/workflows/a.ts', "import type { step } from '../activities/a.js';\nexport type A = typeof step;", null],
    [
      'src/workflows/b.ts',
      "import { step } from '../activities/a.js';\nexport const b = step;",
      'workflows: activities as types',
    ],
    ['src/workflows/c.ts', "import { sql } from 'kysely';\nexport const c = sql;", 'workflows: imports'],
    ['src/workflows/d.ts', "import { env } from 'node:process';\nexport const d = env;", 'workflows: built-ins'],
    ['src/stores/clusters/a.ts', "import { sql } from 'kysely';\nexport const a = sql;", null],
    [
      'src/stores/resources/a.ts',
      "import { a } from '../clusters/a.js';\nexport const b = a;",
      'no store imports another',
    ],
    ['src/messaging/a.ts', "import { a } from '../stores/clusters/a.js';\nexport const b = a;", null],
    ['src/messaging/b.ts', "import { a } from '../client/a.js';\nexport const b = a;", 'messaging: imports'],
    ['src/messaging/c.ts', "import { a } from '../config/a.js';\nexport const c = a;", 'messaging: config as types'],
    ['src/messaging/d.ts', "import type { a } from '../config/a.js';\nexport type D = typeof a;", null],
    ['src/messaging/e.ts', "import pg from 'pg';\nexport const e = pg;", 'messaging: imports'],
    ['src/http/c.ts', "import { b } from '../messaging/a.js';\nexport const c = b;", null],
    ['src/activities/c.ts', "import { b } from '../messaging/a.js';\nexport const c = b;", null],
    ['src/cli/b.ts', "import { b } from '../messaging/a.js';\nexport const c = b;", 'cli: imports'],
    ['src/agent/a.ts', "import { Hono } from 'hono';\nexport const a = Hono;", 'agent: imports'],
    ['src/agent/b.ts', "import { a } from '../config/a.js';\nexport const b = a;", 'agent: imports'],
    ['src/config/a.ts', "import { parse } from 'yaml';\nimport 'node:fs';\nexport const a = parse;", null],
    ['src/client/a.ts', "import { b } from '../workflows/b.js';\nexport const a = b;", 'client: workflows as types'],
    ['src/dev-stack/a.ts', "import pg from 'pg';\nexport const a = pg;", 'dev-stack: imports'],
    ['src/dev-stack/b.ts', "import { a } from '../contracts/a.js';\nimport 'node:net';\nexport const b = a;", null],
    ['src/http/a.ts', "import { a } from '../stores/clusters/a.js';\nexport const b = a;", null],
    ['src/http/b.ts', "import { step } from '../activities/a.js';\nexport const b = step;", 'http: imports'],
    ['src/dashboard/a.ts', "import { a } from '../stores/clusters/a.js';\nexport const b = a;", 'dashboard: imports'],
    ['src/cli/a.ts', "import { a } from '../stores/clusters/a.js';\nexport const b = a;", 'cli: imports'],
    [
      'src/telemetry/temporal-runtime.ts',
      "import { Runtime } from '@temporalio/worker';\nexport const a = Runtime;",
      null,
    ],
    [
      'src/server.ts',
      "import { a } from './telemetry/temporal-runtime.js';\nexport const b = a;",
      'no Temporal worker in the server',
    ],
    ['src/worker.ts', "import { b } from './http/a.js';\nexport const c = b;", 'worker.ts'],
    ['src/cli.ts', "import { a } from './stores/clusters/a.js';\nexport const b = a;", 'cli.ts'],
    ['src/config/b.ts', "import { c } from './c.js';\nexport const b = c;", 'no import cycles'],
    ['src/config/c.ts', "import { b } from './b.js';\nexport const c = b;", undefined],
    ['src/config/e.ts', "import type { f } from './f.js';\nexport const e = (g: typeof f) => g;", 'no import cycles'],
    ['src/config/f.ts', "import type { e } from './e.js';\nexport const f = (g: typeof e) => g;", undefined],
    ['src/config/d.ts', "import './nowhere.js';", 'imports resolve'],
    ['src/contracts/d.ts', "import { test } from 'vitest';\nexport const d = test;", 'declared dependencies'],
  ];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cluster-manager-imports-'));
    for (const file of ['package.json', 'tsconfig.json', '.dependency-cruiser.cjs']) cpSync(file, join(folder, file));
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
    for (const [file, text] of cases) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), text);
    }
    const { summary } = await cruise(folder, '.dependency-cruiser.cjs', 'src');
    violations = summary.violations.map(({ from, rule }) => `${from} ${rule.name}`);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(cases.filter(([, , rule]) => rule))('report the import in %s: %s', (file, _text, rule) => {
    expect(violations).toContain(`${file} ${rule}`);
  });

  it.each(cases.filter(([, , rule]) => rule === null))('allow the import in %s: %s', (file) => {
    expect(violations.filter((violation) => violation.startsWith(`${file} `))).toEqual([]);
  });
});

describe('workflows', () => {
  it('load only workflows, contracts and the workflow SDK, through any chain of imports', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cluster-manager-workflows-'));
    try {
      // Type imports do not exist at run time, so this follows only the imports that the compiler keeps.
      const config = join(folder, 'config.cjs');
      const options = {
        doNotFollow: { path: 'node_modules' },
        tsPreCompilationDeps: false,
        tsConfig: { fileName: resolve('tsconfig.json') },
      };
      writeFileSync(config, `module.exports = ${JSON.stringify({ options })}`);
      const { modules } = await cruise(project, config, 'src/workflows', 'src/contracts');
      const bySource = new Map(modules.map((module) => [module.source, module]));
      const loaded = new Set<string>();
      const visit = (source: string): void => {
        if (loaded.has(source)) return;
        loaded.add(source);
        for (const { resolved } of bySource.get(source)?.dependencies ?? []) visit(resolved);
      };
      visit('src/workflows/index.ts');
      const allowed = /^src\/(workflows|contracts)\/|node_modules\/@temporalio\/(workflow|common)\//;
      expect(loaded.size).toBeGreaterThan(3);
      expect([...loaded].filter((source) => !allowed.test(source))).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
