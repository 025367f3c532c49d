import { z } from 'zod';

/** A message as an agent receives it: a CloudEvents 1.0 envelope whose `source` the server stamped. */
export const messageView = z.object({
  id: z.string(),
  source: z.string(),
  type: z.string(),
  time: z.iso.datetime(),
  datacontenttype: z.string(),
  clusterId: z.string().nullable(),
  epoch: z.int().nullable(),
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
  max: z.coerce.number().int().min(1).max(100).default(10),
  waitSeconds: z.coerce.number().int().min(0).max(60).default(0),
});

export const ackMany = z.strictObject({
  acks: z
    .array(z.strictObject({ id: z.string().max(200), leaseToken: z.string().max(200) }))
    .min(1)
    .max(1000),
});
export const ackResults = z.object({
  results: z.array(z.object({ id: z.string(), acked: z.boolean(), error: z.object({ code: z.string() }).optional() })),
});
export type AckResults = z.infer<typeof ackResults>;

/** The types of the messages that the manager itself sends to agents. */
export const managerMessageTypes = {
  invitation: 'cluster.invitation',
  joined: 'cluster.joined',
  changed: 'cluster.changed',
  dissolved: 'cluster.dissolved',
} as const;
