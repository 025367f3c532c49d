import { Command } from '@commander-js/extra-typings';
import type { HttpClient } from '../../client/http-client.js';
import { communicationResult } from '../../contracts/communication.js';
import { defined } from '../../contracts/defined.js';
import { errorTable, ManagerError } from '../../contracts/errors.js';
import { requirement, type Address, type NewMessage, type ReceiptView } from '../../contracts/messages.js';
import type { OperationView } from '../../contracts/operations.js';
import { counted } from '../format.js';
import { parseData } from '../json-input.js';
import { acceptedOutput, waitForCompletion } from '../operation-output.js';
import { oneOf, wholeNumber, withOptions } from '../option-parsers.js';
import { printing, type Output } from '../print.js';
import { responseError } from '../report-error.js';
import { receiptLines } from './messages.js';

/** The options of a message, without its address. */
const contentOptions = new Command()
  .requiredOption('--type <type>', "the message's type, such as question.asked")
  .option('--data <json>', `the message's data: JSON, "@file", or "-" for stdin; a string is '"hello"'`)
  .option('--id <id>', "the message's id; a message with the same id is sent only once")
  .option('--ttl <seconds>', 'dead-letter the message unless it is acked within this time', wholeNumber(1, 604_800))
  .option('--partition-key <key>', 'messages with the same key are handled one at a time, in order')
  .option('--correlation-id <id>', 'relates messages; a reply has the correlation id of its question')
  .option('--reply-to <agent>', 'the agent that receives the reply');

type ContentOptions = ReturnType<typeof contentOptions.opts>;

export function parseContent({ type, data, ttl, ...options }: ContentOptions): Omit<NewMessage, 'to'> {
  const { id, partitionKey, correlationId, replyTo } = options;
  const given = defined({ id, ttlSeconds: ttl, partitionKey, correlationId, replyTo });
  return { type, data: parseData(data), ...given };
}

const splitIds = (text: string, previous: readonly string[] = []): string[] => [
  ...previous,
  ...text.split(',').flatMap((id) => id.trim() || []),
];

const addressOptions = new Command()
  .option('--agent <id>', 'to this agent')
  .option('--role <name>', 'to one member of --cluster with this role')
  .option('--capability <name>', 'to one agent with this capability; with --cluster, to one of its members')
  .option('--cluster <id>', 'to all members of this cluster')
  .option('--clusters <ids>', 'to all members of these clusters: cl_1,cl_2', splitIds)
  .option('--all-clusters', 'to all members of all clusters');

type AddressOptions = ReturnType<typeof addressOptions.opts>;

/** @throws ManagerError `invalid_request` unless the options name exactly one address. */
export function parseAddress({ agent, role, capability, cluster, clusters, allClusters }: AddressOptions): Address {
  if (role !== undefined && cluster === undefined) {
    throw new ManagerError('invalid_request', `--role ${role} is a role in a cluster; name the cluster with --cluster`);
  }
  const addresses: Address[] = [
    ...(agent === undefined ? [] : [{ agent }]),
    ...(role === undefined ? [] : [{ role, cluster: cluster ?? '' }]),
    ...(capability === undefined ? [] : [{ capability, ...defined({ cluster }) }]),
    ...(clusters === undefined ? [] : [{ clusters }]),
    ...(allClusters ? [{ allClusters }] : []),
    ...(cluster === undefined || role !== undefined || capability !== undefined ? [] : [{ cluster }]),
  ];
  const [address] = addresses;
  if (address !== undefined && addresses.length === 1) return address;
  throw new ManagerError(
    'invalid_request',
    `The message has ${address === undefined ? 'no address' : 'more than one address'}; give one of --agent, ` +
      '--role with --cluster, --capability (with or without --cluster), --cluster, --clusters, --all-clusters',
  );
}

const send = (command: Command): unknown =>
  withOptions(withOptions(command, addressOptions), contentOptions)
    .addHelpText(
      'after',
      `
Examples:
  cluster-manager send --agent ada --type greeting --data '"hello"'
  cluster-manager send --role writer --cluster cl_1 --type draft.wanted --data @draft.json
To require acks by a deadline: cluster-manager broadcast --help`,
    )
    .action(printing((api, options) => sendOne(api, { ...parseContent(options), to: parseAddress(options) })));

