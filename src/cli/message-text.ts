import type { Command } from 'commander';
import { isErrorCode, ManagerError } from '../contracts/errors.js';
import { address, type MessageResult } from '../contracts/messages.js';
import { counted, show } from './output.js';

/** A refusal inside an answer, as the error it stands for. */
export const refusalOf = ({ code, detail }: { readonly code: string; readonly detail: string }): ManagerError =>
  new ManagerError(isErrorCode(code) ? code : 'internal', detail);

/**
 * Says what became of a message that was sent.
 * @throws ManagerError the refusal.
 */
export function showSent(command: Command, result: MessageResult | undefined): void {
  if (!result) throw new ManagerError('incompatible_service', 'The manager gave no result; run the same version');
  if (!result.accepted) throw refusalOf(result.error);
  const { id, matched, duplicate, deadLetter } = result;
  show(command, { message: { id, matched, duplicate: duplicate ?? false, deadLetter: deadLetter ?? null } }, [
    deadLetter === undefined
      ? `${duplicate ? 'Sent before' : 'Accepted'}: ${id}, to ${counted(matched, 'recipient')}`
      : `Accepted, but nobody was there to take it: ${id} is a dead letter (${deadLetter})`,
    `Its way: cluster-manager messages show ${id}`,
  ]);
}

/** `agent ada`, `whoever can translate`, `topic news`: whom a message is for, in words. */
export function addressText(to: unknown): string {
  const parsed = address.safeParse(to);
  if (!parsed.success) return to === null || to === undefined ? '' : JSON.stringify(to);
  const told = parsed.data;
  if ('agent' in told) return `agent ${told.agent}`;
  if ('topic' in told) return `topic ${told.topic}`;
  if ('role' in told) return `one with role ${told.role} in cluster ${told.cluster}`;
  if ('capability' in told) {
    return `one with capability ${told.capability}${told.cluster === undefined ? '' : ` in cluster ${told.cluster}`}`;
  }
  if ('cluster' in told) return `all of cluster ${told.cluster}`;
  if ('clusters' in told) return `all of clusters ${told.clusters.join(', ')}`;
  return 'all clusters';
}
