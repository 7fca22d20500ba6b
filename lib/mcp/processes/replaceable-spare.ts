import { createServerClient, type ServerConnection, type ServerClient } from '../client/server-client.ts'
import type { ProcessClient } from './process-client.ts'

/**
 * A spare in a request's hands. When it turns out to have ended before the request's question was written to it, the
 * question goes to another server, opened for that, once: the spare never had it, so nothing can be done twice.
 */
export function replaceableSpare (spare: ProcessClient, openAnother: () => Promise<ProcessClient>): ServerClient {
  let another: Promise<ProcessClient> | null = null

  const ask: ServerConnection['ask'] = async (asked, limits, request) => {
    if (another !== null) return await (await another).link.ask(asked, limits, request)
    const { messagesWritten } = spare
    try {
      return await spare.link.ask(asked, limits, request)
    } catch (error) {
      if (spare.isRunning || spare.messagesWritten > messagesWritten || limits.signal.aborted) throw error
      another = openAnother()
      return await (await another).link.ask(asked, limits, request)
    }
  }

  return { ...spare, ...createServerClient({ ...spare.link, ask }) }
}
