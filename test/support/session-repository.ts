import type { SessionRepositoryOptions } from '../../lib/sessions/session-repository.ts'

/** Settings of a session repository that bound nothing by accident. */
export const repositoryOptions = (keyPrefix: string, options: Partial<SessionRepositoryOptions> = {}): SessionRepositoryOptions => ({
  keyPrefix,
  idleTtlSeconds: 100,
  maxLifetimeSeconds: 0,
  maxBytes: 1_000_000,
  maxConcurrency: 3,
  maxSessionsPerClient: 10,
  sensitiveParams: ['apiUrl', 'jwtToken'],
  encryptionKeys: [],
  clients: [],
  nameSession: key => key,
  commandTimeoutMs: 10_000,
  ...options
})
