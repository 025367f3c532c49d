import type { Hono } from 'hono';
import type { ClusterManagerClient } from '../client/index.js';
import type { ManagerConfig } from '../config/index.js';
import type { GroupCommit } from '../messaging/group-commit.js';
import type { MessagingDeps } from '../messaging/deps.js';
import type { ServerMessaging } from '../messaging/open-messaging.js';
import type { OperationsDeps } from '../operations/deps.js';
import type { ClustersDb } from '../stores/clusters/index.js';
import type { CommunicationDb } from '../stores/communication/index.js';
import type { ResourcesDb, UsageSample } from '../stores/resources/index.js';
import type { Logger, Metrics } from '../telemetry/index.js';
import type { HeartbeatBatcher } from './heartbeat-batcher.js';
import type { PrincipalCache } from './middleware/principal-cache.js';

/** The dependencies of every request, before it reaches a route. */
export interface RequestDeps {
  /** The settings in force; a reload replaces them. */
  readonly config: () => ManagerConfig;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly principals: PrincipalCache;
}

/** Agents and tokens. */
export interface AgentDeps extends MessagingDeps, Pick<RequestDeps, 'config' | 'metrics' | 'principals'> {
  readonly clusters: ClustersDb;
  readonly heartbeats: HeartbeatBatcher;
}

/** Messages, inboxes, topics and dead letters. */
export interface MessageDeps extends ServerMessaging, Pick<RequestDeps, 'config' | 'logger' | 'metrics'> {
  readonly clusters: ClustersDb;
  readonly client: ClusterManagerClient;
  /** Milliseconds without an event after which an inbox's stream sends a comment. */
  readonly streamPingMs: number;
  /** Aborted when the server begins to stop: streams then end. */
  readonly stopping: AbortSignal;
}

/** Clusters, decisions and scores. */
export interface ClusterDeps extends OperationsDeps {
  readonly resources: ResourcesDb;
}

/** Pools, quotas, allocations, budgets, usage and capacity requests. */
export interface ResourceDeps extends Pick<RequestDeps, 'config' | 'logger'> {
  readonly clusters: ClustersDb;
  readonly resources: ResourcesDb;
  readonly client: ClusterManagerClient;
  /** Stores samples. @returns true for each. */
  readonly usage: GroupCommit<UsageSample, boolean>;
  /** For each id, whether there is an agent of that id. */
  readonly agentsKnown: GroupCommit<string, boolean>;
}

/** The manager itself: status, health, metrics, configuration. */
export interface ManagerDeps extends Pick<RequestDeps, 'config' | 'logger' | 'metrics'> {
  readonly clusters: ClustersDb;
  readonly communication: CommunicationDb;
  readonly resources: ResourcesDb;
  readonly client: ClusterManagerClient;
  /** Reads the settings file again. @returns the settings that changed but need a restart to take effect. */
  readonly applyConfig: () => Promise<readonly string[]>;
  readonly server: { readonly id: string; readonly startedAt: Date };
  readonly stopping: AbortSignal;
}

/** The dependencies of the API, by function group; each route gets its own group only. */
export interface ApiDeps {
  readonly request: RequestDeps;
  readonly agents: AgentDeps;
  readonly messages: MessageDeps;
  readonly operations: OperationsDeps;
  readonly clusters: ClusterDeps;
  readonly resources: ResourceDeps;
  readonly manager: ManagerDeps;
}

export interface ApiEnv {
  Variables: { requestId: string };
}

export type Api = Hono<ApiEnv>;
