import type { IncomingMessage } from 'node:http';
import { tokenOf } from './agents.js';
import type { Http } from './http.js';

/** Opens an inbox stream. `onText` receives chunks of text that may end within an event. */
export async function openStream(
  http: Http,
  agentId: string,
  { max, onText }: { readonly max: number; readonly onText: (text: string) => void },
): Promise<IncomingMessage> {
  const path = `/v1/agents/${agentId}/inbox?max=${max}`;
  const stream = await http.open('GET', path, { token: tokenOf(agentId) }, { accept: 'text/event-stream' });
  if (stream.statusCode !== 200)
    throw new Error(`The inbox stream of ${agentId} has status ${stream.statusCode}, expected 200`);
  stream.setEncoding('utf8');
  stream.on('data', onText);
  // Closing a stream from this side emits a socket error.
  stream.on('error', () => undefined);
  return stream;
}

/** Splits a stream's text into events. @returns a function for each chunk; it calls `onData` for `delivery` events. */
export function eventsOf(onData: (json: string) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const events = (rest + text).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      const data = event.split('\n').find((line) => line.startsWith('data: '));
      if (event.startsWith('event: delivery') && data) onData(data.slice('data: '.length));
    }
  };
}
