import type { Command } from 'commander';
import { ManagerError } from '../contracts/errors.js';
import type { Address, NewMessage } from '../contracts/messages.js';
import { parseData } from './json-input.js';
import { wholeNumber, withoutUndefined } from './option-parsers.js';

/** The options of a message, without its address. */
export interface ContentOptions {
  readonly type: string;
  readonly data?: string;
  readonly id?: string;
  readonly ttl?: number;
  readonly partitionKey?: string;
  readonly correlationId?: string;
  readonly replyTo?: string;
}

export const addContentOptions = (command: Command): Command =>
  command
    .requiredOption('--type <type>', "the message's type, such as question.asked")
    .option('--data <json>', `the message's data: JSON, "@file", or "-" for stdin; a string is '"hello"'`)
    .option('--id <id>', "the message's id; a message with the same id is sent only once")
    .option('--ttl <seconds>', 'dead-letter the message unless it is acked within this time', wholeNumber(1, 604_800))
    .option('--partition-key <key>', 'messages with the same key are handled one at a time, in order')
    .option('--correlation-id <id>', 'relates messages; a reply has the correlation id of its question')
    .option('--reply-to <agent>', 'the agent that receives the reply');

export const parseContent = ({ type, data, ttl, ...options }: ContentOptions): Omit<NewMessage, 'to'> => {
  const { id, partitionKey, correlationId, replyTo } = options;
  return {
    type,
    data: parseData(data),
    ...withoutUndefined({ id, ttlSeconds: ttl, partitionKey, correlationId, replyTo }),
  };
};

export interface AddressOptions {
  readonly agent?: string;
  readonly role?: string;
  readonly capability?: string;
  readonly cluster?: string;
  readonly clusters?: string[];
  readonly allClusters?: true;
}

/** @throws ManagerError `invalid_request` unless the options name exactly one address. */
export function parseAddress({ agent, role, capability, cluster, clusters, allClusters }: AddressOptions): Address {
  if (role !== undefined && cluster === undefined) {
    throw new ManagerError('invalid_request', `--role ${role} is a role in a cluster; name the cluster with --cluster`);
  }
  const addresses: Address[] = [
    ...(agent === undefined ? [] : [{ agent }]),
    ...(role === undefined ? [] : [{ role, cluster: cluster ?? '' }]),
    ...(capability === undefined ? [] : [{ capability, ...withoutUndefined({ cluster }) }]),
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
