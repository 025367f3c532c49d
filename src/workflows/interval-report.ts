/** The lines of a report as the Temporal UI shows them. */
export const detailsOf = (lines: readonly string[]): string =>
  lines.length > 0 ? lines.map((line) => `- ${line}`).join('\n') : 'Nothing to do';

/** The message of a failed child workflow: that of its own failure, not of the wrapper. */
export function failureMessageOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
