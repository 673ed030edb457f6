/** A promise of another kind than the built-in one, as libraries have them. */
export function thenable<T>(action: () => T | Promise<T>): PromiseLike<T> {
  const settling = Promise.resolve().then(action);
  return {
    // biome-ignore lint/suspicious/noThenProperty: that is what it is for.
    then: (resolve, reject) => settling.then(resolve, reject),
  };
}
