import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { createHttpClient, type HttpClient } from '../client/http-client.js';
import { ManagerError } from '../contracts/errors.js';
import { stateFolder } from '../dev-stack/paths.js';
import { readRunningStack, type RunningStack } from '../dev-stack/state/running-stack.js';
import { globalsOf } from './output.js';

/**
 * The API that a command talks to: --url and --token-file, else CLUSTER_MANAGER_URL and CLUSTER_MANAGER_TOKEN, else the
 * manager that runs in this folder.
 * @throws ManagerError `service_unavailable` when no manager is known, `unauthenticated` when no token is.
 */
export function connect(command: Command): HttpClient {
  const { url: givenUrl, tokenFile } = globalsOf(command);
  const { CLUSTER_MANAGER_URL, CLUSTER_MANAGER_TOKEN } = process.env;
  const elsewhere = givenUrl ?? (CLUSTER_MANAGER_URL || undefined);
  const own = tokenFile === undefined ? CLUSTER_MANAGER_TOKEN || undefined : tokenFrom(tokenFile);
  const local = elsewhere === undefined || own === undefined ? readRunningStack(stateFolder()) : undefined;
  const url = elsewhere ?? local?.urls.api;
  if (url === undefined) {
    throw new ManagerError(
      'service_unavailable',
      `No manager runs in ${stateFolder()}; start one with "npm start", or name one by --url or CLUSTER_MANAGER_URL`,
    );
  }
  return createHttpClient({ url, token: own ?? tokenOf(local, url) });
}

/** The running stack's admin token, and only for its own API: another address must not see it. */
function tokenOf(local: RunningStack | undefined, url: string): string {
  const token = local?.env['CLUSTER_MANAGER_ADMIN_TOKEN'];
  if (token !== undefined && local?.urls.api !== undefined && sameOrigin(local.urls.api, url)) return token;
  throw new ManagerError(
    'unauthenticated',
    `No token for ${url}; give one by CLUSTER_MANAGER_TOKEN or --token-file (an admin makes one: cluster-manager token create)`,
  );
}

const sameOrigin = (a: string, b: string): boolean =>
  URL.canParse(a) && URL.canParse(b) && new URL(a).origin === new URL(b).origin;

function tokenFrom(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new ManagerError('invalid_request', `--token-file ${file} cannot be read: ${String(cause)}`, { cause });
  }
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new ManagerError('invalid_request', `--token-file ${file} must hold one token and nothing else`);
}
