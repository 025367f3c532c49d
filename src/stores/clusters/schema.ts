import type { Generated, Kysely } from 'kysely';
import type { FormationSpec } from '../../contracts/formation.js';
import type { ClusterState } from '../../contracts/clusters.js';
import type { OperationError, OperationKind, OperationState } from '../../contracts/operations.js';
import type { Readiness } from '../../contracts/agents.js';
import type { Role } from '../../contracts/tokens.js';

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
  max_clusters: number;
  cluster_count: number;
  acceptance: 'auto' | 'ask';
  concurrency: number;
  incarnation: number;
  readiness: Readiness;
  load: number;
  tells_load: Generated<boolean>;
  usage: Amounts;
  inbox_depth: number;
  recent_flaps: number;
  lease_expires_at: Date;
  handed_over_at: Date | null;
  quarantined_until: Date | null;
  registered_at: Date;
  left_at: Date | null;
  enrolled_by: string | null;
  match_order: Generated<number>;
}

interface TokensTable {
  id: string;
  role: Role;
  name: string;
  agent_id: string | null;
  hash: Buffer;
  prefix: string;
  created_at: Date;
  expires_at: Date | null;
  revoked_at: Date | null;
}

interface OperationsTable {
  id: string;
  kind: OperationKind;
  state: OperationState;
  cluster_id: string;
  workflow_id: string;
  request: unknown;
  request_hash: string;
  requested_by: string;
  result: unknown;
  error: OperationError | null;
  created_at: Generated<Date>;
  queued_at: Date | null;
  ended_at: Date | null;
}

interface OperationStepsTable {
  operation_id: string;
  step: string;
  round: number;
  attempt: number;
  started_at: Date;
  ended_at: Generated<Date>;
  result: unknown;
}

interface ClustersTable {
  id: string;
  name: string;
  state: ClusterState;
  epoch: number;
  spec: FormationSpec;
  coordinator: string | null;
  links: readonly (readonly [string, string])[];
  operation_id: string;
  created_at: Generated<Date>;
  activated_at: Date | null;
  ended_at: Date | null;
}

interface MembershipsTable {
  id: Generated<number>;
  cluster_id: string;
  agent_id: string;
  state: 'reserved' | 'active' | 'leaving' | 'released';
  roles: readonly string[];
  resources: Amounts;
  chosen_load: Generated<number>;
  operation_id: string;
  answer: 'none' | 'invited' | 'accepted' | 'declined' | 'silent';
  answer_reason: string | null;
  tries: number;
  invited_at: Date | null;
  expires_at: Date | null;
  epoch: number | null;
  joined_at: Date | null;
  left_at: Date | null;
  leaving_since: Date | null;
  left_by: string | null;
}

interface MembershipEpochsTable {
  cluster_id: string;
  epoch: number;
  agent_id: string;
  roles: readonly string[];
}

interface EventsTable {
  seq: number;
  id: string;
  type: string;
  subject: string;
  operation_id: string | null;
  data: unknown;
  time: Generated<Date>;
}

interface ServersTable {
  id: string;
  started_at: Generated<Date>;
  seen_at: Date;
}

export interface ClustersSchema {
  agents: AgentsTable;
  tokens: TokensTable;
  operations: OperationsTable;
  operation_steps: OperationStepsTable;
  clusters: ClustersTable;
  memberships: MembershipsTable;
  membership_epochs: MembershipEpochsTable;
  events: EventsTable;
  event_head: { last_seq: number };
  fleet_counts: { shard: number; agents: number };
  servers: ServersTable;
}

export type ClustersDb = Kysely<ClustersSchema>;
