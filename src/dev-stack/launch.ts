import { ManagerError } from '../contracts/errors.js';
import { endOrphans, openChildRecords } from './processes/orphans.js';
import { SupervisedProcess, type ProcessSpec } from './processes/supervised-process.js';
import type { Report } from './report.js';
import { removeRunningStack } from './state/running-stack.js';
import { loadSecrets, type Secrets } from './state/secrets.js';
import { lockStateFolder, openStateFolder } from './state/state-folder.js';

export interface StackOptions {
  /** Where data, secrets and logs are kept; created when missing. One stack at a time runs on a folder. */
  readonly stateDir: string;
  /** `preferred`: the documented ports, or the next free ones. `free`: random free ones, for stacks side by side. */
  readonly ports?: 'preferred' | 'free';
  /** The HTTP API's port. The start is refused when it is in use. */
  readonly apiPort?: number;
  /** `data`: PostgreSQL and Temporal only. `all`, the default: with workers and the HTTP server. */
  readonly services?: 'data' | 'all';
  /** Number of worker processes, default 1. */
  readonly workers?: number;
  /** Added to the environment of this process, for the search of programs, the workers and the server. */
  readonly env?: Readonly<Record<string, string>>;
  /** false turns fsync off: for tests that never cut the power. Default true. */
  readonly durable?: boolean;
  readonly report?: Report;
  /** Aborted while the stack starts: what runs is stopped and the start is refused. */
  readonly signal?: AbortSignal;
}

/** What the parts of a stack share: its options, and what `stop` ends. */
export type Launch = ReturnType<typeof createLaunch>;

/**
 * Locks the state folder and ends what an earlier manager left running on it.
 * @throws ManagerError state_folder_busy or state_folder_corrupt.
 */
export const openLaunch = async (options: StackOptions): Promise<Launch> => {
  const { stateDir, report } = options;
  openStateFolder(stateDir);
  const releases: (() => void)[] = [lockStateFolder(stateDir)];
  try {
    const secrets = loadSecrets(stateDir);
    await endOrphans(stateDir, report);
    options.signal?.throwIfAborted();
    return createLaunch(options, secrets, releases);
  } catch (error) {
    for (const release of releases) release();
    throw error;
  }
};

const createLaunch = (options: StackOptions, secrets: Secrets, releases: (() => void)[]) => {
  const records = openChildRecords(options.stateDir);
  const processes: SupervisedProcess[] = [];
  const signalAtExit = (): void => processes.toReversed().forEach((child) => child.signalAtExit());
  process.once('exit', signalAtExit);
  let stopping: Promise<void> | undefined;
  const stopAll = async (): Promise<void> => {
    removeRunningStack(options.stateDir);
    await stopInOrder(processes);
    process.off('exit', signalAtExit);
    for (const release of releases.toReversed()) release();
  };
  /** Ends all processes and unlocks the state folder. */
  const stop = (): Promise<void> => (stopping ??= stopAll());
  // A failure of `stop` is thrown to the caller of `stop`, not here.
  const onAbort = (): void => void stop().catch(() => undefined);
  options.signal?.addEventListener('abort', onAbort, { once: true });
  releases.push(() => options.signal?.removeEventListener('abort', onAbort));
  return {
    options,
    environment: { ...process.env, ...options.env } as NodeJS.ProcessEnv,
    secrets,
    processes: processes as readonly SupervisedProcess[],
    isStopping: (): boolean => stopping !== undefined,
    /** Starts a process that `stop` ends. */
    start: async (spec: ProcessSpec): Promise<void> => {
      if (stopping) throw new ManagerError('service_unavailable', 'The stack was stopped while it started.');
      const child = new SupervisedProcess(spec, records, options.report);
      processes.push(child);
      try {
        await child.start();
      } catch (error) {
        processes.splice(processes.indexOf(child), 1);
        throw error;
      }
    },
    /** Registers what to release after all processes have ended. */
    onStopped: (release: () => void): void => void releases.push(release),
    stop,
  };
};

/** A process ends before the services that it uses: workers and server together, then Temporal, then PostgreSQL. */
const stopInOrder = async (processes: readonly SupervisedProcess[]): Promise<void> => {
  const services = ['temporal', 'postgres'];
  await Promise.all(processes.filter((child) => !services.includes(child.status().name)).map((child) => child.stop()));
  for (const name of services) await processes.find((child) => child.status().name === name)?.stop();
};
