import { parseCommunicationRequest, type CommunicationResult } from '../../contracts/communication.js';
import type { OperationId } from '../../contracts/ids.js';
import { acceptMessages } from '../../messaging/accept-messages.js';
import { receiptsOf } from '../../messaging/receipts.js';
import { saveStep, unfinished } from '../../stores/clusters/index.js';
import { openReceipt } from '../../stores/communication/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { asActivity, thisAttempt } from '../shared/as-activity.js';
import type { ActivityDeps } from '../deps.js';
import { partOf, senderOf } from './request.js';

export interface HandleBroadcastsInput {
  readonly operationId: OperationId;
  /** What the first call refused, told to the later ones: they send nothing, they only look at the receipts. */
  readonly refused?: CommunicationResult['broadcasts'];
}

export interface HandledBroadcasts {
  /** Null when every receipt is settled; else the time until the last deadline. */
  readonly waitSeconds: number | null;
  readonly open: number;
  /** All of them once no receipt is open, until then the refused. */
  readonly broadcasts: CommunicationResult['broadcasts'];
}

const receiptsShown = 100;

/**
 * Step 2 of manage_communication: sends broadcasts to the members at the epoch of that moment and settles their receipts.
 * Called again until no receipt is open; the deadline is stored with the receipt, so no call and no worker owns it.
 */
export const handleBroadcasts = (deps: ActivityDeps) =>
  asActivity(async ({ operationId, refused: before }: HandleBroadcastsInput): Promise<HandledBroadcasts> => {
    const key = { operationId, step: 'handleBroadcasts', round: 0 };
    return saveStep<HandledBroadcasts>(
      deps.clusters,
      key,
      thisAttempt(),
      async (_tx, { operation: { requestedBy, request } }) => {
        const broadcasts = await partOf(deps, 'broadcasts', { spec: parseCommunicationRequest(request), requestedBy });
        if (broadcasts.length === 0) return { waitSeconds: null, open: 0, broadcasts: [] };
        const sender = senderOf(requestedBy);
        const drafts = broadcasts.map((broadcast, place) => ({
          ...broadcast,
          id: broadcast.id ?? `${operationId}.b${place}`,
        }));
        const refused = before ?? (await send(deps, sender, operationId, drafts));
        const known = await receiptsOf(
          deps.communication,
          drafts.map(({ id }) => ({ id, source: sender.source })),
        );
        const receipts = known.map(({ receipt }) => receipt);
        const open = known.filter(({ receipt }) => receipt.state === 'open');
        // A receipt that will be settled is not told yet: its counts still change.
        const told = [...refused, ...receipts].slice(0, receiptsShown);
        if (open.length === 0) return { waitSeconds: null, open: 0, broadcasts: told };
        const waitSeconds = Math.max(0.05, ...open.map(({ secondsLeft }) => secondsLeft));
        return [unfinished, { waitSeconds, open: open.length, broadcasts: refused.slice(0, receiptsShown) }];
      },
    );
  });

type Draft = ReturnType<typeof parseCommunicationRequest>['broadcasts'][number] & { readonly id: string };

async function send(
  deps: ActivityDeps,
  sender: ReturnType<typeof senderOf>,
  operationId: OperationId,
  drafts: readonly Draft[],
): Promise<CommunicationResult['broadcasts']> {
  const results = await acceptMessages(
    deps.messaging,
    drafts.map(({ require: _require, deadlineSeconds: _deadlineSeconds, ...message }) => ({
      sender,
      operationId,
      message,
    })),
  );
  failpoint('handleBroadcasts:accepted');
  for (const [place, { id, require, deadlineSeconds }] of drafts.entries()) {
    if (require === 'none' || !results[place]?.accepted) continue;
    const { broadcastDeadlineSeconds } = deps.settings.communication;
    await openReceipt(
      deps.communication,
      { id, source: sender.source },
      { require, deadlineSeconds: deadlineSeconds ?? broadcastDeadlineSeconds },
    );
  }
  return results.flatMap((result) => (result.accepted ? [] : [{ messageId: result.id, error: result.error }]));
}
