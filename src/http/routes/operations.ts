import { ManagerError } from '../../contracts/errors.js';
import type { ProcessRequest } from '../../contracts/operations.js';
import { resumeOperation } from '../../operations/resume.js';
import { newOperationOf } from '../../operations/new-operation.js';
import { operationIdOf } from '../../operations/operation-id.js';
import { requesterOf } from '../../operations/requester.js';
import { operationViewOf, toOperationView } from '../../operations/view.js';
import { hasEnded } from '../../operations/wait.js';
import { withinLimit } from '../../operations/within-limit.js';
import {
  findOperation,
  listOperations,
  stepsOfMany,
  type OperationRow,
  type Principal,
} from '../../stores/clusters/index.js';
import { pageByTime } from '../cursor.js';
import type { OperationsDeps } from '../../operations/deps.js';
import type { Handlers } from '../handlers.js';
import { operationReply } from '../operation-reply.js';
import { notFound } from '../visibility.js';

const temporalLimitMs = 5000;

export const operationHandlers = (deps: OperationsDeps) =>
  ({
    processRequest: async ({ body, sentBody, query: { wait }, headers, principal, raw }) => {
      const id = operationIdOf(principal, { requestId: body.requestId, idempotencyKey: headers['idempotency-key'] });
      const operation = await newOperationOf(deps, principal, id, body, sentBody as ProcessRequest);
      return operationReply(deps, principal, operation, { waitSeconds: wait, signal: raw.signal });
    },

    listOperations: async ({ query }) => {
      const { rows, nextCursor } = await pageByTime(query, (page) => listOperations(deps.clusters, page));
      const steps = await stepsOfMany(
        deps.clusters,
        rows.map(({ id }) => id),
      );
      return {
        operations: rows.map((row) => toOperationView(deps.config(), row, steps.get(row.id) ?? [])),
        nextCursor,
      };
    },

    getOperation: async ({ params: { id }, principal }) => ({
      operation: await operationViewOf(deps, await visibleOperation(deps, principal, id)),
    }),

    cancelOperation: async ({ params: { id }, principal }) => {
      const row = await visibleOperation(deps, principal, id);
      if (hasEnded(row)) {
        throw new ManagerError(
          'operation_ended',
          `Operation "${id}" has ended as ${row.state} and cannot be cancelled`,
        );
      }
      await withinLimit(
        cancel(deps, row),
        temporalLimitMs,
        'Temporal cannot be reached; cancel again when it is available',
      );
      return { operation: await operationViewOf(deps, row) };
    },
  }) satisfies Partial<Handlers>;

/** Starts an operation first that was accepted while Temporal was away, so that it can end as cancelled. */
async function cancel({ client }: OperationsDeps, row: OperationRow): Promise<void> {
  const progress = await client.progress(row.workflowId);
  if (!progress?.running) await resumeOperation({ client }, row);
  await client.cancel(row.workflowId);
}

/** An agent sees the operations that it requested. */
async function visibleOperation({ clusters }: OperationsDeps, principal: Principal, id: string): Promise<OperationRow> {
  const row = await findOperation(clusters, id);
  if (row && (principal.agentId === null || row.requestedBy === requesterOf(principal))) return row;
  throw notFound(`Operation "${id}"`);
}
