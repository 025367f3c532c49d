import { hash } from 'node:crypto';
import type { z } from 'zod';
import { messageLimitBytes, type MessageResult, type newMessage } from '../contracts/messages.js';
import { routeMessages } from '../domain/communication/route-messages.js';
import type { Route } from '../domain/communication/routing.js';
import {
  acceptRoutedMessages,
  findTopics,
  pruneRetained,
  type AcceptOutcome,
  type RoutedMessage,
} from '../stores/communication/index.js';
import { failpoint } from '../stores/failpoint.js';
import type { MessageSender, MessagingDeps } from './deps.js';
import { newMessageId } from './new-message-id.js';
import { readDirectory } from './read-directory.js';

/** A message, checked for its shape, and whose it is. */
export interface Envelope {
  readonly sender: MessageSender;
  readonly message: z.output<typeof newMessage>;
  /** The operation it is part of, when it came with a request. */
  readonly operationId?: string;
}

const retryAfterSeconds = 5;
/** A table changes when membership does, so a second look nearly always suffices. */
const looks = 5;

/**
 * Accepts messages and routes them in one transaction: what is accepted is durable and in its recipients' inboxes.
 * Both ways in end here. Each message has its own outcome; the same (source, id) again is the same message.
 * @returns an outcome for each, in the order given.
 */
export async function acceptMessages(deps: MessagingDeps, envelopes: readonly Envelope[]): Promise<MessageResult[]> {
  const drafts = envelopes.map(draftOf);
  const results = new Array<MessageResult | undefined>(envelopes.length);
  const first = new Map<string, number>();
  const pending: number[] = [];
  for (const [index, draft] of drafts.entries()) {
    const key = `${draft.source}\n${draft.id}`;
    const known = first.get(key);
    if (known === undefined) first.set(key, index);
    if (Buffer.byteLength(draft.data) > messageLimitBytes) results[index] = tooLarge(draft);
    else if (known === undefined) pending.push(index);
  }
  for (const [place, result] of (
    await acceptDrafts(
      deps,
      pending.map((index) => drafts[index] as Draft),
    )
  ).entries()) {
    results[pending[place] as number] = result;
  }
  return drafts.map((draft, index) => {
    const own = results[index];
    if (own) return own;
    const before = first.get(`${draft.source}\n${draft.id}`) ?? index;
    return again(draft, drafts[before] as Draft, results[before]);
  });
}

type Draft = Omit<Envelope, 'message'> & {
  readonly id: string;
  readonly source: string;
  readonly hash: string;
  readonly data: string;
  readonly message: Envelope['message'];
};

function draftOf({ message, sender, operationId }: Envelope): Draft {
  const { id: given, data: body, ...head } = message;
  const data = JSON.stringify(body ?? null);
  return {
    id: given ?? newMessageId(),
    source: sender.source,
    sender,
    message,
    data,
    hash: hash('sha256', `${JSON.stringify(head)}\n${data}`),
    ...(operationId === undefined ? {} : { operationId }),
  };
}

async function acceptDrafts(deps: MessagingDeps, drafts: readonly Draft[]): Promise<MessageResult[]> {
  if (drafts.length === 0) return [];
  const { communication: db } = deps;
  const settings = deps.settings();
  for (let look = 1; ; look += 1) {
    const directory = await readDirectory(
      db,
      drafts.map(({ message }) => message.to),
      [...new Set(drafts.flatMap(({ sender }) => sender.agentId ?? []))],
      // Where a sample begins need not be the same for a retry: a choice that was stored is stored with its message.
      parseInt((drafts[0] as Draft).hash.slice(0, 8), 16) / 0x1_0000_0000,
    );
    const routes = routeMessages(
      drafts.map(({ id, sender, message }) => ({
        id,
        sender: { agentId: sender.agentId, reach: settings.reach },
        to: message.to,
      })),
      directory,
    );
    const routed = drafts.flatMap((draft, index) => routedOf(draft, routes[index] as Route, settings.ttlSeconds));
    const epochs = new Map(routes.flatMap((route) => (route.state === 'routed' ? Object.entries(route.epochs) : [])));
    const outcomes =
      routed.length > 0 ? await acceptRoutedMessages(db, routed, { epochs, inboxLimit: settings.mailbox }) : [];
    failpoint('acceptMail:committed');
    if (outcomes === 'stale') {
      if (look < looks) continue;
      throw new Error(
        `The routing tables of ${[...epochs.keys()].join(', ')} changed ${looks} times while they were used`,
      );
    }
    deps.notify([...new Set(routed.flatMap(({ recipients }) => recipients.map(({ agentId }) => agentId)))]);
    await trimTopics(deps, routed);
    let next = 0;
    return drafts.map((draft, index) => {
      const route = routes[index] as Route;
      return route.state === 'refused'
        ? refusal(draft.id, route.code, route.detail)
        : resultOf(draft, route, outcomes[next++] as AcceptOutcome);
    });
  }
}

