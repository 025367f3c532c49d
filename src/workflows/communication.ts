import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  setCurrentDetails,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { CommunicationResult } from '../contracts/communication.js';
import { codeOfFailureType, type ErrorCode } from '../contracts/errors.js';
import type { OperationId } from '../contracts/ids.js';
import type { ManageCommunicationInput } from '../contracts/workflow-inputs.js';
import { communicationSteps, compensations } from './activity-options.js';
import { describeRun } from './describe-run.js';

/**
 * manage_communication: messages, broadcasts with their receipts, topics and routing, in four steps. There is nothing to
 * compensate: what was accepted is delivered, so a run that is cancelled leaves the steps that were not begun.
 */
export async function manageCommunication(request: ManageCommunicationInput): Promise<CommunicationResult> {
  const { workflowId } = workflowInfo();
  const operationId: OperationId = request?.requestId ?? workflowId.replace(/^communication\//, '');
  describeRun('communication', { doing: `Routing the messages of ${operationId}` });
  try {
    const messages = await communicationSteps('messages to their recipients').routeMessages({
      operationId,
      workflowId,
      request,
    });
    await broadcastAndWait(operationId);
    await communicationSteps('topics and subscriptions').manageTopics({ operationId });
    const result = await communicationSteps('routing tables, mail of removed members').updateRouting({ operationId });
    setCurrentDetails(summaryOf(messages, result));
    return result;
  } catch (error) {
    await settle(operationId, error);
    throw error;
  }
}

const longestPauseMs = 60_000;

/** Receipts are settled by their stored deadline; this waits for it with a durable timer, looking in between. */
async function broadcastAndWait(operationId: OperationId): Promise<void> {
  let refused: CommunicationResult['broadcasts'] | undefined;
  for (let look = 0; ; look += 1) {
    const { waitSeconds, open, broadcasts } = await communicationSteps(
      'broadcasts and their receipts',
    ).handleBroadcasts({
      operationId,
      ...(refused ? { refused } : {}),
    });
    if (waitSeconds === null) return;
    refused = broadcasts;
    setCurrentDetails(`Waiting for acks: ${open} receipts are open, ${Math.ceil(waitSeconds)} s are left`);
    // Ever longer up to a minute: a receipt that is met early is told within one, and an hour is a hundred events.
    await sleep(Math.min(250 * 2 ** look, longestPauseMs, waitSeconds * 1_000 + 50), {
      summary: 'acks, until the deadline',
    });
  }
}

const summaryOf = ({ accepted, refused, deadLettered }: CommunicationResult['messages'], result: CommunicationResult) =>
  `**Done**: ${accepted} messages accepted, ${refused} refused, ${deadLettered} dead letters; ` +
  `${result.broadcasts.length} broadcasts, ${result.topics.length} topic changes, ${result.routing.length} routing updates`;

/** Refusals from before anything was written: the operation of that id may be another's. */
const neverBegan: ReadonlySet<ErrorCode> = new Set([
  'invalid_request',
  'capability_disabled',
  'idempotency_conflict',
  'operation_ended',
]);

async function settle(operationId: OperationId, error: unknown): Promise<void> {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  const code = (cause instanceof ApplicationFailure ? codeOfFailureType(cause.type) : undefined) ?? 'internal';
  const isCancelled = isCancellation(error);
  if (!isCancelled && neverBegan.has(code)) return;
  const outcome = isCancelled
    ? {
        state: 'cancelled' as const,
        error: {
          code: 'cancelled',
          detail: 'The operation was cancelled; what it had sent stays sent, the other steps were not begun',
        },
      }
    : { state: 'refused' as const, error: { code, detail: cause instanceof Error ? cause.message : String(cause) } };
  await CancellationScope.nonCancellable(() =>
    compensations.settleOperation({ operationId, clusterId: '', ...outcome }),
  );
}
