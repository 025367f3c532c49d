import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import {
  acceptRoutedMessages,
  openInbox,
  openRoutes,
  leaseDeliveries,
  routeAndDeliver,
  type AcceptOutcome,
  type CommunicationDb,
  type LeaseRules,
  type Leased,
  type RoutedMessage,
} from '../../../src/stores/communication/index.js';

/** Rules under which a delivery that comes back is there again at once. */
export const rules: LeaseRules = { leaseSeconds: 30, maxUnacked: 100, tries: 5, retryDelaysSeconds: [0] };

export const inboxLimit = 10_000;

let made = 0;
/** A name that no other test of this file uses. */
export const fresh = (prefix: string): string => `${prefix}-${(made += 1)}`;

type Wanted = Partial<Omit<RoutedMessage, 'recipients'>> & {
  readonly recipients?: readonly (string | { readonly agentId: string; readonly via: string })[];
};

/** A message to one agent, or to those that are given. */
export function message({ recipients = [], ...wanted }: Wanted = {}): RoutedMessage {
  const single = wanted.single ?? (wanted.kind === undefined || ['agent', 'role', 'capability'].includes(wanted.kind));
  const data = wanted.data ?? '{"n":1}';
  return {
    id: fresh('m'),
    source: 'sender',
    kind: 'agent',
    to: { agent: 'somebody' },
    type: 'note',
    clusterId: null,
    epoch: null,
    hash: createHash('sha256').update(data).digest('hex'),
    ttlSeconds: 3600,
    data,
    single,
    recipients: recipients.map((recipient) =>
      typeof recipient === 'string' ? { agentId: recipient, via: single ? 'agent' : 'member' } : recipient,
    ),
    ...wanted,
  };
}

/** Accepts messages that no routing table was used for. */
export async function accept(
  db: CommunicationDb,
  messages: readonly RoutedMessage[],
  options: { readonly epochs?: ReadonlyMap<string, number>; readonly inboxLimit?: number } = {},
): Promise<readonly AcceptOutcome[]> {
  const outcomes = await acceptRoutedMessages(db, messages, {
    epochs: options.epochs ?? new Map(),
    inboxLimit: options.inboxLimit ?? inboxLimit,
  });
  if (outcomes === 'stale') throw new Error('The routing tables that were used are stale');
  return outcomes;
}

/** Opens inboxes for agents of these names. */
export async function agents(db: CommunicationDb, count: number, prefix = 'agent'): Promise<string[]> {
  const ids = Array.from({ length: count }, () => fresh(prefix));
  for (const id of ids) await openInbox(db, id, []);
  return ids;
}

/** Opens a cluster and gives it a routing table. */
export async function route(
  db: CommunicationDb,
  clusterId: string,
  epoch: number,
  agentIds: readonly string[],
  roles: Readonly<Record<string, readonly string[]>> = {},
): Promise<void> {
  await openRoutes(db, clusterId, agentIds);
  const members = agentIds.map((agentId) => ({ agentId, roles: roles[agentId] ?? [] }));
  await routeAndDeliver(db, { clusterId, epoch, members }, []);
}

export const take = (
  db: CommunicationDb,
  agentId: string,
  max = 100,
  given: Partial<LeaseRules> = {},
): Promise<Leased[]> => leaseDeliveries(db, agentId, max, { ...rules, ...given });

/** Ends the leases of an agent as if their time had run out. */
export async function lapse(db: CommunicationDb, agentId: string): Promise<void> {
  await sql`
    update deliveries d set lease_expires_at = clock_timestamp() - interval '1 ms', available_at = clock_timestamp() - interval '1 ms'
    from inboxes i where i.no = d.inbox_no and i.agent_id = ${agentId} and d.lease_token is not null`.execute(db);
}

export const claimOf = (agentId: string, { delivery: { id, leaseToken } }: Leased) => ({ agentId, id, leaseToken });
