import { closeSync, existsSync, mkdirSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ManagerError } from '../../contracts/errors.js';
import { corruptStateFolder } from '../state/json-file.js';
import { compareVersions } from '../find-program.js';
import type { TemporalCli } from './programs.js';
import type { ProcessSpec } from '../processes/supervised-process.js';
import { namespaceAnswers } from './probe.js';
import { readVersions, stampVersion } from '../state/versions.js';

export const temporalNamespace = 'default';

const searchAttributes = ['ClusterId', 'Component', 'RequestedBy'];

// WAL with NORMAL survives a killed process; the rest keeps pages and sorting in memory.
const sqlitePragmas = [
  'journal_mode=WAL',
  'synchronous=NORMAL',
  'mmap_size=268435456',
  'cache_size=-65536',
  'temp_store=memory',
];

// A single-shard server with its defaults adds tens of milliseconds to every hop of a workflow; these took four
// no-op activities from 455 ms to 53-83 ms on two cores.
const dynamicConfig = [
  'system.enableActivityEagerExecution=true',
  'system.forceSearchAttributesCacheRefreshOnRead=false',
  'matching.numTaskqueueReadPartitions=1',
  'matching.numTaskqueueWritePartitions=1',
  'matching.rps=100000',
  'history.rps=100000',
  'history.transferProcessorMaxPollRPS=2000',
  'history.timerProcessorMaxPollRPS=500',
  'history.visibilityProcessorMaxPollRPS=200',
  'frontend.rps=100000',
  'frontend.namespaceRPS=100000',
  'frontend.namespaceCount=10000',
  'frontend.enableServerVersionCheck=false',
];

export const temporalDataFile = (stateDir: string): string => join(stateDir, 'temporal', 'temporal.sqlite');

const firstStartMarker = (stateDir: string): string => join(stateDir, 'temporal', 'first-start');

/**
 * Makes sure that this CLI may open the state folder's Temporal data.
 * @throws ManagerError incompatible_service for an older CLI than the writer, state_folder_corrupt for a file that is not ours.
 */
export const checkTemporalData = (stateDir: string, cli: TemporalCli): void => {
  const file = temporalDataFile(stateDir);
  const stamp = readVersions(stateDir).temporalServer;
  if (stamp === undefined && existsSync(firstStartMarker(stateDir))) return;
  if (!existsSync(file)) {
    if (stamp === undefined) return;
    throw corruptStateFolder(stateDir, `${file} is gone, though version ${stamp} was started on it before`);
  }
  const head = Buffer.alloc(16);
  const handle = openSync(file, 'r');
  const length = readSync(handle, head, 0, 16, 0);
  closeSync(handle);
  if (stamp === undefined || length < head.length || head.toString('latin1') !== 'SQLite format 3\0') {
    throw corruptStateFolder(stateDir, `${file} is not a SQLite file that this manager wrote`);
  }
  if (compareVersions(cli.serverVersion, stamp) < 0) {
    throw new ManagerError(
      'incompatible_service',
      `The data in ${file} was written by Temporal server ${stamp}, and ${cli.path} carries the older ${cli.serverVersion}. ` +
        `Use a Temporal CLI with server ${stamp} or later (TEMPORAL_CLI_PATH), or another state folder with CLUSTER_MANAGER_HOME. Nothing was changed.`,
    );
  }
};

/**
 * Makes ready for the next start. Until the first one has succeeded a marker file says so: a server killed while it makes its
 * tables leaves a file that no later start can use and that holds nothing yet.
 */
export const prepareTemporalData = (stateDir: string): void => {
  const folder = join(stateDir, 'temporal');
  if (readVersions(stateDir).temporalServer === undefined && existsSync(firstStartMarker(stateDir))) {
    rmSync(folder, { recursive: true, force: true });
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!existsSync(temporalDataFile(stateDir))) writeFileSync(firstStartMarker(stateDir), '', { mode: 0o600 });
};

/** Notes that the server came up: from now on the file is data to protect. */
export const confirmTemporalData = (stateDir: string, cli: TemporalCli): void => {
  stampVersion(stateDir, { temporalServer: cli.serverVersion });
  rmSync(firstStartMarker(stateDir), { force: true });
};

/** The managed dev server as a supervised process. */
export const temporalProcess = (options: {
  readonly stateDir: string;
  readonly cli: TemporalCli;
  readonly port: number;
  readonly uiPort: number;
  readonly httpPort: number;
}): ProcessSpec => {
  const file = temporalDataFile(options.stateDir);
  return {
    name: 'temporal',
    command: options.cli.path,
    args: [
      'server',
      'start-dev',
      ...['--ip', '127.0.0.1', '--port', String(options.port)],
      ...['--ui-port', String(options.uiPort), '--http-port', String(options.httpPort)],
      ...['--namespace', temporalNamespace, '--db-filename', file],
      ...sqlitePragmas.flatMap((pragma) => ['--sqlite-pragma', pragma]),
      ...searchAttributes.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
      ...dynamicConfig.flatMap((entry) => ['--dynamic-config-value', entry]),
    ],
    env: { ...process.env, TEMPORAL_ADDRESS: undefined, TEMPORAL_NAMESPACE: undefined },
    cwd: options.stateDir,
    logFile: join(options.stateDir, 'logs', 'temporal.log'),
    marker: file,
    stopSignals: ['SIGTERM'],
    graceMs: 15_000,
    readyTimeoutMs: 60_000,
    isReady: () => namespaceAnswers(`127.0.0.1:${options.port}`, temporalNamespace),
  };
};
