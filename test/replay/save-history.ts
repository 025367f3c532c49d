import { writeFileSync } from 'node:fs';
import type { TestWorker } from '../support/worker.js';
import { toJson } from './history-json.js';

export const historiesFolder = new URL('./histories/', import.meta.url);

/** Writes a workflow's history to a file: that of its latest run unless `runId` says otherwise. */
export const saver =
  ({ client }: TestWorker) =>
  async (name: string, workflowId: string, runId?: string): Promise<void> => {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    writeFileSync(new URL(`${name}.json`, historiesFolder), await toJson(history));
  };
