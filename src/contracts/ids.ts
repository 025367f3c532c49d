declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]?: Name };

export type AgentId = Branded<'agent'>;
export type ClusterId = Branded<'cluster'>;
export type OperationId = Branded<'operation'>;

/** An operation and the cluster that it changes. */
export interface OperationIds {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId;
}

/** The same for one round of an operation that repeats steps, counted from 0. */
export interface RoundIds extends OperationIds {
  readonly round: number;
}

/** Letters, digits and `. _ : -`, 1 to 128 characters, the first a letter or digit: safe in URLs, logs and workflow ids. */
export const identifierPattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/**
 * The cluster that an operation forms. Derived, not drawn, so every retry, every zombie attempt and every caller
 * knows it before the first step ran.
 * @example clusterIdOf('op_0199…') === 'cl_0199…'; clusterIdOf('nightly-1') === 'cl_nightly-1'
 */
export const clusterIdOf = (operationId: OperationId): ClusterId => `cl_${operationId.replace(/^op_/, '')}`;

export const workflowIds = {
  formation: (operationId: OperationId) => `formation/${operationId}`,
  repair: (clusterId: ClusterId) => `repair/${clusterId}`,
  communication: (operationId: OperationId) => `communication/${operationId}`,
  scaling: (operationId: OperationId) => `scaling/${operationId}`,
  dissolution: (clusterId: ClusterId) => `dissolution/${clusterId}`,
} as const;
