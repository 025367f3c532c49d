import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startStack, type Stack, type StackOptions } from '../src/dev-stack/stack.js';

/** Starts a separate stack with the product's launcher, runs `work` on it, stops it and removes its folder; also on Ctrl-C. */
export async function withStack<Result>(
  options: Pick<StackOptions, 'services' | 'workers' | 'env'>,
  work: (stack: Stack) => Promise<Result>,
): Promise<Result> {
  const stateDir = mkdtempSync(join(tmpdir(), 'cluster-manager-bench-'));
  const stack = await startStack({ stateDir, ports: 'free', ...options });
  const stop = async () => {
    await stack.stop();
    rmSync(stateDir, { recursive: true, force: true });
  };
  const stopAndExit = () => void stop().finally(() => process.exit(130));
  process.once('SIGINT', stopAndExit).once('SIGTERM', stopAndExit);
  try {
    return await work(stack);
  } finally {
    process.off('SIGINT', stopAndExit).off('SIGTERM', stopAndExit);
    await stop();
  }
}
