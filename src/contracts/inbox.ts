import { z } from 'zod';

/** A message as an agent receives it: a CloudEvents 1.0 envelope whose `source` the server set. */
export const messageView = z.object({
  id: z.string(),
  source: z.string(),
  type: z.string(),
  time: z.iso.datetime(),
  datacontenttype: z.string(),
  /** The address as the sender wrote it; null for the manager's own messages. */
  to: z.unknown(),
  clusterId: z.string().nullable(),
  epoch: z.int().nullable(),
  topic: z.string().nullable(),
  correlationId: z.string().nullable(),
  replyTo: z.string().nullable(),
  partitionKey: z.string().nullable(),
  data: z.unknown(),
});
export type MessageView = z.infer<typeof messageView>;

export const deliveryView = z.object({
  id: z.string(),
  leaseToken: z.string(),
  leaseExpiresAt: z.iso.datetime(),
  attempt: z.int(),
  sequence: z.int(),
  message: messageView,
});
export type DeliveryView = z.infer<typeof deliveryView>;

export const inboxQuery = z.strictObject({
  max: z.coerce.number().int().min(1).max(1000).default(10),
  waitSeconds: z.coerce.number().int().min(0).max(60).default(0),
});

const lease = { id: z.string().min(1).max(200), leaseToken: z.string().min(1).max(200) };

export const ackOne = z.strictObject({ leaseToken: lease.leaseToken });
export const ackMany = z.strictObject({ acks: z.array(z.strictObject(lease)).min(1).max(1000) });
export const ackResults = z.object({
  results: z.array(z.object({ id: z.string(), acked: z.boolean(), error: z.object({ code: z.string() }).optional() })),
});
export type AckResults = z.infer<typeof ackResults>;

/** Returns a delivery. Without delaySeconds the redelivery delay is the same as after an expired lease. */
export const nack = z.strictObject({
  leaseToken: lease.leaseToken,
  delaySeconds: z.number().min(0).max(86_400).optional(),
  reason: z.string().max(500).optional(),
  /** Dead-letters the delivery at once, because no further attempt can succeed. */
  final: z.boolean().default(false),
});
export type Nack = z.input<typeof nack>;
export const nackAnswer = z.object({ id: z.string(), outcome: z.enum(['waiting', 'dead']) });

/** Extends the lease, counted from now, when the work takes longer than the lease. */
export const extend = z.strictObject({
  leaseToken: lease.leaseToken,
  leaseSeconds: z.int().min(1).max(3600).optional(),
});
export const extendAnswer = z.object({ id: z.string(), leaseExpiresAt: z.iso.datetime() });

/** The types of the messages that the manager itself sends to agents. */
export const managerMessageTypes = {
  invitation: 'cluster.invitation',
  joined: 'cluster.joined',
  changed: 'cluster.changed',
  dissolved: 'cluster.dissolved',
} as const;

export const isManagerMessageType = (type: string): boolean =>
  Object.values<string>(managerMessageTypes).includes(type);

/** The data of `cluster.joined` and `cluster.changed`: the whole membership of the message's epoch. */
export const membershipData = z.object({
  name: z.string().nullish(),
  coordinator: z.string().nullish(),
  members: z.array(z.object({ agentId: z.string(), roles: z.array(z.string()).default([]) })),
});
