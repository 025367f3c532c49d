import { expect, it } from 'vitest';
import { createEmitter } from '../../src/agent/emitter.js';

it('an event reaches every listener although one throws, and none after it was removed', () => {
  const thrown: unknown[] = [];
  const received: string[] = [];
  const events = createEmitter<{ text: string; error: Error }>((error) => thrown.push(error));
  events.on('text', () => {
    throw new Error('a listener that throws');
  });
  const remove = events.on('text', (text) => received.push(text));
  events.emit('text', 'one');
  remove();
  events.emit('text', 'two');
  events.emit('error', new Error('without a listener'));
  expect(received).toEqual(['one']);
  expect(thrown).toHaveLength(2);
});
