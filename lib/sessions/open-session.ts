import { SessionTakenError, StoreUnavailableError } from '../errors.ts'
import { tellSession } from '../telemetry/channels.ts'
import { callerOrigin } from '../value-origin.ts'
import type { NewSession } from './fields.ts'
import { isSameHash, ownerOf } from './owner.ts'
import { createSessionToken, hashOfToken, type SessionRef } from './session-ref.ts'
import type { FoundSession, RemovedSession, SessionRepository } from './session-repository.ts'
import { keptAs } from './values.ts'
import type { Changes } from './write-changes.ts'

export interface OpeningContext {
  sessions: Pick<SessionRepository, 'find' | 'create' | 'load' | 'write' | 'takeUpstreams'>
  /** MCP servers of which the session may have sessions. */
  upstreams: readonly string[]
  /** Rejects when the credentials are not good. */
  validate: () => Promise<void>
}

export interface OpenedSession {
  /** Secret. The token that requests for the session need; absent where they need none. */
  token?: string
  /** Names of values that did not fit. */
  notCached: string[]
  /** What was begun with other credentials, and is to be ended. */
  replaced?: RemovedSession
}

type Written = Omit<OpenedSession, 'token'>

/** A turn is lost when another request opens, ends or replaces the same session at that moment. */
const mostTurns = 5

/**
 * Opens a session, or finds it open. A session belongs to the user who opened it:
 *
 * - the same credentials: the session is used, without another check of them, unless the caller wants a token for it;
 * - other credentials that are good, of the same user: they replace the old ones, and the values stay;
 * - another user's: SessionTakenError, and nothing changes.
 *
 * Writes only after the credentials are known to be good. Rejects as `validate` does.
 */
export async function openSession (
  ref: SessionRef, opened: NewSession, { sessions, upstreams, validate }: OpeningContext
): Promise<OpenedSession> {
  // A caller who proves that the session is theirs may have its token again; an id alone proves nothing.
  const { token: givenToken, ...anyToken } = ref
  let validated: Promise<void> | null = null

  for (let turn = 0; turn < mostTurns; turn++) {
    const found = await sessions.find(ref)
    const { owner } = found
    const hashes = owner && ownerOf(opened.identity, owner.key)
    const isUnchanged = owner !== null && hashes !== null && isSameHash(hashes.credentials, owner.credentials)
    // A caller who sends the session's token keeps it, and so do others who have it.
    const isTokenKnown = found.tokenHash !== null && isSameHash(hashOfToken(givenToken), found.tokenHash)
    // Credentials that were good once may be withdrawn: they alone do not get a token for what was opened with them.
    const wantsToken = givenToken !== undefined && !isTokenKnown
    if (!isUnchanged || wantsToken) await (validated ??= validate())
    const isSameUser = owner !== null && hashes !== null && isSameHash(hashes.user, owner.user)
    if (owner !== null && !isUnchanged && !isSameUser) throw new SessionTakenError(ref.id)

    const newToken = wantsToken ? createSessionToken() : undefined
    const token = newToken ?? givenToken
    const values = keptAs(opened.values, { server: callerOrigin, as: 'init', at: new Date().toISOString() })
    const changes = { values, token: newToken, ...(!isUnchanged && { identity: opened.identity }) }
    const written = owner === null ? await create(found, token) : await renew(owner.key, changes)
    if (written === null) continue
    tellSession(owner === null ? 'opened' : 'renewed')
    return { ...written, ...(token !== undefined && { token }) }
  }
  const cause = new Error('other requests opened and ended the same session again and again')
  throw new StoreUnavailableError({ cause })

  async function create (found: FoundSession, token: string | undefined): Promise<Written | null> {
    const notCached = await sessions.create(ref, opened, found, token)
    return notCached && { notCached }
  }

  /**
   * `null` when the session is not the one that was found. A Flask session is converted first, so it is found again.
   */
  async function renew (meta: string, changes: Changes): Promise<Written | null> {
    const isReplacing = changes.identity !== undefined
    const session = await sessions.load(anyToken, { upstreams: isReplacing ? upstreams : [] })
    if (session?.meta !== meta) return null
    const notCached = await sessions.write(session, changes)
    if (notCached === null || !isReplacing) return notCached && { notCached }
    const taken = await sessions.takeUpstreams(session, upstreams)
    return { notCached, replaced: { credentials: session.credentials, upstreams: taken } }
  }
}
