import type { Generated, Kysely, Selectable } from 'kysely';
import type { AllocationView } from '../../contracts/resources.js';
import type { Json } from '../expressions.js';

type Direction = 'out' | 'in';

/** The tables that statements are built for. SQL functions and raw statements use others, too. */
export interface ResourcesSchema {
  accounts: {
    clusterId: string;
    state: 'open' | 'closed';
    weight: number;
    perMember: Generated<Readonly<Record<string, number>>>;
    openedAt: Generated<Date>;
    closedAt: Date | null;
  };
  pools: {
    name: string;
    labels: Json<Readonly<Record<string, string>>>;
    createdAt: Generated<Date>;
  };
  poolCapacities: {
    pool: string;
    resource: string;
    capacity: number;
    used: Generated<number>;
  };
  quotas: {
    clusterId: string;
    resource: string;
    allocated: Generated<number>;
    quota: number | null;
  };
  allocations: Pick<AllocationView, 'requestId' | 'clusterId' | 'pool' | 'resource' | 'amount'> & {
    id: Generated<number>;
    operationId: string;
    state: Generated<AllocationView['state']>;
    takenAt: Generated<Date>;
    leaseExpiresAt: Date;
    endedAt: Date | null;
  };
  allocationLedger: {
    no: Generated<number>;
    pool: string;
    resource: string;
    clusterId: string;
    /** Above 0 when allocated, below 0 when returned. */
    delta: number;
    reason: 'taken' | 'released' | 'expired';
    allocationId: number;
    at: Generated<Date>;
  };
  budgets: {
    id: string;
    clusterId: string;
    resource: string;
    limitAmount: number;
    reserved: Generated<number>;
    committed: Generated<number>;
    /** Spent beyond the limit: it is reported, and nothing more can be held while it lasts. */
    overdrawn: Generated<number>;
  };
  holds: {
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
  };
  budgetLedger: {
    no: Generated<number>;
    budgetId: string;
    holdId: string;
    reserved: number;
    committed: number;
    overdrawn: number;
    reason: 'reserved' | 'committed' | 'released' | 'expired';
    at: Generated<Date>;
  };
  usageLatest: {
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
  };
  decisions: {
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
  };
  scalingChanges: {
    id: string;
    clusterId: string;
    at: Date;
    direction: Direction;
    members: number;
    /** How many of the members count against the flap budget. */
    charged: number;
    cause: 'scaling' | 'asked' | 'rollback' | 'rebalance' | 'replacement';
    operationId: string | null;
  };
  scalingBlocks: {
    clusterId: string;
    direction: Direction;
    desired: number;
    until: Date;
    reason: string;
  };
  capacityRequests: {
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
  };
  stabilityScores: {
    clusterId: string;
    at: Date;
    /** 0 to 1; null when it is not known, and then `unknown` says why. */
    score: number | null;
    parts: Json<Readonly<Record<'a' | 'm' | 'l' | 'd' | 'b', number | null>>>;
    caps: readonly string[];
    assumed: readonly string[];
    unknown: string | null;
  };
}

export type ResourcesDb = Kysely<ResourcesSchema>;

/** A row of a table, as it is read. */
export type Row<Table extends keyof ResourcesSchema> = Readonly<Selectable<ResourcesSchema[Table]>>;