function routedOf({ message, ...draft }: Draft, route: Route, ttlSeconds: number): RoutedMessage[] {
  if (route.state === 'refused') return [];
  return [
    {
      id: draft.id,
      source: draft.source,
      kind: route.kind,
      to: message.to,
      type: message.type,
      clusterId: route.clusterId,
      epoch: route.epoch,
      ...(route.kind === 'clusters' ? { clusterEpochs: route.epochs } : {}),
      ...('topic' in message.to ? { topic: message.to.topic } : {}),
      partitionKey: message.partitionKey,
      correlationId: message.correlationId,
      replyTo: message.replyTo ?? draft.sender.agentId ?? undefined,
      ...(draft.operationId === undefined ? {} : { operationId: draft.operationId }),
      hash: draft.hash,
      ttlSeconds: message.ttlSeconds ?? ttlSeconds,
      data: draft.data,
      recipients: route.recipients,
      single: route.single,
      deadLetter: route.dead,
      ...(route.retain ? { retain: true } : {}),
    },
  ];
}

/** What a topic keeps is bounded at once, so that a burst cannot make a late subscriber drown. */
async function trimTopics({ communication }: MessagingDeps, routed: readonly RoutedMessage[]): Promise<void> {
  const names = new Set(routed.flatMap(({ retain, topic }) => (retain && topic !== undefined ? [topic] : [])));
  if (names.size === 0) return;
  for (const topic of await findTopics(communication, [...names])) await pruneRetained(communication, topic);
}

function resultOf(
  { id, message }: Draft,
  route: Extract<Route, { state: 'routed' }>,
  { outcome, matched }: AcceptOutcome,
): MessageResult {
  switch (outcome) {
    case 'conflict':
      return otherContent(id);
    case 'full':
      return {
        id,
        accepted: false,
        error: {
          code: 'mailbox_full',
          detail: `The mailbox of "${route.recipients[0]?.agentId}" is full; send this message again later`,
          retryAfterSeconds,
        },
      };
    case 'duplicate':
      return { id, accepted: true, matched, duplicate: true };
    case 'accepted': {
      const deadLetter =
        route.dead?.reason ?? (matched === 0 && 'agent' in message.to ? 'unknown_recipient' : undefined);
      return { id, accepted: true, matched, ...(deadLetter === undefined ? {} : { deadLetter }) };
    }
  }
}

/** The second message of one id within one call. */
function again(draft: Draft, before: Draft, result: MessageResult | undefined): MessageResult {
  if (draft.hash !== before.hash) return otherContent(draft.id);
  if (!result) throw new Error(`Message ${draft.id} got no outcome`);
  return result.accepted ? { ...result, duplicate: true } : result;
}

const refusal = (id: string, code: string, detail: string): MessageResult => ({
  id,
  accepted: false,
  error: { code, detail },
});

const otherContent = (id: string): MessageResult =>
  refusal(id, 'idempotency_conflict', `"${id}" already stands for another message of this sender; use a new id`);

const tooLarge = ({ id, data }: Draft): MessageResult =>
  refusal(
    id,
    'body_too_large',
    `The data of "${id}" has ${Buffer.byteLength(data)} bytes, ${messageLimitBytes} are allowed; store it elsewhere and send where it is`,
  );
