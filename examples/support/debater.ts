import { createAgent, type Agent, type Reply } from 'cluster-manager/agent';
import type { ManagerAccess } from './agent-processes.js';

/** The data of a message on the debate's topic. */
export interface Statement {
  readonly side: string;
  readonly speaker: string;
  readonly text: string;
  readonly weight: number;
}

export interface Side {
  readonly name: string;
  /** The capability of its members: messages are addressed to it rather than to an agent's id. */
  readonly capability: string;
  readonly members: readonly string[];
  readonly arguments: readonly (readonly [text: string, weight: number])[];
}

/** A debater needs no language model: it knows its side's arguments, asks a team-mate which to use, and listens. */
export function createDebater(id: string, side: Side, topic: string, { url, enrolmentToken }: ManagerAccess): Agent {
  const agent = createAgent({ id, url, token: enrolmentToken, capabilities: [side.capability], host: `host-of-${id}` });
  const heard: Statement[] = [];
  const own: Statement[] = [];

  const speak = async (): Promise<Reply> => {
    const [cluster] = agent.clusters();
    // Goes to any other member of the cluster. This handler may wait for the reply: replies are not queued behind it.
    const to = { capability: side.capability, ...(cluster ? { cluster: cluster.id } : {}) };
    const used = [...heard, ...own].map(({ text }) => text);
    const advice = await agent.request(to, { type: 'debate.advice', data: { used } }, { timeoutMs: 20_000 });
    const [text, weight] = advice.data as Side['arguments'][number];
    const statement: Statement = { side: side.name, speaker: id, text, weight };
    own.push(statement);
    await agent.publish(topic, { type: 'debate.statement', data: statement });
    return { type: 'debate.spoke', data: { adviser: advice.source } };
  };

  agent.onMessage(async (message): Promise<Reply | void> => {
    switch (message.type) {
      case 'debate.statement':
        heard.push(message.data as Statement);
        return;
      case 'debate.your-turn':
        return speak();
      case 'debate.advice': {
        const { used } = message.data as { readonly used: readonly string[] };
        const unused = side.arguments.find(([text]) => !used.includes(text)) ?? side.arguments[0];
        return { type: 'debate.advice', data: unused };
      }
      case 'debate.vote':
        return { type: 'debate.vote', data: { heard: heard.length, for: strongestSide([...heard, ...own]) } };
    }
  });
  return agent;
}

/** The side whose statements have the highest total weight. */
function strongestSide(statements: readonly Statement[]): string {
  const weights = new Map<string, number>();
  for (const { side, weight } of statements) weights.set(side, (weights.get(side) ?? 0) + weight);
  return [...weights].sort(([, a], [, b]) => b - a)[0]?.[0] ?? 'neither side';
}
