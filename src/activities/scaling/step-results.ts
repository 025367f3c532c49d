import type { SoakVerdict } from '../../domain/scaling/soak.js';
import type { Change } from '../../domain/scaling/types.js';
import type { FormationPlan } from '../formation/plan.js';
import type { FairShare } from './fair-share.js';

/* The saved results of scaling steps that later steps read. */

/** An open request to the orchestrator. The run waits for its answer. */
export interface CapacityRequest {
  readonly requestId: string;
  readonly seconds: number;
  readonly reason: string;
}

export interface AllocatedResources {
  readonly cause: Change['cause'];
  /** How many of the joining or departing members count against the flap budget. */
  readonly charged: number;
  readonly plan: FormationPlan;
  /** How many of the wanted members could not be allocated. */
  readonly missing: number;
  /** Why members are missing; empty when none is. */
  readonly reason: string;
  readonly share: FairShare | null;
  readonly capacityRequest: CapacityRequest | null;
}

/** A verdict with the score it was made at. `gone`: the cluster is no longer active. */
export type SoakResult = (SoakVerdict | { readonly verdict: 'gone'; readonly why: string }) & {
  readonly score: number | null;
};
