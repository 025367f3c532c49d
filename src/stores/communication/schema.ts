import type { Generated, Kysely } from 'kysely';
import type { DeadLetterReason, FailedTry, ReceiptView, Requirement } from '../../contracts/messages.js';
import type { AccessList, Retention } from '../../contracts/topics.js';

/** How an inbox's agent stands, as far as the last look into the clusters' database goes. */
export type AgentStatus = 'live' | 'unready' | 'lapsed' | 'left';

interface InboxesTable {
  no: Generated<number>;
  agentId: string;
  nextSequence: Generated<number>;
  sequenceLimit: Generated<number>;
  agentStatus: Generated<AgentStatus>;
  lapsedAt: Date | null;
  capabilities: Generated<readonly string[]>;
}

interface InboxCursorsTable {
  inboxNo: number;
  lowWater: Generated<number>;
  leasedUpTo: Generated<number>;
}

interface MessagesTable {
  no: Generated<number>;
  id: string;
  source: string;
  kind: 'manager' | 'agent' | 'role' | 'capability' | 'cluster' | 'clusters' | 'topic';
  address: unknown;
  type: string;
  clusterId: string | null;
  epoch: number | null;
  clusterEpochs: Readonly<Record<string, number>> | null;
  topic: string | null;
  partitionKey: string | null;
  correlationId: string | null;
  replyTo: string | null;
  data: string;
  bodyHash: Buffer | null;
  matched: number;
  operationId: string | null;
  time: Generated<Date>;
  expiresAt: Date;
}

interface DeliveriesTable {
  inboxNo: number;
  sequence: number;
  messageNo: number;
  via: string;
  partitionKey: string | null;
  attempts: Generated<number>;
  availableAt: Generated<Date>;
  expiresAt: Date;
  leaseToken: string | null;
  leaseExpiresAt: Date | null;
  acceptedAt: Generated<Date>;
  firstLeasedAt: Date | null;
  lastLeasedAt: Date | null;
  failedAttempts: readonly FailedTry[] | null;
}

interface DeliveryHistoryTable {
  inboxNo: number;
  sequence: number;
  messageNo: number;
  via: string;
  outcome: 'acked' | 'dead' | 're_addressed';
  attempts: number;
  leaseToken: string | null;
  acceptedAt: Date;
  firstLeasedAt: Date | null;
  lastLeasedAt: Date | null;
  endedAt: Generated<Date>;
  failedAttempts: readonly FailedTry[] | null;
}

interface DeadLettersTable {
  no: Generated<number>;
  messageNo: number;
  inboxNo: number | null;
  sequence: number | null;
  recipient: string | null;
  reason: DeadLetterReason;
  detail: string;
  attempts: Generated<number>;
  state: Generated<'dead' | 'replayed' | 'discarded'>;
  createdAt: Generated<Date>;
  endedAt: Date | null;
  endedBy: string | null;
}

interface ReceiptsTable {
  messageNo: number;
  require: Requirement;
  deadlineAt: Date;
  state: Generated<ReceiptView['state']>;
  counts: unknown;
  settledAt: Date | null;
}

interface BatchesTable {
  id: string;
  owner: string;
  messages: readonly unknown[];
  broadcasts: readonly unknown[];
  createdAt: Generated<Date>;
}

interface TopicsTable {
  name: string;
  owner: string;
  state: Generated<'open' | 'draining'>;
  retention: Retention;
  publish: AccessList | null;
  subscribe: AccessList | null;
  maxSubscribers: number;
  createdAt: Generated<Date>;
}

interface SubscriptionsTable {
  id: Generated<string>;
  inboxNo: number;
  pattern: string;
  queueGroup: string | null;
  createdAt: Generated<Date>;
}

interface RetainedMessagesTable {
  topic: string;
  messageNo: number;
  retainedAt: Generated<Date>;
}

interface RoutedClustersTable {
  clusterId: string;
  state: 'open' | 'closed';
  epoch: Generated<number>;
}

export interface RoutedMember {
  readonly agentId: string;
  readonly roles: readonly string[];
}

interface RoutingTablesTable {
  clusterId: string;
  epoch: number;
  members: readonly RoutedMember[];
  createdAt: Generated<Date>;
}

interface RoutedMembersTable {
  clusterId: string;
  agentId: string;
  roles: readonly string[];
}

interface LatenciesTable {
  clusterId: string;
  measure: 'handed_over' | 'acked';
  slot: Date;
  counts: readonly number[];
}

interface OperationChangesTable {
  operationId: string;
  place: number;
  outcome: unknown;
  changedAt: Generated<Date>;
}

export interface CommunicationSchema {
  inboxes: InboxesTable;
  inboxCursors: InboxCursorsTable;
  capabilityInboxes: { capability: string; inbox_no: number; agent_id: string };
  messages: MessagesTable;
  deliveries: DeliveriesTable;
  deliveryHistory: DeliveryHistoryTable;
  deadLetters: DeadLettersTable;
  receipts: ReceiptsTable;
  batches: BatchesTable;
  operationChanges: OperationChangesTable;
  topics: TopicsTable;
  subscriptions: SubscriptionsTable;
  retainedMessages: RetainedMessagesTable;
  routedClusters: RoutedClustersTable;
  routingTables: RoutingTablesTable;
  routedMembers: RoutedMembersTable;
  latencies: LatenciesTable;
}

export type CommunicationDb = Kysely<CommunicationSchema>;
