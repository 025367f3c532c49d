import { hash } from 'node:crypto';
import type { z } from 'zod';
import type { newMessage } from '../contracts/messages.js';
import type { Route } from '../domain/communication/routing.js';
import type { RoutedMessage } from '../stores/communication/index.js';
import type { MessageSender } from './deps.js';
import { newMessageId } from './new-message-id.js';

/** A validated message and its sender. */
export interface Envelope {
  readonly sender: MessageSender;
  readonly message: z.output<typeof newMessage>;
  /** The operation whose request the message came with. */
  readonly operationId?: string;
}

/** An envelope with its id and its data as JSON text. */
export interface Draft extends Envelope {
  readonly id: string;
  /** The source and the id: two messages with the same key are the same message, or a conflict. */
  readonly key: string;
  readonly data: string;
  /** SHA-256 of the message without its id. */
  readonly hash: string;
}

/** Gives the message its id, so that every attempt to store it stores the same message. */
export const withId = (envelope: Envelope): Envelope =>
  envelope.message.id === undefined ? { ...envelope, message: { ...envelope.message, id: newMessageId() } } : envelope;

export function draftOf(envelope: Envelope): Draft {
  const { id: given, data: body, ...head } = envelope.message;
  const id = given ?? newMessageId();
  const data = JSON.stringify(body ?? null);
  return {
    ...envelope,
    id,
    key: `${envelope.sender.source}\n${id}`,
    data,
    hash: hash('sha256', `${JSON.stringify(head)}\n${data}`),
  };
}

export type Routed = Extract<Route, { state: 'routed' }>;

export const routedMessage = (
  { id, sender, message, operationId, data, hash: contentHash }: Draft,
  route: Routed,
  ttlSeconds: number,
): RoutedMessage => ({
  id,
  source: sender.source,
  kind: route.kind,
  to: message.to,
  type: message.type,
  clusterId: route.clusterId,
  epoch: route.epoch,
  clusterEpochs: route.kind === 'clusters' ? route.epochs : undefined,
  topic: 'topic' in message.to ? message.to.topic : undefined,
  partitionKey: message.partitionKey,
  correlationId: message.correlationId,
  replyTo: message.replyTo ?? sender.agentId ?? undefined,
  operationId,
  hash: contentHash,
  ttlSeconds: message.ttlSeconds ?? ttlSeconds,
  data,
  recipients: route.recipients,
  single: route.single,
  deadLetter: route.dead,
  retain: route.retain,
});
