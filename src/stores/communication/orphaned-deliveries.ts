import { sql } from 'kysely';
import { json, queryRow, queryRows } from '../expressions.js';
import type { DeliveryKey } from './delivery-id.js';
import type { CommunicationDb, Row } from './schema.js';

/** An open delivery whose recipient should not handle it any more. */
export interface OrphanedDelivery extends DeliveryKey, Pick<Row<'messages'>, 'clusterId' | 'topic' | 'source'> {
  readonly agentId: string;
  readonly via: string;
  readonly messageId: string;
  /** For a delivery to one of a queue group: the agents that have the message already, open or acked. */
  readonly holders: readonly string[];
}

const selectOpenDeliveries = sql`
  select d.inbox_no, d.sequence, i.agent_id, d.via, m.id as message_id, m.cluster_id, m.topic, m.source,
    case when d.via like 'group:%' then array(
      select h.agent_id from deliveries o join inboxes h on h.no = o.inbox_no where o.message_no = m.no
      union all
      select h.agent_id from delivery_history o join inboxes h on h.no = o.inbox_no
      where o.message_no = m.no and o.outcome = 'acked'
    ) else '{}' end as holders
  from deliveries d join messages m on m.no = d.message_no join inboxes i on i.no = d.inbox_no`;

/**
 * Open deliveries of a cluster's messages in the inboxes of agents that are not members by the routing table in force.
 * Messages of the manager are excluded: they tell such an agent that it is no member.
 */
export const orphanedByCluster = (
  db: CommunicationDb,
  clusterId: string,
  limit: number,
): Promise<OrphanedDelivery[]> => queryRows<OrphanedDelivery>(db)`
  ${selectOpenDeliveries}
  where m.cluster_id = ${clusterId} and m.kind <> 'manager'
    and not exists (select from routed_members r where r.cluster_id = ${clusterId} and r.agent_id = i.agent_id)
  order by d.inbox_no, d.sequence limit ${limit}`;

/** Open deliveries in the inbox of an agent that has left. */
export const orphanedByAgent = (db: CommunicationDb, agentId: string, limit: number): Promise<OrphanedDelivery[]> =>
  queryRows<OrphanedDelivery>(db)`
    ${selectOpenDeliveries}
    where i.agent_id = ${agentId} and i.agent_status = 'left' order by d.sequence limit ${limit}`;

/**
 * Moves open deliveries to the end of their successors' inboxes, with all their attempts; leases on them become stale. A
 * delivery that ended in the meantime is passed over. One whose successor has left stays orphaned.
 * @returns how many moved.
 */
export async function moveDeliveries(
  db: CommunicationDb,
  moves: readonly (DeliveryKey & { readonly to: string })[],
): Promise<number> {
  const row = await queryRow<{ moved: number }>(db)`select move_deliveries(${json(moves)}) as moved`;
  return row?.moved ?? 0;
}
