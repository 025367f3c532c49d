import { v7 as uuidv7 } from 'uuid';
import type { ClusterManagerClient } from './client/index.js';
import type { ManagerConfig } from './config/index.js';
import { appendEvent, removeServer, insertToken, inTransaction, recordServer } from './stores/clusters/index.js';
import type { Logger, Metrics } from './telemetry/index.js';
import { createApi } from './http/app.js';
import type { ApiDeps } from './http/deps.js';
import { HeartbeatBatcher } from './http/heartbeat-batcher.js';
import { PrincipalCache } from './http/middleware/principal-cache.js';
import { expireLeases } from './maintenance/lease-expirer.js';
import { startPeriodicTask } from './maintenance/periodic-task.js';
import { pruneMessages, expireMessagesAndSubscriptions, agentStatusSync } from './maintenance/message-cleaner.js';
import { listen } from './http/listen.js';
import { openMessaging } from './messaging/open-messaging.js';
import { openStores } from './stores/open.js';
import { waitForService } from './stores/wait-for-service.js';
import { pruneResources } from './maintenance/resource-cleaner.js';
import { resumeAbandonedOperations } from './maintenance/operation-rescuer.js';
import { urgentScaling } from './maintenance/urgent-scaling.js';
import { usageSampler } from './maintenance/usage-sampler.js';
import { agentExistence, usageRecorder } from './http/usage-recorder.js';

const graceMs = 10_000;
const presenceMs = 5000;
const sweepMs = 10_000;
const standingsMs = 2000;
const endMs = 5000;
const deleteMs = 60_000;
const usageMs = 1_000;
const latenciesMs = 5000;
const streamPingMs = 15_000;

export interface RunningServer {
  readonly url: string;
  readonly port: number;
  /** Puts other settings in force: what needs new connections or another port waits for a restart. */
  /** Reads the settings again and goes by them. @throws ManagerError `invalid_configuration`; the ones before stay. */
  reload(): Promise<void>;
  /** Stops taking requests, finishes those in flight, closes everything. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Connects to Temporal. @throws ManagerError `service_unavailable` while it may still come. */
  readonly openClient: (config: ManagerConfig) => Promise<ClusterManagerClient>;
  /** Reads the settings again. @throws ManagerError `invalid_configuration`. */
  readonly readConfig: () => ManagerConfig;
  /** Gives up waiting for services that are not there yet. */
  readonly signal: AbortSignal;
}

/**
 * Opens everything the API needs, then listens.
 * @throws ManagerError `service_unavailable`, `incompatible_service`, `port_busy`; nothing stays open then.
 */
