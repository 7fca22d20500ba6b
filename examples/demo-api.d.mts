/** Everybody can read it: it protects nothing, and is only for a demo on your own machine. */
export const DEMO_SECRET: string

/** A token that the demo API accepts; `expiresInSeconds` may be negative, for one that has expired. */
export function signDemoToken (options?: { secret?: string, subject?: string, expiresInSeconds?: number }):
  Promise<string>

/** Starts the API; port 0, the default, takes any that is free. `close` lets running requests end for a second. */
export function startDemoApi (options?: { port?: number, host?: string, secret?: string }): Promise<{
  /** Base URL without a slash at its end. */
  readonly url: string
  close: () => Promise<void>
}>
