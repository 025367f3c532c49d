/**
 * An error that no retry can resolve: a handler that throws it dead-letters the message at once.
 * @example throw finalError(`There is no document "${id}"`)
 */
export const finalError = (message: string, options?: { readonly cause?: unknown }): Error =>
  asFinal(new Error(message, options));

export const asFinal = (error: Error): Error => Object.assign(error, { final: true });

/** Whether an error has a true `final` property, whichever library created it. */
export const isFinal = (error: unknown): boolean => error instanceof Error && 'final' in error && error.final === true;
