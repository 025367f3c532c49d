/**
 * An error that no further try can turn: thrown by a handler, it makes the message a dead letter at once.
 * @example throw finalError(`There is no document "${id}"`)
 */
export const finalError = (message: string, options?: { readonly cause?: unknown }): Error =>
  Object.assign(new Error(message, options), { final: true });

/** Any error with a true `final` counts, whoever made it. */
export const isFinal = (error: unknown): boolean => error instanceof Error && 'final' in error && error.final === true;
