import { expect } from 'vitest';
import type { Address, MessageResult } from '../../../../src/contracts/messages.js';
import { acceptMessages } from '../../../../src/messaging/accept-messages.js';
import { look } from './look.js';
import type { Model, ModelMessage } from './model.js';
import type { Real } from './real.js';

interface Wanted {
  readonly id: string;
  readonly source: string;
  readonly to: Address;
  readonly key: string | null;
  readonly data?: unknown;
}

/** Sends by the short way. */
export async function post({ deps }: Real, { id, source, to, key, data = 1 }: Wanted): Promise<MessageResult> {
  const [result] = await acceptMessages(deps, [
    {
      sender: { source, agentId: source },
      message: { id, to, type: 'note', data, ...(key === null ? {} : { partitionKey: key }) },
    },
  ]);
  if (!result) throw new Error('There is no result');
  return result;
}

/** Sends a message that is new, and takes over on whom a choice fell when it fell on one that it may fall on. */
export async function send(model: Model, real: Real, wanted: Wanted): Promise<void> {
  const { id, source, to, key } = wanted;
  const { all, via, choice } = model.routes(to, source);
  const result = await post(real, wanted);
  if (!result.accepted) {
    expect(result.error.code).toBe('mailbox_full');
    expect('agent' in to || 'role' in to).toBe(true);
    expect([...all, ...choice.among].some((one) => model.isFull(one))).toBe(true);
    return;
  }
  const { copies, letters } = await look(real.db, real.root);
  const got = copies.filter(({ messageId }) => messageId === id).map(({ agentId }) => agentId);
  const full = letters.filter(({ messageId, reason }) => messageId === id && reason === 'mailbox_full');
  const chosen = [...got, ...full.flatMap(({ recipient }) => recipient ?? [])].filter((one) => !all.includes(one));
  if (chosen.length > 0) expect(choice.among).toContain(chosen[0]);
  // Left out only when there is nobody, or when the choice fell on one who has it already.
  else expect(choice.among.length === 0 || choice.among.some((one) => all.includes(one))).toBe(true);

  const message: ModelMessage = { id, source, to, key, clusterId: clusterOf(model, to, source), matched: 0 };
  model.messages.set(id, message);
  for (const agentId of all) give(model, message, agentId, via);
  for (const agentId of chosen.slice(0, 1)) give(model, message, agentId, choice.via);
  const keeps = 'topic' in to ? model.keeps.get(to.topic) : undefined;
  if ('topic' in to && keeps !== undefined) model.retain(to.topic, id, keeps);
  if (all.length + chosen.length === 0 && keeps === undefined) {
    model.letters.push({ messageId: id, recipient: null, reason: 'no_subscriber', state: 'dead' });
  }
  expect(result.matched).toBe(message.matched);
}

function give(model: Model, message: ModelMessage, agentId: string, via: string): void {
  const dead = (reason: string): void => {
    model.letters.push({ messageId: message.id, recipient: agentId, reason, state: 'dead' });
  };
  if (!model.here.has(agentId)) return dead('unknown_recipient');
  message.matched += 1;
  if (model.isFull(agentId)) return dead('mailbox_full');
  model.give(agentId, message.id, via);
}

/** Direct mail is the cluster's when both are members of it. */
function clusterOf({ members, clusterId }: Model, to: Address, source: string): string | null {
  if ('topic' in to) return null;
  if (!('agent' in to)) return clusterId;
  return members.includes(source) && members.includes(to.agent) ? clusterId : null;
}
