import { createHash, createHmac } from 'node:crypto'
import type { CallHead, CallState } from '../calls/call.ts'

/** What a receiver is told: that a call is over, or waits for responses. Nothing of what was said in it. */
export interface Notice {
  /** The same whenever this is sent: a receiver that gets it twice knows it by this. */
  id: string
  /** JSON text. */
  body: string
}

/** `since` is when it was first seen that there is something to tell (ms since 1970). */
export function createNotice (call: Pick<CallHead, 'state' | 'createdAt'> & { id: string }, since: number): Notice {
  const { id, state, createdAt } = call
  return {
    id: noticeId(id, state),
    body: JSON.stringify({
      type: `call.${state}`,
      timestamp: new Date(since).toISOString(),
      data: { call: id, status: state, created_at: new Date(createdAt).toISOString() }
    })
  }
}

/** Of a call there is one notice. It needs no round of questions: whoever responds gets the answer. */
const noticeId = (call: string, state: CallState) =>
  `msg_${createHash('sha256').update(`${call} ${state}`).digest('base64url').slice(0, 32)}`

/**
 * The headers of a notice, signed with each secret.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function signedHeaders (
  { id, body }: Notice, secrets: readonly Buffer[], now: number
): Record<string, string> {
  const seconds = Math.floor(now / 1000)
  const signatures = secrets.map(secret =>
    `v1,${createHmac('sha256', secret).update(`${id}.${seconds}.${body}`).digest('base64')}`)
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': signatures.join(' ')
  }
}
