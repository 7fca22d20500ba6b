import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import { type Api, answer, startApi } from './helper.ts'

/** Values that may be seen nowhere but where they belong, by what they are. */
export type Canaries = Readonly<Record<string, string>>

/** Which of them a text holds. */
export const heldBy = (text: string, canaries: Canaries): string[] => Object.keys(canaries).filter(name => text.includes(canaries[name] as string))

/** A validation API whose refusals repeat the token that it refuses. */
export function startRepeatingApi (t: Test, isGood: (token: string) => boolean): Promise<Api> {
  return startApi(t, (body, response) => {
    const { jwtToken } = body as { jwtToken: string }
    const verdict = isGood(jwtToken) ? { status: 'success' } : { status: 'error', error: `the token ${jwtToken} is not good` }
    answer(verdict.status === 'success' ? 200 : 401, verdict)(body, response)
  })
}

/** How test/fixtures/canary-server.mjs calls the user of a token. */
export const labelOf = (token: string) => createHash('sha256').update(token).digest('hex').slice(0, 12)
