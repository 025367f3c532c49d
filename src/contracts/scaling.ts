import { z } from 'zod';
import { identifier } from './agents.js';
import { parseInput } from './formation.js';
import { derivedId } from './messages.js';

/** The body of a scaling request, from HTTP (without `type`), the client, the CLI or any Temporal SDK. */
export const scalingRequest = z.strictObject({
  requestId: identifier.optional(),
  clusterId: derivedId,
  /** The size that is wanted; without it the formula decides. Beyond the cluster's bounds it is clamped, and the decision says so. */
  desired: z.int().min(1).max(1000).optional(),
  reason: z.string().min(1).max(500).optional(),
  /** Who is to leave, where somebody can be spared; without it the order of victims decides. */
  release: z.array(identifier).max(100).optional(),
  /** How long a change is watched before it is judged; the configured time where it is not given, 0 for not at all. */
  soakSeconds: z.int().min(0).max(3600).optional(),
  /** How long who leaves may take to ack its mail. */
  drainSeconds: z.int().min(0).max(3600).default(60),
  /** How long the run waits for the orchestrator where the fleet has too few agents; 0 for not at all. */
  grantSeconds: z.int().min(0).max(604_800).default(3600),
  /** Within which those who were chosen must have joined. */
  deadlineSeconds: z.int().min(1).max(3600).default(120),
});
/** A request as its caller writes it, without defaults. */
export type ScalingRequest = z.input<typeof scalingRequest>;
export type ScalingSpec = Omit<z.output<typeof scalingRequest>, 'requestId'>;

/**
 * Parses a scaling request and applies the defaults.
 * @throws ManagerError `invalid_request` that lists every problem, not the first.
 */
export function parseScalingRequest(input: unknown): ScalingSpec {
  const { requestId: _requestId, ...spec } = parseInput(scalingRequest, 'The scaling request', input);
  return spec;
}

/** How a run ended. `partial`: fewer joined than were wanted, and nobody granted the rest. */
export const scalingOutcome = z.enum(['unchanged', 'scaled', 'partial', 'rolled_back', 'failed']);
export type ScalingOutcome = z.infer<typeof scalingOutcome>;

export const scalingResult = z.object({
  clusterId: z.string(),
  decisionId: z.string(),
  outcome: scalingOutcome,
  /** Members before, as decided, and now. */
  from: z.int(),
  desired: z.int(),
  size: z.int(),
  epoch: z.int(),
  joined: z.array(z.string()),
  left: z.array(z.string()),
  /** The stability score before and after; null where it is not known. */
  scoreBefore: z.number().nullable(),
  scoreAfter: z.number().nullable(),
  /** The decision as a sentence that can be checked by hand. */
  explanation: z.string(),
  /** What verifyStability found. */
  verdict: z.string(),
});
export type ScalingResult = z.infer<typeof scalingResult>;

/** The answer to a request for resources. */
export const capacityAnswer = z.strictObject({ reason: z.string().min(1).max(500).optional() });
export type CapacityAnswer = z.input<typeof capacityAnswer>;

/** What `grantResources` and `denyResources` of a running scaleCluster take from any Temporal SDK. */
export interface CapacityUpdate {
  readonly requestId: string;
  readonly by?: string;
  readonly reason?: string;
}
