import { GroupCommit } from '../messaging/group-commit.js';
import { unknownAgents } from '../stores/clusters/index.js';
import { recordUsage, usageRulesOf } from '../stores/resources/index.js';
import type { ApiDeps } from './deps.js';
import { HeartbeatBatcher } from './heartbeat-batcher.js';
import { PrincipalCache } from './middleware/principal-cache.js';
import { RequestLimits } from './middleware/request-limits.js';

const defaultStreamPingMs = 15_000;
const maxItemsPerStatement = 5000;

type Opened = 'principals' | 'limits' | 'heartbeats' | 'usage' | 'agentsKnown' | 'streamPingMs';

/** Adds what the API itself keeps to a server's stores, Temporal client and messaging. */
export function openApiDeps(
  given: Omit<ApiDeps, Opened> & { readonly streamPingMs?: number | undefined },
): ApiDeps & { readonly close: () => Promise<void> } {
  const { clusters, resources, config, metrics, streamPingMs = defaultStreamPingMs } = given;
  const principals = new PrincipalCache(clusters);
  const heartbeats = new HeartbeatBatcher(
    clusters,
    () => ({ leaseSeconds: config().leaseSeconds, windowMs: config().heartbeatWindowMs }),
    metrics,
  );
  return {
    ...given,
    streamPingMs,
    principals,
    limits: new RequestLimits(() => config().tokenLimits, metrics),
    heartbeats,
    // Reports that arrive while a statement runs share the next one: its cost hardly grows with its rows.
    usage: new GroupCommit(async (samples) => {
      await recordUsage(resources, samples, usageRulesOf(config()));
      return samples.map(() => true);
    }, maxItemsPerStatement),
    agentsKnown: new GroupCommit(async (ids) => {
      const unknown = new Set(await unknownAgents(clusters, [...new Set(ids)]));
      return ids.map((id) => !unknown.has(id));
    }, maxItemsPerStatement),
    close: async () => {
      await heartbeats.close();
      await principals.close();
    },
  };
}
