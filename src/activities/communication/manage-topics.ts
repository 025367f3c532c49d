import {
  parseCommunicationRequest,
  type CommunicationResult,
  type CommunicationSpec,
} from '../../contracts/communication.js';
import { ManagerError } from '../../contracts/errors.js';
import type { OperationId } from '../../contracts/ids.js';
import { acceptMessages } from '../../messaging/accept-messages.js';
import { createTopic, deleteTopic, subscribe } from '../../messaging/change-topics.js';
import type { MessageSender, MessagingDeps } from '../../messaging/deps.js';
import { changeOnce, unsubscribe } from '../../stores/communication/index.js';
import { failpoint } from '../../stores/failpoint.js';
import type { CommunicationDeps } from '../deps.js';
import { runStep } from '../shared/run-step.js';
import { senderOf } from './request.js';

type TopicOutcome = CommunicationResult['topics'][number];
type Change = CommunicationSpec['topics'][number];
type Publication = Extract<Change, { action: 'publish' }>;

/** Step 3 of manage_communication: topics, subscriptions and publications, one after the other, each with its outcome. */
export function manageTopics(
  { clusters, messaging }: CommunicationDeps,
  { operationId }: { readonly operationId: OperationId },
): Promise<CommunicationResult['topics']> {
  const key = { operationId, step: 'manageTopics', round: 0 };
  return runStep(clusters, key, async ({ operation: { requestedBy, request } }) => {
    const sender = senderOf(requestedBy);
    const outcomes: TopicOutcome[] = [];
    for (const [place, change] of parseCommunicationRequest(request).topics.entries()) {
      const work = { sender, operationId, place };
      outcomes.push(
        change.action === 'publish'
          ? await outcomeOf(change, () => publish(messaging, change, work))
          : await applyOnce(messaging, change, work),
      );
      failpoint(`manageTopics:${change.action}`);
    }
    return outcomes;
  });
}

interface Work {
  readonly sender: MessageSender;
  readonly operationId: OperationId;
  /** The index of the change in the request. */
  readonly place: number;
}

/** A late attempt must not repeat a change that a later request has reverted. */
async function applyOnce(
  messaging: MessagingDeps,
  change: Exclude<Change, Publication>,
  { sender, operationId, place }: Work,
): Promise<TopicOutcome> {
  const recipients: string[] = [];
  const notify = (agentIds: readonly string[]) => void recipients.push(...agentIds);
  const outcome = await changeOnce(messaging.communication, { operationId, place }, (communication) =>
    outcomeOf(change, () => apply({ ...messaging, communication, notify }, change, sender)),
  );
  messaging.notify(recipients);
  return outcome;
}

async function outcomeOf(change: Change, work: () => Promise<string>): Promise<TopicOutcome> {
  const about = { action: change.action, name: 'name' in change ? change.name : change.pattern };
  try {
    return { ...about, outcome: await work() };
  } catch (error) {
    if (!(error instanceof ManagerError)) throw error;
    return { ...about, outcome: 'refused', error: { code: error.code, detail: error.message } };
  }
}

async function apply(
  deps: MessagingDeps,
  change: Exclude<Change, Publication>,
  sender: MessageSender,
): Promise<string> {
  switch (change.action) {
    case 'create': {
      const { action: _action, publish: publishers, subscribe: readers, ...spec } = change;
      return createTopic(deps, { ...spec, publish: publishers ?? null, subscribe: readers ?? null }, sender.source);
    }
    case 'delete': {
      try {
        return (await deleteTopic(deps, change.name, { mode: change.mode, by: sender.agentId })).state;
      } catch (error) {
        // It is gone, as the request wanted.
        if (error instanceof ManagerError && error.code === 'not_found') return 'unchanged';
        throw error;
      }
    }
    case 'subscribe':
      requireSelf(sender, change.agentId);
      await subscribe(deps, change.agentId, change);
      return 'subscribed';
    case 'unsubscribe': {
      requireSelf(sender, change.agentId);
      const which = { pattern: change.pattern, queueGroup: change.queueGroup ?? null };
      return (await unsubscribe(deps.communication, change.agentId, which)) ? 'unsubscribed' : 'unchanged';
    }
    default:
      return change satisfies never;
  }
}

async function publish(
  deps: MessagingDeps,
  { action: _action, name, ...message }: Publication,
  { sender, operationId, place }: Work,
): Promise<string> {
  const id = message.id ?? `${operationId}.t${place}`;
  const [result] = await acceptMessages(deps, [
    { sender, operationId, message: { ...message, id, to: { topic: name } } },
  ]);
  if (result?.accepted) return result.deadLetter === undefined ? 'published' : `dead letter: ${result.deadLetter}`;
  throw new ManagerError('state_conflict', result?.error.detail ?? 'The message got no outcome');
}

function requireSelf({ agentId }: MessageSender, subscriber: string): void {
  if (agentId === null || agentId === subscriber) return;
  throw new ManagerError('forbidden', `"${agentId}" may subscribe only itself, not "${subscriber}"`);
}
