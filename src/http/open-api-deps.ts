import type { ServerMessaging } from '../messaging/open-messaging.js';
import type { ApiDeps, ManagerDeps } from './deps.js';
import { HeartbeatBatcher } from './heartbeat-batcher.js';
import { PrincipalCache } from './middleware/principal-cache.js';
import { agentExistence, usageRecorder } from './usage-recorder.js';

const defaultStreamPingMs = 15_000;

/** Builds the function groups of the API from a server's stores, Temporal client and messaging. */
export function openApiDeps(
  manager: ManagerDeps,
  messaging: ServerMessaging,
  { streamPingMs = defaultStreamPingMs }: { readonly streamPingMs?: number } = {},
): ApiDeps & { close(): Promise<void> } {
  const { clusters, resources, client, config, logger, metrics, stopping } = manager;
  const principals = new PrincipalCache(clusters);
  const heartbeats = new HeartbeatBatcher(
    clusters,
    () => ({ leaseSeconds: config().leaseSeconds, windowMs: config().heartbeatWindowMs }),
    metrics,
  );
  const operations = { clusters, communication: messaging.communication, client, config, logger, metrics, stopping };
  return {
    manager,
    request: { config, logger, metrics, principals },
    agents: { ...messaging, clusters, config, heartbeats, metrics, principals },
    messages: { ...messaging, clusters, client, config, logger, metrics, streamPingMs, stopping },
    operations,
    clusters: { ...operations, resources },
    resources: {
      clusters,
      resources,
      client,
      config,
      logger,
      usage: usageRecorder(resources, config),
      agentsKnown: agentExistence(clusters),
    },
    close: async () => {
      await heartbeats.close();
      await principals.close();
    },
  };
}
