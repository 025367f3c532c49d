import { ManagerError, type ErrorCode } from '../../contracts/errors.js';
import { deliverNext, type SerializedDelivery } from '../../messaging/deliver-next.js';
import { answerInvitation, findAgent, type Principal } from '../../stores/clusters/index.js';
import { extendLease, nackDelivery, ownedDeliveries, releaseLeases } from '../../stores/communication/index.js';
import type { MessageDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';
import { agentNotFound, notFound } from '../visibility.js';
import { inboxStreams } from './inbox-stream.js';

export const inboxHandlers = (deps: MessageDeps) => {
  const openStream = inboxStreams(deps);
  return {
    readInbox: async ({ params: { id }, query: { max, waitSeconds }, principal, raw, reauthenticate }) => {
      if (principal.agentId === null && !(await findAgent(deps.clusters, id))) throw agentNotFound(id);
      if (/\btext\/event-stream\b/.test(raw.headers.get('accept') ?? '')) {
        return openStream({ agentId: id, max, signal: raw.signal, reauthenticate });
      }
      return poll(deps, { agentId: id, max, waitMs: waitSeconds * 1000, signal: raw.signal, reauthenticate });
    },

    ackDeliveries: async ({ body: { acks }, principal }) => {
      const agentId = recipientOf(principal);
      const acked = await deps.acknowledge(acks.map((claim) => ({ ...claim, agentId })));
      const lost = acks.filter((_, index) => !acked[index]).map(({ id }) => id);
      const owned = await ownedDeliveries(deps.communication, agentId, lost);
      const refusedWith = (id: string): ErrorCode => (owned.has(id) ? 'stale_lease' : 'not_found');
      return {
        results: acks.map(({ id }, index) =>
          acked[index] ? { id, acked: true } : { id, acked: false, error: { code: refusedWith(id) } },
        ),
      };
    },

    ackDelivery: async ({ params: { id }, body: { leaseToken }, principal }) => {
      const agentId = recipientOf(principal);
      const [acked] = await deps.acknowledge([{ id, leaseToken, agentId }]);
      if (!acked) throw await leaseLost(deps, agentId, id);
      return { id, acked: true };
    },

    nackDelivery: async ({ params: { id }, body: { leaseToken, delaySeconds, reason, final }, principal }) => {
      const agentId = recipientOf(principal);
      const lease = { agentId, id, leaseToken };
      const how = { delaySeconds, reason, final };
      const outcome = await nackDelivery(deps.communication, lease, how, deps.config().communication);
      if (!outcome) throw await leaseLost(deps, agentId, id);
      deps.notifier.notify([agentId]);
      return { id, outcome };
    },

    extendDelivery: async ({ params: { id }, body: { leaseToken, leaseSeconds }, principal }) => {
      const agentId = recipientOf(principal);
      const seconds = leaseSeconds ?? deps.config().communication.leaseSeconds;
      const end = await extendLease(deps.communication, { agentId, id, leaseToken }, seconds);
      if (!end) throw await leaseLost(deps, agentId, id);
      return { id, leaseExpiresAt: end.toISOString() };
    },

    answerInvitation: async ({ params: { id, clusterId }, body }) => {
      const { workflowId } = await answerInvitation(deps.clusters, clusterId, id, body);
      // The answer is saved; without the signal the formation reads it when its timer ends.
      deps.client.wake(workflowId).catch((err: unknown) => deps.logger.warn({ err, workflowId }, 'wake failed'));
      return { clusterId, answer: body.answer };
    },
  } satisfies Partial<Handlers>;
};

interface Poll {
  readonly agentId: string;
  readonly max: number;
  readonly waitMs: number;
  readonly signal: AbortSignal;
  readonly reauthenticate: () => Promise<unknown>;
}

/** Long poll: waits for deliveries until the time is up. */
async function poll(deps: MessageDeps, { agentId, max, waitMs, signal, reauthenticate }: Poll): Promise<Response> {
  const endsAtMs = performance.now() + waitMs;
  for (;;) {
    const since = deps.notifier.moment;
    const deliveries = await deliverNext(deps, agentId, max);
    if (deliveries.length > 0) {
      releaseIfUnsent(deps, agentId, deliveries, signal);
      return inboxResponse(deliveries);
    }
    if (!(await deps.notifier.wait(agentId, since, endsAtMs - performance.now(), signal))) return inboxResponse([]);
    await reauthenticate();
  }
}

/** Releases the leases when the client disconnects before the response is written, so that the deliveries need not wait for them. */
function releaseIfUnsent(
  { communication, notifier, logger }: MessageDeps,
  agentId: string,
  deliveries: readonly SerializedDelivery[],
  signal: AbortSignal,
): void {
  const release = () =>
    releaseLeases(communication, deliveries).then(
      () => notifier.notify([agentId]),
      (err: unknown) => logger.warn({ err, agentId }, 'leases of an unsent response were not released'),
    );
  if (signal.aborted) void release();
  else signal.addEventListener('abort', () => void release(), { once: true });
}

/** The deliveries are JSON text already; tests check it against the response schema. */
const inboxResponse = (deliveries: readonly SerializedDelivery[]): Response =>
  new Response(`{"deliveries":[${deliveries.map(({ text }) => text).join(',')}]}`, {
    headers: { 'content-type': 'application/json' },
  });

function recipientOf({ agentId }: Principal): string {
  if (agentId !== null) return agentId;
  throw new ManagerError('forbidden', "Only the recipient acknowledges a delivery; use the agent's own token");
}

/** Another agent's delivery is reported as not found, so that agents cannot probe ids. */
async function leaseLost(deps: MessageDeps, agentId: string, id: string): Promise<ManagerError> {
  if (!(await ownedDeliveries(deps.communication, agentId, [id])).has(id)) {
    return notFound(`Delivery "${id}"`);
  }
  return new ManagerError(
    'stale_lease',
    `Delivery "${id}" is not leased to this agent under this lease token any more; if it is still open it is delivered ` +
      'again, acknowledge it then',
  );
}
