import { setCurrentDetails, sleep, workflowInfo } from '@temporalio/workflow';
import type { CommunicationResult } from '../contracts/communication.js';
import type { OperationId } from '../contracts/ids.js';
import type { ManageCommunicationInput } from '../contracts/workflow-inputs.js';
import { communicationSteps } from './activity-options.js';
import { runSaga } from './saga.js';

/**
 * manage_communication: messages, broadcasts with their receipts, topics and routing tables, in four steps. Nothing is
 * compensated, since an accepted message is delivered; a cancelled run leaves out the steps that did not start.
 */
export async function manageCommunication(request: ManageCommunicationInput): Promise<CommunicationResult> {
  const { workflowId } = workflowInfo();
  const operationId: OperationId = request?.requestId ?? workflowId.replace(/^communication\//, '');
  const saga = {
    component: 'communication',
    operationId,
    clusterId: '',
    details: `Routing the messages of ${operationId}`,
    cancelledDetail: 'The operation was cancelled; accepted messages stay accepted, the remaining steps did not start',
  } as const;
  return runSaga(saga, async () => {
    const messages = await communicationSteps('route messages').routeMessages({ operationId, workflowId, request });
    await handleBroadcasts(operationId);
    await communicationSteps('topics and subscriptions').manageTopics({ operationId });
    const result = await communicationSteps('routing tables, orphaned deliveries').updateRouting({ operationId });
    setCurrentDetails(summaryOf(messages, result));
    return result;
  });
}

const maxPollMs = 60_000;

/** A receipt is settled by its stored deadline. This waits for it with a durable timer and polls in between. */
async function handleBroadcasts(operationId: OperationId): Promise<void> {
  let refused: CommunicationResult['broadcasts'] | undefined;
  for (let poll = 0; ; poll += 1) {
    const { waitSeconds, open, broadcasts } = await communicationSteps('broadcasts and receipts').handleBroadcasts({
      operationId,
      ...(refused ? { refused } : {}),
    });
    if (waitSeconds === null) return;
    refused = broadcasts;
    setCurrentDetails(`Waiting for acks: ${open} open receipts, ${Math.ceil(waitSeconds)} s left`);
    // Polls double up to a minute: an early receipt is reported within one, and an hour adds a hundred events.
    await sleep(Math.min(250 * 2 ** poll, maxPollMs, waitSeconds * 1_000 + 50), {
      summary: 'acks, until the deadline',
    });
  }
}

const summaryOf = ({ accepted, refused, deadLettered }: CommunicationResult['messages'], result: CommunicationResult) =>
  `**Completed**: ${accepted} messages accepted, ${refused} refused, ${deadLettered} dead letters; ` +
  `${result.broadcasts.length} broadcasts, ${result.topics.length} topic changes, ${result.routing.length} routing updates`;
