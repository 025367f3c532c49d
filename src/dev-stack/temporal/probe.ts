import { connect } from 'node:http2';

const service = '/temporal.api.workflowservice.v1.WorkflowService';

/** A string as the first field of a protobuf message. */
const firstField = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x0a, bytes.length]), bytes]);
};

/** One unary gRPC call without a gRPC library: what the launcher asks is two messages of one string. */
const call = (address: string, method: string, message: Buffer, timeoutMs: number): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const session = connect(`http://${address}`);
    const timer = setTimeout(() => session.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      session.destroy();
      reject(error);
    };
    session.once('error', fail);
    const stream = session.request({
      ':method': 'POST',
      ':path': `${service}/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let status: unknown;
    let words: unknown;
    const parts: Buffer[] = [];
    const note = (headers: Readonly<Record<string, unknown>>): void => {
      status = headers['grpc-status'] ?? status;
      words = headers['grpc-message'] ?? words;
    };
    // The stream's own error hides the cause; the session's, which comes next, names it.
    stream.once('error', () => undefined);
    stream.once('response', note);
    stream.once('trailers', note);
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.once('close', () => {
      if (status === undefined) {
        // Left to the session's error or the timer, when there is one.
        setImmediate(() => fail(new Error('it closed the connection without an answer')));
        return;
      }
      clearTimeout(timer);
      session.close();
      if (status === '0') resolve(Buffer.concat(parts).subarray(5));
      else reject(new Error(`status ${String(status)}: ${decodeURIComponent(String(words ?? ''))}`));
    });
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([head, message]));
  });

/** Whether the namespace at a plain-text Temporal address answers. */
export const namespaceAnswers = async (address: string, namespace: string): Promise<boolean> => {
  try {
    await call(address, 'DescribeNamespace', firstField(namespace), 2_000);
    return true;
  } catch {
    return false;
  }
};

/** The version of the Temporal server at a plain-text address. @throws Error naming why there is no answer. */
export const temporalServerVersion = async (address: string, timeoutMs = 5_000): Promise<string> => {
  const reply = await call(address, 'GetSystemInfo', Buffer.alloc(0), timeoutMs);
  const length = reply[1] ?? 0;
  if (reply[0] !== 0x0a) throw new Error('its answer carries no version');
  return reply.subarray(2, 2 + length).toString('utf8');
};
