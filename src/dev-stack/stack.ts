import { ManagerError } from '../contracts/errors.js';
import { prepareApplication, startApplication } from './application.js';
import { prepareDatabases } from './postgres/start.js';
import type { Launch, StackOptions } from './launch.js';
import { openChildRecords, endOrphans } from './processes/orphans.js';
import { lockStateFolder } from './state/owner-lock.js';
import { identityOf } from './processes/process-identity.js';
import { removeRunningStack, writeRunningStack } from './state/running-stack.js';
import { loadSecrets } from './state/secrets.js';
import { openStateFolder } from './state/state-folder.js';
import { prepareTemporal } from './temporal/start.js';
import { SupervisedProcess } from './processes/supervised-process.js';
import type { ProcessStatus } from './processes/supervised-process.js';

export type { StackOptions };

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

/**
 * Starts everything that one manager needs on this machine, supervised, and returns when all of it is ready.
 * @throws ManagerError state_folder_busy, state_folder_corrupt, port_busy, service_unavailable, incompatible_service or
 * invalid_configuration; nothing is left running then.
 */
export const startStack = async (options: StackOptions): Promise<Stack> => {
  openStateFolder(options.stateDir);
  const releases: (() => void)[] = [lockStateFolder(options.stateDir)];
  const running: SupervisedProcess[] = [];
  const abandon = (): void => running.toReversed().forEach((child) => child.signalAtExit());
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
    await endOrphans(options.stateDir, options.report);
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
    const starts = await bothOrThrow(prepareDatabases(launch), prepareTemporal(launch));
    const [databases, temporal] = await bothOrThrow(starts[0](), starts[1]());
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
const bothOrThrow = async <A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> => {
  await Promise.allSettled([first, second]);
  return Promise.all([first, second]);
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
