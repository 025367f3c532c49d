import type { Generated, Kysely, Selectable } from 'kysely';
import type { DeadLetterReason, FailedTry, ReceiptView, Requirement } from '../../contracts/messages.js';
import type { AccessList, Retention } from '../../contracts/topics.js';

/** The status of an inbox's agent, as last copied from the clusters' database. */
export type AgentStatus = 'live' | 'unready' | 'lapsed' | 'left';

export interface RoutedMember {
  readonly agentId: string;
  readonly roles: readonly string[];
}

/** The columns that a delivery keeps when it ends. */
interface DeliveryColumns {
  inboxNo: number;
  sequence: number;
  messageNo: number;
  via: string;
  leaseToken: string | null;
  firstLeasedAt: Date | null;
  lastLeasedAt: Date | null;
  failedAttempts: readonly FailedTry[] | null;
}

/** The tables that statements are built for. SQL functions and raw statements use others, too. */
export interface CommunicationSchema {
  inboxes: {
    no: Generated<number>;
    agentId: string;
    nextSequence: Generated<number>;
    sequenceLimit: Generated<number>;
    agentStatus: Generated<AgentStatus>;
    lapsedAt: Date | null;
    capabilities: Generated<readonly string[]>;
  };
  messages: {
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
  };
  deliveries: DeliveryColumns & {
    partitionKey: string | null;
    attempts: Generated<number>;
    availableAt: Generated<Date>;
    expiresAt: Date;
    leaseExpiresAt: Date | null;
    acceptedAt: Generated<Date>;
  };
  deliveryHistory: DeliveryColumns & {
    outcome: 'acked' | 'dead' | 're_addressed';
    attempts: number;
    acceptedAt: Date;
    endedAt: Generated<Date>;
  };
  deadLetters: {
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
  };
  receipts: {
    messageNo: number;
    require: Requirement;
    deadlineAt: Date;
    state: Generated<ReceiptView['state']>;
    counts: unknown;
    settledAt: Date | null;
  };
  batches: {
    id: string;
    owner: string;
    messages: readonly unknown[];
    broadcasts: readonly unknown[];
    createdAt: Generated<Date>;
  };
  operationChanges: {
    operationId: string;
    place: number;
    outcome: unknown;
    changedAt: Generated<Date>;
  };
  topics: {
    name: string;
    owner: string;
    state: Generated<'open' | 'draining'>;
    retention: Retention;
    publish: AccessList | null;
    subscribe: AccessList | null;
    maxSubscribers: number;
    createdAt: Generated<Date>;
  };
  subscriptions: {
    id: Generated<string>;
    inboxNo: number;
    pattern: string;
    queueGroup: string | null;
    createdAt: Generated<Date>;
  };
  retainedMessages: { topic: string; messageNo: number; retainedAt: Generated<Date> };
  routedClusters: { clusterId: string; state: 'open' | 'closed'; epoch: Generated<number> };
  routingTables: {
    clusterId: string;
    epoch: number;
    members: readonly RoutedMember[];
    createdAt: Generated<Date>;
  };
  routedMembers: { clusterId: string } & RoutedMember;
  latencies: {
    clusterId: string;
    measure: 'handed_over' | 'acked';
    slot: Date;
    counts: readonly number[];
  };
}

export type CommunicationDb = Kysely<CommunicationSchema>;

/** A row of a table, as it is read. */
export type Row<Table extends keyof CommunicationSchema> = Readonly<Selectable<CommunicationSchema[Table]>>;
