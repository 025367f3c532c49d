import { z } from 'zod';
import { capabilityName, identifier } from './agents.js';
import { topicName } from './topics.js';
import { printableText } from './printable-text.js';

/** Bytes of a message's `data` as JSON text. */
export const messageLimitBytes = 256 * 1024;
export const maxMessages = 1000;

/** An id that the manager derives: a caller's id with a prefix, so it may be longer than a caller's own. */
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
 * The recipients of a message: one agent; one agent with a role in a cluster or with a capability; all members of one
 * cluster, of several or of all; or the subscribers of a topic.
 */
export const address = z.union(
  [agentAddress, topicAddress, clusterAddress, roleAddress, capabilityAddress, clustersAddress, allClustersAddress],
  'must be one of {agent}, {role, cluster}, {capability, cluster?}, {cluster}, {clusters: [...]}, {allClusters: true}, ' +
    '{topic}; a topic is published to by its full name, wildcards are for subscriptions',
);
export type Address = z.infer<typeof address>;

/** Types that only the manager may use: agents trust messages of these types. */
const reservedType = /^(cluster|manager|agent)\./;

/**
 * A message as its sender writes it: CloudEvents 1.0 with an address. The server sets `source` and `time`. Two messages
 * with the same `id` from the same sender are one message.
 */
export const newMessage = z.strictObject({
  id: identifier.optional(),
  to: address,
  type: printableText(200).refine(
    (type) => !reservedType.test(type),
    'must not begin with "cluster.", "manager." or "agent.", which are the manager\'s own',
  ),
  data: z.unknown(),
  correlationId: printableText(200).optional(),
  /** The agent that replies go to; default: the sender, when it is an agent. */
  replyTo: identifier.optional(),
  /** A recipient gets messages with the same key strictly one at a time; without a key, in the order they were sent. */
  partitionKey: printableText(200).optional(),
  /** After this many seconds without an ack the message is dead-lettered. */
  ttlSeconds: z.int().min(1).max(604_800).optional(),
});
/** A message as its caller writes it, without defaults. */
export type NewMessage = z.input<typeof newMessage>;

export const newMessages = z.strictObject({ messages: z.array(newMessage).min(1).max(maxMessages) });

/** The result of one message: stored and routed to `matched` recipients, or refused. */
export const messageResult = z.union([
  z.object({
    id: z.string(),
    accepted: z.literal(true),
    matched: z.int(),
    /** Set when the same message was accepted before; it was not delivered again. */
    duplicate: z.literal(true).optional(),
    /** The reason for which the message was dead-lettered, when it had no recipient. */
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

/** Why a delivery, or a message without recipients, was dead-lettered. */
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

/** One failed attempt of a delivery: how it ended and, for a nack, its reason. */
export const failedTry = z.object({
  leasedAt: z.string(),
  endedAt: z.string(),
  how: z.enum(['nacked', 'lease_expired']),
  reason: z.string().nullish(),
});
export type FailedTry = z.infer<typeof failedTry>;

/** One event in a message's trace. */
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

/** The trace of a message: its deliveries and its hops, oldest first. */
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
  /** The operation that sent the message, when it was part of a COMMUNICATION request. */
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

/** How many recipients must ack a broadcast by its deadline. */
export const requirement = z.enum(['none', 'any', 'quorum', 'all']);
export type Requirement = z.infer<typeof requirement>;

/**
 * How many recipients of a message received or acked it, at the membership epoch at which it was sent. matched = acked +
 * dead + left + pending; `delivered` counts the recipients that received it at least once, `left` the members that left
 * before they acked.
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
