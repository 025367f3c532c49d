import { z } from 'zod';
import { identifierPattern } from './ids.js';
import { printableText } from './printable-text.js';

export const identifier = z
  .string()
  .regex(
    identifierPattern,
    'must be 1 to 128 characters of letters, digits, ".", "_", ":" or "-", the first a letter or digit',
  );

/** A capability's name, or `name@version` for one exact version. */
export const capabilityName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}(@[A-Za-z0-9][A-Za-z0-9._+-]{0,49})?$/,
    'must be a name of up to 100 letters, digits and "._:/-", with an optional "@version"',
  );

export const capability = z.union([
  capabilityName,
  z.strictObject({ name: capabilityName, version: z.string().min(1).max(50).optional() }),
]);

/** Named amounts of what an agent offers or a member needs: `{ slots: 4, memoryMiB: 2048 }`. At most 20 names, each amount 0 to 1e12. */
export const resourceAmounts = z
  .record(identifier, z.number().nonnegative().max(1e12))
  .refine((amounts) => Object.keys(amounts).length <= 20, 'at most 20 resources');

export const labels = z
  .record(identifier, z.string().max(200))
  .refine((all) => Object.keys(all).length <= 50, 'at most 50 labels');

export const readiness = z.enum(['ready', 'busy', 'draining', 'unavailable']);
export type Readiness = z.infer<typeof readiness>;

/** What an agent says of itself when it registers. Registering a known id again is an update and a new incarnation. */
export const registerAgent = z.strictObject({
  id: identifier,
  name: printableText(200).optional(),
  host: identifier.optional(),
  zone: identifier.optional(),
  labels: labels.default({}),
  capabilities: z.array(capability).max(100).default([]),
  resources: resourceAmounts.default({}),
  maxClusters: z.int().min(1).max(1000).default(1),
  acceptance: z.enum(['auto', 'ask']).default('auto'),
  concurrency: z.int().min(1).max(100_000).default(1),
});
export type RegisterAgent = z.infer<typeof registerAgent>;
/** A registration as its caller writes it, without defaults. */
export type AgentRegistration = z.input<typeof registerAgent>;

/** What a heartbeat may carry. `load` is in-flight work over concurrency, 0 to 1. */
export const heartbeat = z.strictObject({
  readiness: readiness.optional(),
  usage: resourceAmounts.optional(),
  load: z.number().min(0).max(1).optional(),
  inboxDepth: z.int().min(0).max(1e9).optional(),
});
export type Heartbeat = z.infer<typeof heartbeat>;

export const heartbeatAnswer = z.object({
  leaseExpiresAt: z.iso.datetime(),
  epoch: z.record(z.string(), z.int()),
});
export type HeartbeatAnswer = z.infer<typeof heartbeatAnswer>;

/** Three separate facts: the lease, what the agent says, and its last proven hand-over. None stands for another. */
export const agentView = z.object({
  id: z.string(),
  name: z.string().nullable(),
  host: z.string().nullable(),
  zone: z.string().nullable(),
  labels: z.record(z.string(), z.string()),
  capabilities: z.array(z.object({ name: z.string(), version: z.string().optional() })),
  resources: z.record(z.string(), z.number()),
  held: z.record(z.string(), z.number()),
  maxClusters: z.int(),
  clusters: z.array(z.string()),
  acceptance: z.enum(['auto', 'ask']),
  concurrency: z.int(),
  incarnation: z.int(),
  liveness: z.object({ state: z.enum(['alive', 'expired', 'left']), leaseExpiresAt: z.iso.datetime() }),
  readiness: z.object({ state: readiness, load: z.number(), inboxDepth: z.int() }),
  reachability: z.object({ lastHandOverAt: z.iso.datetime().nullable() }),
  quarantinedUntil: z.iso.datetime().nullable(),
  registeredAt: z.iso.datetime(),
});
export type AgentView = z.infer<typeof agentView>;

export const registeredAgent = z.object({
  agent: agentView,
  token: z.string(),
  leaseSeconds: z.int(),
  heartbeatSeconds: z.int(),
});
export type RegisteredAgent = z.infer<typeof registeredAgent>;

/** An agent's answer to an invitation. A decline may say why; the reason is shown in the operation. */
export const invitationAnswer = z.strictObject({
  answer: z.enum(['accept', 'decline']),
  reason: z.string().max(500).optional(),
});
export type InvitationAnswer = z.infer<typeof invitationAnswer>;
