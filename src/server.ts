import { startServer } from './api/lifecycle/start-server.js';
import { loadConfig, type ManagerConfig } from './config/index.js';
import { errorTable, ManagerError } from './contracts/errors.js';
import { createLogger } from './telemetry/index.js';

/** The server's root: configuration, then the HTTP API until a signal. SIGHUP reads the settings file again. */
async function main(): Promise<void> {
  const config = loadConfig({ env: process.env });
  const logger = createLogger('server', config.logLevel);
  const stopping = new AbortController();
  const stopped = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        stopping.abort();
        resolve(signal);
      });
    }
  });
  const server = await startServer(config, { logger, signal: stopping.signal });
  process.on('SIGHUP', () => {
    read(config)
      .then((next) => server.reload(next))
      .catch((err: unknown) => logger.error({ err }, 'the configuration was not reloaded; the one before stays'));
  });
  const signal = await stopped;
  logger.info({ signal }, 'server stopping');
  await server.stop();
  logger.info('server stopped');
}

const read = async ({ configPath }: ManagerConfig): Promise<ManagerConfig> =>
  loadConfig({ path: configPath, env: process.env });

try {
  await main();
} catch (error) {
  const code = error instanceof ManagerError ? error.code : 'internal';
  process.stderr.write(`${code}: ${error instanceof ManagerError ? error.message : String((error as Error).stack)}\n`);
  process.exitCode = errorTable[code].exit;
}
