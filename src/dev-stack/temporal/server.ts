import { join } from 'node:path';
import { searchAttributes } from '../../contracts/search-attributes.js';
import type { Program } from '../find-program.js';
import type { ProcessSpec } from '../processes/supervised-process.js';
import { temporalDataFile } from './data-file.js';
import { hasNamespace } from './probe.js';

export const temporalNamespace = 'default';

// WAL with NORMAL survives a killed process; the others keep pages and sorting in memory.
const sqlitePragmas = [
  'journal_mode=WAL',
  'synchronous=NORMAL',
  'mmap_size=268435456',
  'cache_size=-65536',
  'temp_store=memory',
];

// With its defaults, a server of one shard adds tens of milliseconds to each workflow task. These settings reduced a workflow
// of four empty activities from 455 ms to 53-83 ms on two cores.
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

/** The development server as a supervised process. */
export const temporalProcess = (
  stateDir: string,
  cli: Program,
  { port, uiPort, httpPort }: Readonly<Record<'port' | 'uiPort' | 'httpPort', number>>,
): ProcessSpec => {
  const file = temporalDataFile(stateDir);
  return {
    name: 'temporal',
    command: cli.path,
    args: [
      'server',
      'start-dev',
      ...['--ip', '127.0.0.1', '--port', String(port)],
      ...['--ui-port', String(uiPort), '--http-port', String(httpPort)],
      ...['--namespace', temporalNamespace, '--db-filename', file],
      ...sqlitePragmas.flatMap((pragma) => ['--sqlite-pragma', pragma]),
      ...searchAttributes.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
      ...dynamicConfig.flatMap((entry) => ['--dynamic-config-value', entry]),
    ],
    env: { ...process.env, TEMPORAL_ADDRESS: undefined, TEMPORAL_NAMESPACE: undefined },
    cwd: stateDir,
    logFile: join(stateDir, 'logs', 'temporal.log'),
    marker: file,
    stopSignals: ['SIGTERM'],
    graceMs: 15_000,
    readyTimeoutMs: 60_000,
    isReady: () => hasNamespace(`127.0.0.1:${port}`, temporalNamespace),
  };
};
