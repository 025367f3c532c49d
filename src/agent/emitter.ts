/**
 * Named events with typed payloads. Unlike Node's emitter, an `error` without a listener does not throw, and a listener
 * that throws affects neither the other listeners nor the code that emitted the event.
 */
export function createEmitter<Events extends object>(onListenerError: (error: unknown) => void) {
  const listeners: { [Name in keyof Events]?: Set<(event: Events[Name]) => void> } = {};
  return {
    /** @returns a function that removes the listener. */
    on: <Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): (() => void) => {
      const all = (listeners[name] ??= new Set());
      all.add(listener);
      return () => void all.delete(listener);
    },
    emit: <Name extends keyof Events>(name: Name, event: Events[Name]): void => {
      for (const listener of listeners[name] ?? []) {
        try {
          listener(event);
        } catch (error) {
          onListenerError(error);
        }
      }
    },
  };
}
