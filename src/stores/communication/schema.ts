import type { Generated, Kysely } from 'kysely';
import type { DeadLetterReason, FailedTry, ReceiptView, Requirement } from '../../contracts/messages.js';
import type { AccessList, Retention } from '../../contracts/topics.js';

/** How an inbox's agent stands, as far as the last look into the clusters' database goes. */
export type AgentStatus = 'live' | 'unready' | 'lapsed' | 'left';

interface InboxesTable {
  no: Generated<number>;
  agent_id: string;
  next_sequence: Generated<number>;
  room_until: Generated<number>;
  standing: Generated<AgentStatus>;
  lapsed_at: Date | null;
  capabilities: Generated<readonly string[]>;
}

interface InboxCursorsTable {
  inbox_no: number;
  low_water: Generated<number>;
  leased_up_to: Generated<number>;
}

interface MessagesTable {
  no: Generated<number>;
  id: string;
  source: string;
  kind: 'manager' | 'agent' | 'role' | 'capability' | 'cluster' | 'clusters' | 'topic';
  address: unknown;
  type: string;
  cluster_id: string | null;
  epoch: number | null;
  routed: Readonly<Record<string, number>> | null;
  topic: string | null;
  partition_key: string | null;
  correlation_id: string | null;
  reply_to: string | null;
  data: string;
  body_hash: Buffer | null;
  matched: number;
  operation_id: string | null;
  time: Generated<Date>;
  expires_at: Date;
}

interface DeliveriesTable {
  inbox_no: number;
  sequence: number;
  message_no: number;
  via: string;
  partition_key: string | null;
  attempts: Generated<number>;
  available_at: Generated<Date>;
  expires_at: Date;
  lease_token: string | null;
  lease_expires_at: Date | null;
  accepted_at: Generated<Date>;
  first_leased_at: Date | null;
  last_leased_at: Date | null;
  tries: readonly FailedTry[] | null;
}

interface SettledTable {
  inbox_no: number;
  sequence: number;
  message_no: number;
  via: string;
  outcome: 'acked' | 'dead' | 're_addressed';
  attempts: number;
  lease_token: string | null;
  accepted_at: Date;
  first_leased_at: Date | null;
  last_leased_at: Date | null;
  ended_at: Generated<Date>;
  tries: readonly FailedTry[] | null;
}

interface DeadLettersTable {
  no: Generated<number>;
  message_no: number;
  inbox_no: number | null;
  sequence: number | null;
  recipient: string | null;
  reason: DeadLetterReason;
  detail: string;
  attempts: Generated<number>;
  state: Generated<'dead' | 'replayed' | 'discarded'>;
  at: Generated<Date>;
  ended_at: Date | null;
  ended_by: string | null;
}

interface ReceiptsTable {
  message_no: number;
  require: Requirement;
  deadline_at: Date;
  state: Generated<ReceiptView['state']>;
  counts: unknown;
  settled_at: Date | null;
}

interface BatchesTable {
  id: string;
  owner: string;
  messages: readonly unknown[];
  broadcasts: readonly unknown[];
  created_at: Generated<Date>;
}

interface TopicsTable {
  name: string;
  owner: string;
  state: Generated<'open' | 'draining'>;
  retention: Retention;
  publish: AccessList | null;
  subscribe: AccessList | null;
  max_subscribers: number;
  created_at: Generated<Date>;
}

interface SubscriptionsTable {
  id: Generated<string>;
  inbox_no: number;
  pattern: string;
  queue_group: string | null;
  created_at: Generated<Date>;
}

interface RetainedTable {
  topic: string;
  message_no: number;
  at: Generated<Date>;
}

interface RoutedClustersTable {
  cluster_id: string;
  state: 'open' | 'closed';
  epoch: Generated<number>;
}

export interface RoutedMember {
  readonly agentId: string;
  readonly roles: readonly string[];
}

interface RoutingTablesTable {
  cluster_id: string;
  epoch: number;
  members: readonly RoutedMember[];
  created_at: Generated<Date>;
}

interface RoutedMembersTable {
  cluster_id: string;
  agent_id: string;
  roles: readonly string[];
}

interface LatenciesTable {
  cluster_id: string;
  measure: 'handed_over' | 'acked';
  slot: Date;
  counts: readonly number[];
}

export interface CommunicationSchema {
  inboxes: InboxesTable;
  inbox_cursors: InboxCursorsTable;
  capability_inboxes: { capability: string; inbox_no: number; agent_id: string };
  messages: MessagesTable;
  deliveries: DeliveriesTable;
  settled: SettledTable;
  dead_letters: DeadLettersTable;
  receipts: ReceiptsTable;
  batches: BatchesTable;
  topics: TopicsTable;
  subscriptions: SubscriptionsTable;
  retained: RetainedTable;
  routed_clusters: RoutedClustersTable;
  routing_tables: RoutingTablesTable;
  routed_members: RoutedMembersTable;
  latencies: LatenciesTable;
}

export type CommunicationDb = Kysely<CommunicationSchema>;
