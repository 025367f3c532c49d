import { ManagerError } from '../contracts/errors.js';
import type { Address } from '../contracts/messages.js';
import { routeMessages } from '../domain/communication/route-messages.js';
import { replayDeadLetter as replay, type DeadLetterRow } from '../stores/communication/index.js';
import type { MessagingDeps } from './deps.js';
import { readDirectory } from './read-directory.js';

/**
 * Delivers a dead letter again: to the recipient it had, else to the recipients that its address matches now.
 * @param by the requester, as `requesterOf` gives it.
 * @returns the number of new deliveries.
 * @throws ManagerError `state_conflict` when it is no longer dead, or still has no recipient.
 */
export async function replayDeadLetter(deps: MessagingDeps, letter: DeadLetterRow, by: string): Promise<number> {
  const recipients =
    letter.recipient === null ? await recipientsNow(deps, letter) : [{ agentId: letter.recipient, via: 'replay' }];
  const { ttlSeconds } = deps.settings();
  const delivered =
    recipients.length === 0 ? 0 : await replay(deps.communication, letter, recipients, { by, ttlSeconds });
  if (!delivered) {
    throw new ManagerError(
      'state_conflict',
      letter.state === 'dead'
        ? `Dead letter dead_${letter.no} (${letter.reason}) still has no recipient; register the recipient or subscribe ` +
            'first, or discard it'
        : `Dead letter dead_${letter.no} is already ${letter.state}`,
    );
  }
  deps.notify(recipients.map(({ agentId }) => agentId));
  return delivered;
}

async function recipientsNow({ communication }: MessagingDeps, letter: DeadLetterRow) {
  const to = letter.to as Address;
  // Routed as its sender's message, so that the sender itself is not chosen.
  const sender = { agentId: letter.source.startsWith('/') ? null : letter.source, reach: 'fleet' } as const;
  const directory = await readDirectory(communication, [to], sender.agentId === null ? [] : [sender.agentId], 0.5);
  const [route] = routeMessages([{ id: `${letter.messageId}\nreplay`, sender, to }], directory);
  return route?.state === 'routed' ? route.recipients : [];
}
