import { type Dispatcher, request } from 'undici'
import { parseRetryAfter } from '../retry-after.ts'
import { type Notice, signedHeaders } from './notice.ts'
import type { Receiver } from './receivers-file.ts'

/**
 * What became of a notice. `gone`: its receiver wants no more of it. `unreachable`: nothing can be sent to it now, or
 * it has not answered.
 */
export type Sent =
  | { outcome: 'taken' }
  | { outcome: 'gone' }
  | { outcome: 'refused', status: number, retryAfterMs: number }
  | { outcome: 'unreachable', error: Error }

/** How long a receiver may take (ms), as the specification advises. */
const timeoutMs = 15_000

/** Sends a notice once. A redirect is no address that the operator has named, and is a refusal. Never rejects. */
export async function sendNotice (
  { url, secrets }: Receiver, notice: Notice, { dispatcher, userAgent }: { dispatcher: Dispatcher, userAgent: string }
): Promise<Sent> {
  try {
    const { statusCode, headers, body } = await request(url, {
      method: 'POST',
      dispatcher,
      headers: { ...signedHeaders(notice, secrets, Date.now()), 'user-agent': userAgent },
      body: notice.body,
      signal: AbortSignal.timeout(timeoutMs)
    })
    body.on('error', () => {}).destroy() // nobody reads what it says
    if (statusCode >= 200 && statusCode < 300) return { outcome: 'taken' }
    if (statusCode === 410) return { outcome: 'gone' }
    const seconds = parseRetryAfter(String(headers['retry-after'] ?? ''))
    return { outcome: 'refused', status: statusCode, retryAfterMs: (seconds ?? 0) * 1000 }
  } catch (error) {
    return { outcome: 'unreachable', error: error as Error }
  }
}
