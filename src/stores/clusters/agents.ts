import { sql } from 'kysely';
import { agentView, type AgentView, type Readiness, type RegisterAgent } from '../../contracts/agents.js';
import { ManagerError } from '../../contracts/errors.js';
import { viewOf } from '../../contracts/view.js';
import { isDatabaseError } from '../database.js';
import { countChanged, queryRow, queryRows, queryValues, secondsFromNow } from '../expressions.js';
import type { ClustersDb, Row } from './schema.js';

interface AgentRow extends Row<'agents'> {
  readonly clusters: readonly string[];
  readonly alive: boolean;
}

const agentColumns = sql<AgentRow>`a.*, (a.lease_expires_at > now()) as alive,
  array(select m.cluster_id from memberships m where m.agent_id = a.id and m.state <> 'released' order by 1) as clusters`;

/** `translate` and `translate@1.2` are both stored, for matching; a reader sees one capability. */
const capabilityViews = (tokens: readonly string[]): AgentView['capabilities'] => {
  const versioned = new Set(tokens.filter((token) => token.includes('@')).map((token) => token.split('@')[0]));
  return tokens.flatMap((token) => {
    const [name, version] = token.split('@');
    if (!name) return [];
    if (version !== undefined) return [{ name, version }];
    return versioned.has(name) ? [] : [{ name }];
  });
};

const toAgentView = ({ readiness: state, load, inboxDepth, ...row }: AgentRow): AgentView =>
  viewOf(agentView, {
    ...row,
    capabilities: capabilityViews(row.capabilities),
    liveness: {
      state: row.leftAt ? 'left' : row.alive ? 'alive' : 'expired',
      leaseExpiresAt: row.leaseExpiresAt.toISOString(),
    },
    readiness: { state, load, inboxDepth },
    reachability: { lastHandOverAt: row.lastDeliveryAt?.toISOString() ?? null },
  });

/** The texts that requests are matched with: each capability's name, and `name@version` where it has a version. */
export const capabilityTokens = (capabilities: RegisterAgent['capabilities']): string[] => [
  ...new Set(
    capabilities.flatMap((entry) => {
      if (typeof entry !== 'string')
        return entry.version ? [entry.name, `${entry.name}@${entry.version}`] : [entry.name];
      const [name] = entry.split('@');
      return [name ?? entry, entry];
    }),
  ),
];

/**
 * Writes an agent, or updates it as a new incarnation with a new lease.
 * @param enrolledBy the token that registers it; a known agent keeps its first.
 * @throws ManagerError `offer_below_held` when it now offers less, or fewer clusters, than its memberships hold.
 */
export async function registerAgent(
  tx: ClustersDb,
  agent: RegisterAgent,
  { leaseSeconds, enrolledBy }: { leaseSeconds: number; enrolledBy: string },
): Promise<{ readonly agent: AgentView; readonly created: boolean }> {
  try {
    const row = await queryRow<AgentRow & { created: boolean }>(tx)`
      insert into agents as a (id, name, host, zone, labels, capabilities, resources, max_clusters, acceptance,
        concurrency, lease_expires_at, enrolled_by)
      values (${agent.id}, ${agent.name ?? null}, ${agent.host ?? null}, ${agent.zone ?? null},
        ${JSON.stringify(agent.labels)}::jsonb, ${capabilityTokens(agent.capabilities)}::text[],
        ${JSON.stringify(agent.resources)}::jsonb, ${agent.maxClusters}, ${agent.acceptance}, ${agent.concurrency},
        ${secondsFromNow(leaseSeconds)}, ${enrolledBy})
      on conflict (id) do update set
        name = excluded.name, host = excluded.host, zone = excluded.zone, labels = excluded.labels,
        capabilities = excluded.capabilities, resources = excluded.resources, max_clusters = excluded.max_clusters,
        acceptance = excluded.acceptance, concurrency = excluded.concurrency,
        lease_expires_at = excluded.lease_expires_at, incarnation = a.incarnation + 1, readiness = 'ready', load = 0,
        left_at = null, registered_at = case when a.left_at is null then a.registered_at else now() end
      returning ${agentColumns}, (xmax = 0) as created`;
    if (!row) throw new Error(`Agent ${agent.id} was not written`);
    return { agent: toAgentView(row), created: row.created };
  } catch (error) {
    if (isDatabaseError(error, 'agents_at_most_max_clusters') || isDatabaseError(error, 'agents_held_within_offer')) {
      throw new ManagerError(
        'offer_below_held',
        `Agent "${agent.id}" offers maxClusters ${agent.maxClusters} and resources ${JSON.stringify(agent.resources)}, ` +
          'which is below what its clusters hold; keep the offer, or drain the agent first',
        { cause: error },
      );
    }
    throw error;
  }
}

