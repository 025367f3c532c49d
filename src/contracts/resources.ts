import { z } from 'zod';
import { identifier, labels, resourceAmounts } from './agents.js';
import { derivedId } from './messages.js';

/** In thousandths the largest is still an exact integer; what would be kept as 0 is refused. */
const amount = z.number().nonnegative().max(1e12);
const amountAboveZero = z.number().min(0.001).max(1e12);
const leaseSeconds = z.int().min(1).max(31_536_000);

/** PUT /v1/pools/{name}: what the pool is from now on; capacities that are not named go. */
export const putPool = z.strictObject({
  capacity: resourceAmounts.refine((named) => Object.keys(named).length > 0, 'must name at least one resource'),
  labels: labels.default({}),
});

/** Capacity that clusters share, as an LLM provider's tokensPerMinute. */
export const poolView = z.object({
  name: z.string(),
  labels: z.record(z.string(), z.string()),
  resources: z.record(z.string(), z.object({ capacity: z.number(), used: z.number() })),
  createdAt: z.iso.datetime(),
});
export type PoolView = z.infer<typeof poolView>;

/** PUT /v1/quotas/{clusterId}. `quotas` replaces all of them; what is left out stays as it is. */
export const putQuotas = z
  .strictObject({ quotas: resourceAmounts.optional(), weight: z.number().min(0.001).max(1000).optional() })
  .refine(({ quotas, weight }) => quotas !== undefined || weight !== undefined, 'must name quotas, a weight, or both');

/** What a cluster may hold of each resource in all pools together, and what it holds. */
export const quotasView = z.object({
  clusterId: z.string(),
  /** Twice the weight is twice the share where clusters compete. */
  weight: z.number(),
  /** `closed`: the cluster was dissolved, and is granted nothing more. */
  state: z.enum(['open', 'closed']),
  /** Those with a quota, and those of which something is held; a quota of null is no bound. */
  resources: z.array(z.object({ resource: z.string(), quota: z.number().nullable(), held: z.number() })),
});
export type QuotasView = z.infer<typeof quotasView>;

/** POST /v1/grants: all of it, or nothing. The same `requestId` again gets the same answer and takes nothing. */
export const newAllocation = z.strictObject({
  requestId: identifier.optional(),
  clusterId: derivedId,
  amounts: z
    .array(z.strictObject({ pool: identifier, resource: identifier, amount: amountAboveZero }))
    .min(1)
    .max(20),
  leaseSeconds,
});
export type NewAllocation = z.infer<typeof newAllocation>;

export const leaseOf = z.strictObject({ leaseSeconds });

export const allocationView = z.object({
  id: z.int(),
  requestId: z.string(),
  clusterId: z.string(),
  pool: z.string(),
  resource: z.string(),
  amount: z.number(),
  state: z.enum(['held', 'released', 'expired']),
  leaseExpiresAt: z.iso.datetime(),
});
export type AllocationView = z.infer<typeof allocationView>;

/** `short`: nothing was taken, and `shortages` says of what there is too little. Ask again under a new id. */
export const allocationAnswer = z.object({
  requestId: z.string(),
  state: z.enum(['granted', 'short']),
  grants: z.array(allocationView),
  shortages: z.array(
    z.object({
      pool: z.string(),
      resource: z.string(),
      asked: z.number(),
      /** What is left of the pool's capacity, or of the cluster's quota. */
      free: z.number(),
      by: z.enum(['capacity', 'quota']),
    }),
  ),
});
export type AllocationAnswer = z.infer<typeof allocationAnswer>;

/** PUT /v1/budgets/{id}. */
export const putBudget = z.strictObject({ clusterId: derivedId, resource: identifier, limit: amount });

/** What a cluster may use up in all: tokens, usd. What is used does not come back. */
export const budgetView = z.object({
  id: z.string(),
  clusterId: z.string(),
  resource: z.string(),
  limit: z.number(),
  reserved: z.number(),
  committed: z.number(),
  /** Spent beyond the limit: nothing is hidden, and nothing more can be reserved against it. */
  overdrawn: z.number(),
  left: z.number(),
});
export type BudgetView = z.infer<typeof budgetView>;

/** POST /v1/budgets/{id}/reserve. The same `reservationId` again changes nothing. */
export const newHold = z.strictObject({
  reservationId: identifier.optional(),
  amount: amountAboveZero,
  leaseSeconds,
});

/** POST /v1/reservations/{id}/commit. */
export const commitOf = z.strictObject({ actual: amount });

export const holdView = z.object({
  id: z.string(),
  budgetId: z.string(),
  amount: z.number(),
  state: z.enum(['open', 'committed', 'released', 'expired']),
  /** What was really used; null until that is told. */
  actual: z.number().nullable(),
  /** How much of it went beyond the limit. */
  overdrawn: z.number(),
  leaseExpiresAt: z.iso.datetime(),
});

/** A reservation, and its budget after what was done. */
export const holdAnswer = z.object({ reservation: holdView, budget: budgetView });
export type HoldAnswer = z.infer<typeof holdAnswer>;

/** POST /v1/usage. Without `at` a sample is of the moment it arrives. */
export const usageReport = z.strictObject({
  samples: z
    .array(
      z.strictObject({
        agentId: identifier,
        resource: identifier,
        amount,
        at: z.iso.datetime({ offset: true }).optional(),
      }),
    )
    .min(1)
    .max(1000),
});
/** What a caller writes. */
export const usageTaken = z.object({ samples: z.int() });

/** What was taken from a pool, or given back. */
export const ledgerEntry = z.object({
  no: z.int(),
  pool: z.string(),
  resource: z.string(),
  clusterId: z.string(),
  /** Above 0 when taken, below when given back. */
  delta: z.number(),
  reason: z.enum(['taken', 'released', 'expired']),
  grantId: z.int(),
  at: z.iso.datetime(),
});

/** GET /v1/resources: what there is, what is used, and whether the books agree. */
export const resourcesView = z.object({
  /** The first 200 by name. */
  pools: z.array(poolView),
  /** What the agents that are alive offer together, and what memberships hold of it. `agents` counts memberships. */
  fleet: z.object({ capacity: z.record(z.string(), z.number()), held: z.record(z.string(), z.number()) }),
  ledger: z.object({
    /** What the entries of each pool and resource add up to: what is used of it. The first 1,000. */
    sums: z.array(z.object({ pool: z.string(), resource: z.string(), sum: z.number(), entries: z.int() })),
    /** Pools and budgets whose books do not agree: always 0. */
    differences: z.int(),
  }),
});
export type ResourcesView = z.infer<typeof resourcesView>;
