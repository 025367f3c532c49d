import type { Agent } from 'cluster-manager/agent';
import { ManagerError } from 'cluster-manager/contracts';

/** Starts the agents, runs the example and lets the agents leave, also when it fails. */
export async function runWithAgents(agents: readonly Agent[], example: () => Promise<void>): Promise<void> {
  try {
    await Promise.all(agents.map((agent) => agent.start()));
    await example();
  } catch (error) {
    // The manager's refusals have a stable code and say what to do. Any other error is a defect.
    if (!(error instanceof ManagerError)) throw error;
    console.error(`${error.code}: ${error.message}`);
    process.exitCode = 1;
  } finally {
    await Promise.all(agents.map((agent) => agent.leave()));
  }
}
