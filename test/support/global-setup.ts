import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startStack } from '../../src/dev-stack/stack.js';

declare module 'vitest' {
  interface ProvidedContext {
    readonly temporal: { readonly address: string; readonly namespace: string };
    readonly adminDatabaseUrl: string;
  }
}

/** Starts one PostgreSQL and one Temporal server for the whole run, by the launcher that `npm start` uses. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stateDir = mkdtempSync(join(tmpdir(), 'cluster-manager-test-'));
  // Killed processes lose nothing without fsync, because the kernel has their writes; only a power failure would.
  const durable = process.env['FAULTS'] === '1';
  const stack = await startStack({ stateDir, ports: 'free', services: 'data', durable });
  const { TEMPORAL_ADDRESS: address = '', TEMPORAL_NAMESPACE: namespace = 'default' } = stack.env;
  project.provide('temporal', { address, namespace });
  project.provide('adminDatabaseUrl', stack.adminDatabaseUrl);
  return async () => {
    await stack.stop();
    rmSync(stateDir, { recursive: true, force: true });
  };
}
