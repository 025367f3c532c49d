import type { Command } from 'commander';
import { communicationResult } from '../contracts/communication.js';
import { errorTable, ManagerError } from '../contracts/errors.js';
import { requirement, type ReceiptView, type Requirement } from '../contracts/messages.js';
import type { OperationView } from '../contracts/operations.js';
import { wholeNumber } from './arguments.js';
import { connect } from './connection.js';
import { addContentOptions, contentOf, type ContentOptions } from './message-options.js';
import { refusalOf } from './message-text.js';
import { operationDocument, requireCompleted, showAccepted } from './operation-text.js';
import { show } from './output.js';
import { receiptDocument, receiptLines } from './receipt-text.js';

interface Options extends ContentOptions {
  readonly require: string;
  readonly deadline?: number;
  readonly requestId?: string;
  readonly wait?: true | number;
}

export function define(command: Command): void {
  addContentOptions(
    command
      .argument('<cluster>', "the cluster's id; its members at this moment are counted")
      .option('--require <acks>', `${requirement.options.join(', ')}: how many must ack`, 'none')
      .option('--deadline <seconds>', 'by when they must have acked', wholeNumber(1, 3600))
      .option('--wait [seconds]', 'wait for the receipt; exit code 6 when it is unmet', wholeNumber(1, 86_400))
      .option('--request-id <id>', 'the same id again gives the same operation, never a second broadcast'),
  )
    .addHelpText(
      'after',
      `
Example:
  cluster-manager broadcast cl_1 --type stop.press --data '"hold page one"' --require all --deadline 30 --wait`,
    )
    .action(broadcast);
}

async function broadcast(cluster: string, options: Options, command: Command): Promise<void> {
  const { deadline, requestId } = options;
  const message = {
    ...contentOf(options),
    to: { cluster },
    require: requirementOf(options.require),
    ...(deadline === undefined ? {} : { deadlineSeconds: deadline }),
  };
  const api = connect(command);
  const accepted = await api.request({
    type: 'COMMUNICATION',
    broadcasts: [message],
    ...(requestId === undefined ? {} : { requestId }),
  });
  if (options.wait === undefined) {
    // A broadcast without an id of its own is named after its operation.
    const receipt = `Its receipt, once it is sent: cluster-manager receipts show ${options.id ?? `${accepted.id}.b0`}`;
    return showAccepted(command, accepted, [receipt]);
  }
  const waitSeconds = options.wait === true ? Math.max(600, (deadline ?? 0) + 60) : options.wait;
  const ended = await api.waitForOperation(accepted.id, { timeoutMs: waitSeconds * 1000 });
  requireCompleted(ended);
  const receipt = receiptOf(ended);
  show(command, { operation: operationDocument(ended), receipt: receiptDocument(receipt) }, [
    ...receiptLines(receipt),
    '',
    ...(ended.temporalUrl ? [`Temporal UI: ${ended.temporalUrl}`] : []),
    `Who did what: cluster-manager messages show ${receipt.messageId}`,
  ]);
  if (receipt.state !== 'met') process.exitCode = errorTable.deadline_exceeded.exit;
}

function requirementOf(text: string): Requirement {
  const require = requirement.safeParse(text);
  if (require.success) return require.data;
  throw new ManagerError(
    'invalid_request',
    `--require "${text}" is not known; allowed: ${requirement.options.join(', ')}`,
  );
}

/** @throws ManagerError why there is none: the broadcast itself was refused. */
function receiptOf(operation: OperationView): ReceiptView {
  const result = communicationResult.safeParse(operation.result);
  const [outcome] = result.success ? result.data.broadcasts : [];
  if (outcome && !('error' in outcome)) return outcome;
  if (outcome) throw refusalOf(outcome.error);
  throw new ManagerError('internal', `Operation ${operation.id} is completed and has no receipt`);
}
