import { ManagerError } from '../contracts/errors.js';
import { prepareApplication, startApplication } from './application.js';
import { startDatabases, startTemporal } from './data-services.js';
import { openChildRecords, reapOrphans } from './orphans.js';
import { takeOwnership } from './owner-lock.js';
import { identityOf } from './process-identity.js';
import { removeRunningStack, writeRunningStack } from './running-stack.js';
import { loadSecrets } from './secrets.js';
import type { Report } from './stack-event.js';
import { openStateFolder } from './state-folder.js';
import { SupervisedProcess } from './supervise.js';
import type { ProcessSpec, ProcessStatus } from './supervise.js';

export interface StackOptions {
  /** Where data, secrets and logs are kept; made when missing. One live stack a folder. */
  readonly stateDir: string;
  /** `preferred`: the documented ports, or the next free ones. `free`: random free ones, for stacks side by side. */
  readonly ports?: 'preferred' | 'free';
  /** The HTTP API's port; a busy one is refused, not replaced. */
  readonly apiPort?: number;
  /** `data`: PostgreSQL and Temporal only. `all`, the default: with workers and the HTTP server. */
  readonly services?: 'data' | 'all';
  /** Number of worker processes, default 1. */
  readonly workers?: number;
  /** More environment, for resolution, workers and server. */
  readonly env?: Readonly<Record<string, string>>;
  /** false turns fsync off: for tests that never cut the power. Default true. */
  readonly durable?: boolean;
  readonly report?: Report;
  /** Aborted while the stack starts: what runs already is ended, and the start is refused. */
  readonly signal?: AbortSignal;
}

export interface Stack {
  /** What workers, server and commands need. Holds secrets: pass it on by environment, never print it. */
  readonly env: Readonly<Record<string, string>>;
  /** The managed server's superuser. @throws ManagerError service_unavailable when the databases are elsewhere. */
  readonly adminDatabaseUrl: string;
  readonly urls: { readonly api?: string; readonly temporalUi?: string };
  processes(): readonly ProcessStatus[];
  /** @returns the pid that was signalled, 0 when the process was between two runs. @throws ManagerError not_found. */
  signal(name: string, signal: NodeJS.Signals): number;
  waitReady(name: string): Promise<void>;
  stop(): Promise<void>;
}

/** What the parts of a stack share while it starts. */
export interface Launch {
  readonly options: StackOptions;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly secrets: ReturnType<typeof loadSecrets>;
  /** Starts a process and keeps it in the stack's order of stopping. */
  readonly start: (spec: ProcessSpec) => Promise<void>;
  /** Something to give up after all processes have ended. */
  readonly onStopped: (release: () => void) => void;
}

/**
 * Starts everything that one manager needs on this machine, supervised, and returns when all of it is ready.
 * @throws ManagerError state_folder_busy, state_folder_corrupt, port_busy, service_unavailable, incompatible_service or
 * invalid_configuration; nothing is left running then.
 */
export const startStack = async (options: StackOptions): Promise<Stack> => {
  openStateFolder(options.stateDir);
  const releases: (() => void)[] = [takeOwnership(options.stateDir)];
  const running: SupervisedProcess[] = [];
  const abandon = (): void => running.toReversed().forEach((child) => child.abandon());
  process.once('exit', abandon);
  let stopping: Promise<void> | undefined;
  const stopAll = async (): Promise<void> => {
    removeRunningStack(options.stateDir);
    await stopInOrder(running);
    process.off('exit', abandon);
    for (const release of releases.toReversed()) release();
  };
  const stop = (): Promise<void> => (stopping ??= stopAll());
  // Its failure is the one that `stop` gives to whoever waits for the stack's end.
  const onAbort = (): void => void stop().catch(() => undefined);
  options.signal?.addEventListener('abort', onAbort, { once: true });
  releases.push(() => options.signal?.removeEventListener('abort', onAbort));
  try {
    options.signal?.throwIfAborted();
    const secrets = loadSecrets(options.stateDir);
    await reapOrphans(options.stateDir, options.report);
    const records = openChildRecords(options.stateDir);
    const launch: Launch = {
      options,
      environment: { ...process.env, ...options.env },
      secrets,
      start: async (spec) => {
        if (stopping) throw new ManagerError('service_unavailable', 'The stack was stopped while it started.');
        const child = new SupervisedProcess(spec, records, options.report);
        running.push(child);
        try {
          await child.start();
        } catch (error) {
          running.splice(running.indexOf(child), 1);
          throw error;
        }
      },
      onStopped: (release) => releases.push(release),
    };
    const apiPort = options.services === 'data' ? undefined : await prepareApplication(launch);
    const [databases, temporal] = await allSettledOrThrow([startDatabases(launch), startTemporal(launch)]);
    const data = { ...databases.env, ...temporal.env };
    const application = apiPort === undefined ? { env: {}, urls: {} } : await startApplication(launch, apiPort, data);
    const env = { ...data, ...application.env };
    const urls = { ...temporal.urls, ...application.urls };
    const self = identityOf(process.pid);
    if (self && !stopping) writeRunningStack(options.stateDir, { ...self, urls, env });
    return {
      env,
      urls,
      get adminDatabaseUrl() {
        if (databases.adminUrl) return databases.adminUrl;
        throw new ManagerError('service_unavailable', 'The databases are not managed here: there is no superuser URL.');
      },
      processes: () => running.map((child) => child.status()),
      signal: (name, signal) => named(running, name).signal(signal),
      waitReady: (name) => named(running, name).waitReady(),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
};

/** Waits for both even when one fails: a start still under way would escape the clean-up. */
const allSettledOrThrow = async <A, B>(starts: readonly [Promise<A>, Promise<B>]): Promise<[A, B]> => {
  await Promise.allSettled(starts);
  return Promise.all(starts);
};

const named = (running: readonly SupervisedProcess[], name: string): SupervisedProcess => {
  const found = running.find((child) => child.status().name === name);
  if (found) return found;
  const names = running.map((child) => child.status().name).join(', ');
  throw new ManagerError('not_found', `This stack has no process ${name}; it has ${names || 'none'}.`);
};

/** Those that use a service end before it: workers and server together, then Temporal, then PostgreSQL. */
const stopInOrder = async (running: readonly SupervisedProcess[]): Promise<void> => {
  const last = ['temporal', 'postgres'];
  await Promise.all(running.filter((child) => !last.includes(child.status().name)).map((child) => child.stop()));
  for (const name of last) {
    for (const child of running.filter((one) => one.status().name === name)) await child.stop();
  }
};
