import { accessSync, constants } from 'node:fs';
import type { z } from 'zod';
import type { Problem } from '../contracts/errors.js';
import { missingHalf } from './problems.js';
import type { variables } from './variables.js';

/** Whether an address is reachable from this machine only. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);

/** Tokens must not cross a network unencrypted: listening beyond loopback requires TLS here or at a proxy. */
export function bindingProblems(values: z.output<typeof variables>): readonly Problem[] {
  const { CLUSTER_MANAGER_HOST: host, CLUSTER_MANAGER_BEHIND_PROXY: isBehindProxy } = values;
  const missing = missingHalf(values, 'CLUSTER_MANAGER_TLS_CERT', 'CLUSTER_MANAGER_TLS_KEY');
  if (missing) return [missing];
  for (const name of ['CLUSTER_MANAGER_TLS_CERT', 'CLUSTER_MANAGER_TLS_KEY'] as const) {
    const path = values[name];
    if (path !== undefined && !isReadable(path)) {
      return [{ path: name, message: `is "${path}", which cannot be read; allowed: a readable PEM file` }];
    }
  }
  if (isLoopback(host) || values.CLUSTER_MANAGER_TLS_CERT !== undefined || isBehindProxy) return [];
  const message =
    `is "${host}", reachable from other machines; allowed: a loopback address, or set CLUSTER_MANAGER_TLS_CERT and ` +
    'CLUSTER_MANAGER_TLS_KEY, or CLUSTER_MANAGER_BEHIND_PROXY=1 where a proxy terminates TLS';
  return [{ path: 'CLUSTER_MANAGER_HOST', message }];
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
