import { ManagerError } from '../contracts/errors.js';
import type { Address } from '../contracts/messages.js';
import { routeMessages } from '../domain/communication/route-messages.js';
import { replayDeadLetter as replay, type DeadLetterRow } from '../stores/communication/index.js';
import type { MessagingDeps } from './deps.js';
import { readDirectory } from './read-directory.js';

/**
 * Delivers a dead letter once more: to the recipient it had, else to whom its address finds now.
 * @returns how many got it.
 * @throws ManagerError `state_conflict` when it is not dead any more, or there is still nobody to take it.
 */
export async function replayDeadLetter(deps: MessagingDeps, letter: DeadLetterRow, by: string): Promise<number> {
  const recipients =
    letter.recipient === null ? await findAgain(deps, letter) : [{ agentId: letter.recipient, via: 'replay' }];
  const matched =
    recipients.length === 0
      ? undefined
      : await replay(deps.communication, letter, recipients, { by, ttlSeconds: deps.settings().ttlSeconds });
  if (matched === undefined || matched === 0) {
    throw new ManagerError(
      'state_conflict',
      letter.state === 'dead'
        ? `There is still nobody to take dead letter dead_${letter.no} (${letter.reason}); register the recipient or subscribe first, or discard it`
        : `Dead letter dead_${letter.no} was ${letter.state} already`,
    );
  }
  deps.notify(recipients.map(({ agentId }) => agentId));
  return matched;
}

async function findAgain({ communication }: MessagingDeps, letter: DeadLetterRow) {
  const to = letter.to as Address;
  // As its sender's: a choice that falls on the sender would be none.
  const sender = { agentId: letter.source.startsWith('/') ? null : letter.source, reach: 'fleet' } as const;
  const directory = await readDirectory(communication, [to], sender.agentId === null ? [] : [sender.agentId], 0.5);
  const [route] = routeMessages([{ id: `${letter.messageId}\nreplay`, sender, to }], directory);
  return route?.state === 'routed' ? route.recipients : [];
}
