import { z } from 'zod';
import { communicationRequest } from './communication.js';
import { formationRequest } from './formation.js';
import { scalingRequest } from './scaling.js';

export const operationState = z.enum(['running', 'queued', 'completed', 'compensated', 'refused', 'cancelled']);
export type OperationState = z.infer<typeof operationState>;

export const operationKind = z.enum(['FORMATION', 'REPAIR', 'DISSOLUTION', 'COMMUNICATION', 'SCALING']);
export type OperationKind = z.infer<typeof operationKind>;

/** The specification's `process_request`: one envelope for all functions, distinguished by `type`. */
export const processRequest = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('FORMATION'), ...formationRequest.shape }),
  z.strictObject({ type: z.literal('COMMUNICATION'), ...communicationRequest.shape }),
  z.strictObject({ type: z.literal('SCALING'), ...scalingRequest.shape }),
]);
/** A request as its caller writes it, without defaults. */
export type ProcessRequest = z.input<typeof processRequest>;
/** A request after validation, with defaults. */
export type ValidProcessRequest = z.output<typeof processRequest>;

export const stepView = z.object({
  name: z.string(),
  state: z.enum(['pending', 'running', 'retrying', 'completed', 'undone']),
  attempts: z.int(),
  startedAt: z.iso.datetime().nullable(),
  endedAt: z.iso.datetime().nullable(),
  error: z.string().optional(),
});
export type StepView = z.infer<typeof stepView>;

export const operationError = z.object({
  code: z.string(),
  detail: z.string(),
  problems: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});
export type OperationError = z.infer<typeof operationError>;

export const operationView = z.object({
  id: z.string(),
  type: operationKind,
  state: operationState,
  clusterId: z.string().nullable(),
  workflowId: z.string(),
  temporalUrl: z.string().nullable(),
  requestedBy: z.string(),
  createdAt: z.iso.datetime(),
  endedAt: z.iso.datetime().nullable(),
  steps: z.array(stepView),
  result: z.unknown().optional(),
  error: operationError.optional(),
});
export type OperationView = z.infer<typeof operationView>;
