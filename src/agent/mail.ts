import { managerMessageTypes, type DeliveryView } from '../contracts/inbox.js';
import { ManagerError } from '../contracts/errors.js';
import type { HandedOver } from './agent-api.js';
import { asError, hasCode, type AgentContext } from './context.js';
import { learnFromMessage } from './learn.js';
import { backoffMs, pause } from './pause.js';

const retry = { baseMs: 250, capMs: 3000 };
const flushAfterMs = 1000;
const rememberedMessages = 1000;
const assumedLeaseMs = 30_000;

/**
 * Takes the agent's mail and hands it over, one message after the other, until aborted. Only while the agent's lease
 * is held: after it lapsed another may have its work.
 */
export async function takeMail(context: AgentContext, signal: AbortSignal): Promise<void> {
  const { api, settings, standing, logger, events, nowMs } = context;
  const handled = createMemory();
  for (let failures = 0; !signal.aborted;) {
    const token = await standing.whenHeld(signal);
    if (token === undefined) return;
    const replaced = standing.signal();
    try {
      const batch = await api.receive(token, { max: settings.batchSize, waitSeconds: settings.waitSeconds }, replaced);
      await handOver(context, { batch, receivedAtMs: nowMs(), handled }, signal);
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      if (replaced.aborted) continue;
      if (hasCode(error, 'unauthenticated', 'not_found')) {
        standing.lose({ token, refused: hasCode(error, 'unauthenticated') });
        context.nudge.nudge();
        continue;
      }
      failures++;
      logger.warn({ agentId: settings.registration.id, failures, err: error }, 'mail could not be taken');
      if (!hasCode(error, 'service_unavailable')) events.emit('error', asError(error));
      await pause(backoffMs(failures, retry), signal);
    }
  }
}

interface Batch {
  readonly batch: HandedOver;
  readonly receivedAtMs: number;
  readonly handled: Memory;
}

async function handOver(context: AgentContext, work: Batch, signal: AbortSignal): Promise<void> {
  const { standing, nowMs } = context;
  let acks: { id: string; leaseToken: string }[] = [];
  let flushedAtMs = nowMs();
  const flush = async (): Promise<void> => {
    flushedAtMs = nowMs();
    const due = acks;
    acks = [];
    if (due.length > 0) await confirm(context, due, signal);
  };
  for (const delivery of work.batch.deliveries) {
    // While the agent's own lease is lapsed its mail waits; each delivery's lease says whether it is still its to take.
    const token = await standing.whenHeld(signal);
    if (token === undefined) break;
    if (nowMs() - work.receivedAtMs >= leaseMsOf(delivery, work.batch)) continue;
    if (await handle(context, delivery, { ...work, token }, signal)) {
      work.handled.add(delivery.message.id);
      acks.push({ id: delivery.id, leaseToken: delivery.leaseToken });
    }
    if (nowMs() - flushedAtMs >= flushAfterMs) await flush();
  }
  await flush();
}

/** Leases end by the server's clock; only its own time of the hand-over turns that into a duration here. */
function leaseMsOf(delivery: DeliveryView, { serverTimeMs }: HandedOver): number {
  if (serverTimeMs === undefined) return assumedLeaseMs;
  return Date.parse(delivery.leaseExpiresAt) - serverTimeMs - 1000;
}

/** @returns whether the delivery may be acked. */
async function handle(
  context: AgentContext,
  { message, attempt }: DeliveryView,
  { handled, token }: Batch & { readonly token: string },
  signal: AbortSignal,
): Promise<boolean> {
  // Its ack was lost on the way, or its lease ended before the ack came: once is enough.
  if (handled.has(message.id)) return true;
  const { events, logger, handlers, settings } = context;
  try {
    if (message.type === managerMessageTypes.invitation) {
      await answerInvitation(context, { clusterId: message.clusterId, data: message.data, attempt, token }, signal);
      return true;
    }
    await learnFromMessage(context, message, token, signal);
    if (handlers.message) await handlers.message(message, { attempt, signal });
    else if (!isOfManager(message.type)) throw unhandled(settings.registration.id, message.type);
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    logger.warn({ messageId: message.id, type: message.type, attempt, err: error }, 'message was not handled');
    events.emit('error', asError(error));
    return false;
  }
}

const isOfManager = (type: string): boolean => Object.values<string>(managerMessageTypes).includes(type);

const unhandled = (agentId: string, type: string): ManagerError =>
  new ManagerError(
    'state_conflict',
    `Agent "${agentId}" has no handler for messages and was sent a "${type}"; give it one with onMessage`,
  );

async function answerInvitation(
  { api, handlers, settings, logger }: AgentContext,
  invitation: {
    readonly clusterId: string | null;
    readonly data: unknown;
    readonly attempt: number;
    readonly token: string;
  },
  signal: AbortSignal,
): Promise<void> {
  const { clusterId, data, attempt, token } = invitation;
  if (clusterId === null) return;
  const answer = handlers.invitation
    ? await handlers.invitation({ clusterId, data }, { attempt, signal })
    : ({ answer: settings.registration.acceptance === 'auto' ? 'accept' : 'decline' } as const);
  try {
    await api.answer(token, clusterId, answer, signal);
  } catch (error) {
    // The formation went on without this answer: there is nothing left to answer.
    if (!hasCode(error, 'not_found', 'state_conflict', 'operation_ended')) throw error;
    logger.info({ clusterId, err: error }, 'invitation was closed before the answer came');
  }
}

/** Acks, again where the network failed, for as long as the agent is registered: an unconfirmed one is only handed over again. */
async function confirm(
  { api, standing, logger }: AgentContext,
  acks: readonly { readonly id: string; readonly leaseToken: string }[],
  signal: AbortSignal,
): Promise<void> {
  for (let failures = 0; ;) {
    const token = standing.token();
    if (token === undefined || signal.aborted) return;
    try {
      const { results } = await api.ack(token, acks, signal);
      const refused = results.filter((result) => !result.acked);
      if (refused.length > 0) logger.warn({ refused }, 'acks came too late');
      return;
    } catch (error) {
      if (signal.aborted || !hasCode(error, 'service_unavailable', 'too_many_requests', 'internal')) throw error;
      failures++;
      await pause(backoffMs(failures, retry), signal);
    }
  }
}

interface Memory {
  has(id: string): boolean;
  add(id: string): void;
}

/** The newest message ids that were handled; bounded, as the agent may run for years. */
function createMemory(): Memory {
  const ids = new Set<string>();
  return {
    has: (id) => ids.has(id),
    add: (id) => {
      ids.add(id);
      if (ids.size <= rememberedMessages) return;
      for (const oldest of ids) {
        ids.delete(oldest);
        break;
      }
    },
  };
}
