import { sql } from 'kysely';
import type { AgentView } from '../../contracts/agents.js';
import type { Row } from './schema.js';

export interface AgentRow extends Row<'agents'> {
  readonly clusters: readonly string[];
  readonly alive: boolean;
}

export const agentColumns = sql<AgentRow>`a.*, (a.lease_expires_at > now()) as alive,
  array(select m.cluster_id from memberships m where m.agent_id = a.id and m.state <> 'released' order by 1) as clusters`;

/** `translate` and `translate@1.2` are both stored, for matching; a reader sees one capability. */
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
  acceptance: row.acceptance,
  concurrency: row.concurrency,
  incarnation: row.incarnation,
  clusters: [...row.clusters],
  liveness: {
    state: row.leftAt ? 'left' : row.alive ? 'alive' : 'expired',
    leaseExpiresAt: row.leaseExpiresAt.toISOString(),
  },
  readiness: { state: row.readiness, load: row.load, inboxDepth: row.inboxDepth },
  reachability: { lastHandOverAt: row.lastDeliveryAt?.toISOString() ?? null },
  quarantinedUntil: row.quarantinedUntil?.toISOString() ?? null,
  registeredAt: row.registeredAt.toISOString(),
});