export async function findAgent(db: ClustersDb, id: string): Promise<AgentView | undefined> {
  const row = await queryRow<AgentRow>(db)`select ${agentColumns} from agents a where a.id = ${id}`;
  return row && toAgentView(row);
}

/** The token that registered the agent, which decides who may register it again. */
export const enrolmentOf = (db: ClustersDb, id: string): Promise<{ readonly enrolledBy: string | null } | undefined> =>
  db.selectFrom('agents').select('enrolledBy').where('id', '=', id).executeTakeFirst();

export interface AgentFilter {
  readonly capability?: string;
  readonly state?: 'alive' | 'expired' | 'left';
  /** Only agents with ids after this one: the last id of the page before. */
  readonly after?: string;
  readonly limit: number;
}

const states = {
  alive: sql`and a.left_at is null and a.lease_expires_at > now()`,
  expired: sql`and a.left_at is null and a.lease_expires_at <= now()`,
  left: sql`and a.left_at is not null`,
};

export async function listAgents(
  db: ClustersDb,
  { capability, state, after = '', limit }: AgentFilter,
): Promise<AgentView[]> {
  const rows = await queryRows<AgentRow>(db)`
    select ${agentColumns} from agents a where a.id > ${after} ${state ? states[state] : sql``}
      ${capability ? sql`and a.capabilities @> ${[capability]}::text[]` : sql``}
    order by a.id limit ${limit}`;
  return rows.map(toAgentView);
}

/** Sets the readiness that the agent reports. A `draining` agent keeps its memberships and gets no new ones. */
export async function setReadiness(db: ClustersDb, id: string, readiness: Readiness): Promise<AgentView> {
  await db.updateTable('agents').set({ readiness }).where('id', '=', id).where('leftAt', 'is', null).execute();
  const agent = await findAgent(db, id);
  if (!agent) throw new ManagerError('not_found', `Agent "${id}" does not exist`);
  return agent;
}

/** Ends the lease of an agent that leaves. @returns false when it is unknown or has left before. */
export const markAgentLeft = async (tx: ClustersDb, id: string): Promise<boolean> =>
  (await countChanged(tx)`
    update agents set left_at = now(), lease_expires_at = now(), readiness = 'unavailable'
    where id = ${id} and left_at is null`) === 1;

/** Those of the ids that no agent has. */
export const unknownAgents = (db: ClustersDb, ids: readonly string[]): Promise<string[]> => queryValues<string>(db)`
  select id from unnest(${[...ids]}::text[]) as i (id) where not exists (select 1 from agents a where a.id = i.id)`;

/** A page of the status of agents by id, which the routing of messages goes by. */
export const listAgentStatuses = (db: ClustersDb, after: string, limit: number) =>
  queryRows<{ readonly id: string; readonly status: 'live' | 'unready' | 'lapsed' | 'left' }>(db)`
    select a.id, case when a.left_at is not null then 'left' when a.lease_expires_at <= now() then 'lapsed'
      when a.readiness in ('draining', 'unavailable') then 'unready' else 'live' end as status
    from agents a where a.id > ${after} order by a.id limit ${limit}`;

/**
 * An agent's capabilities, or undefined when there is no such agent or it has left. Waits for a registration in progress,
 * and then reads left_at as that wrote it: a filter in the statement would be applied to the row as it was before.
 */
export async function capabilitiesOf(db: ClustersDb, id: string): Promise<readonly string[] | undefined> {
  const agent = await queryRow<Pick<Row<'agents'>, 'capabilities' | 'leftAt'>>(db)`
    select capabilities, left_at from agents where id = ${id} for share`;
  return agent?.leftAt === null ? agent.capabilities : undefined;
}
