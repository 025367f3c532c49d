import { ManagerError, type Problem } from '../contracts/errors.js';

/** What was read, unless it has problems. */
export interface Checked<Value> {
  readonly value?: Value;
  readonly problems: readonly Problem[];
}

/** Removes credentials from a URL so that it can be shown: `postgres://ada:***@db/clusters_db`. */
export function withoutCredentials(text: string): string {
  return text
    .replace(/(\/\/[^:/@\s]*):[^/\s]*@/, '$1:***@')
    .replace(/([?&](?:password|sslpassword)=)[^&\s]*/gi, '$1***');
}

/** Formats a value for a message: on one line, shortened, without credentials. */
export function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null || value === '') return 'empty';
  const text = withoutCredentials(JSON.stringify(value));
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** A certificate without its key, or a key without its certificate. */
export function missingHalf(
  values: Readonly<Record<string, unknown>>,
  certName: string,
  keyName: string,
): Problem | undefined {
  if ((values[certName] === undefined) === (values[keyName] === undefined)) return undefined;
  const path = values[certName] === undefined ? certName : keyName;
  return { path, message: 'is missing; allowed: the certificate and the key together, or neither' };
}

/**
 * The error of an invalid configuration; its text lists every problem on a line of its own.
 * @param source what was read, for example `cluster-manager.yaml`.
 */
export function configurationError(source: string, problems: readonly Problem[]): ManagerError {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  const lines = problems.map(({ path, message }) => `  ${path} ${message}`);
  return new ManagerError('invalid_configuration', `${source}: ${count}\n${lines.join('\n')}`, { problems });
}
