/** One line about what the development stack does: which part, what happened, when (RFC 3339 UTC). */
export interface StackEvent {
  readonly at: string;
  readonly part: string;
  readonly message: string;
  readonly level: 'info' | 'warn' | 'error';
}

export type Report = (event: StackEvent) => void;

export type Log = (message: string, level?: StackEvent['level']) => void;

/** A logger for one part of the stack. */
export const logFor =
  (part: string, report: Report | undefined): Log =>
  (message, level = 'info') =>
    report?.({ at: new Date().toISOString(), part, message, level });
