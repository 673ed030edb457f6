/** Tells the process what nobody can be told by an exception: nothing that is served may fail of it. */
export function warn(code: string, text: string): void {
  process.emitWarning(text, { type: 'RyegateWarning', code });
}
