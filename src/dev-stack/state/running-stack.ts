import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { readJsonFile, writeJsonFile } from './json-file.js';
import { isRunning } from '../processes/process-identity.js';
import type { ProcessIdentity } from '../processes/process-identity.js';

/** What a command in another terminal needs to reach a running stack. The file holds the admin token: mode 0600. */
export interface RunningStack extends ProcessIdentity {
  readonly urls: { readonly api?: string; readonly temporalUi?: string };
  readonly env: Readonly<Record<string, string>>;
}

const stackFile = (stateDir: string): string => join(stateDir, 'stack.json');

const isRunningStack = (value: object): value is RunningStack => {
  const { pid, startTime, urls, env } = value as Partial<RunningStack>;
  return (
    typeof pid === 'number' && typeof startTime === 'string' && typeof urls === 'object' && typeof env === 'object'
  );
};

/** The stack that runs on this state folder now, undefined when none does. @throws ManagerError state_folder_corrupt. */
export const readRunningStack = (stateDir: string): RunningStack | undefined => {
  const stack = readJsonFile<RunningStack>(stackFile(stateDir), isRunningStack);
  return stack && isRunning(stack) ? stack : undefined;
};

export const writeRunningStack = (stateDir: string, stack: RunningStack): void =>
  writeJsonFile(stackFile(stateDir), stack);

export const removeRunningStack = (stateDir: string): void => rmSync(stackFile(stateDir), { force: true });
