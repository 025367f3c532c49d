/** One line of what the launcher does, for a person: which part, what happened, when (RFC 3339 UTC). */
export interface StackEvent {
  readonly at: string;
  readonly part: string;
  readonly message: string;
  readonly level: 'info' | 'warn' | 'error';
}

export type Report = (event: StackEvent) => void;

/** A reporter bound to one part, so that callers give only the message. */
export const reporterFor =
  (part: string, report: Report | undefined) =>
  (message: string, level: StackEvent['level'] = 'info'): void =>
    report?.({ at: new Date().toISOString(), part, message, level });
