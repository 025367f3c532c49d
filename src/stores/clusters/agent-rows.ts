import { sql } from 'kysely';
import type { AgentView, Readiness } from '../../contracts/agents.js';

export interface AgentRow {
  readonly id: string;
  readonly name: string | null;
  readonly host: string | null;
  readonly zone: string | null;
  readonly labels: Record<string, string>;
  readonly capabilities: readonly string[];
  readonly resources: Record<string, number>;
  readonly held: Record<string, number>;
  readonly maxClusters: number;
  readonly clusters: readonly string[];
  readonly acceptance: 'auto' | 'ask';
  readonly concurrency: number;
  readonly incarnation: number;
  readonly readiness: Readiness;
  readonly load: number;
  readonly inboxDepth: number;
  readonly leaseExpiresAt: Date;
  readonly alive: boolean;
  readonly handedOverAt: Date | null;
  readonly quarantinedUntil: Date | null;
  readonly registeredAt: Date;
  readonly leftAt: Date | null;
}

export const agentColumns = sql<AgentRow>`
  a.id, a.name, a.host, a.zone, a.labels, a.capabilities, a.resources, a.held, a.max_clusters as "maxClusters",
  array(select m.cluster_id from memberships m where m.agent_id = a.id and m.state <> 'released' order by 1) as clusters,
  a.acceptance, a.concurrency, a.incarnation, a.readiness, a.load, a.inbox_depth as "inboxDepth",
  a.lease_expires_at as "leaseExpiresAt", (a.lease_expires_at > now()) as alive, a.handed_over_at as "handedOverAt",
  a.quarantined_until as "quarantinedUntil", a.registered_at as "registeredAt", a.left_at as "leftAt"`;

/** `translate` and `translate@1.2` were stored beside each other for matching; a reader sees one capability. */
const capabilitiesOf = (tokens: readonly string[]): AgentView['capabilities'] => {
  const versioned = new Set(tokens.filter((token) => token.includes('@')).map((token) => token.split('@')[0]));
  return tokens.flatMap((token) => {
    const [name, version] = token.split('@');
    if (!name) return [];
    if (version !== undefined) return [{ name, version }];
    return versioned.has(name) ? [] : [{ name }];
  });
};

export const toAgentView = (row: AgentRow): AgentView => ({
  id: row.id,
  name: row.name,
  host: row.host,
  zone: row.zone,
  labels: row.labels,
  capabilities: capabilitiesOf(row.capabilities),
  resources: row.resources,
  held: row.held,
  maxClusters: row.maxClusters,
  clusters: [...row.clusters],
  acceptance: row.acceptance,
  concurrency: row.concurrency,
  incarnation: row.incarnation,
  liveness: {
    state: row.leftAt ? 'left' : row.alive ? 'alive' : 'expired',
    leaseExpiresAt: row.leaseExpiresAt.toISOString(),
  },
  readiness: { state: row.readiness, load: row.load, inboxDepth: row.inboxDepth },
  reachability: { lastHandOverAt: row.handedOverAt?.toISOString() ?? null },
  quarantinedUntil: row.quarantinedUntil?.toISOString() ?? null,
  registeredAt: row.registeredAt.toISOString(),
});
