import { v7 as uuidv7 } from 'uuid';
import type { ClusterManagerClient } from './client/index.js';
import type { ManagerConfig } from './config/index.js';
import { createApi } from './http/app.js';
import { listen } from './http/listen.js';
import { openApiDeps } from './http/open-api-deps.js';
import { startMaintenance } from './maintenance/tasks.js';
import { openMessaging } from './messaging/open-messaging.js';
import { registerManager } from './register-manager.js';
import { reloadableConfig } from './reloadable-config.js';
import { openStores } from './stores/open.js';
import { waitForService } from './stores/wait-for-service.js';
import type { Logger, Metrics } from './telemetry/index.js';

/** How long requests in flight may take to end when the server stops. */
const drainMs = 10_000;

export interface ServerOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Connects to Temporal. @throws ManagerError `service_unavailable` when trying again may help. */
  readonly openClient: (config: ManagerConfig) => Promise<ClusterManagerClient>;
  /** Reads the settings again. @throws ManagerError `invalid_configuration`. */
  readonly readConfig: () => ManagerConfig;
  /** Aborted to stop waiting for services that are not there yet. */
  readonly signal: AbortSignal;
}

/**
 * Opens the stores, the Temporal client, messaging, the HTTP API and maintenance, in this order; stops them in reverse.
 * @throws ManagerError `service_unavailable`, `incompatible_service`, `port_busy`; nothing stays open then.
 */
export async function startServer(initial: ManagerConfig, options: ServerOptions) {
  const { logger, metrics, openClient, signal } = options;
  const open = openParts(logger);
  try {
    const stores = await openStores(initial.databases, `${initial.id} server`, { logger, signal });
    open.push(stores.close);
    const client = await waitForService('Temporal', () => openClient(initial), { logger, signal });
    open.push(() => client.close());
    const { config, reload } = await reloadableConfig(initial, { client, ...options });
    const server = { id: `srv_${uuidv7()}`, startedAt: new Date() };
    const stopping = new AbortController();
    const { clusters, communication, resources } = stores;
    const services = { clusters, communication, resources, client, config, logger, metrics };
    const messaging = openMessaging(communication, config, { serverId: server.id, logger, metrics });
    open.push(messaging.close);
    const api = openApiDeps({ ...services, ...messaging, applyConfig: reload, server, stopping: stopping.signal });
    open.push(api.close);
    await registerManager(clusters, config(), server.id);
    const listener = await listen(createApi(api), config());
    open.push(() => listener.close(drainMs));
    open.push(startMaintenance({ ...services, ...messaging, serverId: server.id }));
    open.push(() => {
      stopping.abort();
      messaging.notifier.close();
    });
    logger.info({ url: listener.url, serverId: server.id, managerId: config().id }, 'server ready');
    return {
      /** Stops taking requests, finishes those in flight, closes everything. */
      stop: open.closeAll,
      /** @throws ManagerError `invalid_configuration`; the settings before stay in force. */
      reload,
    };
  } catch (error) {
    await open.closeAll();
    throw error;
  }
}

type Close = () => Promise<unknown> | void;

/** The open parts of a server, closed in the reverse order of opening. */
function openParts(logger: Logger) {
  const closers: Close[] = [];
  return {
    push: (close: Close): void => void closers.push(close),
    closeAll: async (): Promise<void> => {
      for (const close of closers.splice(0).reverse()) {
        await Promise.resolve(close()).catch((err: unknown) => logger.warn({ err }, 'a part did not close cleanly'));
      }
    },
  };
}
