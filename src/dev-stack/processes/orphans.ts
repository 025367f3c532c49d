import { join } from 'node:path';
import { z } from 'zod';
import { logFor, type Report } from '../report.js';
import { readJsonFile, writeJsonFile } from '../state/json-file.js';
import { endProcess, isRunning, processIdentity, usesPath } from './process-identity.js';

/** A child process as recorded on disk, so that the next manager finds it when this one dies first. */
const childRecord = z.object({
  ...processIdentity.shape,
  name: z.string(),
  /** The file or folder that it uses. */
  marker: z.string(),
});

type ChildRecord = Readonly<z.output<typeof childRecord>>;

export type ChildRecords = ReturnType<typeof openChildRecords>;

const recordsFile = (stateDir: string): string => join(stateDir, 'children.json');

/** The state folder's list of running children, written whole at each change. */
export const openChildRecords = (stateDir: string) => {
  const children = new Map<string, ChildRecord>();
  const save = (): void => writeJsonFile(recordsFile(stateDir), { children: [...children.values()] });
  save();
  return {
    add: (child: ChildRecord) => {
      children.set(child.name, child);
      save();
    },
    remove: (name: string) => {
      if (children.delete(name)) save();
    },
  };
};

/**
 * Ends the processes that a manager which died left running on this folder. A process is taken for one of its children only
 * when pid, start time and the file or folder that it uses all agree: pids are reused, and other servers have the same names.
 */
export const endOrphans = async (stateDir: string, report: Report | undefined): Promise<void> => {
  const log = logFor('manager', report);
  const recorded = readJsonFile(recordsFile(stateDir), z.object({ children: z.array(childRecord) }))?.children ?? [];
  const orphans = recorded.filter((child) => isRunning(child) && usesPath(child.pid, child.marker));
  // In reverse order of their start: workers end before the servers that they use.
  for (const orphan of orphans.toReversed()) {
    log(`an earlier manager died and left ${orphan.name} running (pid ${orphan.pid}): ending it`, 'warn');
    await endProcess(orphan, ['SIGINT', 'SIGTERM', 'SIGKILL'], 5_000);
  }
};
