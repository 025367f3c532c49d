import { z } from 'zod';
import { identifier, labels, resourceAmounts } from './agents.js';
import { derivedId } from './messages.js';

/** Amounts are stored in thousandths, in which the largest is still an exact integer. */
const amount = z.number().nonnegative().max(1e12);
const amountAboveZero = z.number().min(0.001).max(1e12);
const leaseSeconds = z.int().min(1).max(31_536_000);

/** PUT /v1/pools/{name}: replaces the pool; capacities that are not named are removed. */
export const putPool = z.strictObject({
  capacity: resourceAmounts.refine((named) => Object.keys(named).length > 0, 'must name at least one resource'),
  labels: labels.default({}),
});

/** Capacity that clusters share, such as an LLM provider's tokensPerMinute. */
export const poolView = z.object({
  name: z.string(),
  labels: z.record(z.string(), z.string()),
  resources: z.record(z.string(), z.object({ capacity: z.number(), used: z.number() })),
  createdAt: z.iso.datetime(),
});
export type PoolView = z.infer<typeof poolView>;

/** PUT /v1/quotas/{clusterId}. `quotas` replaces all quotas; a field that is left out is not changed. */
export const putQuotas = z
  .strictObject({ quotas: resourceAmounts.optional(), weight: z.number().min(0.001).max(1000).optional() })
  .refine(({ quotas, weight }) => quotas !== undefined || weight !== undefined, 'must name quotas, a weight, or both');

/** The amount of each resource that a cluster may hold in all pools together, and the amount that it holds. */
export const quotasView = z.object({
  clusterId: z.string(),
  /** A cluster with twice the weight gets twice the share when clusters compete. */
  weight: z.number(),
  /** `closed`: the cluster was dissolved and gets no further allocations. */
  state: z.enum(['open', 'closed']),
  /** The resources that have a quota or are held; a quota of null means no limit. */
  resources: z.array(z.object({ resource: z.string(), quota: z.number().nullable(), held: z.number() })),
});
export type QuotasView = z.infer<typeof quotasView>;

/** POST /v1/grants: all or nothing. The same `requestId` again gets the same answer and allocates nothing. */
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

/** `short`: nothing was allocated; `shortages` lists what is missing. Retry with a new request id. */
export const allocationAnswer = z.object({
  requestId: z.string(),
  state: z.enum(['granted', 'short']),
  grants: z.array(allocationView),
  shortages: z.array(
    z.object({
      pool: z.string(),
      resource: z.string(),
      asked: z.number(),
      /** The amount left of the pool's capacity, or of the cluster's quota. */
      free: z.number(),
      by: z.enum(['capacity', 'quota']),
    }),
  ),
});
export type AllocationAnswer = z.infer<typeof allocationAnswer>;

/** PUT /v1/budgets/{id}. */
export const putBudget = z.strictObject({ clusterId: derivedId, resource: identifier, limit: amount });

/** The total amount that a cluster may spend, such as tokens or usd. Spent amounts are not returned. */
export const budgetView = z.object({
  id: z.string(),
  clusterId: z.string(),
  resource: z.string(),
  limit: z.number(),
  reserved: z.number(),
  committed: z.number(),
  /** The amount spent beyond the limit; while it is above 0, no hold can be placed. */
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
  /** The amount actually used; null until the hold is committed. */
  actual: z.number().nullable(),
  /** The part of `actual` that was beyond the limit. */
  overdrawn: z.number(),
  leaseExpiresAt: z.iso.datetime(),
});

/** A hold, on the wire a `reservation`, and its budget after the change. */
export const holdAnswer = z.object({ reservation: holdView, budget: budgetView });
export type HoldAnswer = z.infer<typeof holdAnswer>;

/** POST /v1/usage. A sample without `at` is measured when it arrives. */
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
export const usageTaken = z.object({ samples: z.int() });

/** One allocation from a pool, or its release. */
export const ledgerEntry = z.object({
  no: z.int(),
  pool: z.string(),
  resource: z.string(),
  clusterId: z.string(),
  /** Above 0 for an allocation, below 0 for a release. */
  delta: z.number(),
  reason: z.enum(['taken', 'released', 'expired']),
  grantId: z.int(),
  at: z.iso.datetime(),
});

/** GET /v1/resources: capacity, usage, and whether the ledger is consistent. */
export const resourcesView = z.object({
  /** The first 200 by name. */
  pools: z.array(poolView),
  /** The sum of what live agents offer, and the part that memberships hold. `agents` counts memberships. */
  fleet: z.object({ capacity: z.record(z.string(), z.number()), held: z.record(z.string(), z.number()) }),
  ledger: z.object({
    /** The sum of the entries of each pool and resource, which is the amount in use. The first 1,000. */
    sums: z.array(z.object({ pool: z.string(), resource: z.string(), sum: z.number(), entries: z.int() })),
    /** Pools and budgets whose ledger is inconsistent: always 0. */
    differences: z.int(),
  }),
});
export type ResourcesView = z.infer<typeof resourcesView>;
