import type { IncomingMessage } from 'node:http';
import { tokenOf } from './agents.js';
import type { Http } from './http.js';

/** An inbox stream that is read as it comes. `onText` gets what arrived, cut anywhere. */
export async function openStream(
  http: Http,
  agentId: string,
  { max, onText }: { readonly max: number; readonly onText: (text: string) => void },
): Promise<IncomingMessage> {
  const path = `/v1/agents/${agentId}/inbox?max=${max}`;
  const stream = await http.open('GET', path, { token: tokenOf(agentId) }, { accept: 'text/event-stream' });
  if (stream.statusCode !== 200) throw new Error(`The inbox stream of ${agentId} was answered ${stream.statusCode}`);
  stream.setEncoding('utf8');
  stream.on('data', onText);
  // A stream that this side closes ends with an error of its socket.
  stream.on('error', () => undefined);
  return stream;
}

/** Cuts a stream's text into the data of its `delivery` events. */
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
