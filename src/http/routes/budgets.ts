import { v7 as uuidv7 } from 'uuid';
import { ManagerError } from '../../contracts/errors.js';
import { holdView, type HoldAnswer } from '../../contracts/resources.js';
import { viewOf } from '../../contracts/view.js';
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
import { pageByText } from '../cursor.js';
import type { ResourceDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';
import { clusterNotFound, notFound, requireMember, visibleRow } from '../visibility.js';

export const budgetHandlers = (deps: ResourceDeps) =>
  ({
    listBudgets: async ({ query: { clusterId, ...query }, principal }) => {
      await requireMember(deps, principal, clusterId);
      const { rows, nextCursor } = await pageByText(query, 'id', (page) => budgetsOf(deps.resources, clusterId, page));
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
      await visibleRow(deps, principal, await findBudget(deps.resources, budgetId), notFound(`Budget "${budgetId}"`));
      const { reservationId: holdId = `rsv_${uuidv7()}`, amount, leaseSeconds } = body;
      const reservedBy = principal.agentId;
      return answerOf(await placeHold(deps.resources, { budgetId, holdId, amount, leaseSeconds, reservedBy }));
    },

    // A hold that was placed can be committed or released even when scaling was turned off meanwhile.
    commitReservation: async ({ params: { id }, body: { actual }, principal }) => {
      await requireOwnHold(deps, principal, id);
      return answerOf(await commitHold(deps.resources, id, actual, deps.config().scaling.maxOverrun));
    },

    releaseReservation: async ({ params: { id }, principal }) => {
      await requireOwnHold(deps, principal, id);
      return answerOf(await releaseHold(deps.resources, id));
    },
  }) satisfies Partial<Handlers>;

/**
 * Only the agent that placed a hold, or an operator, ends it: another member could spend what it did not reserve. The agent
 * may do so after it left the cluster, so that its spending is recorded.
 */
async function requireOwnHold({ resources }: ResourceDeps, { agentId }: Principal, id: string): Promise<void> {
  const hold = await findHold(resources, id);
  if (hold && (agentId === null || agentId === hold.reservedBy)) return;
  throw notFound(`Reservation "${id}"`, 'reservations that have ended are deleted when their retention ends');
}

const answerOf = ({ reservation, budget }: HoldOutcome): HoldAnswer => ({
  reservation: viewOf(holdView, reservation),
  budget,
});
