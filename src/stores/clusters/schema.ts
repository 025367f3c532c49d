import type { Generated, Kysely, Selectable } from 'kysely';
import type { FormationSpec } from '../../contracts/formation.js';
import type { ClusterState } from '../../contracts/clusters.js';
import type { OperationError, OperationKind, OperationState } from '../../contracts/operations.js';
import type { Readiness } from '../../contracts/agents.js';
import type { Role } from '../../contracts/tokens.js';
import type { Json } from '../expressions.js';

type Amounts = Readonly<Record<string, number>>;

interface AgentsTable {
  id: string;
  name: string | null;
  host: string | null;
  zone: string | null;
  labels: Readonly<Record<string, string>>;
  /** `name` and, where versioned, `name@version`: what requests are matched against. */
  capabilities: readonly string[];
  resources: Amounts;
  held: Amounts;
  maxClusters: number;
  clusterCount: number;
  acceptance: 'auto' | 'ask';
  concurrency: number;
  incarnation: number;
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
}

interface TokensTable {
  id: string;
  role: Role;
  name: string;
  agentId: string | null;
  hash: Buffer;
  prefix: string;
  createdAt: Generated<Date>;
  expiresAt: Date | null;
  revokedAt: Date | null;
}

interface OperationsTable {
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
}

interface OperationStepsTable {
  operationId: string;
  step: string;
  round: number;
  attempt: number;
  startedAt: Date;
  endedAt: Generated<Date>;
  result: unknown;
}

interface ClustersTable {
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
}

interface MembershipsTable {
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
}

interface MembershipEpochsTable {
  clusterId: string;
  epoch: number;
  agentId: string;
  roles: readonly string[];
}

interface EventsTable {
  seq: number;
  id: string;
  type: string;
  subject: string;
  operationId: string | null;
  data: Json<unknown>;
  time: Generated<Date>;
}

interface ServersTable {
  id: string;
  startedAt: Generated<Date>;
  seenAt: Date;
}

export interface ClustersSchema {
  agents: AgentsTable;
  tokens: TokensTable;
  operations: OperationsTable;
  operationSteps: OperationStepsTable;
  clusters: ClustersTable;
  memberships: MembershipsTable;
  membershipEpochs: MembershipEpochsTable;
  events: EventsTable;
  eventHead: { lastSeq: number };
  fleetCounts: { shard: number; agents: number };
  servers: ServersTable;
}

export type ClustersDb = Kysely<ClustersSchema>;

/** Some columns of a table, as they are read. */
export type Row<
  Table extends keyof ClustersSchema,
  Columns extends readonly (keyof ClustersSchema[Table])[],
> = Readonly<
  Pick<Selectable<ClustersSchema[Table]>, Extract<Columns[number], keyof Selectable<ClustersSchema[Table]>>>
>;
