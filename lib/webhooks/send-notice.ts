import { type Dispatcher, request } from 'undici'
import { type Notice, signedHeaders } from './notice.ts'
import type { Receiver } from './receivers-file.ts'

/**
 * What became of a notice. `gone`: its receiver wants no more of it. `unreachable`: nothing can be sent to it now, or
 * it has not answered.
 */
export type Sent =
  | { outcome: 'taken' }
  | { outcome: 'gone' }
  | { outcome: 'refused', status: number, retryAfterMs: number | null }
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
    return { outcome: 'refused', status: statusCode, retryAfterMs: retryAfterIn(String(headers['retry-after'] ?? '')) }
  } catch (error) {
    return { outcome: 'unreachable', error: error as Error }
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc9110#field.retry-after */
function retryAfterIn (text: string): number | null {
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const at = Date.parse(text)
  return Number.isNaN(at) ? null : Math.max(0, at - Date.now())
}
