import type { Hono } from 'hono';
import type { ClusterManagerClient } from '../client/index.js';
import type { ManagerConfig } from '../config/index.js';
import type { GroupCommit } from '../messaging/group-commit.js';
import type { MessagingDeps } from '../messaging/deps.js';
import type { ServerMessaging } from '../messaging/open-messaging.js';
import type { OperationsDeps } from '../operations/deps.js';
import type { ClustersDb } from '../stores/clusters/index.js';
import type { ResourcesDb, UsageSample } from '../stores/resources/index.js';
import type { Logger, Metrics } from '../telemetry/index.js';
import type { HeartbeatBatcher } from './heartbeat-batcher.js';
import type { RequestLimits } from './middleware/request-limits.js';
import type { PrincipalCache } from './middleware/principal-cache.js';

/** The dependencies of the API; each group of routes declares which of them it uses. */
export interface ApiDeps extends ServerMessaging {
  readonly clusters: ClustersDb;
  readonly resources: ResourcesDb;
  readonly client: ClusterManagerClient;
  /** The settings in force; a reload replaces them. */
  readonly config: () => ManagerConfig;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly principals: PrincipalCache;
  readonly limits: RequestLimits;
  readonly heartbeats: HeartbeatBatcher;
  /** Stores samples. @returns true for each. */
  readonly usage: GroupCommit<UsageSample, boolean>;
  /** For each id, whether there is an agent of that id. */
  readonly agentsKnown: GroupCommit<string, boolean>;
  /** Milliseconds without an event after which an inbox's stream sends a comment. */
  readonly streamPingMs: number;
  /** Reads the settings file again. @returns the settings that changed but need a restart to take effect. */
  readonly applyConfig: () => Promise<readonly string[]>;
  readonly server: { readonly id: string; readonly startedAt: Date };
  /** Aborted when the server begins to stop: streams and waits then end. */
  readonly stopping: AbortSignal;
}

/** The dependencies of every request, before it reaches a route. */
export type RequestDeps = Pick<ApiDeps, 'config' | 'logger' | 'metrics' | 'principals' | 'limits'>;

/** Agents and tokens. */
export type AgentDeps = MessagingDeps & Pick<ApiDeps, 'clusters' | 'config' | 'heartbeats' | 'metrics' | 'principals'>;

/** Messages, inboxes, topics and dead letters. */
export type MessageDeps = ServerMessaging &
  Pick<ApiDeps, 'clusters' | 'client' | 'config' | 'logger' | 'metrics' | 'streamPingMs' | 'stopping'>;

/** Clusters, decisions and scores. */
export type ClusterDeps = OperationsDeps & Pick<ApiDeps, 'resources'>;

/** Pools, quotas, allocations, budgets, usage and capacity requests. */
export type ResourceDeps = Pick<
  ApiDeps,
  'clusters' | 'resources' | 'client' | 'config' | 'logger' | 'usage' | 'agentsKnown'
>;

/** The manager itself: status, health, metrics, configuration. */
export type ManagerDeps = Pick<
  ApiDeps,
  | 'clusters'
  | 'communication'
  | 'resources'
  | 'client'
  | 'config'
  | 'logger'
  | 'metrics'
  | 'applyConfig'
  | 'server'
  | 'stopping'
>;

export interface ApiEnv {
  Variables: { requestId: string };
}

export type Api = Hono<ApiEnv>;
