import { sql } from 'kysely';
import type { AgentView } from '../../contracts/agents.js';
import { columnsOf } from '../expressions.js';
import type { Row } from './schema.js';

const columns = [
  'id',
  'name',
  'host',
  'zone',
  'labels',
  'capabilities',
  'resources',
  'held',
  'maxClusters',
  'acceptance',
  'concurrency',
  'incarnation',
  'readiness',
  'load',
  'inboxDepth',
  'leaseExpiresAt',
  'lastDeliveryAt',
  'quarantinedUntil',
  'registeredAt',
  'leftAt',
] as const;

export interface AgentRow extends Row<'agents', typeof columns> {
  readonly clusters: readonly string[];
  readonly alive: boolean;
}

export const agentColumns = sql<AgentRow>`${columnsOf('a', columns)}, (a.lease_expires_at > now()) as alive,
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

export const toAgentView = ({
  alive,
  leaseExpiresAt,
  leftAt,
  lastDeliveryAt,
  readiness,
  load,
  inboxDepth,
  ...row
}: AgentRow): AgentView => ({
  ...row,
  capabilities: capabilitiesOf(row.capabilities),
  clusters: [...row.clusters],
  liveness: { state: leftAt ? 'left' : alive ? 'alive' : 'expired', leaseExpiresAt: leaseExpiresAt.toISOString() },
  readiness: { state: readiness, load, inboxDepth },
  reachability: { lastHandOverAt: lastDeliveryAt?.toISOString() ?? null },
  quarantinedUntil: row.quarantinedUntil?.toISOString() ?? null,
  registeredAt: row.registeredAt.toISOString(),
});
