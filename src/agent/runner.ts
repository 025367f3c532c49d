import { ManagerError } from '../contracts/errors.js';
import type { AgentContext } from './context.js';
import { asError } from './errors.js';

/**
 * Starts and stops the loops of one agent.
 * @param loops starts every loop; each ends when the agent stops. One of them reports the first registration.
 */
export function createRunner(
  { agentId, lease, lifecycle, logger, events }: AgentContext,
  loops: (onFirstRegistration: (refusal?: Error) => void) => readonly Promise<void>[],
) {
  let running: Promise<unknown> | undefined;
  const end = (reason?: Error): void => {
    lifecycle.end(reason);
    lease.close();
  };
  const endOnFailure = (error: unknown): void => {
    logger.error({ agentId, err: error }, 'agent failed');
    events.emit('error', asError(error));
    end(asError(error));
  };
  return {
    /** Resolves after the first registration. @throws ManagerError the manager's refusal, or `cancelled` when stopped before. */
    start: (): Promise<void> => {
      if (running || lifecycle.stopSignal.aborted) {
        const text = `Agent "${agentId}" was started before; create another agent to start again`;
        return Promise.reject(new ManagerError('state_conflict', text));
      }
      return new Promise((resolve, reject) => {
        const onFirstRegistration = (refusal?: Error): void => {
          if (!refusal && !lifecycle.stopSignal.aborted) return resolve();
          end(refusal);
          reject(refusal ?? new ManagerError('cancelled', `Agent "${agentId}" was stopped before it was registered`));
        };
        lifecycle.start();
        running = Promise.all(loops(onFirstRegistration).map((loop) => loop.catch(endOnFailure)));
      });
    },
    stop: async (): Promise<void> => {
      lifecycle.stop();
      await running;
      end();
    },
  };
}
