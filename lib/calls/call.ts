import { randomBytes } from 'node:crypto'

/**
 * A call is what a session keeps of a tool call that is waited for, asked again, answered, or read later.
 *
 * - `queued`: accepted, and not begun
 * - `working`: a worker runs it
 * - `input_required`: its server waits for responses of the caller
 * - `completed`: its tool gave a result, or said that it failed
 * - `failed`: the service could not get a result; its answer says whether the tool can have acted
 * - `cancelled`: its caller does not want it any more
 * - `unknown`: its worker died, or its caller left. Nobody can say whether the tool has acted, so it is not made again
 */
export type CallState =
  'queued' | 'working' | 'input_required' | 'completed' | 'failed' | 'cancelled' | 'unknown'

export type CallKind = 'tool' | 'resource' | 'prompt'

/** What is known of a call without its data and its answer. See ../sessions/scripts/includes/calls.lua. */
export interface CallHead {
  state: CallState
  kind: CallKind
  /** How often its server has requested input. */
  round: number
  /** ms since 1970, by the clock of Redis. */
  createdAt: number
  /** The same. The call may end before, with its session. */
  expiresAt: number
  /** Digest of what was asked; '-' for none. */
  digest: string
  isCancelled: boolean
  hasAnswer: boolean
}

/** A call that this worker runs, or is about to. */
export interface HeldCall {
  id: string
  lease: string
  round: number
}

export function parseHead (text: string): CallHead {
  const [state, kind, round, created, expires, , , digest = '-', , cancel, answer] = text.split(' ')
  return {
    state: state as CallState, // a script of ours wrote it
    kind: kind as CallKind,
    round: Number(round),
    createdAt: Number(created),
    expiresAt: Number(expires),
    digest,
    isCancelled: cancel === 'cancel',
    hasAnswer: answer === 'kept'
  }
}

/** 192 random bits, which cannot be guessed. */
export const createCallId = () => `c_${randomBytes(24).toString('base64url')}`

export const isCallId = (text: string) => /^c_[\w-]{32}$/.test(text)

export const createLease = () => randomBytes(12).toString('base64url')

/** How long a call is a worker's without being renewed (ms). The calls of a worker that died are unknown after it. */
export const leaseMs = 15_000

/** How often a lease is renewed (ms). */
export const renewEveryMs = leaseMs / 3

/** Whether nothing will happen to a call any more. */
export const isOver = ({ state }: Pick<CallHead, 'state'>) =>
  state !== 'queued' && state !== 'working' && state !== 'input_required'

/** The token by which a call goes on once: another one for each round of questions. */
export const tokenOf = (id: string, round: number) => `${id}-${round}`

/** The call and the round of a token; `null` for a text that is none. */
export function parseToken (token: string): { id: string, round: number } | null {
  const [, id, round] = /^(c_[\w-]{32})-(\d{1,9})$/.exec(token) ?? []
  return id === undefined ? null : { id, round: Number(round) }
}
