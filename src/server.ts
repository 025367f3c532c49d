import { Client, Connection } from '@temporalio/client';
import { startServer } from './start-server.js';
import { ensureSearchAttributes } from './client/ensure-search-attributes.js';
import { createClusterManagerClient, type ClusterManagerClient } from './client/index.js';
import { loadConfig, type ManagerConfig } from './config/index.js';
import { errorTable, ManagerError, messageOf } from './contracts/errors.js';
import { createLogger, createMetrics } from './telemetry/index.js';

/** The composition root of the server: runs until SIGTERM or SIGINT; SIGHUP reads the settings file again. */
async function main(stopping: AbortController): Promise<void> {
  const config = loadConfig({ env: process.env });
  const logger = createLogger('server', config.logLevel);
  const stopped = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        stopping.abort();
        resolve(signal);
      });
    }
  });
  const readConfig = (): ManagerConfig => loadConfig({ path: config.configPath, env: process.env });
  const options = { logger, metrics: createMetrics(), openClient, readConfig, signal: stopping.signal };
  const server = await startServer(config, options);
  process.on('SIGHUP', () => {
    server
      .reload()
      .catch((err: unknown) =>
        logger.error({ err }, 'the configuration was not reloaded; the previous one stays in force'),
      );
  });
  logger.info({ signal: await stopped }, 'server stopping');
  await server.stop();
  logger.info('server stopped');
}

/** Connects to Temporal and registers the search attributes that our workflows need. */
async function openClient({ id, temporal }: ManagerConfig): Promise<ClusterManagerClient> {
  const where = `Temporal at ${temporal.address}, namespace "${temporal.namespace}",`;
  const connection = await Connection.connect({ ...temporal.connection, connectTimeout: '5s' }).catch(
    (cause: unknown) => {
      throw new ManagerError(
        'service_unavailable',
        `${where} cannot be reached (${messageOf(cause)}); start it with "npm start", or set TEMPORAL_ADDRESS`,
        { cause },
      );
    },
  );
  try {
    await connection.withDeadline(Date.now() + 5000, () => ensureSearchAttributes(connection, temporal.namespace));
    const client = new Client({ connection, namespace: temporal.namespace });
    return createClusterManagerClient(client, id, () => connection.close());
  } catch (cause) {
    await connection.close();
    throw temporalError(cause, where);
  }
}

/** By gRPC status code: `service_unavailable` is retried; an error that a person must fix is `incompatible_service`. */
function temporalError(cause: unknown, where: string): unknown {
  const { code } = cause as { readonly code?: unknown };
  const [unavailable, deadlineExceeded, notFound] = [14, 4, 5];
  if (code === unavailable || code === deadlineExceeded) {
    return new ManagerError('service_unavailable', `${where} does not answer (${messageOf(cause)})`, { cause });
  }
  if (code === notFound) {
    const advice = 'create the namespace, or set TEMPORAL_NAMESPACE';
    return new ManagerError('service_unavailable', `${where} does not exist (${messageOf(cause)}); ${advice}`, {
      cause,
    });
  }
  if (typeof code !== 'number') return cause;
  return new ManagerError('incompatible_service', `${where} cannot be used: ${messageOf(cause)}`, { cause });
}

const stopping = new AbortController();
try {
  await main(stopping);
} catch (error) {
  // On a signal during startup there is nothing to finish.
  if (!stopping.signal.aborted) {
    const code = error instanceof ManagerError ? error.code : 'internal';
    const text = error instanceof ManagerError ? error.message : error instanceof Error ? error.stack : String(error);
    process.stderr.write(`${code}: ${text}\n`);
    process.exitCode = errorTable[code].exit;
  }
}
