import { accessSync, constants } from 'node:fs';
import type { Problem } from '../contracts/errors.js';

interface Binding {
  readonly CLUSTER_MANAGER_HOST: string;
  readonly CLUSTER_MANAGER_TLS_CERT?: string | undefined;
  readonly CLUSTER_MANAGER_TLS_KEY?: string | undefined;
  readonly CLUSTER_MANAGER_BEHIND_PROXY: boolean;
}

/** Whether an address is reachable from this machine only. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);

/** Tokens must not cross a network unencrypted: listening beyond loopback requires TLS here or at a proxy. */
export function bindingProblem(binding: Binding): Problem | null {
  const { CLUSTER_MANAGER_HOST: host, CLUSTER_MANAGER_TLS_CERT: cert, CLUSTER_MANAGER_TLS_KEY: key } = binding;
  if ((cert === undefined) !== (key === undefined)) {
    const missing = cert === undefined ? 'CLUSTER_MANAGER_TLS_CERT' : 'CLUSTER_MANAGER_TLS_KEY';
    return { path: missing, message: 'is missing; allowed: the certificate and the key together, or neither' };
  }
  for (const [name, path] of Object.entries({ CLUSTER_MANAGER_TLS_CERT: cert, CLUSTER_MANAGER_TLS_KEY: key })) {
    if (path !== undefined && !isReadable(path)) {
      return { path: name, message: `is "${path}", which cannot be read; allowed: a readable PEM file` };
    }
  }
  if (isLoopback(host) || cert !== undefined || binding.CLUSTER_MANAGER_BEHIND_PROXY) return null;
  return {
    path: 'CLUSTER_MANAGER_HOST',
    message:
      `is "${host}", reachable from other machines; allowed: a loopback address, or set CLUSTER_MANAGER_TLS_CERT and ` +
      'CLUSTER_MANAGER_TLS_KEY, or CLUSTER_MANAGER_BEHIND_PROXY=1 where a proxy terminates TLS',
  };
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
