import { afterEach } from 'vitest';
import { createAgent, type Agent, type AgentOptions } from '../../../src/agent/index.js';
import { startFakeManager, type FakeManager } from './fake-manager.js';

export interface OneAgent {
  readonly agent: Agent;
  readonly manager: FakeManager;
  readonly errors: Error[];
}

const stops: (() => Promise<void>)[] = [];

/** An agent, not yet started, and a fake manager of its own. `stopAgentsAfterEach` stops both after the test. */
export async function oneAgent(options: Partial<AgentOptions> = {}): Promise<OneAgent> {
  const manager = await startFakeManager();
  const agent = createAgent({ id: 'a', url: manager.url, token: 'enrolment', registerAgainWithinMs: 10, ...options });
  const errors: Error[] = [];
  agent.on('error', (error) => errors.push(error));
  stops.push(async () => {
    await agent.stop();
    await manager.stop();
  });
  return { agent, manager, errors };
}

export function stopAgentsAfterEach(): void {
  afterEach(async () => {
    await Promise.all(stops.splice(0).map((stop) => stop()));
  });
}
