import { createRequire } from 'node:module';
import type { WorkflowHandle } from '@temporalio/client';
import { format } from 'prettier';

type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;

interface MessageType {
  readonly fromObject: (object: unknown) => History;
  readonly toObject: (message: History, options: object) => object;
}

// The SDK's own reader of JSON histories works only with a single copy of protobufjs; its message classes work with any.
const besideWorker = createRequire(createRequire(import.meta.url).resolve('@temporalio/worker'));
const { History } = (
  besideWorker('@temporalio/proto') as { temporal: { api: { history: { v1: { History: MessageType } } } } }
).temporal.api.history.v1;

/** Removes what depends on the machine that recorded a history. */
const withoutMachine = (key: string, value: unknown): unknown => {
  if (key === 'identity') return 'worker';
  return ['stackTrace', 'binaryChecksum', 'workerVersion'].includes(key) ? undefined : value;
};

/** Readable JSON of a history: enums by name, bytes as base64, without what depends on the machine. */
export const toJson = (history: History): Promise<string> =>
  format(JSON.stringify(History.toObject(history, { longs: String, enums: String, bytes: String }), withoutMachine), {
    parser: 'json',
    printWidth: 120,
  });

/** Reads what `toJson` wrote. */
export const fromJson = (json: string): History => History.fromObject(JSON.parse(json));
