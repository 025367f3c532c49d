import type { HttpClient } from '../client/http-client.js';
import type { OperationView } from '../contracts/operations.js';
import { durationBetween } from './format.js';
import type { Output } from './print.js';
import { responseError } from './report-error.js';
import { facts, table } from './table.js';

export const operationOutput = (
  operation: OperationView,
  lines: readonly string[] = operationLines(operation),
): Output => ({ document: { operation }, lines });

function operationLines(operation: OperationView): string[] {
  const { id, type, state, error, clusterId, requestedBy, temporalUrl, steps, createdAt, endedAt } = operation;
  const took = durationBetween(createdAt, endedAt ?? new Date().toISOString());
  return [
    ...facts({
      operation: id,
      type,
      state: `${state}, ${endedAt === null ? 'for' : 'after'} ${took}`,
      error: error && `${error.detail} [${error.code}]`,
      cluster: clusterId,
      'requested by': requestedBy,
      'Temporal UI': temporalUrl,
    }),
    ...(steps.length === 0 ? [] : ['']),
    ...table(steps, {
      '  STEP': (step) => `  ${step.name}`,
      STATE: (step) => step.state,
      ATTEMPTS: ({ attempts }) => (attempts > 1 ? `attempt ${attempts}` : ''),
      ERROR: (step) => step.error,
    }),
  ];
}

/** For an operation that was accepted and is not waited for. */
export const acceptedOutput = (operation: OperationView, moreLines: readonly string[] = []): Output =>
  operationOutput(operation, [
    `${operation.type === 'FORMATION' ? 'Formation' : 'Operation'} ${operation.state}: ${operation.id}`,
    ...(operation.temporalUrl ? [`Temporal UI: ${operation.temporalUrl}`] : []),
    `Progress: cluster-manager operations show ${operation.id}`,
    ...moreLines,
  ]);

interface Waiting {
  /** The value of a command's --wait, in seconds; true for the default. */
  readonly wait: number | true;
  readonly defaultSeconds?: number;
  readonly onChange?: (operation: OperationView) => void;
}

/** An accepted operation, or with --wait the lines of the completed one. @throws ManagerError as `waitForCompletion`. */
export async function acceptedOrCompleted(
  api: HttpClient,
  accepted: OperationView,
  {
    wait,
    lines,
    ...waiting
  }: Pick<Waiting, 'onChange'> & {
    readonly wait: Waiting['wait'] | undefined;
    readonly lines: (completed: OperationView) => readonly string[];
  },
): Promise<Output> {
  if (wait === undefined) return acceptedOutput(accepted);
  const completed = await waitForCompletion(api, accepted, { wait, ...waiting });
  return operationOutput(completed, lines(completed));
}

/**
 * Waits until the operation is completed.
 * @throws ManagerError with the operation's code when it ended otherwise, `deadline_exceeded` when it has not ended in time.
 */
export async function waitForCompletion(
  api: HttpClient,
  { id }: OperationView,
  { wait, defaultSeconds = 600, ...options }: Waiting,
): Promise<OperationView> {
  const timeoutMs = (wait === true ? defaultSeconds : wait) * 1000;
  const operation = await api.waitForOperation(id, { timeoutMs, ...options });
  const { state, error = { code: 'internal', detail: `The operation ended in the state ${state}` } } = operation;
  if (state === 'completed') return operation;
  throw responseError({ ...error, detail: `${error.detail} (operation ${id}, ${state})` });
}
