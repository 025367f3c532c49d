import { fileURLToPath } from 'node:url';
import { existsSync } from 'node:fs';
import { Client } from '@temporalio/client';
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { createActivities } from './activities/index.js';
import { loadConfig } from './config/index.js';
import { errorTable, ManagerError } from './contracts/errors.js';
import { reachTemporal } from './client/connect.js';
import { ensureSearchAttributes } from './client/ensure-search-attributes.js';
import { createClusterManagerClient } from './client/index.js';
import { rescueOperations } from './maintenance/operation-rescuer.js';
import { openNotifications } from './stores/communication/index.js';
import { openStores } from './stores/open.js';
import { waitForService } from './stores/wait-for-service.js';
import { workerOptions } from './worker-options.js';
import { createLogger } from './telemetry/index.js';
import { openReadinessEndpoint } from './telemetry/readiness.js';
import { installTemporalRuntime } from './telemetry/temporal-runtime.js';

const prebuiltBundle = fileURLToPath(new URL('./workflow-bundle.js', import.meta.url));

const workflowsPath = fileURLToPath(new URL('./workflows/index.js', import.meta.url));

/** Bundled ahead of time where `npm run build` did it; bundling at start costs seconds. */
const workflowSource = (): Pick<WorkerOptions, 'workflowBundle' | 'workflowsPath' | 'bundlerOptions'> =>
  existsSync(prebuiltBundle)
    ? { workflowBundle: { codePath: prebuiltBundle } }
    : { workflowsPath, bundlerOptions: { preloadModules: [workflowsPath] } };

async function main(): Promise<void> {
  const config = loadConfig({ env: process.env });
  const logger = createLogger('worker', config.logLevel);
  installTemporalRuntime(logger, config.workerMetricsPort);
  let isPolling = (): boolean => false;
  // Opened first: a probe is refused with 503 while the worker still starts.
  const readiness =
    config.workerHealthPort === undefined
      ? undefined
      : await openReadinessEndpoint({ port: config.workerHealthPort, isReady: () => isPolling() });
  const { close: closeStores, ...stores } = await openStores(config.databases, `${config.id} worker`, { logger });
  const { address, namespace } = config.temporal;
  const connect = () => reachTemporal(address, NativeConnection.connect(config.temporal.connection));
  const connection = await waitForService('Temporal', connect, { logger });
  const notifications = openNotifications(stores.communication, {
    id: `worker ${process.pid}`,
    onError: (err) => logger.warn({ err }, 'new deliveries could not be announced'),
  });
  await ensureSearchAttributes(connection, namespace);
  const client = createClusterManagerClient(new Client({ connection, namespace }), config.id);
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: config.id,
    activities: createActivities({
      ...stores,
      settings: config,
      resumeAbandonedOperations: () => rescueOperations({ clusters: stores.clusters, client, logger }),
      ...(config.communication.wakeUps ? { notify: notifications.notify } : {}),
    }),
    ...workflowSource(),
    ...workerOptions,
  });
  isPolling = () => worker.getState() === 'RUNNING';
  logger.info({ taskQueue: config.id, temporal: address }, 'worker ready');
  await worker.run();
  await notifications.close();
  await connection.close();
  await closeStores();
  readiness?.close();
}

try {
  await main();
} catch (error) {
  process.stderr.write(
    `${error instanceof ManagerError ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
  );
  process.exit(error instanceof ManagerError ? errorTable[error.code].exit : 1);
}
