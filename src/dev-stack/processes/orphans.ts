import { join } from 'node:path';
import { readJsonFile, writeJsonFile } from '../state/json-file.js';
import { waitForEnd, isRunning, signalProcess, usesPath } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';
import { reporterFor } from '../report.js';
import type { Report } from '../report.js';

/** A child as it is written down, so that the next manager can find it should this one die first. */
export interface ChildRecord extends ProcessIdentity {
  readonly name: string;
  /** The file or folder it works on. */
  readonly marker: string;
}

export interface ChildRecords {
  remember(child: ChildRecord): void;
  forget(name: string): void;
}

const recordsFile = (stateDir: string): string => join(stateDir, 'children.json');

const isRecords = (value: object): value is { readonly children: readonly ChildRecord[] } =>
  'children' in value &&
  Array.isArray(value.children) &&
  value.children.every(
    (child: Partial<ChildRecord>) => Number.isInteger(child.pid) && typeof child.startTime === 'string',
  );

/** The state folder's list of running children, rewritten whole at each change. */
export const openChildRecords = (stateDir: string): ChildRecords => {
  const children = new Map<string, ChildRecord>();
  const save = (): void => writeJsonFile(recordsFile(stateDir), { children: [...children.values()] });
  save();
  return {
    remember: (child) => {
      children.set(child.name, child);
      save();
    },
    forget: (name) => {
      if (children.delete(name)) save();
    },
  };
};

/**
 * Ends what a manager that died left running on this folder. A process counts as one of its children only when pid,
 * start time and the folder it works on all agree: pids are reused, and names are shared with other people's servers.
 */
export const endOrphans = async (stateDir: string, report: Report | undefined): Promise<void> => {
  const say = reporterFor('manager', report);
  const known =
    readJsonFile<{ readonly children: readonly ChildRecord[] }>(recordsFile(stateDir), isRecords)?.children ?? [];
  const orphans = known.filter((child) => isRunning(child) && usesPath(child.pid, child.marker));
  // Last started first: workers before the servers that they use.
  for (const orphan of orphans.toReversed()) {
    say(`a manager that died left ${orphan.name} running (pid ${orphan.pid}); ending it`, 'warn');
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
      if (!signalProcess(orphan, signal) || (await waitForEnd(orphan, 5_000))) break;
    }
  }
};
