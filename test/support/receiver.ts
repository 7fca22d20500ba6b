import type { ServerResponse } from 'node:http'
import { Webhook } from 'standardwebhooks'
import type { Test } from 'tap'
import { type HttpRequest, serve } from './http-server.ts'

/** Two secrets of receivers, obviously fake. */
export const secrets = ['not-a-real-secret-not-a-real', 'another-fake-secret-another-fake']
  .map(text => `whsec_${Buffer.from(text).toString('base64')}`)

export type Answer = (response: ServerResponse) => void

/** Answers with a status. */
export const withStatus = (status: number, headers: Record<string, string> = {}): Answer => response => {
  response.writeHead(status, headers).end('not a word of this is read')
}

/**
 * A receiver of notices, which answers the first of them as `answers` says, one after the other, and takes all others.
 * Every notice is checked by a library for receivers.
 */
export async function startReceiver (t: Test, { answers = [], secret = secrets[0] ?? '' }: {
  answers?: Answer[], secret?: string
} = {}) {
  const notices: Array<{ id: string, payload: unknown, text: string }> = []
  const faults: unknown[] = []
  const { origin, requests, close } = await serve(t, ({ headers, text }: HttpRequest, response) => {
    try {
      const payload = new Webhook(secret).verify(text, headers as Record<string, string>)
      notices.push({ id: String(headers['webhook-id']), payload, text })
    } catch (error) {
      faults.push(error)
    }
    const answer = answers.shift() ?? withStatus(204)
    answer(response)
  })
  return { url: `${origin}/hooks?a=1`, notices, faults, requests, close }
}
