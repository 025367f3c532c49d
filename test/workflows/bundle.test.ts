import { isBuiltin } from 'node:module';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';

let code = '';

beforeAll(async () => {
  const workflowsPath = fileURLToPath(new URL('../../src/workflows/index.ts', import.meta.url));
  ({ code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') }));
});

/** The modules that the bundle is made of, as webpack names them. */
const modules = (): string[] => [...code.matchAll(/!\*{3} (.+) \*{3}!/g)].map(([, name]) => name ?? '');

describe('the workflow bundle', () => {
  it('the workflow bundle is built and exports all workflows', () => {
    expect(modules().filter((name) => name.includes('src/workflows/')).length).toBeGreaterThan(3);
    for (const workflow of ['formCluster', 'repairCluster', 'dissolveCluster', 'formationInterval']) {
      expect(new RegExp(`(function|const) ${workflow}\\b`).test(code), workflow).toBe(true);
    }
  });

  it('the workflow bundle contains no parser, database client or Node module', () => {
    const foreign = modules().filter(
      (name) => /node_modules\/(zod|pg|kysely|pino)\/|src\/(activities|stores|http)\//.test(name) || isBuiltin(name),
    );
    expect(foreign).toEqual([]);
  });
});
