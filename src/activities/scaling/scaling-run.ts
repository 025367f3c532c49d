import type { SoakVerdict } from '../../domain/scaling/soak.js';
import { stepsOf, type ClustersDb } from '../../stores/clusters/index.js';
import type { FormationPlan } from '../formation/plan.js';
import type { AssessedNeeds } from './assess-needs.js';
import type { FairShare } from './fair-share.js';
import type { CommittedChange } from './record-change.js';

/** An open request to the orchestrator. The run waits for its answer. */
export interface CapacityRequest {
  readonly requestId: string;
  readonly seconds: number;
  readonly reason: string;
}

export interface AllocatedResources extends Pick<CommittedChange, 'cause' | 'charged'> {
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

/** The saved steps of a scaling so far. Steps of one operation pass their results on as rows, not through the workflow. */
export interface ScalingRun {
  readonly needs: AssessedNeeds;
  readonly allocated: (round: number) => AllocatedResources | undefined;
  /** A saved result of a part of adjustCluster. */
  readonly adjusted: <Result>(
    part: 'adjustCluster' | 'adjustCluster:join' | 'adjustCluster:leave',
    round: number,
  ) => Result | undefined;
  /** What the rounds have changed so far, in order. */
  readonly changes: readonly CommittedChange[];
  /** The verdict on the change (round 0) or on its rollback (round 1). */
  readonly verdict: (round: number) => SoakResult | undefined;
  /** The last round that allocated resources; -1 when none did. */
  readonly lastRound: number;
}

export async function readScalingRun(clusters: ClustersDb, operationId: string): Promise<ScalingRun> {
  const steps = await stepsOf(clusters, operationId);
  const saved = <Result>(step: string, round: number) =>
    steps.find((row) => row.step === step && row.round === round)?.result as Result | undefined;
  const needs = saved<AssessedNeeds>('assessNeeds', 0);
  if (!needs) throw new Error(`Operation ${operationId} has no result of assessNeeds yet`);
  return {
    needs,
    allocated: (round) => saved('allocateResources', round),
    adjusted: saved,
    changes: steps
      .filter(({ step }) => step === 'adjustCluster:join' || step === 'adjustCluster:leave')
      .sort((a, b) => a.round - b.round)
      .map(({ result }) => result as CommittedChange),
    verdict: (round) => saved('verifyStability:judged', round),
    lastRound: Math.max(-1, ...steps.filter(({ step }) => step === 'allocateResources').map(({ round }) => round)),
  };
}
