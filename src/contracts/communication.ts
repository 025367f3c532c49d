import { z } from 'zod';
import { identifier } from './agents.js';
import { invalidRequest } from './errors.js';
import { parseInput } from './formation.js';
import { derivedId, messageResult, newMessage, receiptView, requirement } from './messages.js';
import { newTopic, topicName, topicPattern, newSubscription } from './topics.js';

/** Messages inside a request are carried inline up to so many bytes in all; more is stored first and carried by id. */
export const inlineLimitBytes = 64 * 1024;

const messageFields = newMessage.omit({ to: true }).shape;

/** A message to all members of a cluster, of several or of all, whose acks are counted until a deadline. */
export const broadcast = z.strictObject({
  ...messageFields,
  to: z.union([
    z.strictObject({ cluster: derivedId }),
    z.strictObject({ clusters: z.array(derivedId).min(1).max(100) }),
    z.strictObject({ allClusters: z.literal(true) }),
  ]),
  require: requirement.default('none'),
  deadlineSeconds: z.int().min(1).max(3600).optional(),
});
export type Broadcast = z.input<typeof broadcast>;

export const topicChange = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('create'), ...newTopic.shape }),
  z.strictObject({ action: z.literal('delete'), name: topicName, mode: z.enum(['drain', 'force']).default('drain') }),
  z.strictObject({ action: z.literal('subscribe'), agentId: identifier, ...newSubscription.shape }),
  z.strictObject({
    action: z.literal('unsubscribe'),
    agentId: identifier,
    pattern: topicPattern,
    queueGroup: identifier.optional(),
  }),
  z.strictObject({ action: z.literal('publish'), ...messageFields, name: topicName }),
]);
export type TopicChange = z.input<typeof topicChange>;

export const routingChange = z.strictObject({
  clusterId: derivedId,
  /** The epoch of the table that this replaces; another one there now is a conflict, and nothing is changed. */
  expectedEpoch: z.int().min(0).optional(),
});
export type RoutingChange = z.input<typeof routingChange>;

const parts = {
  messages: z.array(newMessage).max(1000).default([]),
  broadcasts: z.array(broadcast).max(1000).default([]),
};

/** What `POST /v1/message-batches` takes: messages too large for a workflow's argument. */
export const messageBatch = z.strictObject(parts);

export const communicationRequest = z.strictObject({
  requestId: identifier.optional(),
  ...parts,
  /** A stored batch, in place of messages and broadcasts. */
  batchId: identifier.optional(),
  topics: z.array(topicChange).max(1000).default([]),
  routing: z.array(routingChange).max(1000).default([]),
});
/** A request as its caller writes it, without defaults. */
export type CommunicationRequest = z.input<typeof communicationRequest>;
export type CommunicationSpec = Omit<z.output<typeof communicationRequest>, 'requestId'>;

/** Parses a communication request. @throws ManagerError `invalid_request` that lists every problem, not the first. */
export const parseCommunicationRequest = (input: unknown): CommunicationSpec =>
  communicationSpecOf(parseInput(communicationRequest, 'The communication request', input));

/** Checks what the fields of a validated request must be together. @throws ManagerError `invalid_request`. */
export function communicationSpecOf({
  requestId: _requestId,
  ...spec
}: z.output<typeof communicationRequest>): CommunicationSpec {
  const { messages, broadcasts, batchId, topics, routing } = spec;
  const sent = messages.length + broadcasts.length;
  if (batchId !== undefined && sent > 0) {
    throw invalidRequest('The communication request', [
      { path: 'batchId', message: 'replaces messages and broadcasts; give one or the other' },
    ]);
  }
  if (batchId === undefined && sent + topics.length + routing.length === 0) {
    throw invalidRequest('The communication request', [
      { path: '(body)', message: 'is empty; give messages, broadcasts, topics or routing' },
    ]);
  }
  return spec;
}

const refused = z.object({ code: z.string(), detail: z.string() });

/** The result of a COMMUNICATION operation; what each list refused is told there, the rest was done. */
export const communicationResult = z.object({
  messages: z.object({
    accepted: z.int(),
    refused: z.int(),
    deadLettered: z.int(),
    /** The refused and the dead-lettered, 100 at most. */
    problems: z.array(messageResult),
  }),
  broadcasts: z.array(z.union([receiptView, z.object({ messageId: z.string(), error: refused })])),
  topics: z.array(z.object({ action: z.string(), name: z.string(), outcome: z.string(), error: refused.optional() })),
  routing: z.array(
    z.object({
      clusterId: z.string(),
      epoch: z.int().nullable(),
      outcome: z.enum(['published', 'unchanged', 'refused']),
      reAddressed: z.int(),
      deadLettered: z.int(),
      error: refused.optional(),
    }),
  ),
});
export type CommunicationResult = z.infer<typeof communicationResult>;
