import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';

/** A process. The start time tells it apart from a later process with the same pid. */
export const processIdentity = z.object({ pid: z.int(), startTime: z.string() });

export type ProcessIdentity = Readonly<z.output<typeof processIdentity>>;

const ps = (pid: number, column: string): string | undefined => {
  try {
    return execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined;
  } catch {
    return undefined;
  }
};

/**
 * The process with this pid; undefined when it has ended. A zombie has ended. The start time is in the system's own notation.
 */
export const identityOf = (pid: number): ProcessIdentity | undefined => {
  const startTime = startTimeOf(pid);
  return startTime === undefined ? undefined : { pid, startTime };
};

const startTimeOf = (pid: number): string | undefined => {
  if (process.platform !== 'linux') return ps(pid, 'stat')?.startsWith('Z') ? undefined : ps(pid, 'lstart');
  try {
    // The command name may contain spaces and brackets: the other fields begin after its last bracket.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
};

export const isRunning = (identity: ProcessIdentity): boolean => startTimeOf(identity.pid) === identity.startTime;

/** Whether the process uses this file or folder: its command line names it, or it is its working folder. */
export const usesPath = (pid: number, path: string): boolean => {
  if (process.platform !== 'linux') return ps(pid, 'command')?.includes(path) ?? false;
  try {
    if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(path)) return true;
    return readlinkSync(`/proc/${pid}/cwd`) === path;
  } catch {
    return false;
  }
};

/** Waits for the process to end. @returns false when it still runs after `timeoutMs`. */
const waitForEnd = async (identity: ProcessIdentity, timeoutMs: number): Promise<boolean> => {
  const deadline = performance.now() + timeoutMs;
  while (isRunning(identity)) {
    if (performance.now() > deadline) return false;
    await delay(20);
  }
  return true;
};

/** Sends a signal to this process and to no later one with its pid. @returns false when it had already ended. */
export const signalProcess = (identity: ProcessIdentity, signal: NodeJS.Signals): boolean => {
  if (!isRunning(identity)) return false;
  try {
    return process.kill(identity.pid, signal);
  } catch {
    return false;
  }
};

/** Ends a process: sends the signals in order until it has ended, and waits `graceMs` after each. */
export const endProcess = async (
  identity: ProcessIdentity,
  signals: readonly NodeJS.Signals[],
  graceMs: number,
  onStillRunning: (signal: NodeJS.Signals) => void = () => undefined,
): Promise<void> => {
  for (const signal of signals) {
    if (!signalProcess(identity, signal) || (await waitForEnd(identity, graceMs))) return;
    onStillRunning(signal);
  }
};
