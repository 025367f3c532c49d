import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { ManagerError } from '../../src/contracts/errors.js';
import type { ErrorCode } from '../../src/contracts/errors.js';
import type { StackEvent } from '../../src/dev-stack/report.js';

/** A folder that is removed after the test. */
export const temporaryFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'cluster-manager-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};

/** Writes an executable shell script. @returns its path. */
export const writeProgram = (path: string, script: string): string => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
};

/** The ManagerError that a promise is rejected with. */
export const refusalOf = async (promise: Promise<unknown>): Promise<{ code: ErrorCode; message: string }> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof ManagerError) return { code: error.code, message: error.message };
  throw new Error(`expected a ManagerError, got ${String(error)}`, { cause: error });
};

/** Collects what the stack reports. */
export const collector = (): { readonly events: StackEvent[]; readonly report: (event: StackEvent) => void } => {
  const events: StackEvent[] = [];
  return { events, report: (event) => events.push(event) };
};
