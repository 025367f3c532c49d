import { createAgent, type Agent, type Reply } from 'cluster-manager/agent';
import type { ManagerAddress } from './agent-fleet.js';

/** What is said in the debate goes by topic; who speaks next, counsel and votes go by request and reply. */
export interface Statement {
  readonly side: string;
  readonly speaker: string;
  readonly text: string;
  readonly weight: number;
}

export interface Side {
  readonly name: string;
  /** What its members are able to do: by this they are found, whoever they are. */
  readonly capability: string;
  readonly members: readonly string[];
  readonly arguments: readonly (readonly [text: string, weight: number])[];
}

/** A debater has no model behind it: it knows a few arguments, asks a team-mate for one, and listens. */
export function createDebater(id: string, side: Side, topic: string, { url, enrolmentToken }: ManagerAddress): Agent {
  const agent = createAgent({ id, url, token: enrolmentToken, capabilities: [side.capability], host: `host-of-${id}` });
  const heard: Statement[] = [];

  const speak = async (): Promise<Reply> => {
    const [cluster] = agent.clusters();
    // Any other member will do. This handler waits for the reply, which is not held up by it.
    const to = { capability: side.capability, ...(cluster ? { cluster: cluster.id } : {}) };
    const said = [...heard, ...own].map(({ text }) => text);
    const counsel = await agent.request(to, { type: 'debate.counsel', data: { said } }, { timeoutMs: 20_000 });
    const [text, weight] = counsel.data as Side['arguments'][number];
    const statement: Statement = { side: side.name, speaker: id, text, weight };
    own.push(statement);
    await agent.publish(topic, { type: 'debate.statement', data: statement });
    return { type: 'debate.spoke', data: { counsellor: counsel.source } };
  };
  const own: Statement[] = [];

  agent.onMessage(async (message): Promise<Reply | void> => {
    switch (message.type) {
      case 'debate.statement':
        heard.push(message.data as Statement);
        return;
      case 'debate.your-turn':
        return speak();
      case 'debate.counsel': {
        const { said } = message.data as { readonly said: readonly string[] };
        const fresh = side.arguments.find(([text]) => !said.includes(text)) ?? side.arguments[0];
        return { type: 'debate.counsel', data: fresh };
      }
      case 'debate.vote':
        return { type: 'debate.vote', data: { heard: heard.length, for: convincedBy([...heard, ...own]) } };
    }
  });
  return agent;
}

/** The side whose statements weigh most in all. */
function convincedBy(statements: readonly Statement[]): string {
  const weights = new Map<string, number>();
  for (const { side, weight } of statements) weights.set(side, (weights.get(side) ?? 0) + weight);
  return [...weights].sort(([, a], [, b]) => b - a)[0]?.[0] ?? 'nobody';
}
