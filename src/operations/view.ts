import type { ClusterManagerClient } from '../client/index.js';
import type { ManagerConfig } from '../config/index.js';
import type { OperationView, StepView } from '../contracts/operations.js';
import { communicationSteps, formationSteps, scalingSteps } from '../contracts/steps.js';
import { stepsOf, type OperationRow, type StepRow } from '../stores/clusters/index.js';
import type { OperationsDeps } from './deps.js';
import { hasEnded } from './wait.js';
import { withinLimit } from './within-limit.js';

type Pending = NonNullable<Awaited<ReturnType<ClusterManagerClient['progress']>>>['pending'];

const progressLimitMs = 2000;

/** An operation as callers see it: its row, its finished steps and, while it runs, the steps that Temporal has in flight. */
export async function operationViewOf(deps: OperationsDeps, row: OperationRow): Promise<OperationView> {
  const [steps, pending] = await Promise.all([stepsOf(deps.clusters, row.id), pendingOf(deps, row)]);
  return toOperationView(deps.config(), row, steps, pending);
}

/** Steps in flight are optional: while Temporal is away, the row and its finished steps are shown without them. */
async function pendingOf({ client, logger }: OperationsDeps, row: OperationRow): Promise<Pending> {
  if (hasEnded(row)) return [];
  try {
    const progress = await withinLimit(client.progress(row.workflowId), progressLimitMs, 'Temporal did not answer');
    return progress?.pending ?? [];
  } catch (err) {
    logger.warn({ err, operationId: row.id }, 'the progress of an operation could not be read');
    return [];
  }
}

export function toOperationView(
  config: ManagerConfig,
  row: OperationRow,
  steps: readonly StepRow[],
  pending: Pending = [],
): OperationView {
  return {
    id: row.id,
    type: row.kind,
    state: row.state,
    clusterId: row.clusterId || null,
    workflowId: row.workflowId,
    temporalUrl: temporalUrl(config, row.workflowId),
    requestedBy: row.requestedBy,
    createdAt: row.createdAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
    steps: stepViews(row, steps, pending),
    ...(row.result === null ? {} : { result: row.result }),
    ...(row.error === null ? {} : { error: row.error }),
  };
}

/** A workflow's page in the Temporal UI; null when the configuration does not say where the UI is. */
export const temporalUrl = ({ temporal }: ManagerConfig, workflowId: string): string | null =>
  temporal.uiUrl === undefined
    ? null
    : `${temporal.uiUrl}/namespaces/${encodeURIComponent(temporal.namespace)}/workflows/${encodeURIComponent(workflowId)}`;

const stepsOfKind = {
  FORMATION: formationSteps,
  REPAIR: formationSteps,
  COMMUNICATION: communicationSteps,
  SCALING: scalingSteps,
  DISSOLUTION: [],
} as const;

function stepViews(row: OperationRow, rows: readonly StepRow[], pending: Pending): StepView[] {
  const known: readonly string[] = stepsOfKind[row.kind];
  const seen = [...rows.map(({ step }) => step.replace(/^undo:/, '')), ...pending.map(({ step }) => step)];
  const names = [...new Set([...known, ...seen])].filter((name) => known.length === 0 || known.includes(name));
  return names.map((name) => stepView(name, rows, pending));
}

/** A queued operation runs a step once in each round; the last round is shown. */
function stepView(name: string, rows: readonly StepRow[], pending: Pending): StepView {
  const done = rows.filter(({ step }) => step === name).reduce<StepRow | undefined>(later, undefined);
  const undone = rows.some(({ step }) => step === `undo:${name}`);
  const inFlight = pending.find(({ step }) => step === name);
  if (inFlight && !undone) {
    const { attempts, startedAt, error } = inFlight;
    const state = attempts > 1 ? 'retrying' : 'running';
    return { name, state, attempts, startedAt, endedAt: null, ...(error === undefined ? {} : { error }) };
  }
  return {
    name,
    state: undone && done ? 'undone' : done ? 'completed' : 'pending',
    attempts: done?.attempt ?? 0,
    startedAt: done?.startedAt.toISOString() ?? null,
    endedAt: done?.endedAt.toISOString() ?? null,
  };
}

const later = (a: StepRow | undefined, b: StepRow): StepRow => (a === undefined || b.round >= a.round ? b : a);
