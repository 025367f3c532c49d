import { connect } from 'node:net';
import { join } from 'node:path';
import { dataFolderArgument, postgresDataFolder, postgresEnvironment } from './data-folder.js';
import type { PostgresBinaries } from './programs.js';
import { serverUser } from './server-user.js';
import type { ProcessSpec } from '../processes/supervised-process.js';

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
  // One sync of the file system instead of one for each of a thousand files: recovery after a kill takes a fraction.
  ...(process.platform === 'linux' ? { recovery_init_sync_method: 'syncfs' } : {}),
  // Short queries by key: compiling one costs more than running it.
  jit: 'off',
  random_page_cost: '1.1',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] %q%u@%d ',
  // A failed statement may carry a token in its text.
  log_min_error_statement: 'panic',
  log_checkpoints: 'off',
});

/** The managed server as a supervised process. */
export const postgresProcess = (options: {
  readonly stateDir: string;
  readonly binaries: PostgresBinaries;
  readonly port: number;
  readonly durable: boolean;
}): ProcessSpec => {
  const folder = postgresDataFolder(options.stateDir);
  const user = serverUser();
  return {
    name: 'postgres',
    command: join(options.binaries.folder, 'postgres'),
    args: [
      '-D',
      dataFolderArgument(folder),
      '-p',
      String(options.port),
      ...Object.entries(settings(options.durable)).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
    ],
    env: postgresEnvironment(),
    cwd: '/',
    folder,
    ...(user ? { user: { uid: user.uid, gid: user.gid } } : {}),
    logFile: join(options.stateDir, 'logs', 'postgres.log'),
    marker: folder,
    // Fast: open transactions are rolled back. Then immediate: the next start recovers from the log.
    stopSignals: ['SIGINT', 'SIGQUIT'],
    graceMs: 10_000,
    readyTimeoutMs: 60_000,
    isReady: () => acceptsConnections('127.0.0.1', options.port),
  };
};

/**
 * Whether a PostgreSQL server at this address lets clients in: it answers a start-up message by asking for a password,
 * where one that still recovers answers with an error.
 */
export const acceptsConnections = (host: string, port: number, timeoutMs = 2_000): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => finish(false));
    socket.once('error', () => finish(false));
    socket.once('close', () => finish(false));
    socket.once('data', (reply) => finish(reply[0] === 'R'.charCodeAt(0)));
    socket.once('connect', () => {
      const parameters = Buffer.from('user\0postgres\0database\0postgres\0\0');
      const head = Buffer.alloc(8);
      head.writeInt32BE(8 + parameters.length, 0);
      head.writeInt32BE(3 << 16, 4);
      socket.write(Buffer.concat([head, parameters]));
    });
  });
