import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startStack, type Stack, type StackOptions } from '../src/dev-stack/stack.js';

/** Starts a separate stack with the product's launcher, runs `work` on it, stops it and removes its folder. */
export async function withStack<Result>(
  options: Pick<StackOptions, 'services' | 'workers' | 'env'>,
  work: (stack: Stack) => Promise<Result>,
): Promise<Result> {
  const stateDir = mkdtempSync(join(tmpdir(), 'cluster-manager-bench-'));
  const stack = await startStack({ stateDir, ports: 'free', ...options });
  try {
    return await work(stack);
  } finally {
    await stack.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}
