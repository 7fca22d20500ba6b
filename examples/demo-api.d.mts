/** Everybody can read it: it protects nothing, and is only for a demo on your own machine. */
export const DEMO_SECRET: string

/** A token that the demo API accepts; `expiresInSeconds` may be negative, for one that has expired. */
export function signDemoToken (options?: { secret?: string | undefined, subject?: string | undefined, expiresInSeconds?: number | undefined }): Promise<string>

export interface DemoApi {
  /** Base URL without a slash at its end. */
  readonly url: string
  /** Lets running requests end for a second; may be called twice. */
  close: () => Promise<void>
}

/** Starts the API; port 0, the default, takes any that is free. */
export function startDemoApi (options?: { port?: number | undefined, host?: string | undefined, secret?: string | undefined }): Promise<DemoApi>
