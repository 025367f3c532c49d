import type { HttpClient } from 'cluster-manager';
import type { OperationView } from 'cluster-manager/contracts';
import type { Stack } from '../../src/dev-stack/stack.js';
import type { AgentProcess } from './agent-processes.js';

/** What the chapters of the demo work with. */
export interface Scene {
  readonly stack: Stack;
  readonly api: HttpClient;
  readonly agents: readonly AgentProcess[];
  readonly print: (...lines: string[]) => void;
}

/** Waits for an operation. @throws Error when it did not complete. */
export async function completed(api: HttpClient, { id }: Pick<OperationView, 'id'>): Promise<OperationView> {
  const operation = await api.waitForOperation(id, { timeoutMs: 120_000 });
  if (operation.state === 'completed') return operation;
  throw new Error(`Operation ${id} ended as ${operation.state}: ${operation.error?.detail}`);
}
