import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { isRunning, processIdentity } from '../processes/process-identity.js';
import { readJsonFile, writeJsonFile } from './json-file.js';

const runningStack = z.object({
  ...processIdentity.shape,
  urls: z.object({ api: z.string().exactOptional(), temporalUi: z.string().exactOptional() }),
  env: z.record(z.string(), z.string()),
});

/** What a command in another terminal needs to reach a running stack. The file holds the admin token: mode 0600. */
export type RunningStack = z.output<typeof runningStack>;

const stackFile = (stateDir: string): string => join(stateDir, 'stack.json');

/** The stack that runs on this state folder, undefined when none does. @throws ManagerError state_folder_corrupt. */
export const readRunningStack = (stateDir: string): RunningStack | undefined => {
  const stack = readJsonFile(stackFile(stateDir), runningStack);
  return stack && isRunning(stack) ? stack : undefined;
};

export const writeRunningStack = (stateDir: string, stack: RunningStack): void =>
  writeJsonFile(stackFile(stateDir), stack);

export const removeRunningStack = (stateDir: string): void => rmSync(stackFile(stateDir), { force: true });
