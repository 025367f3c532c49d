import { openApi } from '../../contracts/api-call.js';
import {
  apiCallOf,
  callEndpoint,
  sendToEndpoint,
  type CallOptions,
  type EndpointInput,
} from '../../contracts/call-endpoint.js';
import type { EndpointName } from '../../contracts/endpoints.js';

/** What each call takes: the token that the agent holds at that moment, and when to give up; `timeoutMs` defaults to 15,000. */
export type AgentCall = Required<Pick<CallOptions, 'token' | 'signal'>> & Pick<CallOptions, 'timeoutMs'>;

/** Calls the manager's endpoints. @param onServerTime receives the server's clock from each answer, ms since 1970. */
export function createAgentApi(url: string, onServerTime: (serverTimeMs: number | undefined) => void) {
  return {
    /** @throws ManagerError as `callEndpoint`. */
    request: <Name extends EndpointName>(name: Name, input: EndpointInput<Name>, call: AgentCall) =>
      callEndpoint(url, name, input, { ...call, onServerTime }),
    /** The same where the response is not used: its body is not checked. */
    command: <Name extends EndpointName>(name: Name, input: EndpointInput<Name>, call: AgentCall) =>
      sendToEndpoint(url, name, input, { ...call, onServerTime }),
    /** The call's signal ends the stream; each stream needs a signal of its own. */
    openInbox: async (input: EndpointInput<'readInbox'>, call: AgentCall) => {
      const headers = { accept: 'text/event-stream' };
      const answer = await openApi(url, { ...apiCallOf('readInbox', input), headers, ...call });
      onServerTime(answer.serverTimeMs);
      return answer;
    },
  };
}
