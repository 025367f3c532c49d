import type { OpenAPIHono } from '@hono/zod-openapi';
import type { z } from 'zod';
import type { ClusterManagerClient } from '../client/index.js';
import type { ManagerConfig } from '../config/index.js';
import type { MessageResult } from '../contracts/messages.js';
import type { Envelope } from '../messaging/accept-messages.js';
import type { MessagingDeps } from '../messaging/deps.js';
import type { ClustersDb, Principal } from '../stores/clusters/index.js';
import type { CommunicationDb, LeaseClaim } from '../stores/communication/index.js';
import type { ResourcesDb, UsageSample } from '../stores/resources/index.js';
import type { Logger, Metrics } from '../telemetry/index.js';
import type { FailedLogins } from './middleware/authentication.js';
import type { HeartbeatBatcher } from './heartbeat-batcher.js';
import type { LatencyRecorder } from '../messaging/latency-recorder.js';
import type { InboxNotifier } from '../messaging/inbox-notifier.js';
import type { GroupCommit } from '../messaging/group-commit.js';
import type { PrincipalCache } from './middleware/principal-cache.js';

/** What the API is made with, once per server. */
export interface ApiDeps {
  readonly clusters: ClustersDb;
  readonly communication: CommunicationDb;
  readonly resources: ResourcesDb;
  readonly client: ClusterManagerClient;
  /** The settings in force now: a reload replaces them. */
  readonly config: () => ManagerConfig;
  /** Reads the settings file again. @returns the settings that changed and take effect at a restart only. */
  readonly applyConfig: () => Promise<readonly string[]>;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly heartbeats: HeartbeatBatcher;
  readonly mail: InboxNotifier;
  readonly messages: GroupCommit<Envelope, MessageResult>;
  /** Whether each claim was acked. */
  readonly acks: GroupCommit<LeaseClaim, boolean>;
  /** True for each sample, when it is stored. */
  readonly usage: GroupCommit<UsageSample, boolean>;
  /** Whether there is an agent of each id. */
  readonly agentsKnown: GroupCommit<string, boolean>;
  readonly latencies: LatencyRecorder;
  /** The short way of messages, with the settings in force now. */
  readonly messaging: () => MessagingDeps;
  readonly principals: PrincipalCache;
  /** How long an inbox's stream may say nothing before it says that it is alive. */
  readonly streamPingMs: number;
  /** Aborted when the server begins to stop: whoever waits answers with what there is. */
  readonly stopping: AbortSignal;
  readonly server: { readonly id: string; readonly startedAt: Date };
}

export interface ApiEnv {
  Variables: {
    deps: ApiDeps;
    requestId: string;
    failedLogins: FailedLogins;
    /** Of the body, for the words of a refusal. */
    bodySchema: z.ZodType | undefined;
    /** Set by the guard of every operation that is not public. */
    principal: Principal;
  };
}

export type Api = OpenAPIHono<ApiEnv>;
