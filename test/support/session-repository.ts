import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import { splitFields } from '../../lib/sessions/fields.ts'
import { ownerOf } from '../../lib/sessions/owner.ts'
import type { LoadOptions, Session } from '../../lib/sessions/session.ts'
import { keptAs, type ValueRead } from '../../lib/sessions/values.ts'
import {
  createSessionRepository, type SessionRepository, type SessionRepositoryOptions
} from '../../lib/sessions/session-repository.ts'
import { redisClient } from './redis.ts'

/** Values as JSON texts by name. */
export const texts = (values: Record<string, unknown>) =>
  new Map(Object.entries(values).map(([name, value]) => [name, JSON.stringify(value)]))

/** The same as values to keep, of which nobody knows where they came from. */
export const values = (values: Record<string, unknown>) => keptAs(texts(values), null)

/** Reads of values of any origin. */
export const reads = (...names: string[]): ValueRead[] =>
  names.map(name => ({ name, from: [], acceptsUnknown: true }))

/** The values of a session that exist, of those named: JSON texts by name. `null` when the session has ended. */
export async function readTexts (repository: SessionRepository, session: Session, names: string[]) {
  const found = await repository.readValues(session, reads(...names))
  return found && new Map(names.flatMap((name, index) => {
    const value = found[index] ?? null
    return value === null ? [] : [[name, value.text] as const]
  }))
}

export const sensitiveParams = ['apiUrl', 'jwtToken']
export const fields = { apiUrl: 'https://api.example.com', jwtToken: 'a.b.c', question: 'why?' }
export const opened = splitFields(texts(fields), sensitiveParams)

/** Settings of a session repository that bound nothing by accident. */
export const repositoryOptions = (
  keyPrefix: string, options: Partial<SessionRepositoryOptions> = {}
): SessionRepositoryOptions => ({
  keyPrefix,
  sharesNames: true,
  idleTtlSeconds: 100,
  maxLifetimeSeconds: 0,
  maxBytes: 1_000_000,
  maxConcurrency: 3,
  maxSessionsPerClient: 10,
  sensitiveParams,
  encryptionKeys: [],
  clients: [],
  nameSession: key => key,
  commandTimeoutMs: 10_000,
  ...options
})

/** A repository with a key prefix of its own. `create` opens a session at an id, in place of whatever is there. */
export async function openRepository (t: Test, options: Partial<SessionRepositoryOptions> = {}) {
  const client = await redisClient(t)
  const { keyPrefix = `test-${randomUUID()}` } = options
  const repository = createSessionRepository(client, repositoryOptions(keyPrefix, options))
  const create = async (id: string) => await repository.create(ref(id), opened, await repository.find(ref(id)))
  return { client, repository, create, keyPrefix, key: (id: string) => `${keyPrefix}:${id}` }
}

/** A session without an API key. */
export const ref = (id: string) => ({ id, client: null })

/** Loads a session that must be there. */
export async function load (repository: SessionRepository, id: string, options: LoadOptions = {}): Promise<Session> {
  const session = await repository.load(ref(id), options)
  if (session === null) throw new Error(`there is no session ${id}`)
  return session
}

/** Whether the session at an id belongs to the owner of `opened`; `null` where there is no readable session. */
export async function isOwn (repository: SessionRepository, id: string): Promise<boolean | null> {
  const { owner } = await repository.find(ref(id))
  if (owner === null) return null
  const { credentials, user } = ownerOf(opened.identity, owner.key)
  return owner.credentials === credentials && owner.user === user
}
