import { loadClientConnectConfig } from '@temporalio/envconfig';
import { messageOf } from '../contracts/errors.js';
import { missingHalf, type Checked } from './problems.js';

/** How Temporal is reached. `connection` fits both `Connection.connect` and `NativeConnection.connect`. */
export type TemporalSettings = ReturnType<typeof temporalOf>;

/**
 * Reads the variables that every Temporal SDK and the Temporal CLI read. Temporal's profile file is ignored: a
 * developer's profile for a remote cluster would enable TLS for the local server.
 */
export function readTemporal(env: Readonly<Record<string, string>>): Checked<TemporalSettings> {
  const missing = missingHalf(env, 'TEMPORAL_TLS_CLIENT_CERT_PATH', 'TEMPORAL_TLS_CLIENT_KEY_PATH');
  if (missing) return { problems: [missing] };
  try {
    return { value: temporalOf(env), problems: [] };
  } catch (error) {
    const message = `cannot be used: ${messageOf(error)}`;
    return { problems: [{ path: 'TEMPORAL_TLS_*', message: `${message}; allowed: paths of readable PEM files` }] };
  }
}

function temporalOf(env: Readonly<Record<string, string>>) {
  const address = env['TEMPORAL_ADDRESS'] ?? '127.0.0.1:7233';
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig({
    disableFile: true,
    overrideEnvVars: { ...env },
  });
  const { apiKey, tls } = connectionOptions;
  return {
    address,
    namespace,
    connection: { address, ...(typeof apiKey === 'string' && { apiKey }), ...(tls != null && { tls }) },
  };
}
