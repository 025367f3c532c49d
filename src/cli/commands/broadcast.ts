import type { Command } from 'commander';
import { communicationResult } from '../../contracts/communication.js';
import { errorTable, ManagerError } from '../../contracts/errors.js';
import { requirement, type ReceiptView } from '../../contracts/messages.js';
import type { OperationView } from '../../contracts/operations.js';
import { connect } from '../connect.js';
import { addContentOptions, parseContent, type ContentOptions } from '../message-options.js';
import { acceptedOutput, waitForCompletion } from '../operation-output.js';
import { oneOf, wholeNumber, withoutUndefined } from '../option-parsers.js';
import { print } from '../print.js';
import { responseError } from '../response-error.js';
import { receiptLines } from './receipts.js';

interface Options extends ContentOptions {
  readonly require: string;
  readonly deadline?: number;
  readonly requestId?: string;
  readonly wait?: true | number;
}

export function define(command: Command): void {
  addContentOptions(
    command
      .argument('<cluster>', "the cluster's id; the message goes to its current members")
      .option('--require <acks>', `the acks that are required: ${requirement.options.join(', ')}`, 'none')
      .option('--deadline <seconds>', 'the time within which they must arrive', wholeNumber(1, 3600))
      .option('--wait [seconds]', 'wait for the receipt; exit code 6 when it is unmet', wholeNumber(1, 86_400))
      .option('--request-id <id>', 'the same id again returns the same operation, without a second broadcast'),
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
  const { deadline, requestId, wait } = options;
  const message = {
    ...parseContent(options),
    to: { cluster },
    require: oneOf('--require', options.require, requirement.options),
    ...withoutUndefined({ deadlineSeconds: deadline }),
  };
  const api = connect(command);
  const accepted = await api.request({
    type: 'COMMUNICATION',
    broadcasts: [message],
    ...withoutUndefined({ requestId }),
  });
  if (wait === undefined) {
    // The manager derives the message's id from the operation's when the caller gave none.
    const receipt = `Receipt, once sent: cluster-manager receipts show ${options.id ?? `${accepted.id}.b0`}`;
    return print(command, acceptedOutput(accepted, [receipt]));
  }
  const defaultSeconds = Math.max(600, (deadline ?? 0) + 60);
  const operation = await waitForCompletion(api, accepted, { wait, defaultSeconds });
  const receipt = receiptOf(operation);
  print(command, {
    document: { operation, receipt },
    lines: [
      ...receiptLines(receipt),
      '',
      ...(operation.temporalUrl ? [`Temporal UI: ${operation.temporalUrl}`] : []),
      `Each recipient: cluster-manager messages show ${receipt.messageId}`,
    ],
  });
  if (receipt.state !== 'met') process.exitCode = errorTable.deadline_exceeded.exit;
}

/** @throws ManagerError when the broadcast itself was refused. */
function receiptOf(operation: OperationView): ReceiptView {
  const result = communicationResult.safeParse(operation.result);
  const [outcome] = result.success ? result.data.broadcasts : [];
  if (outcome && !('error' in outcome)) return outcome;
  if (outcome) throw responseError(outcome.error);
  throw new ManagerError('internal', `Operation ${operation.id} is completed but has no receipt`);
}
