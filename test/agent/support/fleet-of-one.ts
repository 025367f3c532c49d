import { afterEach } from 'vitest';
import { createAgent, type Agent, type AgentOptions } from '../../../src/agent/index.js';
import { startFakeManager, type FakeManager } from './fake-manager.js';

export interface OneAgent {
  readonly agent: Agent;
  readonly manager: FakeManager;
  readonly errors: Error[];
}

const ends: (() => Promise<void>)[] = [];

/** An agent and a manager of its own, both gone after the test. The agent is not started yet. */
export async function oneAgent(options: Partial<AgentOptions> = {}): Promise<OneAgent> {
  const manager = await startFakeManager();
  const agent = createAgent({ id: 'a', url: manager.url, token: 'enrolment', registerAgainWithinMs: 10, ...options });
  const errors: Error[] = [];
  agent.on('error', (error) => errors.push(error));
  ends.push(async () => {
    await agent.stop();
    await manager.stop();
  });
  return { agent, manager, errors };
}

export function endAgentsAfterEach(): void {
  afterEach(async () => {
    await Promise.all(ends.splice(0).map((end) => end()));
  });
}
