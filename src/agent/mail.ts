import { asError, hasCode, type AgentContext } from './context.js';
import { createDesk, type Desk } from './desk.js';
import { readInboxStream } from './inbox-stream.js';
import { linkSignals } from './linked-signal.js';
import { backoffMs, pause, type Nudge } from './pause.js';

const retry = { baseMs: 250, capMs: 3000 };
/** Spread over the whole range, so that a thousand agents do not come back to a restarted server at once. */
const reopenWithinMs = 3000;
/** Streams in a row that brought nothing at all, not even a ping, before the agent asks for its mail instead. */
const fruitlessAtMost = 2;
const streamAgainAfterMs = 300_000;
const unackedAtMost = 100;
const idleMs = 60_000;
/** Beside the stream only for moments: two ways in may change the order of what they bring. */
const besideStreamSeconds = 1;

/** How mail is received now: a broken path for streams makes an agent ask for a while. */
interface Reception {
  readonly context: AgentContext;
  readonly desk: Desk;
  /** Nudged when there may be reason to ask for mail. */
  readonly changed: Nudge;
  isAsking: boolean;
}

/**
 * Takes the agent's mail and hands it over until the agent stops, and then sees to it that what was handled is acked.
 * Only while the agent's lease is held: after it lapsed another may have its work.
 */
export async function takeMail(context: AgentContext, changed: Nudge): Promise<void> {
  const { receive } = context.settings;
  const desk = createDesk(context, changed);
  const reception: Reception = { context, desk, changed, isAsking: receive === 'poll' };
  await Promise.all([askForMail(reception), receive === 'stream' ? followStream(reception) : undefined]);
  await desk.close();
}

async function followStream(reception: Reception): Promise<void> {
  const { context, desk, changed } = reception;
  const { api, settings, life, logger } = context;
  for (let fruitless = 0; !life.signal.aborted;) {
    let isAlive = false;
    const how = await whileHeld(context, async (token, signal) => {
      const answer = await api.openInbox(token, settings.batchSize, signal);
      const { why } = await readInboxStream(answer, signal, {
        onSign: () => {
          isAlive = true;
          fruitless = 0;
          reception.isAsking = false;
        },
        onDelivery: (delivery) => desk.take([delivery]),
      });
      fruitless = why === 'no stream' ? fruitlessAtMost : isAlive ? 0 : fruitless + 1;
      logger.debug({ why }, 'inbox stream ended');
    });
    // Registering again took its own random time.
    if (how === 'replaced') continue;
    const gaveUp = fruitless >= fruitlessAtMost;
    if (gaveUp && !reception.isAsking) {
      logger.warn({ agentId: settings.registration.id }, 'no inbox stream comes through; mail is asked for instead');
      reception.isAsking = true;
      changed.nudge();
    }
    await pause(gaveUp ? streamAgainAfterMs : Math.random() * reopenWithinMs, life.signal);
  }
}

async function askForMail(reception: Reception): Promise<void> {
  const { context, desk, changed } = reception;
  const { api, settings, life, nowMs } = context;
  for (let failures = 0; !life.signal.aborted;) {
    const max = wanted(reception);
    if (max === 0) {
      await pause(idleMs, life.signal, changed);
      continue;
    }
    const askedAtMs = nowMs();
    let isEmpty = false;
    const how = await whileHeld(context, async (token, signal) => {
      const { waitSeconds } = settings;
      const query = { max, waitSeconds: reception.isAsking ? waitSeconds : Math.min(waitSeconds, besideStreamSeconds) };
      const deliveries = await api.receive(token, query, signal);
      isEmpty = deliveries.length === 0;
      desk.take(deliveries);
    });
    // A server that shuts down, or a wait of 0 seconds, would have this turn in circles.
    const isTooSoon = isEmpty && nowMs() - askedAtMs < retry.baseMs;
    failures = how === 'failed' || isTooSoon ? failures + 1 : 0;
    if (failures > 0) await pause(backoffMs(failures, retry), life.signal);
  }
}

/** How many deliveries to ask for now. */
function wanted({ context, desk, isAsking }: Reception): number {
  const { batchSize } = context.settings;
  const held = desk.held();
  // The handler at work may wait for a reply that stands behind all that already waits for the handler.
  if (context.requests.waiting() > 0 && held >= batchSize) return Math.max(0, unackedAtMost - held);
  return isAsking && held <= batchSize / 2 ? batchSize - held : 0;
}

/**
 * Asks something once the lease is held, until another registration or the agent's end.
 * @returns `replaced` when it is to be asked again with the token of another registration.
 */
async function whileHeld(
  context: AgentContext,
  ask: (token: string, signal: AbortSignal) => Promise<void>,
): Promise<'done' | 'replaced' | 'failed'> {
  const { standing, life, settings, nudge, logger, events } = context;
  const token = await standing.whenHeld(life.signal);
  if (token === undefined) return 'replaced';
  const link = linkSignals(standing.signal(), life.signal);
  try {
    await ask(token, link.signal);
    return 'done';
  } catch (error) {
    if (link.signal.aborted) return 'replaced';
    if (hasCode(error, 'unauthenticated', 'not_found')) {
      standing.lose({ token, refused: hasCode(error, 'unauthenticated') });
      nudge.nudge();
      return 'replaced';
    }
    logger.warn({ agentId: settings.registration.id, err: error }, 'mail could not be taken');
    if (!hasCode(error, 'service_unavailable')) events.emit('error', asError(error));
    return 'failed';
  } finally {
    link.release();
  }
}
