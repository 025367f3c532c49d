import { v7 as uuidv7 } from 'uuid';
import { ManagerError } from '../../contracts/errors.js';
import type { HoldAnswer } from '../../contracts/resources.js';
import { findCluster, type Principal } from '../../stores/clusters/index.js';
import {
  budgetsOf,
  commitHold,
  findBudget,
  findHold,
  placeHold,
  putBudget,
  releaseHold,
  type HoldOutcome,
} from '../../stores/resources/index.js';
import { defined, pageByText } from '../cursor.js';
import type { ResourceDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';
import { clusterNotFound, requireMember } from '../visibility.js';

export const budgetHandlers = (deps: ResourceDeps) =>
  ({
    listBudgets: async ({ query: { clusterId, ...query }, principal }) => {
      await requireMember(deps, principal, clusterId);
      const { rows, nextCursor } = await pageByText(
        query,
        (after, limit) => budgetsOf(deps.resources, clusterId, { ...defined({ after }), limit }),
        ({ id }) => id,
      );
      return { budgets: rows, nextCursor };
    },

    putBudget: async ({ params: { id }, body }) => {
      const cluster = await findCluster(deps.clusters, body.clusterId);
      if (!cluster) throw clusterNotFound(body.clusterId);
      if (cluster.state === 'dissolved' || cluster.state === 'failed') {
        throw new ManagerError(
          'state_conflict',
          `Cluster "${cluster.id}" is ${cluster.state} and cannot have a budget`,
        );
      }
      return { budget: await putBudget(deps.resources, { id, ...body }) };
    },

    reserveBudget: async ({ params: { id: budgetId }, body, principal }) => {
      const missing = new ManagerError('not_found', `Budget "${budgetId}" does not exist`);
      const budget = await findBudget(deps.resources, budgetId);
      if (!budget) throw missing;
      await requireMember(deps, principal, budget.clusterId, missing);
      const { reservationId: holdId = `rsv_${uuidv7()}`, amount, leaseSeconds } = body;
      const reservedBy = principal.agentId;
      return viewOf(await placeHold(deps.resources, { budgetId, holdId, amount, leaseSeconds, reservedBy }));
    },

    // A hold that was placed can be committed or released even when scaling was turned off meanwhile.
    commitReservation: async ({ params: { id }, body: { actual }, principal }) => {
      await requireVisibleHold(deps, principal, id);
      return viewOf(await commitHold(deps.resources, id, actual));
    },

    releaseReservation: async ({ params: { id }, principal }) => {
      await requireVisibleHold(deps, principal, id);
      return viewOf(await releaseHold(deps.resources, id));
    },
  }) satisfies Partial<Handlers>;

/** The agent that placed a hold may commit it after it left the cluster, so that its spending is recorded. */
async function requireVisibleHold(deps: ResourceDeps, principal: Principal, id: string): Promise<void> {
  const missing = new ManagerError(
    'not_found',
    `Reservation "${id}" does not exist; reservations that have ended are deleted when their retention ends`,
  );
  const hold = await findHold(deps.resources, id);
  const budget = hold && (await findBudget(deps.resources, hold.budgetId));
  if (!budget) throw missing;
  if (principal.agentId !== null && principal.agentId === hold.reservedBy) return;
  await requireMember(deps, principal, budget.clusterId, missing);
}

const viewOf = ({ reservation, budget }: HoldOutcome): HoldAnswer => {
  const { id, budgetId, amount, state, actual, overdrawn, leaseExpiresAt } = reservation;
  return {
    reservation: { id, budgetId, amount, state, actual, overdrawn, leaseExpiresAt: leaseExpiresAt.toISOString() },
    budget,
  };
};
