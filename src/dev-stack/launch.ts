import type { Secrets } from './state/secrets.js';
import type { Report } from './report.js';
import type { ProcessSpec } from './processes/supervised-process.js';

export interface StackOptions {
  /** Where data, secrets and logs are kept; made when missing. One live stack a folder. */
  readonly stateDir: string;
  /** `preferred`: the documented ports, or the next free ones. `free`: random free ones, for stacks side by side. */
  readonly ports?: 'preferred' | 'free';
  /** The HTTP API's port; a busy one is refused, not replaced. */
  readonly apiPort?: number;
  /** `data`: PostgreSQL and Temporal only. `all`, the default: with workers and the HTTP server. */
  readonly services?: 'data' | 'all';
  /** Number of worker processes, default 1. */
  readonly workers?: number;
  /** More environment, for resolution, workers and server. */
  readonly env?: Readonly<Record<string, string>>;
  /** false turns fsync off: for tests that never cut the power. Default true. */
  readonly durable?: boolean;
  readonly report?: Report;
  /** Aborted while the stack starts: what runs already is ended, and the start is refused. */
  readonly signal?: AbortSignal;
}

/** What the parts of a stack share while it starts. */
export interface Launch {
  readonly options: StackOptions;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly secrets: Secrets;
  /** Starts a process and keeps it in the stack's order of stopping. */
  readonly start: (spec: ProcessSpec) => Promise<void>;
  /** Something to give up after all processes have ended. */
  readonly onStopped: (release: () => void) => void;
}
