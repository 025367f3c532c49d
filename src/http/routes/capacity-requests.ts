import { defined } from '../../contracts/defined.js';
import { workflowIds } from '../../contracts/ids.js';
import { capacityRequestView, type CapacityRequestView } from '../../contracts/capacity-requests.js';
import { viewOf } from '../../contracts/view.js';
import { requesterOf } from '../../operations/requester.js';
import type { Principal } from '../../stores/clusters/index.js';
import {
  findCapacityRequest,
  listCapacityRequests,
  saveCapacityAnswer,
  type CapacityRequestRow,
} from '../../stores/resources/index.js';
import { pageByNumber } from '../cursor.js';
import type { ResourceDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';
import { notFound } from '../visibility.js';

export const capacityRequestHandlers = (deps: ResourceDeps) =>
  ({
    listResourceRequests: async ({ query }) => {
      const read = await pageByNumber(query, 'no', (page) => listCapacityRequests(deps.resources, page));
      return { resourceRequests: read.rows.map(requestViewOf), nextCursor: read.nextCursor };
    },

    getResourceRequest: async ({ params: { id } }) => {
      const row = await findCapacityRequest(deps.resources, id);
      if (!row) throw notFound(`Resource request "${id}"`);
      return { resourceRequest: requestViewOf(row) };
    },

    grantResources: async ({ params: { id }, body, principal }) => ({
      resourceRequest: await answer(deps, principal, id, 'granted', body),
    }),

    denyResources: async ({ params: { id }, body, principal }) => ({
      resourceRequest: await answer(deps, principal, id, 'denied', body),
    }),
  }) satisfies Partial<Handlers>;

/** Saves the answer if the request is open, then wakes the operation, which otherwise reads it at its deadline. */
async function answer(
  { resources, client, logger }: ResourceDeps,
  principal: Principal,
  id: string,
  state: 'granted' | 'denied',
  { reason }: { readonly reason?: string | undefined },
): Promise<CapacityRequestView> {
  const given = { state, by: requesterOf(principal), answer: defined({ reason }) };
  const row = await saveCapacityAnswer(resources, id, given);
  const workflowId = workflowIds.scaling(row.operationId);
  client.wake(workflowId).catch((err: unknown) => logger.warn({ err, workflowId }, 'wake failed'));
  return requestViewOf(row);
}

function requestViewOf(row: CapacityRequestRow): CapacityRequestView {
  // Past its deadline it cannot be answered, even before the row is updated.
  const isExpired = row.state === 'open' && row.deadlineAt.getTime() <= Date.now();
  return viewOf(capacityRequestView, {
    ...row,
    state: isExpired ? 'expired' : row.state,
    answerReason: (row.answer as { readonly reason?: string } | null)?.reason ?? null,
  });
}
