import { z } from 'zod';

export const clusterState = z.enum(['forming', 'active', 'dissolving', 'dissolved', 'failed']);
export type ClusterState = z.infer<typeof clusterState>;

/** Message latency within the last ten minutes, ms; null when there were no messages. */
const latency = z.object({
  count: z.int(),
  p50Ms: z.number().nullable(),
  p95Ms: z.number().nullable(),
  p99Ms: z.number().nullable(),
  /** The share within the configured `communication_latency`, 0 to 1. */
  withinThreshold: z.number().nullable(),
});

export const clusterView = z.object({
  id: z.string(),
  name: z.string(),
  state: clusterState,
  epoch: z.int(),
  size: z.object({ min: z.int(), desired: z.int(), max: z.int() }),
  coordinator: z.string().nullable(),
  members: z.array(
    z.object({
      agentId: z.string(),
      roles: z.array(z.string()),
      /** `leaving`: gets no new messages; it is released when its deliveries are acked or its drain time ends. */
      state: z.enum(['reserved', 'active', 'leaving']),
      joinedAt: z.iso.datetime().nullable(),
    }),
  ),
  links: z.array(z.tuple([z.string(), z.string()])),
  requiredCapabilities: z.array(z.string()),
  labels: z.record(z.string(), z.string()),
  operationId: z.string(),
  createdAt: z.iso.datetime(),
  activatedAt: z.iso.datetime().nullable(),
  endedAt: z.iso.datetime().nullable(),
  /** Latency to first delivery and to ack; shown for one cluster, not in lists. */
  communication: z.object({ handedOver: latency, acked: latency }).optional(),
  /** Null until there is data to score: "unknown" is never shown as 1. */
  stability: z.object({
    score: z.number().nullable(),
    parts: z.record(z.string(), z.number().nullable()),
    /** When it was taken; shown for one cluster, not in lists. */
    at: z.iso.datetime().optional(),
  }),
});
export type ClusterView = z.infer<typeof clusterView>;

export const dissolveRequest = z.strictObject({
  drainSeconds: z.int().min(0).max(3600).default(30),
});
export type DissolveRequest = z.input<typeof dissolveRequest>;
