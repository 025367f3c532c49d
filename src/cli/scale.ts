import type { Command } from 'commander';
import { scalingResult } from '../contracts/scaling.js';
import type { OperationView } from '../contracts/operations.js';
import { wholeNumber } from './arguments.js';
import { connect } from './connection.js';
import { operationDocument, requireCompleted, showAccepted } from './operation-text.js';
import { show } from './output.js';

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
    .option('--desired <count>', 'how many members; without it the formula decides', wholeNumber(1, 1000))
    .option('--reason <text>', 'why, for whoever reads the decision later')
    .option('--soak <seconds>', 'how long the change is watched; 0 for not at all', wholeNumber(0, 3600))
    .option('--drain <seconds>', 'how long who leaves may take to ack its mail', wholeNumber(0, 3600))
    .option('--grant <seconds>', 'how long to wait for the orchestrator where agents lack', wholeNumber(0, 604_800))
    .option('--request-id <id>', 'the same id again gives the same operation')
    .option('--wait [seconds]', 'wait for the end, at most so long (default 600)', wholeNumber(1, 604_800))
    .addHelpText(
      'after',
      '\nExample:\n  cluster-manager scale cl_translators --desired 5 --reason "Monday" --soak 0 --wait',
    )
    .action(scale);
}

async function scale(clusterId: string, options: Options, command: Command): Promise<void> {
  const { desired, reason, soak, drain, grant, requestId, wait } = options;
  const api = connect(command);
  const accepted = await api.scaleCluster(clusterId, {
    ...(desired === undefined ? {} : { desired }),
    ...(reason === undefined ? {} : { reason }),
    ...(soak === undefined ? {} : { soakSeconds: soak }),
    ...(drain === undefined ? {} : { drainSeconds: drain }),
    ...(grant === undefined ? {} : { grantSeconds: grant }),
    ...(requestId === undefined ? {} : { requestId }),
  });
  if (wait === undefined) return showAccepted(command, accepted);
  const ended = await api.waitForOperation(accepted.id, { timeoutMs: (wait === true ? 600 : wait) * 1000 });
  requireCompleted(ended);
  show(command, { operation: operationDocument(ended) }, linesOf(ended));
}

function linesOf(operation: OperationView): string[] {
  const result = scalingResult.safeParse(operation.result);
  if (!result.success) return [`Operation ${operation.id} is completed.`];
  const { clusterId, decisionId, outcome, from, size, joined, left, explanation, verdict } = result.data;
  return [
    `${clusterId}: ${outcome}, from ${from} to ${size} members`,
    ...(joined.length > 0 ? [`Joined: ${joined.join(' ')}`] : []),
    ...(left.length > 0 ? [`Left: ${left.join(' ')}`] : []),
    explanation,
    `Verdict: ${verdict}`,
    `Look closer: cluster-manager explain ${decisionId}`,
  ];
}
