import type { Command } from 'commander';
import { isErrorCode, ManagerError } from '../contracts/errors.js';
import type { OperationView } from '../contracts/operations.js';
import { duration, facts, show, table } from './output.js';

/** An operation as commands print it. */
export const operationDocument = (operation: OperationView) => ({
  id: operation.id,
  type: operation.type,
  state: operation.state,
  clusterId: operation.clusterId,
  workflowId: operation.workflowId,
  temporalUrl: operation.temporalUrl,
  requestedBy: operation.requestedBy,
  createdAt: operation.createdAt,
  endedAt: operation.endedAt,
  steps: operation.steps,
  ...(operation.result === undefined ? {} : { result: operation.result }),
  ...(operation.error === undefined ? {} : { error: operation.error }),
});

export function operationLines(operation: OperationView): string[] {
  const endMs = operation.endedAt === null ? Date.now() : Date.parse(operation.endedAt);
  const steps = operation.steps.map((step) => [
    `  ${step.name}`,
    step.state,
    step.attempts > 1 ? `attempt ${step.attempts}` : '',
    step.error ?? '',
  ]);
  return [
    ...facts([
      ['operation', operation.id],
      ['type', operation.type],
      ['state', `${operation.state}, ${operation.endedAt === null ? 'for' : 'after'} ${took(operation, endMs)}`],
      ['error', operation.error && `${operation.error.detail} [${operation.error.code}]`],
      ['cluster', operation.clusterId],
      ['requested by', operation.requestedBy],
      ['Temporal UI', operation.temporalUrl],
    ]),
    ...(steps.length === 0 ? [] : ['', ...table(['  STEP', 'STATE', 'TRIES', 'ERROR'], steps)]),
  ];
}

const took = ({ createdAt }: OperationView, endMs: number): string => duration(endMs - Date.parse(createdAt));

/** What a command says of an operation that was accepted and goes on by itself. */
export function showAccepted(command: Command, operation: OperationView, more: readonly string[] = []): void {
  show(command, { operation: operationDocument(operation) }, [
    `${operation.type === 'FORMATION' ? 'Formation' : 'Operation'} ${operation.state}: ${operation.id}`,
    ...(operation.temporalUrl ? [`Temporal UI: ${operation.temporalUrl}`] : []),
    `Look again: cluster-manager operations show ${operation.id}`,
    ...more,
  ]);
}

/** @throws ManagerError with the operation's own code unless it was completed. */
export function requireCompleted(operation: OperationView): void {
  if (operation.state === 'completed') return;
  const { code, detail, problems } = operation.error ?? { code: 'internal', detail: `It ended ${operation.state}` };
  throw new ManagerError(
    isErrorCode(code) ? code : 'internal',
    `${detail} (operation ${operation.id}, ${operation.state})`,
    {
      problems: problems ?? [],
    },
  );
}
