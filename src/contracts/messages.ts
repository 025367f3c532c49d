import { z } from 'zod';
import { capabilityName, identifier } from './agents.js';
import { topicName } from './topics.js';

/** Bytes of a message's `data` as JSON text. */
export const messageLimitBytes = 256 * 1024;
export const maxMessages = 1000;

/** Ids that the manager derives are a caller's id and a prefix: longer than what a caller may give. */
export const derivedId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,199}$/, 'must be an id: letters, digits, ".", "_", ":" or "-", 200 at most');

const agentAddress = z.strictObject({ agent: identifier });
const roleAddress = z.strictObject({ role: identifier, cluster: derivedId });
const capabilityAddress = z.strictObject({ capability: capabilityName, cluster: derivedId.optional() });
const clusterAddress = z.strictObject({ cluster: derivedId });
const clustersAddress = z.strictObject({ clusters: z.array(derivedId).min(1).max(100) });
const allClustersAddress = z.strictObject({ allClusters: z.literal(true) });
const topicAddress = z.strictObject({ topic: topicName });

/**
 * Whom a message is for: one agent; one of those who have a role in a cluster, or a capability; all members of a
 * cluster, of several, of all; the subscribers of a topic.
 */
export const address = z.union(
  [agentAddress, topicAddress, clusterAddress, roleAddress, capabilityAddress, clustersAddress, allClustersAddress],
  'must be one of {agent}, {role, cluster}, {capability, cluster?}, {cluster}, {clusters: [...]}, {allClusters: true}, ' +
    '{topic}; a topic is published to by its full name, wildcards are for subscriptions',
);
export type Address = z.infer<typeof address>;

const shortText = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    // eslint-disable-next-line no-control-regex -- control characters would reach logs and terminals
    .regex(/^[^\u0000-\u001f\u007f]*$/, 'must not hold control characters');

/** Types that only the manager may use: an agent believes what they say. */
const reservedType = /^(cluster|manager|agent)\./;

/**
 * A message as its sender writes it, CloudEvents 1.0 with an address. `source` and `time` are the server's to stamp.
 * The same `id` of the same sender is the same message.
 */
export const newMessage = z.strictObject({
  id: identifier.optional(),
  to: address,
  type: shortText(200).refine(
    (type) => !reservedType.test(type),
    'must not begin with "cluster.", "manager." or "agent.", which are the manager\'s own',
  ),
  data: z.unknown(),
  correlationId: shortText(200).optional(),
  /** Whom to answer; the sender when it is an agent and says nothing. */
  replyTo: identifier.optional(),
  /** Messages of one key reach a recipient strictly one after the other; without it, in the order they were sent. */
  partitionKey: shortText(200).optional(),
  /** After so many seconds without an ack the message is a dead letter. */
  ttlSeconds: z.int().min(1).max(604_800).optional(),
});
/** What a caller writes. */
export type NewMessage = z.input<typeof newMessage>;

export const newMessages = z.strictObject({ messages: z.array(newMessage).min(1).max(maxMessages) });

/** What became of one message: durable and routed to `matched` recipients, or refused. */
export const messageResult = z.union([
  z.object({
    id: z.string(),
    accepted: z.literal(true),
    matched: z.int(),
    /** Set when the same message was accepted before; it was not delivered again. */
    duplicate: z.literal(true).optional(),
    /** Set when nobody was there to take it: why it is a dead letter. */
    deadLetter: z.string().optional(),
  }),
  z.object({
    id: z.string(),
    accepted: z.literal(false),
    error: z.object({ code: z.string(), detail: z.string(), retryAfterSeconds: z.number().optional() }),
  }),
]);
export type MessageResult = z.infer<typeof messageResult>;
export const messageResults = z.object({ results: z.array(messageResult) });

/** Why a delivery, or a message that matched nobody, ended as a dead letter. */
export const deadLetterReasons = [
  'unknown_recipient',
  'unknown_cluster',
  'unknown_topic',
  'no_subscriber',
  'mailbox_full',
  'expired',
  'tries_exhausted',
  'rejected',
  'member_removed',
  'recipient_left',
  'topic_deleted',
] as const;
export const deadLetterReason = z.enum(deadLetterReasons);
export type DeadLetterReason = z.infer<typeof deadLetterReason>;

export const deadLetterState = z.enum(['dead', 'replayed', 'discarded']);

export const deadLetterView = z.object({
  id: z.string(),
  messageId: z.string(),
  source: z.string(),
  type: z.string(),
  to: z.unknown(),
  recipient: z.string().nullable(),
  clusterId: z.string().nullable(),
  reason: deadLetterReason,
  detail: z.string(),
  attempts: z.int(),
  state: deadLetterState,
  at: z.iso.datetime(),
  endedAt: z.iso.datetime().nullable(),
  endedBy: z.string().nullable(),
});
export type DeadLetterView = z.infer<typeof deadLetterView>;

/** One failed hand-over: how it ended and, for a nack, why. */
export const failedTry = z.object({
  leasedAt: z.string(),
  endedAt: z.string(),
  how: z.enum(['nacked', 'lease_expired']),
  reason: z.string().nullish(),
});
export type FailedTry = z.infer<typeof failedTry>;

/** One thing that happened to a message, oldest first. */
export const hop = z.object({
  at: z.iso.datetime(),
  what: z.enum([
    'accepted',
    'matched',
    'leased',
    'nacked',
    'lease_expired',
    'acked',
    're_addressed',
    'dead',
    'replayed',
    'discarded',
  ]),
  recipient: z.string().nullable(),
  detail: z.string(),
});
export type Hop = z.infer<typeof hop>;

export const deliveryState = z.enum(['waiting', 'leased', 'acked', 'dead', 're_addressed']);

/** The way of a message, hop by hop. */
export const messageTrace = z.object({
  id: z.string(),
  source: z.string(),
  type: z.string(),
  to: z.unknown(),
  time: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  clusterId: z.string().nullable(),
  epoch: z.int().nullable(),
  matched: z.int(),
  /** The run that sent it, when it was part of a COMMUNICATION request. */
  operationId: z.string().nullable(),
  temporalUrl: z.string().nullable(),
  deliveries: z.array(
    z.object({
      id: z.string(),
      recipient: z.string(),
      state: deliveryState,
      attempts: z.int(),
      via: z.string(),
    }),
  ),
  hops: z.array(hop),
});
export type MessageTrace = z.infer<typeof messageTrace>;

/** How much of a broadcast must be acked by its deadline. */
export const requirement = z.enum(['none', 'any', 'quorum', 'all']);
export type Requirement = z.infer<typeof requirement>;

/**
 * What became of a message that was for many, at the membership epoch it was sent at. matched = acked + dead + left +
 * pending; delivered counts those who were handed it at least once. `left`: members that went away before they acked.
 */
export const receiptView = z.object({
  messageId: z.string(),
  clusterId: z.string().nullable(),
  epoch: z.int().nullable(),
  matched: z.int(),
  delivered: z.int(),
  acked: z.int(),
  dead: z.int(),
  left: z.int(),
  pending: z.int(),
  require: requirement,
  deadlineAt: z.iso.datetime().nullable(),
  /** `open` until the requirement is met or the deadline passed; a settled receipt does not change any more. */
  state: z.enum(['open', 'met', 'unmet']),
});
export type ReceiptView = z.infer<typeof receiptView>;
export type ReceiptCounts = Pick<ReceiptView, 'matched' | 'delivered' | 'acked' | 'dead' | 'left' | 'pending'>;
