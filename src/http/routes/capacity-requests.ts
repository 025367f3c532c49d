import { workflowIds } from '../../contracts/ids.js';
import { ManagerError } from '../../contracts/errors.js';
import type { CapacityRequestView } from '../../contracts/capacity-requests.js';
import { requesterOf } from '../../operations/requester.js';
import type { Principal } from '../../stores/clusters/index.js';
import {
  findCapacityRequest,
  listCapacityRequests,
  saveCapacityAnswer,
  type CapacityRequestRow,
} from '../../stores/resources/index.js';
import { defined, pageByNumber } from '../cursor.js';
import type { ResourceDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';

export const capacityRequestHandlers = (deps: ResourceDeps) =>
  ({
    listResourceRequests: async ({ query: { cursor, limit, ...filter } }) => {
      const page = await pageByNumber(
        { cursor, limit },
        (before, atMost) => listCapacityRequests(deps.resources, { ...defined({ before, ...filter }), limit: atMost }),
        ({ no }) => no,
      );
      return { resourceRequests: page.rows.map(viewOf), nextCursor: page.nextCursor };
    },

    getResourceRequest: async ({ params: { id } }) => {
      const row = await findCapacityRequest(deps.resources, id);
      if (!row) throw new ManagerError('not_found', `Resource request "${id}" does not exist`);
      return { resourceRequest: viewOf(row) };
    },

    grantResources: async ({ params: { id }, body, principal }) => ({
      resourceRequest: await answer(deps, principal, id, { state: 'granted', answer: body }),
    }),

    denyResources: async ({ params: { id }, body, principal }) => ({
      resourceRequest: await answer(deps, principal, id, { state: 'denied', answer: body }),
    }),
  }) satisfies Partial<Handlers>;

/** Saves the answer if the request is open, then wakes the operation, which otherwise reads it at its deadline. */
async function answer(
  { resources, client, logger }: ResourceDeps,
  principal: Principal,
  id: string,
  given: { readonly state: 'granted' | 'denied'; readonly answer: { readonly reason?: string | undefined } },
): Promise<CapacityRequestView> {
  const { state } = given;
  const saved = { state, by: requesterOf(principal), answer: defined({ reason: given.answer.reason }) };
  const row = await saveCapacityAnswer(resources, id, saved);
  const workflowId = workflowIds.scaling(row.operationId);
  client.wake(workflowId).catch((err: unknown) => logger.warn({ err, workflowId }, 'wake failed'));
  return viewOf(row);
}

function viewOf({ no: _no, answer: given, ...row }: CapacityRequestRow): CapacityRequestView {
  // Past its deadline it cannot be answered, even before the row is updated.
  const isExpired = row.state === 'open' && row.deadlineAt.getTime() <= Date.now();
  return {
    ...row,
    state: isExpired ? 'expired' : row.state,
    openedAt: row.openedAt.toISOString(),
    deadlineAt: row.deadlineAt.toISOString(),
    answeredAt: row.answeredAt?.toISOString() ?? null,
    answerReason: (given as { readonly reason?: string } | null)?.reason ?? null,
  };
}
