import type { Generated, Kysely, Selectable } from 'kysely';
import type { FormationSpec } from '../../contracts/formation.js';
import type { ClusterState } from '../../contracts/clusters.js';
import type { OperationError, OperationKind, OperationState } from '../../contracts/operations.js';
import type { AgentView, Readiness } from '../../contracts/agents.js';
import type { Role } from '../../contracts/tokens.js';
import type { Json } from '../expressions.js';

/** The columns of an agent that its view shows as they are. */
type SharedAgentColumns = Pick<
  AgentView,
  | ('id' | 'name' | 'host' | 'zone' | 'labels' | 'resources' | 'held')
  | ('maxClusters' | 'acceptance' | 'concurrency' | 'incarnation')
>;

type Amounts = Readonly<Record<string, number>>;

/** The tables that statements are built for. SQL functions and raw statements use others, too. */
export interface ClustersSchema {
  agents: SharedAgentColumns & {
    /** `name` and, where versioned, `name@version`: what requests are matched against. */
    capabilities: readonly string[];
    clusterCount: number;
    readiness: Readiness;
    load: number;
    reportsLoad: Generated<boolean>;
    usage: Amounts;
    inboxDepth: number;
    recentFlaps: number;
    leaseExpiresAt: Date;
    lastDeliveryAt: Date | null;
    quarantinedUntil: Date | null;
    registeredAt: Date;
    leftAt: Date | null;
    enrolledBy: string | null;
    matchOrder: Generated<number>;
  };
  tokens: {
    id: string;
    role: Role;
    name: string;
    agentId: string | null;
    hash: Buffer;
    prefix: string;
    createdAt: Generated<Date>;
    expiresAt: Date | null;
    revokedAt: Date | null;
  };
  operations: {
    id: string;
    kind: OperationKind;
    state: OperationState;
    clusterId: string;
    workflowId: string;
    request: Json<unknown>;
    requestHash: string;
    requestedBy: string;
    result: Json<unknown> | null;
    error: Json<OperationError> | null;
    createdAt: Generated<Date>;
    queuedAt: Date | null;
    endedAt: Date | null;
  };
  operationSteps: {
    operationId: string;
    step: string;
    round: number;
    attempt: number;
    startedAt: Date;
    endedAt: Generated<Date>;
    result: unknown;
  };
  clusters: {
    id: string;
    name: string;
    state: ClusterState;
    epoch: number;
    spec: Json<FormationSpec>;
    coordinator: string | null;
    links: Generated<readonly (readonly [string, string])[]>;
    operationId: string;
    createdAt: Generated<Date>;
    activatedAt: Date | null;
    endedAt: Date | null;
  };
  memberships: {
    id: Generated<number>;
    clusterId: string;
    agentId: string;
    state: 'reserved' | 'active' | 'leaving' | 'released';
    roles: readonly string[];
    resources: Amounts;
    chosenLoad: Generated<number>;
    operationId: string;
    answer: 'none' | 'invited' | 'accepted' | 'declined' | 'silent';
    answerReason: string | null;
    tries: number;
    invitedAt: Date | null;
    expiresAt: Date | null;
    epoch: number | null;
    joinedAt: Date | null;
    leftAt: Date | null;
    leavingSince: Date | null;
    leftBy: string | null;
  };
  membershipEpochs: {
    clusterId: string;
    epoch: number;
    agentId: string;
    roles: readonly string[];
  };
  events: {
    seq: number;
    id: string;
    type: string;
    subject: string;
    operationId: string | null;
    data: Json<unknown>;
    time: Generated<Date>;
  };
  servers: {
    id: string;
    startedAt: Generated<Date>;
    seenAt: Date;
  };
}

export type ClustersDb = Kysely<ClustersSchema>;

/** A row of a table, as it is read. */
export type Row<Table extends keyof ClustersSchema> = Readonly<Selectable<ClustersSchema[Table]>>;
