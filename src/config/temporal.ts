import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig';
import type { Problem } from '../contracts/errors.js';
import { shown } from './problems.js';

type Tls = NonNullable<NonNullable<ClientConnectConfig['connectionOptions']>['tls']>;

/** How Temporal is reached. `connection` fits both `Connection.connect` and `NativeConnection.connect`. */
export interface TemporalSettings {
  readonly address: string;
  readonly namespace: string;
  /** The web UI's base URL, without a slash at the end. */
  readonly uiUrl?: string;
  readonly connection: { readonly address: string; readonly apiKey?: string; readonly tls?: Tls };
}

/**
 * Reads the variables that every Temporal SDK and the Temporal CLI read. Temporal's profile file is ignored: a
 * developer's profile for a remote cluster would enable TLS for the local server.
 */
export function readTemporal(env: Readonly<Record<string, string>>): {
  readonly temporal?: TemporalSettings;
  readonly problems: readonly Problem[];
} {
  const address = env['TEMPORAL_ADDRESS'] ?? '127.0.0.1:7233';
  if (!/^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}$/.test(address)) {
    const message = `is ${shown(address)}; allowed: host:port without a scheme, such as 127.0.0.1:7233`;
    return { problems: [{ path: 'TEMPORAL_ADDRESS', message }] };
  }
  const certPath = env['TEMPORAL_TLS_CLIENT_CERT_PATH'];
  const keyPath = env['TEMPORAL_TLS_CLIENT_KEY_PATH'];
  if ((certPath === undefined) !== (keyPath === undefined)) {
    const path = certPath === undefined ? 'TEMPORAL_TLS_CLIENT_CERT_PATH' : 'TEMPORAL_TLS_CLIENT_KEY_PATH';
    return { problems: [{ path, message: 'is missing; allowed: the certificate and the key together, or neither' }] };
  }
  try {
    const { connectionOptions, namespace } = loadClientConnectConfig({
      disableFile: true,
      overrideEnvVars: { ...env },
    });
    const { apiKey, tls } = connectionOptions;
    return {
      temporal: {
        address,
        namespace: namespace ?? 'default',
        connection: { address, ...(typeof apiKey === 'string' && { apiKey }), ...(tls != null && { tls }) },
      },
      problems: [],
    };
  } catch (error) {
    const message = `cannot be used: ${error instanceof Error ? error.message : String(error)}`;
    return { problems: [{ path: 'TEMPORAL_TLS_*', message: `${message}; allowed: paths of readable PEM files` }] };
  }
}
