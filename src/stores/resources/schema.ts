import type { Generated, Kysely, Selectable } from 'kysely';
import type { Json } from '../expressions.js';

type Direction = 'out' | 'in';

interface AccountsTable {
  clusterId: string;
  state: 'open' | 'closed';
  weight: number;
  perMember: Generated<Readonly<Record<string, number>>>;
  openedAt: Generated<Date>;
  closedAt: Date | null;
}

interface PoolsTable {
  name: string;
  labels: Json<Readonly<Record<string, string>>>;
  createdAt: Generated<Date>;
}

interface PoolCapacitiesTable {
  pool: string;
  resource: string;
  capacity: number;
  used: Generated<number>;
}

interface QuotasTable {
  clusterId: string;
  resource: string;
  allocated: Generated<number>;
  quota: number | null;
}

interface AllocationRequestsTable {
  id: string;
  clusterId: string;
  content: Json<unknown>;
  answer: Json<unknown> | null;
  at: Generated<Date>;
}

interface AllocationsTable {
  id: Generated<number>;
  requestId: string;
  clusterId: string;
  operationId: string;
  pool: string;
  resource: string;
  amount: number;
  state: Generated<'held' | 'released' | 'expired'>;
  takenAt: Generated<Date>;
  leaseExpiresAt: Date;
  endedAt: Date | null;
}

interface AllocationLedgerTable {
  no: Generated<number>;
  pool: string;
  resource: string;
  clusterId: string;
  /** Above 0 when allocated, below 0 when returned. */
  delta: number;
  reason: 'taken' | 'released' | 'expired';
  allocationId: number;
  at: Generated<Date>;
}

interface BudgetsTable {
  id: string;
  clusterId: string;
  resource: string;
  limitAmount: number;
  reserved: Generated<number>;
  committed: Generated<number>;
  overdrawn: Generated<number>;
}

interface HoldsTable {
  id: string;
  budgetId: string;
  amount: number;
  state: Generated<'open' | 'committed' | 'released' | 'expired'>;
  /** What was used; null until that is reported. */
  actual: number | null;
  /** How much of `actual` went beyond the limit. */
  overdrawn: Generated<number>;
  /** The agent that placed the hold; null when no agent did. */
  reservedBy: string | null;
  reservedAt: Generated<Date>;
  leaseExpiresAt: Date;
  endedAt: Date | null;
}

interface BudgetLedgerTable {
  no: Generated<number>;
  budgetId: string;
  holdId: string;
  reserved: number;
  committed: number;
  overdrawn: number;
  reason: string;
  at: Generated<Date>;
}

interface UsageLatestTable {
  agentId: string;
  resource: string;
  /** Smoothed amount. */
  value: number;
  /** Smoothed amount of the slot before; null when there was none. */
  previous: number | null;
  previousAt: number | null;
  /** As it was last reported. */
  amount: number;
  lastAt: number;
  samples: Generated<number>;
}

interface UsageRollupsTable {
  agentId: string;
  resource: string;
  slot: Date;
  sum: number;
  count: number;
  max: number;
}

interface DecisionsTable {
  no: Generated<number>;
  /** `dec_…` */
  id: string;
  clusterId: string;
  operationId: string | null;
  /** 0, or how often the operation decided before. */
  round: number;
  at: Date;
  decision: Json<unknown>;
  /** What the decision was made from. */
  facts: Json<unknown>;
  /** The decision as a person reads it. */
  sentence: string;
  /** Null while the decision is being carried out. */
  outcome: string | null;
  outcomeDetail: Json<unknown> | null;
}

interface RecommendationsTable {
  clusterId: string;
  at: Date;
  desired: number;
}

interface ScalingChangesTable {
  id: string;
  clusterId: string;
  at: Date;
  direction: Direction;
  members: number;
  /** How many of the members count against the flap budget. */
  charged: number;
  cause: 'scaling' | 'asked' | 'rollback' | 'rebalance' | 'replacement';
  operationId: string | null;
}

interface ScalingBlocksTable {
  clusterId: string;
  direction: Direction;
  desired: number;
  until: Date;
  reason: string;
}

interface CapacityRequestsTable {
  no: Generated<number>;
  /** `rr_…` */
  id: string;
  clusterId: string;
  operationId: string;
  /** An operation opens one request a round. */
  round: number;
  need: Json<unknown>;
  reason: string;
  state: Generated<'open' | 'granted' | 'denied' | 'expired'>;
  openedAt: Generated<Date>;
  deadlineAt: Date;
  answeredAt: Date | null;
  answeredBy: string | null;
  answer: Json<unknown> | null;
}

interface StabilityScoresTable {
  clusterId: string;
  at: Date;
  score: number | null;
  parts: Json<Readonly<Record<string, number | null>>>;
  caps: readonly string[];
  assumed: readonly string[];
  unknown: string | null;
}

export interface ResourcesSchema {
  accounts: AccountsTable;
  pools: PoolsTable;
  poolCapacities: PoolCapacitiesTable;
  quotas: QuotasTable;
  allocationRequests: AllocationRequestsTable;
  allocations: AllocationsTable;
  allocationLedger: AllocationLedgerTable;
  budgets: BudgetsTable;
  holds: HoldsTable;
  budgetLedger: BudgetLedgerTable;
  usageLatest: UsageLatestTable;
  usageRollups: UsageRollupsTable;
  decisions: DecisionsTable;
  recommendations: RecommendationsTable;
  scalingChanges: ScalingChangesTable;
  scalingBlocks: ScalingBlocksTable;
  capacityRequests: CapacityRequestsTable;
  stabilityScores: StabilityScoresTable;
}

export type ResourcesDb = Kysely<ResourcesSchema>;

/** Some columns of a table, as they are read. */
export type Row<
  Table extends keyof ResourcesSchema,
  Columns extends readonly (keyof ResourcesSchema[Table])[],
> = Readonly<
  Pick<Selectable<ResourcesSchema[Table]>, Extract<Columns[number], keyof Selectable<ResourcesSchema[Table]>>>
>;
