import { z } from 'zod';

/** `expired`: nobody answered before the deadline. */
export const capacityRequestState = z.enum(['open', 'granted', 'denied', 'expired']);

/** What a cluster asks the orchestrator for, because the fleet cannot give it. */
export const capacityRequestView = z.object({
  id: z.string(),
  clusterId: z.string(),
  /** The run that waits for the answer. */
  operationId: z.string(),
  round: z.int(),
  /** `agents`, and what each of them must have. */
  need: z.unknown(),
  reason: z.string(),
  state: capacityRequestState,
  openedAt: z.iso.datetime(),
  deadlineAt: z.iso.datetime(),
  answeredAt: z.iso.datetime().nullable(),
  answeredBy: z.string().nullable(),
  answerReason: z.string().nullable(),
});
export type CapacityRequestView = z.infer<typeof capacityRequestView>;
