import { managerMessageTypes, type MessageView } from '../contracts/inbox.js';
import { asError, hasCode, type AgentContext } from './context.js';
import { clusterOfMessage, clusterOfView, type KnownCluster } from './memberships.js';
import type { LeftReason } from './options.js';

const { joined, changed, dissolved } = managerMessageTypes;

/** Takes in what a message of the manager says about membership, and tells it on. */
export async function learnFromMessage(
  context: AgentContext,
  message: MessageView,
  token: string,
  signal: AbortSignal,
): Promise<void> {
  if (message.clusterId === null) return;
  if (message.type === dissolved) return forget(context, message.clusterId, 'dissolved');
  if (message.type !== joined && message.type !== changed) return;
  const told = clusterOfMessage(message);
  if (told) takeIn(context, told);
  else await ask(context, message.clusterId, token, signal);
}

/** Repairs what the agent knows of its clusters where a heartbeat's answer says otherwise: a message may be missed or belong to an earlier process. */
export async function learnFromBeat(
  context: AgentContext,
  beat: { readonly token: string; readonly epochs: Readonly<Record<string, number>>; readonly askedAtMs: number },
  signal: AbortSignal,
): Promise<void> {
  const { behind, gone } = context.memberships.compare(beat.epochs, beat.askedAtMs);
  for (const clusterId of gone) forget(context, clusterId, 'missed');
  for (const clusterId of behind) await ask(context, clusterId, beat.token, signal);
}

async function ask(context: AgentContext, clusterId: string, token: string, signal: AbortSignal): Promise<void> {
  try {
    const view = await context.api.cluster(token, clusterId, signal);
    if (view.state === 'active') takeIn(context, clusterOfView(view));
  } catch (error) {
    if (signal.aborted || hasCode(error, 'not_found')) return;
    context.logger.warn({ clusterId, err: error }, 'cluster could not be read');
    context.events.emit('error', asError(error));
  }
}

function takeIn({ memberships, events }: AgentContext, cluster: KnownCluster): void {
  switch (memberships.apply(cluster)) {
    case 'joined':
      return events.emit('joined', { cluster });
    case 'changed':
      return events.emit('changed', { cluster });
    case 'left':
      return events.emit('left', { clusterId: cluster.id, reason: 'removed' });
    case 'none':
  }
}

function forget({ memberships, events }: AgentContext, clusterId: string, reason: LeftReason): void {
  if (memberships.drop(clusterId)) events.emit('left', { clusterId, reason });
}
