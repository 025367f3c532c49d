import {
  parseCommunicationRequest,
  type CommunicationResult,
  type CommunicationSpec,
} from '../../contracts/communication.js';
import { ManagerError } from '../../contracts/errors.js';
import type { OperationId } from '../../contracts/ids.js';
import { acceptMessages } from '../../messaging/accept-messages.js';
import { createTopic, deleteTopic, subscribe } from '../../messaging/change-topics.js';
import type { MessageSender } from '../../messaging/deps.js';
import { saveStep } from '../../stores/clusters/index.js';
import { unsubscribe } from '../../stores/communication/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { asActivity, thisAttempt } from '../shared/as-activity.js';
import type { ActivityDeps } from '../deps.js';
import { senderOf } from './request.js';

type TopicOutcome = CommunicationResult['topics'][number];
type Change = CommunicationSpec['topics'][number];

/** Step 3 of manage_communication: topics, subscriptions and publications, one after the other, each with its outcome. */
export const manageTopics = (deps: ActivityDeps) =>
  asActivity(async ({ operationId }: { readonly operationId: OperationId }): Promise<CommunicationResult['topics']> => {
    const key = { operationId, step: 'manageTopics', round: 0 };
    return saveStep(deps.clusters, key, thisAttempt(), async (_tx, { operation: { requestedBy, request } }) => {
      const sender = senderOf(requestedBy);
      const outcomes: TopicOutcome[] = [];
      for (const [place, change] of parseCommunicationRequest(request).topics.entries()) {
        outcomes.push(await outcomeOf(change, () => carryOut(deps, { change, sender, operationId, place })));
        failpoint(`manageTopics:${change.action}`);
      }
      return outcomes;
    });
  });

const nameOf = (change: Change): string => ('name' in change ? change.name : change.pattern);

async function outcomeOf(change: Change, work: () => Promise<string>): Promise<TopicOutcome> {
  const about = { action: change.action, name: nameOf(change) };
  try {
    return { ...about, outcome: await work() };
  } catch (error) {
    if (!(error instanceof ManagerError)) throw error;
    return { ...about, outcome: 'refused', error: { code: error.code, detail: error.message } };
  }
}

interface Work {
  readonly change: Change;
  readonly sender: MessageSender;
  readonly operationId: OperationId;
  readonly place: number;
}

async function carryOut(deps: ActivityDeps, { change, sender, operationId, place }: Work): Promise<string> {
  switch (change.action) {
    case 'create': {
      const { action: _action, publish, subscribe: readers, ...spec } = change;
      return createTopic(
        deps.messaging,
        { ...spec, publish: publish ?? null, subscribe: readers ?? null },
        sender.source,
      );
    }
    case 'delete': {
      try {
        const { state } = await deleteTopic(deps.messaging, change.name, { mode: change.mode, by: sender.agentId });
        return state;
      } catch (error) {
        // Deleted by an earlier attempt of this very step, or by somebody else: it is gone, as was asked.
        if (error instanceof ManagerError && error.code === 'not_found') return 'unchanged';
        throw error;
      }
    }
    case 'subscribe':
      requireSelf(sender, change.agentId);
      await subscribe(deps.messaging, change.agentId, change);
      return 'subscribed';
    case 'unsubscribe': {
      requireSelf(sender, change.agentId);
      const which = { pattern: change.pattern, queueGroup: change.queueGroup ?? null };
      return (await unsubscribe(deps.communication, change.agentId, which)) ? 'unsubscribed' : 'unchanged';
    }
    case 'publish': {
      const { action: _action, name, ...message } = change;
      const [result] = await acceptMessages(deps.messaging, [
        {
          sender,
          operationId,
          message: { ...message, id: message.id ?? `${operationId}.t${place}`, to: { topic: name } },
        },
      ]);
      if (result?.accepted) return result.deadLetter === undefined ? 'published' : `dead letter: ${result.deadLetter}`;
      throw new ManagerError('state_conflict', result?.error.detail ?? 'The message got no outcome');
    }
  }
}

function requireSelf({ agentId }: MessageSender, subscriber: string): void {
  if (agentId === null || agentId === subscriber) return;
  throw new ManagerError('forbidden', `"${agentId}" subscribes itself only, not "${subscriber}"`);
}
