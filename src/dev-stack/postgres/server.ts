import { join } from 'node:path';
import type { Program } from '../find-program.js';
import type { Launch } from '../launch.js';
import type { ProcessSpec } from '../processes/supervised-process.js';
import { dataFolderArgument, postgresDataFolder, postgresEnvironment } from './data-folder.js';
import { acceptsConnections } from './probe.js';
import { serverUser } from './server-user.js';

const settings = (durable: boolean): Readonly<Record<string, string>> => ({
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  password_encryption: 'scram-sha-256',
  max_connections: '300',
  shared_buffers: '128MB',
  fsync: durable ? 'on' : 'off',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  wal_compression: 'on',
  max_wal_size: '1GB',
  checkpoint_timeout: '10min',
  // One sync of the file system instead of one for each of a thousand files: recovery after a kill is much faster.
  ...(process.platform === 'linux' ? { recovery_init_sync_method: 'syncfs' } : {}),
  // The queries are short and by key: to compile one costs more than to run it.
  jit: 'off',
  random_page_cost: '1.1',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] %q%u@%d ',
  // The text of a failed statement may contain a token.
  log_min_error_statement: 'panic',
  log_checkpoints: 'off',
});

/** The PostgreSQL server as a supervised process. */
export const postgresProcess = ({ options }: Launch, programs: Program, port: number): ProcessSpec => {
  const { stateDir, durable = true } = options;
  const folder = postgresDataFolder(stateDir);
  const user = serverUser();
  return {
    name: 'postgres',
    command: join(programs.path, 'postgres'),
    args: [
      ...['-D', dataFolderArgument(folder), '-p', String(port)],
      ...Object.entries(settings(durable)).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
    ],
    env: postgresEnvironment(),
    cwd: '/',
    folder,
    ...(user ? { user } : {}),
    logFile: join(stateDir, 'logs', 'postgres.log'),
    marker: folder,
    // SIGINT rolls open transactions back (fast); after SIGQUIT (immediate) the next start recovers from the log.
    stopSignals: ['SIGINT', 'SIGQUIT'],
    graceMs: 10_000,
    readyTimeoutMs: 60_000,
    isReady: () => acceptsConnections('127.0.0.1', port),
  };
};
