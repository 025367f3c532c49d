import { z } from 'zod';
import { identifier } from './agents.js';

const token = '[A-Za-z0-9_-]+';
const tokensAtMost = 10;
const tooMany = `must have at most ${tokensAtMost} tokens`;
const hasFewTokens = (text: string): boolean => text.split('.').length <= tokensAtMost;

/** `orders.eu.created`: 1 to 10 dotted tokens of letters, digits, "_" and "-", 200 characters at most. */
export const topicName = z
  .string()
  .max(200)
  .regex(
    new RegExp(`^${token}(\\.${token})*$`),
    'must be dotted tokens of letters, digits, "_" and "-"; wildcards are for subscriptions',
  )
  .refine(hasFewTokens, tooMany);

/** A topic name in which `*` stands for one token and `>` at the end for one or more. */
export const topicPattern = z
  .string()
  .max(200)
  .regex(
    new RegExp(`^(((${token}|\\*)\\.)*(${token}|\\*|>))$`),
    'must be dotted tokens of letters, digits, "_" and "-"; "*" stands for one token, ">" at the end for the rest',
  )
  .refine(hasFewTokens, tooMany);

/** What a topic keeps for those who subscribe later. */
export const retention = z.discriminatedUnion('keep', [
  z.strictObject({ keep: z.literal('none') }),
  z.strictObject({ keep: z.literal('last') }),
  z.strictObject({ keep: z.literal('count'), count: z.int().min(1).max(1000) }),
  z.strictObject({ keep: z.literal('duration'), seconds: z.int().min(1).max(604_800) }),
]);
export type Retention = z.infer<typeof retention>;

/** Who may: everybody, or the named agents and the members of the named clusters. Operators always may. */
export const accessList = z.strictObject({
  agents: z.array(identifier).max(1000).default([]),
  clusters: z.array(z.string().min(1).max(200)).max(100).default([]),
});
export type AccessList = z.infer<typeof accessList>;

export const newTopic = z.strictObject({
  name: topicName,
  retention: retention.default({ keep: 'none' }),
  publish: accessList.optional(),
  subscribe: accessList.optional(),
  maxSubscribers: z.int().min(1).max(100_000).default(10_000),
});
export type NewTopic = z.input<typeof newTopic>;

export const topicView = z.object({
  name: z.string(),
  owner: z.string(),
  state: z.enum(['open', 'draining']),
  retention,
  publish: accessList.nullable(),
  subscribe: accessList.nullable(),
  maxSubscribers: z.int(),
  /** Those whose pattern matches now, with the group that shares the work, if any. */
  subscribers: z.array(
    z.object({ agentId: z.string(), pattern: z.string(), queueGroup: z.string().nullable(), suspended: z.boolean() }),
  ),
  retained: z.int(),
  pending: z.int(),
  createdAt: z.iso.datetime(),
});
export type TopicView = z.infer<typeof topicView>;

export const newSubscription = z.strictObject({
  pattern: topicPattern,
  /** Of a group each message goes to one member; without it everybody gets it. */
  queueGroup: identifier.optional(),
  /** Whether what the matching topics retain is delivered at once. */
  retained: z.boolean().default(true),
});
export type NewSubscription = z.input<typeof newSubscription>;

/** It lives as long as its agent's lease: suspended while that is lapsed, gone when it does not come back in time. */
export const subscriptionView = z.object({
  id: z.string(),
  agentId: z.string(),
  pattern: z.string(),
  queueGroup: z.string().nullable(),
  suspended: z.boolean(),
  createdAt: z.iso.datetime(),
});
export type SubscriptionView = z.infer<typeof subscriptionView>;
