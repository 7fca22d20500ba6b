import { SessionTakenError, StoreUnavailableError } from '../errors.ts'
import { type Changes, createSessionToken, hashOfToken, type SessionRef } from './session.ts'
import type { NewSession } from './fields.ts'
import { isSameHash, ownerOf } from './owner.ts'
import type { SessionRepository } from './session-repository.ts'

export interface OpeningContext {
  sessions: Pick<SessionRepository, 'find' | 'create' | 'load' | 'write'>
  /** Rejects when the credentials are not good. */
  validate: () => Promise<void>
}

export interface OpenedSession {
  /** Secret. The token that requests for the session need; absent where they need none. */
  token?: string
  /** Names of values that did not fit. */
  notCached: string[]
}

/** Each turn is lost to somebody who opened, ended or replaced the same session just then. */
const mostTurns = 5

/**
 * Opens a session, or finds it open. A session belongs to who opened it:
 *
 * - the same credentials: it is used, and nobody is asked;
 * - others that are good, of the same user: they take the place of the old ones, and the values stay;
 * - anybody else's: SessionTakenError, and nothing changes.
 *
 * Nothing is written before the credentials are known to be good. Rejects as `validate` does.
 */
export async function openSession (claim: SessionRef, opened: NewSession, { sessions, validate }: OpeningContext): Promise<OpenedSession> {
  // Whoever proves that the session is his may have its token again; an id alone gives nobody one.
  const { token: claimedToken, ...anyToken } = claim
  let validated: Promise<void> | null = null

  for (let turn = 0; turn < mostTurns; turn++) {
    const found = await sessions.find(claim)
    const hashes = found.owner && ownerOf(opened.identity, found.owner.key)
    const isSame = (name: 'credentials' | 'user') => hashes !== null && found.owner !== null && isSameHash(hashes[name], found.owner[name])
    const isUnchanged = isSame('credentials')
    if (!isUnchanged) await (validated ??= validate())
    if (found.owner !== null && !isUnchanged && !isSame('user')) throw new SessionTakenError(claim.id)

    // Who shows the session's token keeps it, and so do others who have it.
    const isTokenKnown = claimedToken !== undefined && found.tokenHash !== null && isSameHash(hashOfToken(claimedToken), found.tokenHash)
    const newToken = claimedToken === undefined || isTokenKnown ? undefined : createSessionToken()
    const notCached = found.owner === null
      ? await sessions.create(claim, opened, found, newToken ?? claimedToken)
      : await renew(found.owner.key, { values: opened.values, token: newToken, ...(!isUnchanged && { identity: opened.identity }) })
    const token = newToken ?? claimedToken
    if (notCached !== null) return { notCached, ...(token !== undefined && { token }) }
  }
  throw new StoreUnavailableError({ cause: new Error('others opened and ended the same session again and again') })

  /** `null` where the session is not the one that was found; one of the Flask service is converted, and looked at again. */
  async function renew (meta: string, changes: Changes): Promise<string[] | null> {
    const session = await sessions.load(anyToken)
    return session?.meta === meta ? await sessions.write(session, changes) : null
  }
}
