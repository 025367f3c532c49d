import type { CommunicationResult, CommunicationSpec } from '../../contracts/communication.js';
import type { OperationId } from '../../contracts/ids.js';
import { acceptMessages } from '../../messaging/accept-messages.js';
import type { MessageSender } from '../../messaging/deps.js';
import { receiptsOf } from '../../messaging/receipts.js';
import { unfinished } from '../../stores/clusters/index.js';
import { openReceipt } from '../../stores/communication/index.js';
import { failpoint } from '../../stores/failpoint.js';
import type { CommunicationDeps } from '../deps.js';
import { runStep } from '../shared/run-step.js';
import { partOf, senderOf } from './request.js';

type Outcomes = CommunicationResult['broadcasts'];

export interface HandleBroadcastsInput {
  readonly operationId: OperationId;
  /** The broadcasts that the first call refused. A later call passes them on; it sends nothing and only reads receipts. */
  readonly refused?: Outcomes;
}

export interface HandledBroadcasts {
  /** Null when every receipt is settled; else the time until the last deadline. */
  readonly waitSeconds: number | null;
  /** The number of open receipts. */
  readonly open: number;
  /** The refused broadcasts, and once no receipt is open also all receipts. */
  readonly broadcasts: Outcomes;
}

const maxOutcomes = 100;

/**
 * Step 2 of manage_communication: sends broadcasts to the members of the current epoch and settles their receipts. Called
 * again until no receipt is open; deadlines are stored with the receipts, so that no call and no worker owns them.
 */
export function handleBroadcasts(
  deps: CommunicationDeps,
  { operationId, refused: refusedBefore }: HandleBroadcastsInput,
): Promise<HandledBroadcasts> {
  const key = { operationId, step: 'handleBroadcasts', round: 0 };
  return runStep<HandledBroadcasts>(deps.clusters, key, async ({ operation }) => {
    const broadcasts = await partOf(deps, 'broadcasts', operation);
    if (broadcasts.length === 0) return { waitSeconds: null, open: 0, broadcasts: [] };
    const sender = senderOf(operation.requestedBy);
    const drafts = broadcasts.map((draft, place) => ({ ...draft, id: draft.id ?? `${operationId}.b${place}` }));
    const refused = refusedBefore ?? (await send(deps, sender, operationId, drafts));
    const ids = drafts.map(({ id }) => ({ id, source: sender.source }));
    const receipts = await receiptsOf(deps.communication, ids);
    const open = receipts.filter(({ receipt }) => receipt.state === 'open');
    if (open.length === 0) {
      const settled = receipts.map(({ receipt }) => receipt);
      return { waitSeconds: null, open: 0, broadcasts: [...refused, ...settled].slice(0, maxOutcomes) };
    }
    const waitSeconds = Math.max(0.05, ...open.map(({ secondsLeft }) => secondsLeft));
    // The receipts are left out until all are settled, since their counts still change.
    return [unfinished, { waitSeconds, open: open.length, broadcasts: refused.slice(0, maxOutcomes) }];
  });
}

type Draft = CommunicationSpec['broadcasts'][number] & { readonly id: string };

/** @returns the refused broadcasts. */
async function send(
  { communication, messaging, settings }: CommunicationDeps,
  sender: MessageSender,
  operationId: OperationId,
  drafts: readonly Draft[],
): Promise<Outcomes> {
  const envelopes = drafts.map(({ require: _require, deadlineSeconds: _deadlineSeconds, ...message }) => ({
    sender,
    operationId,
    message,
  }));
  const results = await acceptMessages(messaging, envelopes);
  failpoint('handleBroadcasts:accepted');
  for (const [place, { id, require, deadlineSeconds }] of drafts.entries()) {
    if (require === 'none' || !results[place]?.accepted) continue;
    const { broadcastDeadlineSeconds } = settings.communication;
    await openReceipt(
      communication,
      { id, source: sender.source },
      { require, deadlineSeconds: deadlineSeconds ?? broadcastDeadlineSeconds },
    );
  }
  return results.flatMap((result) => (result.accepted ? [] : [{ messageId: result.id, error: result.error }]));
}
