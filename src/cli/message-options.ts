import type { Command } from 'commander';
import { ManagerError } from '../contracts/errors.js';
import type { Address, NewMessage } from '../contracts/messages.js';
import { wholeNumber } from './arguments.js';
import { dataOf } from './json-input.js';

/** What every message has but its address, as options. */
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
    .requiredOption('--type <type>', 'what it is, such as question.asked')
    .option('--data <json>', `what it says: JSON, "@file", or "-" for stdin; a text is '"hello"'`)
    .option('--id <id>', 'the same id again is the same message, sent once')
    .option('--ttl <seconds>', 'a dead letter when it is not acked by then', wholeNumber(1, 604_800))
    .option('--partition-key <key>', 'messages of one key are handled one after the other')
    .option('--correlation-id <id>', 'what it belongs to; a reply has that of what it answers')
    .option('--reply-to <agent>', 'the agent that gets the reply');

export function contentOf(options: ContentOptions): Omit<NewMessage, 'to'> {
  const { type, data, id, ttl, partitionKey, correlationId, replyTo } = options;
  return {
    type,
    data: dataOf(data),
    ...(id === undefined ? {} : { id }),
    ...(ttl === undefined ? {} : { ttlSeconds: ttl }),
    ...(partitionKey === undefined ? {} : { partitionKey }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(replyTo === undefined ? {} : { replyTo }),
  };
}

export interface AddressOptions {
  readonly agent?: string;
  readonly role?: string;
  readonly capability?: string;
  readonly cluster?: string;
  readonly clusters?: string[];
  readonly allClusters?: true;
}

/** @throws ManagerError `invalid_request` unless the options name one address. */
export function addressOf({ agent, role, capability, cluster, clusters, allClusters }: AddressOptions): Address {
  const named: Address[] = [
    ...(agent === undefined ? [] : [{ agent }]),
    ...(role === undefined ? [] : [{ role, cluster: cluster ?? '' }]),
    ...(capability === undefined ? [] : [{ capability, ...(cluster === undefined ? {} : { cluster }) }]),
    ...(clusters === undefined ? [] : [{ clusters }]),
    ...(allClusters ? [{ allClusters }] : []),
    ...(cluster === undefined || role !== undefined || capability !== undefined ? [] : [{ cluster }]),
  ];
  const [address] = named;
  if (role !== undefined && cluster === undefined) {
    throw new ManagerError('invalid_request', `--role ${role} is a role in a cluster; name it with --cluster`);
  }
  if (address !== undefined && named.length === 1) return address;
  throw new ManagerError(
    'invalid_request',
    `${named.length === 0 ? 'The message is for nobody' : 'The message has more than one address'}; give one of --agent, ` +
      '--role with --cluster, --capability (with --cluster or without), --cluster, --clusters, --all-clusters',
  );
}
