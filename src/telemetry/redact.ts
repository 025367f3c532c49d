/**
 * A JSON member whose name ends in a word for a secret, also inside a text that is itself JSON, whose quotes are `\"`
 * and whose inner quotes are `\\\"`. The value ends at its own quote, or at the line's where the inner text was cut.
 */
const secretMember =
  /(\\{0,3}")([^"\\]*(?:token|authorization|password|passwd|secret|cookie|api[-_]?key))\1(\s*:\s*)\1(?:[^"\\]|\\\\\\"|(?!\1)\\.)*(?=\1|")/gi;
/** The manager's own tokens, anywhere in the line. */
const ownToken = /\b(cm[a-z]_)[A-Za-z0-9_-]{20,}/g;
const urlCredentials = /\b([a-z][a-z0-9+.-]{0,20}:\/\/[^\s:/@"]{0,200}):[^\s/"]*@/gi;
const authorizationValue = /\b(Bearer|Basic) +[A-Za-z0-9._~+/=-]{8,}/gi;
/** A pair of backslashes is matched first so that an escaped backslash is never taken for the start of an escape. */
const controlEscape = /\\\\|\\r|\\[bf]|\\u00[01][0-9a-f]|\\u00[7-9][0-9a-f]|[\u007f-\u009f\u2028\u2029]/gi;

/**
 * Redacts one JSON log line: values under keys that name a secret, tokens, credentials in URLs, and control characters
 * that could rewrite a terminal. It works on the finished line, because fields, child loggers, errors with their causes,
 * format arguments and Temporal's entries all end there.
 */
export const redactLine = (line: string): string =>
  line
    .replace(secretMember, '$1$2$1$3$1[redacted]')
    .replace(ownToken, '$1[redacted]')
    .replace(urlCredentials, '$1:[redacted]@')
    .replace(authorizationValue, '$1 [redacted]')
    .replace(controlEscape, (found) => (found === '\\\\' ? found : '\ufffd'));
