import { ManagerError } from '../contracts/errors.js';
import { prepareApplication, startApplication } from './application.js';
import { openLaunch, type Launch, type StackOptions } from './launch.js';
import { prepareDatabases } from './postgres/start.js';
import { identityOf } from './processes/process-identity.js';
import type { ProcessStatus, SupervisedProcess } from './processes/supervised-process.js';
import { writeRunningStack } from './state/running-stack.js';
import { prepareTemporal } from './temporal/start.js';

export type { StackOptions };

export interface Stack {
  /** What workers, server and commands need. Contains secrets: pass it on as environment, never print it. */
  readonly env: Readonly<Record<string, string>>;
  /** The superuser of the stack's own server. @throws ManagerError service_unavailable when the databases are external. */
  readonly adminDatabaseUrl: string;
  readonly urls: { readonly api?: string; readonly temporalUi?: string };
  processes(): readonly ProcessStatus[];
  /** @returns the pid that was signalled, 0 when the process was between two runs. @throws ManagerError not_found. */
  signal(name: string, signal: NodeJS.Signals): number;
  waitReady(name: string): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts and supervises everything that a manager needs on this machine. Returns when all of it is ready.
 * @throws ManagerError state_folder_busy, state_folder_corrupt, port_busy, service_unavailable, incompatible_service or
 * invalid_configuration; nothing is left running then.
 */
export const startStack = async (options: StackOptions): Promise<Stack> => {
  const launch = await openLaunch(options);
  try {
    return await startServices(launch);
  } catch (error) {
    await launch.stop();
    throw error;
  }
};

const startServices = async (launch: Launch): Promise<Stack> => {
  const { options, processes, stop } = launch;
  const apiPort = options.services === 'data' ? undefined : await prepareApplication(launch);
  const [startDatabases, startTemporal] = await settleBoth(prepareDatabases(launch), prepareTemporal(launch));
  const [databases, temporal] = await settleBoth(startDatabases(), startTemporal());
  const data = { ...databases.env, ...temporal.env };
  const application = apiPort === undefined ? { env: {}, urls: {} } : await startApplication(launch, apiPort, data);
  const env = { ...data, ...application.env };
  const urls = { ...temporal.urls, ...application.urls };
  const self = identityOf(process.pid);
  if (self && !launch.isStopping()) writeRunningStack(options.stateDir, { ...self, urls, env });
  return {
    env,
    urls,
    get adminDatabaseUrl() {
      if (databases.adminUrl) return databases.adminUrl;
      throw new ManagerError('service_unavailable', 'The databases are external: this stack has no superuser URL.');
    },
    processes: () => processes.map((child) => child.status()),
    signal: (name, signal) => processNamed(processes, name).signal(signal),
    waitReady: (name) => processNamed(processes, name).waitReady(),
    stop,
  };
};

/** Waits for both even when one fails: otherwise the clean-up would miss a process that the other still starts. */
const settleBoth = async <A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> => {
  await Promise.allSettled([first, second]);
  return Promise.all([first, second]);
};

const processNamed = (processes: readonly SupervisedProcess[], name: string): SupervisedProcess => {
  const found = processes.find((child) => child.status().name === name);
  if (found) return found;
  const names = processes.map((child) => child.status().name).join(', ');
  throw new ManagerError('not_found', `This stack has no process ${name}; it has ${names || 'none'}.`);
};
