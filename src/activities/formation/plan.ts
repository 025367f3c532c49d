import { ManagerError } from '../../contracts/errors.js';
import type { FormationSpec } from '../../contracts/formation.js';
import type { Candidate, MatchRequest, Shortfall } from '../../domain/formation/types.js';
import type { CandidateQuery, CandidateRow, MembershipRow } from '../../stores/clusters/index.js';

/** The plan that identifyAgents saves and the later steps carry out. */
export interface FormationPlan {
  readonly clusterId: string;
  /** The cluster's epoch when the plan was made; it becomes `epoch + 1`. */
  readonly epoch: number;
  readonly spec: FormationSpec;
  /** Agents reserved to join. Empty when the plan is not feasible. */
  readonly joining: readonly { readonly agentId: string; readonly roles: readonly string[] }[];
  /** Of a cluster under repair: the members that stay, and the lost ones. */
  readonly staying: readonly string[];
  readonly leaving: readonly string[];
  readonly alternates: readonly string[];
  readonly rejected: Readonly<Record<string, number>>;
  readonly shortfall: readonly Shortfall[];
}

export const toCandidate = (row: CandidateRow, needed: Readonly<Record<string, number>>): Candidate => ({
  ...row,
  usageRatio: Math.max(
    0,
    ...Object.entries(row.resources).map(([name, offered]) =>
      offered > 0 ? Math.min(1, ((row.held[name] ?? 0) + (needed[name] ?? 0)) / offered) : 0,
    ),
  ),
  clusterRatio: row.clusterCount / row.maxClusters,
});

/** A member as the rules of a formation see it, by its agent's id. */
export const toPlaced = (member: MembershipRow) => ({ ...member, id: member.agentId });

/** The rule that the members of a plan must satisfy, with those that are members already. */
export const ruleOf = ({ spec, staying }: Pick<FormationPlan, 'spec' | 'staying'>) => ({
  ...spec,
  kept: staying.map((id) => ({ id })),
});

export const matchRequestOf = (
  spec: FormationSpec,
  kept: readonly MembershipRow[],
  operationId: string,
): MatchRequest => ({
  ...spec,
  kept: kept.map((member) => ({ ...toCandidate(toPlaced(member), {}), roles: member.roles })),
  seed: operationId,
});

export const candidateQueryOf = (spec: FormationSpec, operationId: string, repairs: string | null): CandidateQuery => ({
  requiredCapabilities: spec.requiredCapabilities,
  roles: spec.roles,
  labels: spec.labels,
  resources: spec.resources,
  clusterId: repairs ?? '',
  seed: operationId,
});

/** The plan that identifyAgents saved. @throws ManagerError `state_conflict` when there is none yet. */
export function planOf(saved: unknown, operationId: string): FormationPlan {
  if (saved) return saved as FormationPlan;
  throw new ManagerError('state_conflict', `Operation ${operationId} has no plan yet: identifyAgents has not ended`);
}
