import type { Command } from 'commander';
import type { OperationView } from '../../contracts/operations.js';
import { scalingResult } from '../../contracts/scaling.js';
import { apiAction } from '../api-action.js';
import { acceptedOutput, operationOutput, waitForCompletion } from '../operation-output.js';
import { wholeNumber, withoutUndefined } from '../option-parsers.js';

interface Options {
  readonly desired?: number;
  readonly reason?: string;
  readonly soak?: number;
  readonly drain?: number;
  readonly grant?: number;
  readonly requestId?: string;
  readonly wait?: true | number;
}

export function define(command: Command): void {
  command
    .argument('<cluster>', "the cluster's id")
    .option('--desired <count>', 'the number of members; without it the formula decides', wholeNumber(1, 1000))
    .option('--reason <text>', 'stored with the decision')
    .option('--soak <seconds>', 'how long the cluster is observed after the change; 0: not', wholeNumber(0, 3600))
    .option('--drain <seconds>', 'the time that departing members have to finish deliveries', wholeNumber(0, 3600))
    .option('--grant <seconds>', 'how long to wait for the orchestrator to add agents', wholeNumber(0, 604_800))
    .option('--request-id <id>', 'the same id again returns the same operation')
    .option('--wait [seconds]', 'wait for the end, at most this long (default 600)', wholeNumber(1, 604_800))
    .addHelpText(
      'after',
      '\nExample:\n  cluster-manager scale cl_translators --desired 5 --reason "Monday" --soak 0 --wait',
    )
    .action(scale);
}

const scale = apiAction(async (api, clusterId: string, options: Options) => {
  const { desired, reason, soak, drain, grant, requestId, wait } = options;
  const accepted = await api.scaleCluster(
    clusterId,
    withoutUndefined({
      desired,
      reason,
      soakSeconds: soak,
      drainSeconds: drain,
      grantSeconds: grant,
      requestId,
    }),
  );
  if (wait === undefined) return acceptedOutput(accepted);
  const operation = await waitForCompletion(api, accepted, { wait });
  return operationOutput(operation, scaledLines(operation));
});

function scaledLines({ id, result }: OperationView): string[] {
  const scaled = scalingResult.safeParse(result);
  if (!scaled.success) return [`Operation ${id} is completed.`];
  const { clusterId, decisionId, outcome, from, size, joined, left, explanation, verdict } = scaled.data;
  return [
    `${clusterId}: ${outcome}, from ${from} to ${size} members`,
    ...(joined.length > 0 ? [`Joined: ${joined.join(' ')}`] : []),
    ...(left.length > 0 ? [`Left: ${left.join(' ')}`] : []),
    explanation,
    `Verdict: ${verdict}`,
    `Explanation: cluster-manager explain ${decisionId}`,
  ];
}
