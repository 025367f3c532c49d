import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { createHttpClient, type HttpClient } from '../client/http-client.js';
import { ManagerError } from '../contracts/errors.js';
import { stateFolder } from '../dev-stack/paths.js';
import { readRunningStack, type RunningStack } from '../dev-stack/state/running-stack.js';
import { readText } from './json-input.js';

/** Options that every command has. */
interface GlobalOptions {
  readonly json?: true;
  readonly url?: string;
  readonly tokenFile?: string;
}

export const globalOptions = (command: CommandUnknownOpts): GlobalOptions => command.optsWithGlobals();

/**
 * A client of the API that the command is for: --url and --token-file, else CLUSTER_MANAGER_URL and
 * CLUSTER_MANAGER_TOKEN, else the manager that runs in this folder.
 * @throws ManagerError `service_unavailable` when no manager is known, `unauthenticated` when no token is.
 */
export function connect(command: CommandUnknownOpts): HttpClient {
  const options = globalOptions(command);
  const { CLUSTER_MANAGER_URL, CLUSTER_MANAGER_TOKEN } = process.env;
  const givenUrl = options.url ?? (CLUSTER_MANAGER_URL || undefined);
  const givenToken =
    options.tokenFile === undefined ? CLUSTER_MANAGER_TOKEN || undefined : readToken(options.tokenFile);
  const stack = givenUrl === undefined || givenToken === undefined ? readRunningStack(stateFolder()) : undefined;
  const url = givenUrl ?? stack?.urls.api;
  if (url === undefined) {
    throw new ManagerError(
      'service_unavailable',
      `No manager runs in ${stateFolder()}; start one with "npm start", or name one with --url or CLUSTER_MANAGER_URL`,
    );
  }
  return createHttpClient({ url, token: givenToken ?? adminTokenFor(url, stack) });
}

/** The running stack's admin token, for its own API only: another server must not receive it. */
function adminTokenFor(url: string, stack: RunningStack | undefined): string {
  const token = stack?.env['CLUSTER_MANAGER_ADMIN_TOKEN'];
  if (token !== undefined && stack?.urls.api !== undefined && isSameOrigin(stack.urls.api, url)) return token;
  throw new ManagerError(
    'unauthenticated',
    `No token for ${url}; give one with CLUSTER_MANAGER_TOKEN or --token-file (an admin creates one with "cluster-manager token create")`,
  );
}

const isSameOrigin = (a: string, b: string): boolean =>
  URL.canParse(a) && URL.canParse(b) && new URL(a).origin === new URL(b).origin;

function readToken(file: string): string {
  const text = readText('--token-file', file).trim();
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new ManagerError('invalid_request', `--token-file ${file} must hold one token and nothing else`);
}
