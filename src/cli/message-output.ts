import { ManagerError } from '../contracts/errors.js';
import { address, type MessageResult } from '../contracts/messages.js';
import { counted } from './format.js';
import type { Output } from './print.js';
import { responseError } from './response-error.js';

/** @throws ManagerError when the message was refused. */
export function sentOutput([result]: readonly MessageResult[]): Output {
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

/** `agent ada`, `one agent with capability translate`, `topic news`. Empty for messages of the manager itself. */
export function addressText(to: unknown): string {
  const parsed = address.safeParse(to);
  if (!parsed.success) return to === null || to === undefined ? '' : JSON.stringify(to);
  const known = parsed.data;
  if ('agent' in known) return `agent ${known.agent}`;
  if ('topic' in known) return `topic ${known.topic}`;
  if ('role' in known) return `one member with role ${known.role} in cluster ${known.cluster}`;
  if ('capability' in known) {
    return `one agent with capability ${known.capability}${known.cluster === undefined ? '' : ` in cluster ${known.cluster}`}`;
  }
  if ('cluster' in known) return `all members of cluster ${known.cluster}`;
  if ('clusters' in known) return `all members of clusters ${known.clusters.join(', ')}`;
  return 'all members of all clusters';
}