export async function startServer(
  initial: ManagerConfig,
  { logger, metrics, openClient, readConfig, signal }: ServerOptions,
): Promise<RunningServer> {
  const closers: (() => Promise<unknown> | void)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) {
      await Promise.resolve(close()).catch((err: unknown) => logger.warn({ err }, 'a part did not close cleanly'));
    }
  };
  try {
    const waiting = { logger, signal };
    let config = initial;
    const stores = await openStores(config.databases, `${config.id} server`, waiting);
    closers.push(stores.close);
    const client = await waitForService('Temporal', () => openClient(config), waiting);
    closers.push(() => client.close());
    await ensureSchedules(client, config);
    const stopping = new AbortController();
    const principals = new PrincipalCache(stores.clusters);
    const heartbeats = new HeartbeatBatcher(
      stores.clusters,
      () => ({ leaseSeconds: config.leaseSeconds, windowMs: config.heartbeatWindowMs }),
      metrics,
    );
    const serverId = `srv_${uuidv7()}`;
    const messaging = openMessaging(stores.communication, () => config, { serverId, logger, metrics });
    closers.push(() => principals.close());
    closers.push(() => heartbeats.close());
    closers.push(messaging.close);
    const reload = async (next: ManagerConfig): Promise<readonly string[]> => {
      const needRestart = settingsThatWait(config, next);
      config = { ...next, ...pick(config, fixed) };
      await ensureSchedules(client, config);
      logger.info({ path: config.configPath, needRestart }, 'configuration reloaded');
      return needRestart;
    };
    const deps: ApiDeps = {
      clusters: stores.clusters,
      communication: stores.communication,
      resources: stores.resources,
      client,
      config: () => config,
      applyConfig: () => reload(readConfig()),
      logger,
      metrics,
      heartbeats,
      ...messaging,
      usage: usageRecorder(stores.resources, () => config),
      agentsKnown: agentExistence(stores.clusters),
      principals,
      streamPingMs,
      stopping: stopping.signal,
      server: { id: serverId, startedAt: new Date() },
    };
    await introduce(deps);
    const presence = startPeriodicTask(
      presenceMs,
      'presence',
      () => recordServer(deps.clusters, deps.server.id),
      logger,
    );
    closers.push(async () => {
      await presence.stop();
      await removeServer(deps.clusters, deps.server.id);
    });
    const listener = await listen(createApi(deps), config);
    closers.push(() => listener.close(graceMs));
    const sweep = startPeriodicTask(
      sweepMs,
      'sweep of abandoned operations',
      () => resumeAbandonedOperations(deps),
      logger,
    );
    closers.push(() => sweep.stop());
    const chores = [
      startPeriodicTask(standingsMs, 'look at how agents stand', agentStatusSync(deps), logger),
      startPeriodicTask(
        endMs,
        'end of mail and subscriptions that are over',
        () => expireMessagesAndSubscriptions(deps),
        logger,
      ),
      startPeriodicTask(deleteMs, 'deletion of what is past its retention', () => pruneMessages(deps), logger),
      startPeriodicTask(
        config.scaling.samplePeriodSeconds * 1_000,
        'look for what is urgent',
        urgentScaling(deps),
        logger,
      ),
      startPeriodicTask(endMs, 'end of leases of resources', () => expireLeases(deps), logger),
      startPeriodicTask(deleteMs, 'deletion of old books', () => pruneResources(deps), logger),
      startPeriodicTask(usageMs, 'taking of usage', usageSampler(deps), logger),
      startPeriodicTask(latenciesMs, 'storing of latencies', () => deps.latencies.flush(), logger),
    ];
    closers.push(async () => {
      await Promise.all(chores.map((chore) => chore.stop()));
    });
    closers.push(() => {
      stopping.abort();
      deps.mail.close();
    });
    logger.info({ url: listener.url, serverId: deps.server.id, managerId: config.id }, 'server ready');
    return {
      url: listener.url,
      port: listener.port,
      reload: async () => {
        await reload(readConfig());
      },
      stop: closeAll,
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

const ensureSchedules = async (client: ClusterManagerClient, config: ManagerConfig): Promise<void> => {
  await client.schedules.ensure('formation', config.formationInterval);
  await client.schedules.ensure('scaling', config.scalingInterval);
};

/** The first tokens, and the seed's `initialize()`: the manager registers itself and what it can do. */
async function introduce({ clusters, config, server }: ApiDeps): Promise<void> {
  const { adminToken, enrolmentToken, id, name, capabilities, relationships } = config();
  await inTransaction(clusters, async (tx) => {
    if (adminToken) await insertToken(tx, adminToken, { role: 'admin', name: 'bootstrap admin' });
    if (enrolmentToken) await insertToken(tx, enrolmentToken, { role: 'agent', name: 'bootstrap enrolment' });
    await appendEvent(tx, {
      id: `manager.registered:${server.id}`,
      type: 'manager.registered',
      subject: id,
      data: { id, name, serverId: server.id, capabilities, relationships },
    });
  });
}

const fixed = ['id', 'databases', 'temporal', 'host', 'port', 'tls', 'behindProxy'] as const;

/** What is bound to connections and ports stays as it was at the start. */
const settingsThatWait = (now: ManagerConfig, next: ManagerConfig): readonly string[] =>
  fixed.filter((key) => JSON.stringify(now[key]) !== JSON.stringify(next[key]));

const pick = <Key extends keyof ManagerConfig>(config: ManagerConfig, keys: readonly Key[]): Partial<ManagerConfig> =>
  Object.fromEntries(keys.filter((key) => config[key] !== undefined).map((key) => [key, config[key]]));