const publish = (command: Command): unknown =>
  withOptions(command.argument('<topic>', "the topic's full name; wildcards are for subscriptions"), contentOptions)
    .addHelpText('after', `\nExample:\n  cluster-manager publish news.sport --type headline --data '{"text": "1:0"}'`)
    .action(printing((api, topic, options) => sendOne(api, { ...parseContent(options), to: { topic } })));

/** @throws ManagerError when the message was refused. */
async function sendOne(api: () => HttpClient, message: NewMessage): Promise<Output> {
  const [result] = (await api().sendMessages({ body: { messages: [message] } })).results;
  if (!result) {
    throw new ManagerError('incompatible_service', 'The manager returned no result; use a command line of its version');
  }
  if (!result.accepted) throw responseError(result.error);
  const { id, matched, duplicate = false, deadLetter = null } = result;
  return {
    document: { message: { id, matched, duplicate, deadLetter } },
    lines: [
      deadLetter === null
        ? `${duplicate ? 'Accepted before' : 'Accepted'}: ${id}, to ${counted(matched, 'recipient')}`
        : `Accepted without a recipient: ${id} is a dead letter (${deadLetter})`,
      `Trace: cluster-manager messages show ${id}`,
    ],
  };
}

const broadcast = (command: Command): unknown =>
  withOptions(
    command
      .argument('<cluster>', "the cluster's id; the message goes to its current members")
      .option('--require <acks>', `the acks that are required: ${requirement.options.join(', ')}`, 'none')
      .option('--deadline <seconds>', 'the time within which they must arrive', wholeNumber(1, 3600))
      .option('--wait [seconds]', 'wait for the receipt; exit code 6 when it is unmet', wholeNumber(1, 86_400))
      .option('--request-id <id>', 'the same id again returns the same operation, without a second broadcast'),
    contentOptions,
  )
    .addHelpText(
      'after',
      `
Example:
  cluster-manager broadcast cl_1 --type stop.press --data '"hold page one"' --require all --deadline 30 --wait`,
    )
    .action(
      printing(async (connect, cluster, options) => {
        const { deadline, requestId, wait } = options;
        const message = {
          ...parseContent(options),
          to: { cluster },
          require: oneOf('--require', options.require, requirement.options),
          ...defined({ deadlineSeconds: deadline }),
        };
        const api = connect();
        const request = { broadcasts: [message], ...defined({ requestId }) };
        const accepted = await api.request({ type: 'COMMUNICATION', ...request });
        if (wait === undefined) {
          // The manager derives the message's id from the operation's when the caller gave none.
          const receipt = `Receipt, once sent: cluster-manager receipts show ${options.id ?? `${accepted.id}.b0`}`;
          return acceptedOutput(accepted, [receipt]);
        }
        const defaultSeconds = Math.max(600, (deadline ?? 0) + 60);
        return broadcastOutput(await waitForCompletion(api, accepted, { wait, defaultSeconds }));
      }),
    );

/** Sets the exit code too. @throws ManagerError when the broadcast itself was refused. */
function broadcastOutput(operation: OperationView): Output {
  const receipt = receiptOf(operation);
  if (receipt.state !== 'met') process.exitCode = errorTable.deadline_exceeded.exit;
  const lines = [
    ...receiptLines(receipt),
    '',
    ...(operation.temporalUrl ? [`Temporal UI: ${operation.temporalUrl}`] : []),
    `Each recipient: cluster-manager messages show ${receipt.messageId}`,
  ];
  return { document: { operation, receipt }, lines };
}

/** @throws ManagerError when the broadcast itself was refused. */
function receiptOf(operation: OperationView): ReceiptView {
  const result = communicationResult.safeParse(operation.result);
  const [outcome] = result.success ? result.data.broadcasts : [];
  if (outcome && !('error' in outcome)) return outcome;
  if (outcome) throw responseError(outcome.error);
  throw new ManagerError('internal', `Operation ${operation.id} is completed but has no receipt`);
}

export const commands = { send, publish, broadcast };
